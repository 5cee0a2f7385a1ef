"""Scans: which openings of a pay page are counted, and how they come into the database once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from merchants import bell, codes, scans
from merchants.models import Code, ScanCount
from payments.models import ProviderAccount
from tests.cast import Person
from tests.test_scan import hidden
from tests.till import platform

CHROME = "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Mobile Safari/537.36"
WECHAT = f"{CHROME} MMWEBID/1 MicroMessenger/8.0.49 Language/zh_CN"
OPERA_MINI = "Opera/9.80 (J2ME/MIDP; Opera Mini/4.2.22250/28.2725; U; en) Presto/2.8.119 Version/11.10"
UC = "UCWEB/2.0 (MIDP-2.0; U; Adr 4.4.2; zh-CN; X9007) U2/1.0.0 UCBrowser/10.7 U2/1.0.0 Mobile"
CUBOT = CHROME.replace("Android 14", "Android 10; CUBOT NOTE 20")


@pytest.fixture
def stall(mei: Person) -> Code:
    platform()
    return Code.objects.get(shop=mei.shop)


@pytest.fixture(autouse=True)
def rested() -> Iterator[None]:
    yield
    scans._Rest.until = 0.0


def open_page(code: Code, browser: Client | None = None, agent: str = CHROME, **more: Any) -> Any:
    return (browser or Client()).get(f"/s/{code.slug}", headers={"User-Agent": agent}, **more)


def counted() -> int:
    return scans.flush()


def test_a_page_that_a_person_opens_is_a_scan_of_its_hour(stall: Code, now: datetime) -> None:
    for agent in (CHROME, WECHAT, OPERA_MINI, UC, CUBOT):
        assert open_page(stall, agent=agent).status_code == 200
    assert counted() == 5
    row = ScanCount.objects.get()
    assert (row.code, row.scans) == (stall, 5)
    assert row.hour == scans.hour_of(now)
    assert (row.hour.minute, row.hour.second) == (0, 0)
    assert row.last_at is not None
    assert timedelta(seconds=-1) < row.last_at - now < timedelta(seconds=60)


@pytest.mark.parametrize(
    "agent",
    [
        "",
        "WhatsApp/2.23.20.0",
        "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
        "facebookexternalhit/1.1;line-poker/1.0",
        "TelegramBot (like TwitterBot)",
        "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
        "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
        "Mozilla/5.0 (compatible; DingTalkBot-LinkService/1.0)",
        "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5",
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)",
        "curl/8.5.0",
        "python-requests/2.32",
    ],
)
def test_a_program_that_says_so_is_none(stall: Code, agent: str) -> None:
    assert open_page(stall, agent=agent).status_code == 200
    assert counted() == 0


def test_neither_is_a_look_at_the_head_a_page_fetched_ahead_nor_one_that_was_refused(
    stall: Code, client: Client, now: datetime
) -> None:
    client.head(f"/s/{stall.slug}", headers={"User-Agent": CHROME})
    open_page(stall, HTTP_SEC_PURPOSE="prefetch;prerender")
    open_page(stall, HTTP_PURPOSE="prefetch")
    client.get(f"/s/{stall.slug}?again=expired", headers={"User-Agent": CHROME})
    client.post(f"/s/{stall.slug}/pay", {"page": "x"}, headers={"User-Agent": CHROME})
    codes.change(code=stall, state="suspended", now=now)
    assert open_page(stall).status_code == 403
    assert open_page(Code(slug="7kQm2xWp9RtB")).status_code == 404
    assert counted() == 0


def test_without_a_wallet_there_is_no_page_to_count(stall: Code) -> None:
    ProviderAccount.objects.update(active=False)
    assert open_page(stall).status_code == 503
    assert counted() == 0


def test_one_payer_who_loads_it_again_is_one_scan_and_another_code_is_another(
    mei: Person, stall: Code, client: Client, now: datetime
) -> None:
    other = codes.create(shop=mei.shop, kind="shop", now=now)
    for _ in range(3):
        open_page(stall, client)
    open_page(other, client)
    assert counted() == 2
    assert set(ScanCount.objects.values_list("code_id", "scans")) == {(stall.id, 1), (other.id, 1)}


def test_after_a_while_the_same_payer_is_another_scan(stall: Code, now: datetime) -> None:
    assert scans.count(code_id=stall.id, payer="a", now=now)
    assert not scans.count(code_id=stall.id, payer="a", now=now)
    (key,) = bell.store().keys("scanned:*")
    assert 0 < bell.store().ttl(key) <= scans.AGAIN_AFTER_S
    bell.store().delete(key)  # Its time has passed.
    assert scans.count(code_id=stall.id, payer="a", now=now)
    assert counted() == 2


def test_scans_add_up_over_flushes_and_are_counted_once(stall: Code) -> None:
    hour = datetime(2026, 11, 28, 9, tzinfo=UTC)
    for minute in (5, 59):
        scans.count(code_id=stall.id, payer=f"{minute}", now=hour + timedelta(minutes=minute))
    assert (counted(), counted()) == (2, 0)
    scans.count(code_id=stall.id, payer="later", now=hour + timedelta(minutes=30))
    scans.count(code_id=stall.id, payer="next hour", now=hour + timedelta(minutes=60))
    assert counted() == 2
    rows = ScanCount.objects.order_by("hour").values_list("hour", "scans", "last_at")
    assert list(rows) == [
        (hour, 3, hour + timedelta(minutes=59)),
        (hour + timedelta(hours=1), 1, hour + timedelta(minutes=60)),
    ]


def test_many_codes_are_kept_by_one_statement(mei: Person, now: datetime) -> None:
    made = [codes.create(shop=mei.shop, kind="shop", now=now) for _ in range(20)]
    for code in made:
        scans.count(code_id=code.id, payer="a", now=now)
    with CaptureQueriesContext(connection) as asked:
        assert counted() == 20
    assert len([query for query in asked if "INSERT" in query["sql"]]) == 1


def test_a_code_that_is_not_there_breaks_nothing(stall: Code, now: datetime) -> None:
    scans.count(code_id=Code().id, payer="a", now=now)
    scans.count(code_id=stall.id, payer="a", now=now)
    assert counted() == 2
    assert ScanCount.objects.get().code == stall


def test_with_the_database_away_nothing_is_taken(stall: Code, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    scans.count(code_id=stall.id, payer="a", now=now)

    def away() -> Any:
        raise OperationalError("the database is away")

    with monkeypatch.context() as patched:
        patched.setattr(connection, "cursor", away)
        with pytest.raises(OperationalError):
            counted()
    assert counted() == 1


def test_with_redis_away_the_page_is_shown_and_the_next_pages_do_not_even_ask(
    stall: Code, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    class Away:
        def eval(self, *_: Any) -> Any:
            asked.append(1)
            raise redis.TimeoutError

    with monkeypatch.context() as patched:
        patched.setattr(bell, "store", Away)
        assert hidden(open_page(stall))
        assert hidden(open_page(stall))
        assert len(asked) == 1
    scans._Rest.until = time.monotonic()  # The rest is over.
    open_page(stall)
    assert counted() == 1


def test_counting_costs_the_page_no_query(stall: Code) -> None:
    with CaptureQueriesContext(connection) as uncounted:
        open_page(stall, agent="curl/8.5.0")
    with CaptureQueriesContext(connection) as asked:
        open_page(stall)
    assert len(asked) == len(uncounted) == 2
    assert counted() == 1
