"""Each way in which the pretend wallet misbehaves, as its merchant sees it and as its own books tell it."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from payments.sandbox.behaviours import BEHAVIOURS, Timings, taken
from tests.sandbox.pretend_shop import PACE, Notice, Shop, Wallet, eventually


def types(notices: list[Notice]) -> list[str]:
    """The kinds of event in the order of their arrival."""
    return [notice.json["type"] for notice in notices]


def test_delay_tells_ten_seconds_late(shop: Shop, wallet: Wallet) -> None:
    shop.paid("slow", "delay")
    shop.paid("quick")
    slow = next(event for event in shop.events() if event["reference"] == "slow")
    notices = shop.wait_for(2)
    assert [notice.json["data"]["order"]["reference"] for notice in notices] == ["quick", "slow"]
    # The wallet was started at a pace: ten seconds are that many.
    assert notices[1].at - notices[0].at >= 10 * PACE * 0.6
    assert slow["lost"] is False


def test_duplicate_sends_the_same_event_three_times(shop: Shop) -> None:
    shop.paid("thrice", "duplicate")
    notices = shop.wait_for(3)
    assert len({notice.headers["webhook-id"] for notice in notices}) == 1
    assert len({notice.body for notice in notices}) == 1
    assert all(notice.verifies(shop.secret) for notice in notices)
    assert notices[2].at - notices[0].at < 1
    assert len(shop.notices) == 3


def test_duplicate_new_id_sends_three_events_of_one_payment(shop: Shop, wallet: Wallet) -> None:
    order = shop.paid("three-ids", "duplicate_new_id")
    notices = shop.wait_for(3)
    assert len({notice.headers["webhook-id"] for notice in notices}) == 3
    assert {notice.json["data"]["payment"]["id"] for notice in notices} == {order["payments"][0]["id"]}
    assert wallet.books()["accounts"][shop.account]["CNY"]["received"] == 200


def test_reorder_swaps_an_event_with_the_next_of_the_account(shop: Shop) -> None:
    shop.paid("first", "reorder")
    shop.paid("second")
    told = [notice.json["data"]["order"]["reference"] for notice in shop.wait_for(2)]
    assert told == ["second", "first"]


def test_reordered_events_swap_in_pairs(shop: Shop) -> None:
    for number in range(4):
        shop.paid(f"pair-{number}", "reorder")
        if number % 2:
            shop.wait_for(number + 1)
    told = [notice.json["data"]["order"]["reference"] for notice in shop.wait_for(4)]
    assert told == ["pair-1", "pair-0", "pair-3", "pair-2"]


def test_a_reordered_event_that_stays_alone_is_told_after_a_while(shop: Shop) -> None:
    shop.paid("alone", "reorder")
    assert types(shop.wait_for(1)) == ["payment.succeeded"]


def test_lose_never_tells_but_answers_when_asked(shop: Shop) -> None:
    shop.paid("silent", "lose")
    shop.paid("loud")
    assert [notice.json["data"]["order"]["reference"] for notice in shop.wait_for(1)] == ["loud"]
    silent, _ = shop.events()
    assert (silent["lost"], silent["attempts"], silent["deliveries"]) == (True, [], [])
    assert shop.found("silent")["state"] == "paid"
    assert shop.found("silent")["payments"][0]["amount"] == 200


@pytest.mark.parametrize(
    ("behaviour", "amount", "received"),
    [
        ("short", 200, 180),
        ("over", 200, 220),
        ("wrong_amount,short", 5, 4),
        ("wrong_amount,over", 5, 6),
        ("short", 1, 2),
    ],
)
def test_a_wrong_amount_is_really_taken(shop: Shop, wallet: Wallet, behaviour: str, amount: int, received: int) -> None:
    order = shop.paid("amiss", behaviour, amount=amount)
    assert (order["amount"], order["payments"][0]["amount"]) == (amount, received)
    told = shop.wait_for(1)[0].json["data"]
    assert (told["order"]["amount"], told["payment"]["amount"]) == (amount, received)
    assert wallet.books()["accounts"][shop.account]["CNY"]["received"] == received


def test_a_wrong_amount_without_a_direction_is_one_of_the_two() -> None:
    amounts = Counter(taken(200, "CNY", frozenset({"wrong_amount"}), f"wor_{n}")[0] for n in range(200))
    assert set(amounts) == {180, 220}
    assert min(amounts.values()) > 60


@pytest.mark.parametrize(("asked", "got"), [("CNY", "USD"), ("USD", "EUR")])
def test_a_wrong_currency_is_really_taken(shop: Shop, wallet: Wallet, asked: str, got: str) -> None:
    order = shop.paid("foreign", "wrong_currency", currency=asked)
    assert (order["currency"], order["payments"][0]["currency"]) == (asked, got)
    assert wallet.books()["accounts"][shop.account] == {got: {"received": 200, "refunded": 0, "net": 200}}


def test_double_pays_twice_on_one_order(shop: Shop, wallet: Wallet) -> None:
    order = shop.paid("twice", "double")
    first, second = order["payments"]
    assert first["id"] != second["id"]
    told = {notice.json["data"]["payment"]["id"] for notice in shop.wait_for(2)}
    assert told == {first["id"], second["id"]}
    assert wallet.books()["accounts"][shop.account]["CNY"]["received"] == 400


def test_late_pays_an_order_that_was_closed(shop: Shop, wallet: Wallet) -> None:
    shop.order("tardy")
    shop.call("POST", "/orders/tardy/close", {})
    order = shop.approve("tardy", behaviour="late")["orders"][0]
    assert (order["state"], [payment["amount"] for payment in order["payments"]]) == ("closed", [200])
    assert types(shop.wait_for(2)) == ["order.closed", "payment.succeeded"]
    assert len(shop.approve("tardy", behaviour="late")["orders"][0]["payments"]) == 1
    assert wallet.books()["accounts"][shop.account]["CNY"]["received"] == 200


def test_late_closes_an_open_order_first_and_tells_in_that_order(shop: Shop) -> None:
    order = shop.paid("later", "late")
    assert (order["state"], len(order["payments"])) == ("closed", 1)
    assert types(shop.wait_for(2)) == ["order.closed", "payment.succeeded"]


def test_forge_sends_a_badly_signed_copy_once_beside_the_good_one(shop: Shop) -> None:
    shop.answer_with(400, 400)
    shop.paid("copied", "forge")
    notices = shop.wait_for(3)
    assert sorted(notice.verifies(shop.secret) for notice in notices) == [False, True, True]
    assert len({notice.body for notice in notices}) == 1


def test_refund_fail_lets_refunds_fail_after_pending_and_the_money_can_be_asked_again(
    shop: Shop, wallet: Wallet
) -> None:
    payment = shop.paid("stubborn", "refund_fail")["payments"][0]
    for number in range(2):
        asked = {"reference": f"never-{number}", "amount": 200}
        reply = shop.call("POST", f"/payments/{payment['id']}/refunds", asked)
        assert (reply.status_code, reply.json()["state"]) == (201, "pending")
        notice = shop.wait_for(number + 2)[-1].json
        assert (notice["type"], notice["data"]["refund"]["state"]) == ("refund.failed", "failed")
    assert wallet.books()["accounts"][shop.account]["CNY"] == {"received": 200, "refunded": 0, "net": 200}


def test_behaviours_asked_for_with_the_order_and_on_approval_add_up(shop: Shop) -> None:
    shop.order("both", behaviour="duplicate")
    shop.approve("both", behaviour="short")
    assert [notice.json["data"]["payment"]["amount"] for notice in shop.wait_for(3)] == [180] * 3


def test_a_seeded_plan_repeats_itself_and_ends(own_wallet: Wallet, new_shop: Callable[[Wallet], Shop]) -> None:
    def day(seed: int) -> list[tuple[int, int]]:
        shop = new_shop(own_wallet)
        plan = {"seed": seed, "rates": {"double": 0.3, "short": 0.5}}
        assert own_wallet.control("PUT", "/plan", plan).json() == plan
        for number in range(12):
            shop.order(f"plan-{number}")
        orders = shop.approve(*(f"plan-{number}" for number in range(12)))["orders"]
        return [(len(order["payments"]), order["payments"][0]["amount"]) for order in orders]

    first = day(7)
    assert first == day(7)
    assert first != day(8)
    assert {amount for _, amount in first} == {180, 200}
    assert own_wallet.control("DELETE", "/plan").status_code == 204
    assert own_wallet.control("DELETE", "/plan").status_code == 404
    shop = new_shop(own_wallet)
    order = shop.paid("after")
    assert [payment["amount"] for payment in order["payments"]] == [200]


@pytest.mark.parametrize(
    "plan",
    [
        {"rates": {}},
        {"seed": 1, "rates": {"dance": 0.1}},
        {"seed": 1, "rates": {"lose": 1.1}},
        {"seed": 1, "rates": {"lose": True}},
        {"seed": 1, "rates": []},
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(wallet: Wallet, plan: dict[str, Any]) -> None:
    assert wallet.control("PUT", "/plan", plan).status_code == 422
    assert wallet.control("DELETE", "/plan").status_code == 404


def test_a_forged_notification_claims_a_payment_that_the_books_do_not_know(shop: Shop, wallet: Wallet) -> None:
    order = shop.order("coveted", amount=900)
    reply = wallet.control("POST", "/forge", {"account": shop.account, "reference": "coveted"})
    assert reply.status_code == 202
    (notice,) = shop.wait_for(1)
    assert notice.headers["webhook-id"] == reply.json()["id"]
    assert not notice.verifies(shop.secret)
    told = notice.json["data"]
    assert (told["order"]["id"], told["order"]["state"], told["payment"]["amount"]) == (order["id"], "paid", 900)
    assert shop.found("coveted") == order
    assert wallet.books()["accounts"][shop.account] == {}


def test_a_forged_notification_may_be_of_any_kind_but_of_a_known_account(shop: Shop, wallet: Wallet) -> None:
    wallet.control("POST", "/forge", {"account": shop.account, "type": "refund.succeeded", "amount": 7})
    assert shop.wait_for(1)[0].json["data"]["refund"]["amount"] == 7
    assert wallet.control("POST", "/forge", {"account": "nobody"}).status_code == 404
    wrong = wallet.control("POST", "/forge", {"account": shop.account, "type": "money.rain"})
    assert wrong.status_code == 422
    eventually(lambda: shop.events()[0]["deliveries"][0]["state"] == "delivered", "the attempt to be written down")


def test_every_behaviour_can_be_chosen_for_an_order(shop: Shop) -> None:
    order = shop.call("POST", "/orders", shop.terms("all", behaviour=list(BEHAVIOURS)))
    assert order.status_code == 201


def test_the_waits_are_those_the_wallet_promises() -> None:
    timings = Timings()
    assert [timings.wait_after(tries) for tries in range(1, 9)] == [1, 2, 5, 10, 30, 60, 300, 300]
    assert (timings.delay_s, timings.give_up_s) == (10, 24 * 60 * 60)
    assert json.dumps([Timings().at_pace(0.5).wait_after(tries) for tries in (1, 7)]) == "[0.5, 150.0]"
