"""From the receipt to any kind of wallet: what is shown, to whom, under which policy, and until when."""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import Iterator
from datetime import datetime, timedelta
from html import unescape
from typing import Any

import pytest
from django.conf import LazySettings
from django.test import Client
from django.utils import timezone
from PIL import Image, ImageDraw

from merchants.models import Code, Item
from payments.models import PaymentIntent, ProviderAccount
from payments.providers.base import ProviderError, Started, Visit
from qr import handover
from tests import jadepay, readers
from tests.jadepay import Desk
from tests.test_scan import hidden, pay, text
from tests.till import platform

COMPUTER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"
PHONE = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/120.0.0.0 Mobile Safari/537.36"
PAY_URL = "https://pay.jade.example/cashier?order=7"


@pytest.fixture
def desk(db: None) -> Iterator[Desk]:
    """Jade Pay is the only wallet that is taken; it leads to its own page unless a test says otherwise."""
    with jadepay.taken(lambda visit: Started("jade_7", redirect_url=PAY_URL)) as desk:
        yield desk


@pytest.fixture
def apple(apples: Item) -> Code:
    return apples.codes.get()


def begun(client: Client, code: Code, desk: Desk, started: Started) -> PaymentIntent:
    """An intent that this client began and the wallet answered in that way."""
    desk.answer = lambda visit: started
    answer = pay(client, code)
    assert answer.status_code == 303, text(answer)
    return PaymentIntent.objects.get()


def seen(client: Client, intent: PaymentIntent, agent: str = COMPUTER) -> Any:
    return client.get(f"/r/{intent.receipt}", headers={"User-Agent": agent})


def policy(answer: Any) -> dict[str, str]:
    return dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))


def read_code(picture: bytes) -> str:
    """What a scanner reads from an SVG of ours: every row of modules is a line along its middle, with gaps."""
    svg = picture.decode()
    side = re.search(r'viewBox="0 0 (\d+) ', svg)
    assert side
    image = Image.new("L", (int(side[1]) * 4, int(side[1]) * 4), 255)
    for left, row, steps in re.findall(r"M(\d+) (\d+)\.5((?:h\d+|m\d+ 0)+)", svg):
        x, y = int(left), int(row)
        for kind, length in re.findall(r"([hm])(\d+)", steps):
            if kind == "h":
                ImageDraw.Draw(image).rectangle((x * 4, y * 4, (x + int(length)) * 4 - 1, y * 4 + 3), fill=0)
            x += int(length)
    [found] = readers.codes(image)
    assert found.ec_level == "M"
    return str(found.text)


# --- Straight on -----------------------------------------------------------------------------------------------------


def test_an_address_is_gone_to_at_once_and_the_receipt_leads_back_there(
    client: Client, apple: Code, desk: Desk
) -> None:
    answer = pay(client, apple)
    assert (answer.status_code, answer.headers["Location"]) == (303, PAY_URL)
    page = seen(client, PaymentIntent.objects.get())
    assert f'href="{PAY_URL}">' in page.content.decode()
    # The wallet is told whose site she comes from (some ask for it), and never the receipt's address.
    for response in (answer, page):
        assert response.headers["Referrer-Policy"] == "strict-origin-when-cross-origin"
    assert '<meta http-equiv="refresh" content="2">' in page.content.decode()
    assert policy(page)["form-action"] == "'self'"


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "data:text/html,x", "JAVASCRIPT:alert(1)", "//evil.example"]
)
def test_an_address_that_is_no_page_leads_nowhere(client: Client, apple: Code, desk: Desk, address: str) -> None:
    intent = begun(client, apple, desk, Started("jade_7", redirect_url=address))
    assert pay(client, apple).headers["Location"].startswith("/r/")
    assert address.encode() not in seen(client, intent).content


