"""What a merchant asks of the pretend wallet: orders, refunds, the same answer to the same question, its settlement."""

import csv
import threading
from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.sandbox.pretend_shop import Shop, Wallet, eventually


def error(reply: requests.Response) -> tuple[int, str]:
    """An error's status and code."""
    return reply.status_code, reply.json()["error"]["code"]


def test_an_order_is_opened_and_found_under_its_reference(shop: Shop, wallet: Wallet) -> None:
    order = shop.order("apples-1", expires_at="2099-05-01T08:00:00+08:00")
    assert order == {
        "id": order["id"],
        "reference": "apples-1",
        "account": shop.account,
        "amount": 200,
        "currency": "CNY",
        "state": "open",
        "pay_url": f"{wallet.url}/pay/{order['id']}",
        "payments": [],
        "refunds": [],
        "expires_at": "2099-05-01T00:00:00.000000Z",
        "created_at": order["created_at"],
    }
    assert order["id"].startswith("wor_")
    assert shop.found("apples-1") == order


def test_an_approved_order_is_paid_and_the_shop_is_told_with_a_good_signature(shop: Shop) -> None:
    order = shop.paid("apples-2")
    assert order["state"] == "paid"
    (payment,) = order["payments"]
    assert payment == {
        "id": payment["id"],
        "order_id": order["id"],
        "reference": "apples-2",
        "amount": 200,
        "currency": "CNY",
        "state": "succeeded",
        "occurred_at": payment["occurred_at"],
    }
    assert payment["id"].startswith("wpy_")
    (notice,) = shop.wait_for(1)
    assert notice.verifies(shop.secret)
    told = notice.json
    assert told["id"].startswith("evt_")
    assert notice.headers["webhook-id"] == told["id"]
    assert notice.headers["content-type"] == "application/json"
    short = {name: order[name] for name in ("id", "reference", "amount", "currency", "state")}
    assert told == {
        "id": told["id"],
        "type": "payment.succeeded",
        "account": shop.account,
        "occurred_at": payment["occurred_at"],
        "data": {"order": short, "payment": payment, "refund": None},
    }


