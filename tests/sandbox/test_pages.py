"""The payer's pages of the pretend wallet: what they show, what they refuse, and what they let a browser do."""

import pytest
import requests

from payments.sandbox.pages import money
from tests.sandbox.pretend_shop import Shop, Wallet


def decide(order: dict[str, str], **form: str) -> requests.Response:
    """Press a button on an order's page."""
    return requests.post(order["pay_url"], data=form, allow_redirects=False, timeout=10)


def test_the_page_shows_what_is_paid_and_that_no_real_money_moves(shop: Shop) -> None:
    order = shop.order("page", amount=123456, description='<b>"Apples" & pears</b>')
    page = requests.get(order["pay_url"], timeout=10)
    assert page.status_code == 200
    assert "1,234.56<small>CNY</small>" in page.text
    assert "&lt;b&gt;&quot;Apples&quot; &amp; pears&lt;/b&gt;" in page.text
    assert "<b>" not in page.text
    assert "<script" not in page.text
    assert "This is a pretend wallet: no real money moves." in page.text
    assert len(page.content) < 10_000


def test_the_policy_lets_the_form_lead_back_to_the_shop_and_nothing_else(shop: Shop) -> None:
    order = shop.order("policy", return_url="http://127.0.0.1:8000/r/abc?x=1")
    page = requests.get(order["pay_url"], timeout=10)
    policy = dict(part.strip().split(" ", 1) for part in page.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["form-action"] == "'self' http://127.0.0.1:8000"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["style-src"].startswith("'sha256-")
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["X-Content-Type-Options"] == "nosniff"


def test_approving_leads_back_to_the_shop_and_the_page_then_says_paid(shop: Shop) -> None:
    order = shop.order("approve")
    reply = decide(order, decision="approve", behaviour="")
    assert (reply.status_code, reply.headers["Location"]) == (303, "https://shop.example/r/abc")
    page = requests.get(order["pay_url"], timeout=10).text
    assert ">Paid</h1>" in page
    assert "<form" not in page
    assert 'href="https://shop.example/r/abc"' in page


def test_refusing_tells_the_shop_and_cannot_be_taken_back(shop: Shop) -> None:
    order = shop.order("refuse")
    assert decide(order, decision="refuse").status_code == 303
    told = shop.wait_for(1)[0].json
    assert (told["type"], told["data"]["order"]["state"], told["data"]["payment"]) == (
        "payment.failed",
        "refused",
        None,
    )
    again = decide(order, decision="approve")
    assert again.status_code == 409
    assert ">Refused</h1>" in again.text
    assert shop.found("refuse")["payments"] == []


def test_a_paid_order_cannot_be_refused(shop: Shop) -> None:
    order = shop.paid("final")
    assert decide(order, decision="refuse").status_code == 409
    assert shop.found("final")["state"] == "paid"


def test_the_page_misbehaves_as_it_is_asked_to(shop: Shop) -> None:
    order = shop.order("chosen")
    assert decide(order, decision="approve", behaviour="over").status_code == 303
    assert shop.found("chosen")["payments"][0]["amount"] == 220


def test_a_closed_order_offers_only_to_pay_too_late(shop: Shop) -> None:
    order = shop.order("closed")
    shop.call("POST", "/orders/closed/close", {})
    page = requests.get(order["pay_url"], timeout=10).text
    assert ">Closed</h1>" in page
    assert 'value="late"' in page
    assert 'value="refuse"' not in page
    assert decide(order, decision="approve", behaviour="late").status_code == 303
    assert ">Paid too late</h1>" in requests.get(order["pay_url"], timeout=10).text


def test_an_expired_order_is_shown_so(shop: Shop) -> None:
    order = shop.expired("expired")
    page = requests.get(order["pay_url"], timeout=10).text
    assert "This order has expired or was closed." in page
    assert 'value="refuse"' not in page


@pytest.mark.parametrize("form", [{}, {"decision": "dance"}, {"decision": "approve", "behaviour": "dance"}])
def test_a_decision_that_is_none_changes_nothing(shop: Shop, form: dict[str, str]) -> None:
    order = shop.order("undecided")
    assert decide(order, **form).status_code == 422
    assert shop.found("undecided")["state"] == "open"


def test_an_unknown_order_has_a_page_that_says_so(wallet: Wallet) -> None:
    page = requests.get(f"{wallet.url}/pay/wor_00", timeout=10)
    assert (page.status_code, page.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert "No such order" in page.text


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [(200, "CNY", "2.00"), (5, "CNY", "0.05"), (200, "JPY", "200"), (1234567, "KWD", "1,234.567")],
)
def test_money_is_shown_with_its_currency_s_own_decimals(amount: int, currency: str, shown: str) -> None:
    assert money(amount, currency) == shown