def test_the_wallet_is_told_how_the_payer_comes_and_where_she_returns_to(
    client: Client, apple: Code, desk: Desk, settings: LazySettings
) -> None:
    settings.TRUSTED_PROXIES = ["127.0.0.1"]
    for agent in (COMPUTER, PHONE, jadepay.IN_APP, ""):
        page = hidden(client.get(f"/s/{apple.slug}"))
        form = {"page": page}
        client.post(f"/s/{apple.slug}/pay", form, headers={"User-Agent": agent, "X-Forwarded-For": "203.0.113.9"})
    assert [visit.place for visit in desk.visits] == ["computer", "phone", "own_app", "computer"]
    first = PaymentIntent.objects.earliest("id")
    assert desk.visits[0] == Visit(
        return_url=f"{settings.PUBLIC_URL}/r/{first.receipt}",
        place="computer",
        address="203.0.113.9",
        identify_url=f"{settings.PUBLIC_URL}/r/{first.receipt}/payer",
    )


def test_of_a_browsers_own_words_no_more_than_four_hundred_are_read(client: Client, apple: Code, desk: Desk) -> None:
    page = hidden(client.get(f"/s/{apple.slug}"))
    client.post(f"/s/{apple.slug}/pay", {"page": page}, headers={"User-Agent": "x" * 400 + jadepay.IN_APP})
    assert desk.visits[0].place == "computer"


# --- A code to scan, its text, an app --------------------------------------------------------------------------------


def test_a_code_is_shown_to_whoever_has_the_receipt_with_wallet_amount_and_shop(
    client: Client, apple: Code, desk: Desk
) -> None:
    intent = begun(client, apple, desk, Started("jade_7", qr="https://qr.jade.example/bax0001?x=1&y=ü"))
    for visitor in (client, Client()):
        answer = seen(visitor, intent)
        page = text(answer)
        assert f'src="/r/{intent.receipt}/code.svg"' in answer.content.decode()
        assert "Scan with Jade Pay CN¥2.00" in page
        assert "Mei's fruit" in page
        assert "Save or show this code" not in page
        assert len(answer.content) <= 10_000
        assert policy(answer)["img-src"] == "'self'"
        assert '<meta http-equiv="refresh" content="5">' in answer.content.decode()
    assert "Save or show this code" in text(seen(client, intent, PHONE))
    assert b'http-equiv="refresh" content="15"' in seen(client, intent, PHONE).content


def test_a_scanner_reads_in_the_picture_what_the_wallet_said(client: Client, apple: Code, desk: Desk) -> None:
    intent = begun(client, apple, desk, Started("jade_7", qr="weixin://wxpay/bizpayurl?pr=NwY5Mz9&groupid=00"))
    answer = Client().get(f"/r/{intent.receipt}/code.svg")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/svg+xml")
    assert answer.headers["Cache-Control"] == "no-store"
    assert policy(answer) == {"default-src": "'none'", "frame-ancestors": "'none'"}
    assert read_code(answer.content) == "weixin://wxpay/bizpayurl?pr=NwY5Mz9&groupid=00"


@pytest.mark.parametrize(
    "change", [{"state": "paid"}, {"state": "expired"}, {"closing": "frozen"}, {"expires_at": timezone.now()}]
)
def test_what_is_no_longer_waited_for_cannot_be_scanned_copied_or_gone_to(
    client: Client, apple: Code, desk: Desk, change: dict[str, Any]
) -> None:
    started = Started("jade_7", qr="jade-code", copy="jade-text", app_url="upi://pay?pa=a@b", redirect_url=PAY_URL)
    intent = begun(client, apple, desk, started)
    assert client.get(f"/r/{intent.receipt}/code.svg").status_code == 200
    PaymentIntent.objects.update(**change)
    assert client.get(f"/r/{intent.receipt}/code.svg").status_code == 404
    page = seen(client, intent, PHONE).content
    for trace in (b"code.svg", b"jade-text", b"upi:", PAY_URL.encode()):
        assert trace not in page


