"""Asked for what is in an archive, nobody gets an empty page or a wrong sum, but is told in words from when on there
are entries: over HTTP, in every language, at the desk; and what is asked from there on is answered."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.contrib.admin.utils import quote
from django.utils import timezone, translation
from rest_framework.test import APIClient

from merchants import ids
from merchants.models import Shop
from payments import boundary, chain, retiring, takings
from payments.models import Archive, LedgerEntry, Match
from payments.statement import Basis
from tests.cast import Person, problem
from tests.closed_months import NOVEMBER, NOW, OF_OCTOBER, OF_SEPTEMBER, SEPTEMBER, made, retire
from tests.operators import quick_passwords, signed_in  # noqa: F401
from tests.test_ledger import movement, post

BOOK = "/api/v1/ledger"
HOUR = timedelta(hours=1)


@pytest.fixture
def api(mei: Person, tmp_path: Path) -> APIClient:
    """Three payments of September, one of November, one of the second of November, one of December; October is gone."""
    made()
    for at in (SEPTEMBER, SEPTEMBER + HOUR, SEPTEMBER + 2 * HOUR, NOVEMBER, NOVEMBER + 30 * HOUR,
               datetime(2030, 12, 9, tzinfo=UTC)):  # fmt: skip
        post(movement(mei.shop, 100, occurred_at=at), now=at)
    chain.seal(now=timezone.now())
    retire(tmp_path)
    return mei.api()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is February 2031."""
    monkeypatch.setattr(timezone, "now", lambda: NOW)


@pytest.fixture
def known(clock: None, mei: Person, api: APIClient) -> APIClient:
    """Mei's phone in February 2031, signed in there."""
    return mei.api()


REFUSED = [
    ("balance?at=2030-10-31T23:59:59.998Z", "2030-11-02"),
    ("balance?basis=effective&at=2030-11-01T23:59:59Z", "2030-11-03"),
    ("day?day=2030-11-01&basis=recorded", "2030-11-02"),
    ("day?day=2030-11-02", "2030-11-03"),
    ("statement?month=2030-11", "2030-11-02"),
    ("statement?day=2030-11-02&basis=effective", "2030-11-03"),
    *((f"statement.{form}?day=2030-10-15", "2030-11-02") for form in ("csv", "pdf", "html", "xml")),
]
TOLD = [
    ("statement?day=2030-11-02", 500),
    ("statement?day=2030-11-03&basis=effective", 500),
    ("statement?month=2030-12", 600),
    ("statement?month=2030-12&basis=effective", 600),
]


def test_what_is_older_is_refused_with_the_first_day_that_can_be_asked_for_and_the_rest_is_told(
    known: APIClient,
) -> None:
    for asked, since in REFUSED:
        answer = known.get(f"{BOOK}/{asked}")
        assert problem(answer) == (410, "archived"), asked
        assert (answer.json()["since"], answer.json()["type"]) == (since, "urn:pushcart:problem:archived"), asked
    for asked, closing in TOLD:
        told = known.get(f"{BOOK}/{asked}").json()
        assert told["closing"]["total"]["amount"] == closing, asked
        assert told["opening"]["total"]["amount"] + told["money_in"]["amount"] == closing, asked
    assert known.get(f"{BOOK}/balance?at=2030-10-31T23:59:59.999Z").json()["total"]["amount"] == 300
    assert known.get(f"{BOOK}/balance").json()["total"]["amount"] == 600


def test_a_list_ends_with_a_page_that_says_where_the_older_ones_are_and_is_never_empty(
    known: APIClient, tmp_path: Path
) -> None:
    page = known.get(f"{BOOK}/entries?limit=2").json()
    found = [row["id"] for row in page["results"]]
    page = known.get(page["next"]).json()
    found += [row["id"] for row in page["results"]]
    assert found == [ids.public("ent", row.id) for row in LedgerEntry.objects.order_by("-id")]
    assert len(found) == 3
    answer = known.get(page["next"])
    assert problem(answer) == (410, "archived")
    assert known.get(page["previous"]).status_code == 200
    assert not boundary.has_older(Shop(id=ids.new(), created_at=NOW), NOVEMBER)
    retire(tmp_path, NOW + timedelta(days=90))
    assert not LedgerEntry.objects.exists()
    assert problem(known.get(f"{BOOK}/entries")) == (410, "archived")


