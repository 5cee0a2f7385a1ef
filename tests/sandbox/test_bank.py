"""The pretend bank: a payout once per reference, its ends on demand, and whose an account is."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.pretend_shop import CONTROL_KEY, Shop, Wallet, eventually

TERMS = {"amount": 200, "currency": "CNY", "account_number": "6222021234567890128", "holder": "Mei Chen"}


def pay(shop: Shop, reference: str, **changes: Any) -> Any:
    return shop.call("POST", "/payouts", {"reference": reference, **TERMS, **changes})


def ends(shop: Shop, reference: str, state: str) -> dict[str, Any]:
    def there() -> bool:
        return bool(shop.call("GET", f"/payouts/{reference}").json()["state"] == state)

    eventually(there, f"the payout to be {state}")
    row: dict[str, Any] = shop.call("GET", f"/payouts/{reference}").json()
    return row


def test_a_payout_is_taken_on_and_then_paid(shop: Shop) -> None:
    reply = pay(shop, "p-1")
    made = reply.json()
    assert (reply.status_code, made["state"], made["settled_at"], made["failure"]) == (201, "pending", None, "")
    assert made["id"].startswith("wpo_")
    paid = ends(shop, "p-1", "paid")
    assert paid == {**made, "state": "paid", "settled_at": paid["settled_at"]}


def test_the_same_reference_is_the_same_payout_and_with_other_terms_none(shop: Shop) -> None:
    first = pay(shop, "p-2").json()
    again = pay(shop, "p-2")
    assert (again.status_code, again.json()["id"]) == (200, first["id"])
    other = pay(shop, "p-2", amount=201)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "reference_taken")


def test_a_silent_one_is_taken_on_all_the_same(shop: Shop, wallet: Wallet) -> None:
    assert pay(shop, "p-3", behaviour="payout_silent").status_code == 504
    assert pay(shop, "p-3", behaviour="payout_silent").status_code == 200
    rows = wallet.control("GET", "/payouts").json()["payouts"]
    assert len([row for row in rows if (row["account"], row["reference"]) == (shop.account, "p-3")]) == 1


@pytest.mark.parametrize(
    ("behaviour", "state", "failure"),
    [
        ("payout_fail", "failed", "account_closed"),
        ("payout_wrong_name", "failed", "name_differs"),
        ("payout_return", "returned", "account_closed"),
    ],
)
def test_its_other_ends(shop: Shop, behaviour: str, state: str, failure: str) -> None:
    pay(shop, behaviour, behaviour=behaviour)
    assert ends(shop, behaviour, state)["failure"] == failure


def test_a_plan_reaches_payouts_too(shop: Shop, own_wallet: Wallet, new_shop: Any) -> None:
    other = new_shop(own_wallet)
    assert own_wallet.control("PUT", "/plan", {"seed": 7, "rates": {"payout_fail": 1}}).status_code == 200
    pay(other, "planned")
    assert ends(other, "planned", "failed")["failure"] == "account_closed"


def test_the_name_check_knows_whom_it_was_told_of(shop: Shop, wallet: Wallet) -> None:
    def said(holder: str, number: str = "111122223333") -> str:
        asked = {"account_number": number, "holder": holder}
        return str(shop.call("POST", "/payees/check", asked).json()["match"])

    wallet.control("PUT", "/payees", {"account_number": "111122223333", "holder": "Mei Chen"})
    assert [said("mei  chen"), said("Mei Cheng"), said("Bo"), said("Mei Chen", "999")] == [
        "match", "close", "no_match", "unknown",
    ]  # fmt: skip
    pay(shop, "other-name", account_number="111122223333", holder="Bo")
    assert ends(shop, "other-name", "failed")["failure"] == "name_differs"


@pytest.mark.parametrize("changes", [{"amount": 0}, {"currency": "ZZZ"}, {"holder": " "}, {"account_number": ""}])
def test_what_makes_no_sense_is_refused(shop: Shop, changes: dict[str, Any]) -> None:
    reply = pay(shop, "nonsense", **changes)
    assert (reply.status_code, reply.json()["error"]["code"]) == (422, "invalid")
    assert shop.call("GET", "/payouts/nonsense").status_code == 404


def test_nobody_else_asks_or_tells(shop: Shop, wallet: Wallet) -> None:
    assert shop.wallet.session.get(f"{wallet.url}/v1/payouts/p-1", timeout=5).status_code == 401
    for method, path in (("PUT", "/payees"), ("GET", "/payouts")):
        assert wallet.control(method, path, {}, key=CONTROL_KEY[::-1]).status_code == 401