def test_where_there_is_no_code_there_is_no_picture(client: Client, apple: Code, desk: Desk) -> None:
    assert client.get("/r/23456789ABCDEFGHJKLMNP/code.svg").status_code == 404
    intent = begun(client, apple, desk, Started("jade_7", redirect_url=PAY_URL))
    assert client.get(f"/r/{intent.receipt}/code.svg").status_code == 404


def test_a_code_that_is_too_long_to_be_scanned_can_still_be_copied(client: Client, apple: Code, desk: Desk) -> None:
    intent = begun(client, apple, desk, Started("jade_7", qr="x" * 1001, copy="x" * 1001))
    assert client.get(f"/r/{intent.receipt}/code.svg").status_code == 404
    page = seen(client, intent).content.decode()
    assert "code.svg" not in page
    assert "x" * 1001 + "</textarea>" in page


def test_a_text_is_there_to_be_copied_and_does_not_run_away(client: Client, apple: Code, desk: Desk) -> None:
    intent = begun(client, apple, desk, Started("jade_7", qr="00020126</textarea>", copy="00020126</textarea><b>"))
    answer = seen(client, intent)
    found = re.search(r"<textarea id=\"copy\" readonly[^>]*>([^<]*)</textarea>", answer.content.decode())
    assert found
    assert unescape(found[1]) == "00020126</textarea><b>"
    assert "Copy this and paste it into your bank's app" in text(answer)
    assert b'http-equiv="refresh" content="15"' in answer.content
    assert b"WeixinJSBridge" not in answer.content


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("upi://pay?pa=mei@bank&am=2.00", True),
        ("alipays://platformapi/startapp?appId=1", True),
        ("weixin://wxpay/1", True),
        ("https://app.jade.example/open", True),
        ("http://app.jade.example/open", False),
        ("javascript:alert(1)", False),
        (" javascript:alert(1)", False),
        ("data:text/html,<script>", False),
        ("intent://pay#Intent;scheme=upi;end", False),
        ("pay", False),
    ],
)
def test_only_the_addresses_of_apps_we_know_open_one(
    client: Client, apple: Code, desk: Desk, address: str, shown: bool
) -> None:
    intent = begun(client, apple, desk, Started("jade_7", app_url=address))
    page = seen(client, intent, PHONE).content.decode()
    assert (f'href="{address.replace("&", "&amp;")}"' in page) is shown
    assert ("Open Jade Pay" in page) is shown


def test_at_a_computer_an_app_is_offered_only_where_there_is_no_other_way(
    client: Client, apple: Code, desk: Desk
) -> None:
    intent = begun(client, apple, desk, Started("jade_7", qr="upi://pay?pa=a@b", app_url="upi://pay?pa=a@b"))
    assert "Open Jade Pay" not in text(seen(client, intent, COMPUTER))
    assert "Open Jade Pay" in text(seen(client, intent, PHONE))
    PaymentIntent.objects.update(handover={"app_url": "upi://pay?pa=a@b"})
    assert "Open Jade Pay" in text(seen(client, intent, COMPUTER))


# --- What was made for this payer ------------------------------------------------------------------------------------


def test_a_form_is_posted_where_the_policy_allows_by_the_payer_alone(client: Client, apple: Code, desk: Desk) -> None:
    fields = {"sign": 'a"b<c>', "biz_content": "{}"}
    address = "https://gateway.jade.example/do?charset=utf-8"
    intent = begun(client, apple, desk, Started("jade_7", redirect_url=address, form=fields))
    assert pay(client, apple).headers["Location"].startswith("/r/")
    answer = seen(client, intent)
    page = answer.content.decode()
    assert f'<form method="post" action="{address}">' in page
    assert '<input type="hidden" name="sign" value="a&quot;b&lt;c&gt;">' in page
    assert "Go on to Jade Pay" in page
    ours = "'self' https://api.jade.example https://pay.jade.example https://gateway.jade.example"
    assert policy(answer)["form-action"] == ours
    stranger = seen(Client(), intent)
    assert b"<form" not in stranger.content
    assert policy(stranger)["form-action"] == "'self'"