def test_approving_twice_or_in_parallel_pays_once(shop: Shop, wallet: Wallet) -> None:
    order = shop.order("apples-3")
    replies: list[int] = []

    def approve() -> None:
        form = {"decision": "approve"}
        reply = requests.post(order["pay_url"], data=form, allow_redirects=False, timeout=10)
        replies.append(reply.status_code)

    threads = [threading.Thread(target=approve) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert replies == [303] * 8
    assert len(shop.found("apples-3")["payments"]) == 1
    assert wallet.books()["accounts"][shop.account] == {"CNY": {"received": 200, "refunded": 0, "net": 200}}


def test_many_orders_are_approved_at_once_and_those_that_cannot_be_are_named(shop: Shop) -> None:
    for reference in ("many-1", "many-2", "many-3"):
        shop.order(reference)
    shop.call("POST", "/orders/many-2/close", {})
    answer = shop.approve("many-1", "many-2", "many-3", "many-4")
    assert [(order["reference"], order["state"]) for order in answer["orders"]] == [
        ("many-1", "paid"),
        ("many-3", "paid"),
    ]
    assert answer["refused"] == [
        {"reference": "many-2", "code": "order_closed"},
        {"reference": "many-4", "code": "order_unknown"},
    ]


def test_a_reference_of_several_accounts_is_approved_only_with_the_account_named(
    wallet: Wallet, new_shop: Callable[[Wallet], Shop]
) -> None:
    one, other = new_shop(wallet), new_shop(wallet)
    one.order("same-name")
    other.order("same-name")
    answer = wallet.control("POST", "/approve", {"reference": "same-name"}).json()
    assert answer == {"orders": [], "refused": [{"reference": "same-name", "code": "reference_ambiguous"}]}
    one.approve("same-name")
    assert (one.found("same-name")["state"], other.found("same-name")["state"]) == ("paid", "open")


def test_closing_is_idempotent_and_leaves_a_paid_order_paid(shop: Shop) -> None:
    shop.order("close-1")
    for _ in range(2):
        reply = shop.call("POST", "/orders/close-1/close", {})
        assert (reply.status_code, reply.json()["state"]) == (200, "closed")
    (notice,) = shop.wait_for(1)
    assert (notice.json["type"], notice.json["data"]["payment"]) == ("order.closed", None)
    assert notice.json["data"]["order"]["state"] == "closed"
    shop.paid("close-2")
    assert shop.call("POST", "/orders/close-2/close", {}).json()["state"] == "paid"


def test_an_expired_order_is_closed_told_of_and_cannot_be_approved(shop: Shop) -> None:
    order = shop.expired("brief")
    assert shop.found("brief")["state"] == "closed"
    assert shop.approve("brief") == {"orders": [], "refused": [{"reference": "brief", "code": "order_closed"}]}
    reply = requests.post(order["pay_url"], data={"decision": "approve"}, allow_redirects=False, timeout=10)
    assert reply.status_code == 409
    assert "expired" in reply.text
    assert [notice.json["type"] for notice in shop.wait_for(1)] == ["order.closed"]
    assert shop.found("brief")["payments"] == []


def test_a_refund_is_pending_first_then_succeeds_and_is_told(shop: Shop, wallet: Wallet) -> None:
    payment = shop.paid("refund-1")["payments"][0]
    reply = shop.call("POST", f"/payments/{payment['id']}/refunds", {"reference": "back-1", "amount": 50})
    refund = reply.json()
    assert reply.status_code == 201
    assert refund == {
        "id": refund["id"],
        "reference": "back-1",
        "payment_id": payment["id"],
        "amount": 50,
        "currency": "CNY",
        "state": "pending",
        "created_at": refund["created_at"],
        "settled_at": None,
    }
    [notice] = [each for each in shop.wait_for(2) if each.json["type"] != "payment.succeeded"]
    assert notice.verifies(shop.secret)
    assert notice.json["type"] == "refund.succeeded"
    assert notice.json["data"]["payment"] == payment
    told = {name: value for name, value in refund.items() if name != "created_at"}
    settled = {"state": "succeeded", "settled_at": notice.json["occurred_at"]}
    assert notice.json["data"]["refund"] == told | settled
    assert shop.call("GET", "/refunds/back-1").json() == refund | settled
    assert shop.found("refund-1")["refunds"] == [refund | settled]
    books = wallet.books()
    assert books["accounts"][shop.account] == {"CNY": {"received": 200, "refunded": 50, "net": 150}}
    assert refund | settled | {"account": shop.account} in books["refunds"]


def test_refunds_in_parallel_never_exceed_what_was_received(shop: Shop, wallet: Wallet) -> None:
    payment = shop.paid("refund-2")["payments"][0]
    path = f"{wallet.url}/v1/payments/{payment['id']}/refunds"
    replies: list[int] = []

    def ask(number: int) -> None:
        headers = {"Authorization": f"Bearer {shop.api_key}", "Idempotency-Key": f"ask-{number}"}
        body = {"reference": f"part-{number}", "amount": 60}
        replies.append(requests.post(path, json=body, headers=headers, timeout=10).status_code)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(replies) == [201] * 3 + [409] * 5
    too_large = shop.call("POST", f"/payments/{payment['id']}/refunds", {"reference": "rest", "amount": 21})
    assert error(too_large) == (409, "refund_too_large")
    rest = shop.call("POST", f"/payments/{payment['id']}/refunds", {"reference": "rest", "amount": 20})
    assert rest.status_code == 201
    eventually(
        lambda: wallet.books()["accounts"][shop.account] == {"CNY": {"received": 200, "refunded": 200, "net": 0}},
        "all refunds to settle",
    )


def test_the_same_key_has_the_same_answer_and_another_body_is_refused(shop: Shop) -> None:
    terms = shop.terms("once")
    first = shop.call("POST", "/orders", terms, key="once-key")
    shop.approve("once")
    again = shop.call("POST", "/orders", terms, key="once-key")
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["Idempotency-Replayed"] == "true"
    other = shop.call("POST", "/orders", terms | {"reference": "other"}, key="once-key")
    assert error(other) == (422, "idempotency_key_reused")
    assert error(shop.call("GET", "/orders/other")) == (404, "order_unknown")


def test_a_key_belongs_to_one_account(wallet: Wallet, new_shop: Callable[[Wallet], Shop]) -> None:
    one, other = new_shop(wallet), new_shop(wallet)
    for shop in (one, other):
        reply = shop.call("POST", "/orders", shop.terms("mine"), key="shared-key")
        assert (reply.status_code, reply.json()["account"]) == (201, shop.account)


def test_a_refusal_is_judged_anew_with_the_same_key(shop: Shop) -> None:
    assert error(shop.call("POST", "/orders/soon/close", {}, key="close-soon")) == (404, "order_unknown")
    shop.order("soon")
    assert shop.call("POST", "/orders/soon/close", {}, key="close-soon").json()["state"] == "closed"


def test_the_same_reference_is_the_same_order_and_never_one_with_other_terms(shop: Shop) -> None:
    order = shop.order("one-order")
    again = shop.call("POST", "/orders", shop.terms("one-order"))
    assert (again.status_code, again.json()) == (200, order)
    assert error(shop.call("POST", "/orders", shop.terms("one-order", amount=201))) == (409, "reference_taken")
    assert shop.found("one-order") == order


def test_a_post_without_a_key_is_refused(shop: Shop, wallet: Wallet) -> None:
    headers = {"Authorization": f"Bearer {shop.api_key}"}
    reply = requests.post(f"{wallet.url}/v1/orders", json=shop.terms("keyless"), headers=headers, timeout=10)
    assert error(reply) == (400, "idempotency_key_missing")
    assert error(shop.call("GET", "/orders/keyless")) == (404, "order_unknown")


def test_wrong_keys_open_nothing(shop: Shop, wallet: Wallet, new_shop: Callable[[Wallet], Shop]) -> None:
    payment = shop.paid("private")["payments"][0]
    before = wallet.books()
    other = new_shop(wallet)
    assert error(other.call("GET", "/orders/private")) == (404, "order_unknown")
    assert error(other.call("POST", "/orders/private/close", {})) == (404, "order_unknown")
    asked = other.call("POST", f"/payments/{payment['id']}/refunds", {"reference": "theft", "amount": 1})
    assert error(asked) == (404, "payment_unknown")
    other.api_key = "not a key of anybody"
    assert error(other.call("GET", "/orders/private")) == (401, "unauthorized")
    assert error(other.call("POST", "/orders", other.terms("x"))) == (401, "unauthorized")
    for method, path in (
        ("GET", "/books"),
        ("GET", "/deliveries"),
        ("POST", "/approve"),
        ("POST", "/forge"),
        ("PUT", "/plan"),
        ("DELETE", "/plan"),
        ("PUT", f"/accounts/{shop.account}"),
    ):
        assert error(wallet.control(method, path, {}, key=shop.api_key)) == (401, "unauthorized")
    after = wallet.books()
    assert (after["payments"], after["refunds"]) == (before["payments"], before["refunds"])


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": 0},
        {"amount": -1},
        {"amount": 1.0},
        {"amount": True},
        {"amount": 10**15 + 1},
        {"currency": "XXZ"},
        {"currency": None},
        {"reference": ""},
        {"reference": "a/b"},
        {"reference": "=1+1"},
        {"description": "x" * 301},
        {"description": "\ud800"},
        {"return_url": "javascript:alert(1)"},
        {"return_url": "https://shop.example; script-src *"},
        {"return_url": "https://a b/"},
        {"return_url": "//shop.example/"},
        {"expires_at": "2001-01-01T00:00:00Z"},
        {"expires_at": "2099-01-01T00:00:00"},
        {"expires_at": 4},
        {"behaviour": "dance"},
    ],
)
def test_an_order_with_wrong_terms_is_refused(shop: Shop, changes: dict[str, Any]) -> None:
    assert error(shop.call("POST", "/orders", shop.terms("wrong", **changes))) == (422, "invalid")
    assert error(shop.call("GET", "/orders/wrong")) == (404, "order_unknown")