def test_of_the_days_before_those_that_are_gone_are_left_out(known: APIClient, mei: Person) -> None:
    for day, basis, before in (
        ("2030-11-02", Basis.RECORDED, []), ("2030-11-03", Basis.RECORDED, ["2030-11-02"]),
        ("2030-11-03", Basis.EFFECTIVE, []), ("2030-11-10", Basis.EFFECTIVE, ["2030-11-09", "2030-11-03"]),
    ):  # fmt: skip
        told = takings.of_day(shop=mei.shop, day=day, basis=basis, now=NOW)
        assert [one.period.name for one in told.before] == before, day


SAID = {
    "en": "Only what was booked from 2 November 2030 on can be read here. Ask us for what is older.",
    "zh-hans": "这里只能查看2030年11月2日起入账的内容。更早的请向我们索取。",
    "hi": "यहाँ केवल 2 नवंबर 2030 से दर्ज हुआ हिसाब पढ़ा जा सकता है। उससे पुराना हमसे माँगें।",
    "pt": "Aqui só se lê o que foi lançado a partir de 2 de novembro de 2030. Peça-nos o que é mais antigo.",
    "vi": "Ở đây chỉ xem được những gì đã ghi sổ từ 2 tháng 11, 2030 trở đi. Hãy hỏi chúng tôi về những gì cũ hơn.",
    "ar": "لا يمكن هنا قراءة إلا ما قُيِّد ابتداءً من 2 نوفمبر 2030. اطلب منا ما هو أقدم.",
}


def test_it_is_said_in_the_readers_language(mei: Person) -> None:
    said = {}
    for language in SAID:
        with translation.override(language):
            said[language] = str(boundary.refusal(NOVEMBER, mei.shop).detail)
    assert said == SAID


def test_it_is_the_first_whole_day_of_the_shop(mei: Person) -> None:
    for zone, day in (("Asia/Shanghai", "2030-11-02"), ("America/Lima", "2030-11-01"), ("UTC", "2030-11-01")):
        mei.shop.time_zone = zone
        assert boundary.refusal(NOVEMBER, mei.shop).more == {"since": day}


def test_a_process_looks_at_the_boundary_anew_before_a_month_that_was_closed_can_leave(api: APIClient) -> None:
    assert timedelta(seconds=boundary._LOOK_EVERY_S) < retiring.AFTER_CLOSING / 2
    assert boundary.since() == NOVEMBER
    Archive.objects.filter(partition=OF_OCTOBER).update(closed_at=None)
    assert boundary.since() == NOVEMBER
    boundary.forget()
    assert boundary.since() < NOVEMBER  # type: ignore[operator]


def test_operators_see_which_months_are_archived_and_where_entries_would_stand(api: APIClient, mei: Person) -> None:
    wei = signed_in().client
    page = wei.get("/admin/payments/archive/").content.decode()
    assert OF_SEPTEMBER in page
    assert "in the file alone" in page
    assert "CN¥3.00" in page
    row = Archive.objects.get(partition=OF_SEPTEMBER)
    inside = ids.public("ent", ids.first_of(SEPTEMBER + HOUR))
    for term, named in ((inside, row.pk), (OF_OCTOBER, OF_OCTOBER)):
        found = wei.get("/admin/payments/archive/", {"q": term}).content.decode()
        assert re.findall(r"archive/\w+/change/.*?>(\w+)</a>", found) == [named]
    led = wei.get("/admin/find/", {"q": inside}, follow=True)
    assert led.redirect_chain == [(f"/admin/payments/archive/{quote(row.pk)}/change/", 302)]
    assert "is from a month that is in this archive, and in no table any more." in led.content.decode()
    still_here = ids.public("ent", ids.first_of(NOVEMBER + HOUR))
    assert "Nothing is called" in wei.get("/admin/find/", {"q": still_here}).content.decode()
    shown = wei.get(f"/admin/payments/archive/{row.pk}/change/").content.decode()
    assert row.sha256 in shown
    entries = wei.get("/admin/payments/ledgerentry/").content.decode()
    assert "Entries from before Nov. 1, 2030 (UTC) are in archives, and not in this list." in entries
    match = Match.objects.create(rule="by_hand", made_at=SEPTEMBER)
    assert "in an archive" in wei.get(f"/admin/payments/match/{match.id}/change/").content.decode()