def test_a_form_to_what_is_no_page_is_not_shown(client: Client, apple: Code, desk: Desk) -> None:
    intent = begun(client, apple, desk, Started("jade_7", redirect_url="javascript:alert(1)", form={"a": "b"}))
    answer = seen(client, intent)
    assert b"<form" not in answer.content
    assert policy(answer)["form-action"] == "'self'"


def test_an_address_is_shown_to_the_payer_and_a_friend_only_waits(client: Client, apple: Code, desk: Desk) -> None:
    intent = begun(client, apple, desk, Started("jade_7", redirect_url=PAY_URL))
    friend = Client()
    friend.get(f"/s/{apple.slug}")
    for visitor in (friend, Client()):
        page = seen(visitor, intent).content
        assert PAY_URL.encode() not in page
        assert b"Waiting for your payment" in page


ARGUMENTS = {"appId": "wx1", "package": "prepay_id=1</script><script>alert(1)", "paySign": "oR9+/=="}


def test_the_wallets_own_browser_is_called_by_the_one_script_that_the_policy_admits(
    client: Client, apple: Code, desk: Desk
) -> None:
    bridge = {"call": "getBrandWCPayRequest", "arguments": ARGUMENTS}
    intent = begun(client, apple, desk, Started("jade_7", bridge=bridge))
    answer = seen(client, intent, PHONE)
    page = answer.content.decode()
    [(data, script)] = re.findall(
        r'<script id="bridge" type="application/json">([^<]*)</script><script>([^<]*)</script>', page
    )
    assert json.loads(data) == {"arguments": ARGUMENTS, "wait_s": 5}
    assert page.count("<script") == 2
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy(answer)["script-src"] == f"'sha256-{digest}'"
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in page
    assert "Your wallet opens by itself." in text(answer)
    assert len(answer.content) <= 10_000
    stranger = seen(Client(), intent, PHONE)
    assert b"WeixinJSBridge" not in stranger.content
    assert b"prepay_id" not in stranger.content
    assert policy(stranger)["script-src"] != policy(answer)["script-src"]


def test_no_other_call_is_made_in_the_wallets_browser(client: Client, apple: Code, desk: Desk) -> None:
    bridge = {"call": "chooseWXPay", "arguments": ARGUMENTS}
    intent = begun(client, apple, desk, Started("jade_7", bridge=bridge))
    answer = seen(client, intent)
    assert b"WeixinJSBridge" not in answer.content


# --- Who she is at the wallet ----------------------------------------------------------------------------------------

ASK = "https://open.jade.example/oauth?state=1"
CALL = {"call": "getBrandWCPayRequest", "arguments": {"package": "prepay_id=1"}}


def knows_by_grant(visit: Visit) -> Started:
    return Started("jade_7", bridge=CALL) if visit.grant else Started("", redirect_url=ASK)


@pytest.fixture
def asked(client: Client, apple: Code, desk: Desk) -> PaymentIntent:
    """An intent whose payer was sent to her wallet to say who she is there."""
    desk.answer = knows_by_grant
    assert pay(client, apple).headers["Location"] == ASK
    return PaymentIntent.objects.get()


def back_at(client: Client, intent: PaymentIntent, grant: str) -> Any:
    return client.get(f"/r/{intent.receipt}/payer", {"code": grant, "state": "1"})


def test_the_payer_comes_back_with_a_grant_and_is_handed_over(client: Client, asked: PaymentIntent, desk: Desk) -> None:
    answer = back_at(client, asked, "011aBc")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/r/{asked.receipt}")
    assert answer.headers["Cache-Control"] == "no-store"
    assert [visit.grant for visit in desk.visits] == ["", "011aBc"]
    asked.refresh_from_db()
    assert (asked.redirect_url, asked.handover, asked.provider_object_id) == ("", {"bridge": CALL}, "jade_7")