@pytest.mark.parametrize(
    "changes",
    [
        {"notify_url": "ftp://shop.example/"},
        {"webhook_secret": "c2hvcnQ="},
        {"webhook_secret": "whsec_c2hvcnQ="},
        {"api_key": "short"},
    ],
)
def test_an_account_with_wrong_terms_is_refused_and_keeps_its_old_ones(shop: Shop, changes: dict[str, str]) -> None:
    assert error(shop.register(**changes)) == (422, "invalid")
    shop.paid("still-me")
    assert shop.wait_for(1)[0].verifies(shop.secret)


def test_two_accounts_never_share_an_api_key(wallet: Wallet, new_shop: Callable[[Wallet], Shop]) -> None:
    one, other = new_shop(wallet), new_shop(wallet)
    assert error(other.register(api_key=one.api_key)) == (409, "api_key_taken")
    assert one.order("whose")["account"] == one.account


def test_the_settlement_has_a_row_for_each_movement_and_a_footer_for_each_currency(shop: Shop) -> None:
    apples = shop.paid("set-1", amount=300)["payments"][0]
    pears = shop.paid("set-2", amount=500, currency="JPY")["payments"][0]
    shop.order("set-3")
    shop.call("POST", f"/payments/{apples['id']}/refunds", {"reference": "set-back", "amount": 120})
    # Three payments and refunds are told, each on its way by itself: they may come in another order.
    [refund] = [notice.json for notice in shop.wait_for(3) if notice.json["data"]["refund"]]
    day = refund["occurred_at"][:10]
    if apples["occurred_at"][:10] != day:
        pytest.skip("midnight (UTC) passed between the payment and its refund")
    reply = shop.call("GET", f"/settlements/{day}.csv")
    assert (reply.status_code, reply.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    cny, jpy = (f"wst_{shop.account}_{day.replace('-', '')}_{currency}" for currency in ("CNY", "JPY"))
    back, end = refund["data"]["refund"]["id"], f"{day}T23:59:59.999999Z"
    assert list(csv.reader(reply.text.splitlines())) == [
        ["kind", "id", "order_reference", "refund_reference", "amount", "fee", "net", "currency", "occurred_at",
         "settlement_id"],
        ["payment", apples["id"], "set-1", "", "300", "0", "300", "CNY", apples["occurred_at"], cny],
        ["payment", pears["id"], "set-2", "", "500", "0", "500", "JPY", pears["occurred_at"], jpy],
        ["refund", back, "set-1", "set-back", "-120", "0", "-120", "CNY", refund["occurred_at"], cny],
        ["total", "2", "", "", "180", "0", "180", "CNY", "", ""],
        ["total", "1", "", "", "500", "0", "500", "JPY", "", ""],
        ["payout", f"wpo_{cny[4:]}", "", "", "-180", "0", "-180", "CNY", end, cny],
        ["payout", f"wpo_{jpy[4:]}", "", "", "-500", "0", "-500", "JPY", end, jpy],
    ]  # fmt: skip


def test_the_settlement_of_a_still_day_has_an_empty_footer_and_the_future_has_none(shop: Shop) -> None:
    reply = shop.call("GET", "/settlements/2020-02-29.csv")
    assert reply.text.splitlines()[1:] == ["total,0,,,0,0,0,,,"]
    for day in ("2020-02-30", "2999-01-01"):
        assert error(shop.call("GET", f"/settlements/{day}.csv")) == (404, "settlement_unknown")