def test_a_grant_that_comes_twice_or_too_late_asks_nothing_more(
    client: Client, asked: PaymentIntent, desk: Desk
) -> None:
    PaymentIntent.objects.update(expires_at=timezone.now())
    assert back_at(client, asked, "late").headers["Location"] == f"/r/{asked.receipt}"
    PaymentIntent.objects.update(expires_at=timezone.now() + timedelta(minutes=5))
    for _ in range(3):
        assert back_at(client, asked, "011aBc").headers["Location"] == f"/r/{asked.receipt}"
    assert [visit.grant for visit in desk.visits] == ["", "011aBc"]


def test_nobody_else_goes_on_with_a_payment(client: Client, asked: PaymentIntent, apple: Code, desk: Desk) -> None:
    thief = Client()
    thief.get(f"/s/{apple.slug}")
    before = PaymentIntent.objects.values().get()
    for visitor in (thief, Client()):
        answer = back_at(visitor, asked, "011aBc")
        assert (answer.status_code, "Somebody else began this payment" in text(answer)) == (403, True)
    assert client.get("/r/23456789ABCDEFGHJKLMNP/payer?code=1").status_code == 404
    assert len(desk.visits) == 1
    assert PaymentIntent.objects.values().get() == before


@pytest.mark.parametrize("grant", ["", "x" * 201, "a b", "a\nb", "ü", "a\0"])
def test_what_cannot_be_a_grant_is_not_passed_on(client: Client, asked: PaymentIntent, desk: Desk, grant: str) -> None:
    answer = back_at(client, asked, grant)
    assert answer.status_code in (303, 400)
    assert len(desk.visits) == 1


def test_a_grant_is_spent_by_nothing_but_a_visit(client: Client, asked: PaymentIntent, desk: Desk) -> None:
    assert client.head(f"/r/{asked.receipt}/payer?code=1").status_code == 405
    assert client.post(f"/r/{asked.receipt}/payer?code=1").status_code in (403, 405)
    assert len(desk.visits) == 1


def test_a_grant_that_the_wallet_refuses_ends_on_the_receipt_and_not_in_a_circle(
    client: Client, asked: PaymentIntent, desk: Desk
) -> None:
    def refuses(visit: Visit) -> Started:
        raise ProviderError("invalid code", permanent=True)

    desk.answer = refuses
    assert back_at(client, asked, "spent").headers["Location"] == f"/r/{asked.receipt}"
    assert 'data-kind="not_started"' in seen(client, asked).content.decode()
    desk.answer = knows_by_grant
    assert back_at(client, asked, "fresh").status_code == 303
    assert 'data-kind="waiting"' in seen(client, asked).content.decode()


def test_coming_back_very_often_is_refused_for_a_while(
    client: Client, asked: PaymentIntent, desk: Desk, settings: LazySettings
) -> None:
    settings.START_BUDGET_PAYER = "1/minute"
    back_at(client, asked, "first")
    answer = back_at(client, asked, "second")
    assert (answer.status_code, "wait a minute" in text(answer)) == (429, True)
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert [visit.grant for visit in desk.visits] == ["", "first"]


def test_a_wallet_may_send_the_payer_back_by_a_form(client: Client, asked: PaymentIntent) -> None:
    strict = Client(enforce_csrf_checks=True)
    answer = strict.post(f"/r/{asked.receipt}", {"razorpay_payment_id": "pay_1", "state": "paid"})
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/r/{asked.receipt}")
    asked.refresh_from_db()
    assert asked.state == "open"


def test_a_receipt_looks_again_no_sooner_than_hands_are_done(now: datetime, db: None) -> None:
    intent = PaymentIntent(
        state="open",
        amount=1,
        currency="CNY",
        created_at=now,
        expires_at=now + timedelta(minutes=15),
        handover={"copy": "x"},
        provider_account=ProviderAccount(provider="sandbox"),
    )
    platform()
    waiting = handover.offered(intent, payer="", user_agent="", now=now)
    assert waiting is not None
    assert (waiting.in_hands, waiting.leads_away, waiting.title) == (True, False, "Pretend wallet")
    assert handover.offered(intent, payer="", user_agent="", now=now + timedelta(minutes=15)) is None
