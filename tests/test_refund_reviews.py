"""Large refunds wait for an operator: held without a call outward, then approved or refused, by one of two, once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import IntegrityError, transaction
from django.utils import timezone

from merchants import ids
from merchants.audit import UnableToAct
from merchants.models import Notice, OperatorAct, Shop, Staff, User
from payments import ledger, reconcile, refund_reviews, refunds
from payments.models import LedgerEntry, Payment, Refund
from qr import receipts
from tests.cast import Person, hire
from tests.operators import Operator, acts, quick_passwords, signed_in  # noqa: F401
from tests.races.together import slow_after, together, without_row_locks
from tests.test_payments_admin import assert_obeys_the_policy
from tests.till import assert_books_hold, drain, expect, paid, platform, refund_told, shop_code, total

OPERATOR, SECOND = "+8613700137001", "+8613700137002"


@pytest.fixture(autouse=True)
def limits(settings: LazySettings) -> None:
    """An operator looks above 10.00; no code is asked for."""
    settings.REFUND_REVIEW_ABOVE = {"CNY": 1000}
    settings.REFUND_CODE_ABOVE = {"CNY": 10**9}


def sold(person: Person, amount: int = 3000) -> Payment:
    platform()
    paid(expect(shop_code(person.shop), amount)).deliver()
    drain()
    return Payment.objects.select_related("intent", "provider_account").latest("id")


@pytest.fixture
def payment(db: None, mei: Person) -> Payment:
    """Thirty yuan, paid."""
    return sold(mei)


@pytest.fixture
def wei(db: None) -> User:
    return User.objects.create_user(OPERATOR, is_staff=True)


def ask(person: Person, payment: Payment, amount: int, now: datetime | None = None) -> Refund:
    return refunds.request(
        staff=person.staff, payment=payment, amount=amount, reason="bruised", now=now or timezone.now()
    )


def approve(refund: Refund, operator: User) -> Refund:
    return refund_reviews.approve(refund_id=refund.id, operator=operator, reason="seen", now=timezone.now())


def refuse(refund: Refund, operator: User) -> Refund:
    return refund_reviews.refuse(refund_id=refund.id, operator=operator, reason="not hers", now=timezone.now())


def refused(act: Callable[[], Any]) -> str:
    """The code of what an operator cannot do, after which nothing has changed."""

    def everything() -> list[object]:
        return [list(model.objects.order_by("pk").values()) for model in (Refund, LedgerEntry, Notice, OperatorAct)]

    before = everything()
    with pytest.raises(UnableToAct) as refusal:
        act()
    assert everything() == before
    return refusal.value.code


def told(person: Person) -> list[tuple[str, str]]:
    """Every notice about a refund, with what was said of a refusal."""
    rows = Notice.objects.filter(shop=person.shop, kind__startswith="refund").order_by("number")
    return [(row.kind, row.data.get("refusal", "")) for row in rows]


# --- What is held ----------------------------------------------------------------------------------------------------


def test_a_large_refund_is_held_and_no_task_takes_it(mei: Person, payment: Payment, now: datetime) -> None:
    refund = ask(mei, payment, 1001, now)
    refund.refresh_from_db()
    assert (refund.state, refund.review, refund.held, refund.next_call_at) == ("requested", "waiting", True, None)
    later = now + timedelta(days=30)
    assert (refunds.has_due(now=later), refunds.send_due(now=later)) == (False, 0)
    assert (total("shop_pending", shop=mei.shop), total("refunds_in_flight", shop=mei.shop)) == (1999, 1001)
    assert told(mei) == [("refund_held", "")]
    [shown] = mei.api().get(f"/api/v1/payments/{ids.public('pay', payment.id)}").json()["refunds"]
    assert (shown["state"], shown["held_for_review"], shown["refusal"]) == ("requested", True, "")
    receipt = receipts.tell(payment.intent, [payment], [refund], now=now)  # type: ignore[arg-type]
    assert (receipt.lines, receipt.refresh_s) == (("CN¥10.01 is being checked before it is sent back to you",), 30)
    with pytest.raises(IntegrityError), transaction.atomic():
        Refund.objects.update(next_call_at=now)
    assert_books_hold()


def test_up_to_the_limit_nobody_is_asked_and_small_steps_of_one_payment_add_up(mei: Person, payment: Payment) -> None:
    assert [ask(mei, payment, amount).review for amount in (600, 400, 1)] == ["", "", "waiting"]
    assert ask(mei, sold(mei), 1000).review == ""


def test_what_an_operator_has_looked_at_and_what_failed_does_not_count(
    mei: Person, payment: Payment, wei: User
) -> None:
    approve(ask(mei, payment, 1500), wei)
    refuse(ask(mei, payment, 1200), wei)
    assert ask(mei, payment, 1000).review == ""


def test_many_in_a_day_are_looked_at_from_five_limits_on(mei: Person, payment: Payment) -> None:
    for _ in range(5):
        assert ask(mei, sold(mei, 1000), 1000).review == ""
    assert ask(mei, payment, 1).review == "waiting"
    for row in Refund.objects.order_by("id"):  # As if they had been asked for a day ago.
        Refund.objects.filter(id=row.id).update(id=ids.new(timezone.now() - timedelta(hours=24, seconds=1)))
    assert ask(mei, sold(mei, 10), 1).review == ""


def test_a_currency_without_a_limit_of_its_own_has_one_of_a_thousand_units() -> None:
    assert [refunds.review_limit(currency) for currency in ("CNY", "EUR", "JPY", "KWD")] == [
        1000,
        100_000,
        1000,
        1_000_000,
    ]


# --- How it ends -----------------------------------------------------------------------------------------------------


def test_an_approved_one_is_due_at_once_and_the_sweep_finds_it_though_no_bell_was_heard(
    mei: Person, payment: Payment, wei: User
) -> None:
    refund = approve(ask(mei, payment, 2000), wei)
    refund.refresh_from_db()
    assert (refund.state, refund.review, refund.held, refund.reviewed_by) == ("requested", "approved", False, wei)
    assert refunds.has_due(now=timezone.now())
    assert told(mei) == [("refund_held", ""), ("refund_approved", "")]
    assert acts() == [("approve", "seen")]
    row = OperatorAct.objects.get()
    assert (row.subject_id, row.before) == (refund.reference, {"review": "waiting", "state": "requested"})
    assert row.after == {"review": "approved", "state": "requested", "amount": 2000, "currency": "CNY"}
    refund_told(payment, "succeeded", refund=refund).deliver()
    drain()
    assert told(mei)[-1] == ("refund_succeeded", "")
    assert total("refunds_in_flight", shop=mei.shop) == 0
    assert_books_hold()


def test_a_refused_one_has_failed_and_the_money_and_the_reason_are_hers(
    mei: Person, payment: Payment, wei: User
) -> None:
    refund = refuse(ask(mei, payment, 2000), wei)
    refund.refresh_from_db()
    assert (refund.state, refund.review, refund.next_call_at, refund.attempts) == ("failed", "refused", None, 0)
    assert (total("shop_pending", shop=mei.shop), total("refunds_in_flight", shop=mei.shop)) == (3000, 0)
    assert told(mei) == [("refund_held", ""), ("refund_failed", "not hers")]
    [shown] = mei.api().get(f"/api/v1/payments/{ids.public('pay', payment.id)}").json()["refunds"]
    assert (shown["state"], shown["held_for_review"], shown["refusal"]) == ("failed", False, "not hers")
    assert OperatorAct.objects.get().after["state"] == "failed"
    assert ask(mei, payment, 900).state == "requested"
    assert_books_hold()


def test_one_whose_money_has_become_available_meanwhile_goes_back_there(
    mei: Person, payment: Payment, wei: User
) -> None:
    refund = ask(mei, payment, 2000)
    reconcile.release_due(now=timezone.now() + timedelta(days=2), limit=10)
    assert ledger.balance(shop=mei.shop).available == 1000
    refuse(refund, wei)
    assert (ledger.balance(shop=mei.shop).available, ledger.balance(shop=mei.shop).pending) == (3000, 0)
    assert_books_hold()


def test_it_is_decided_once(mei: Person, payment: Payment, wei: User) -> None:
    first, second = ask(mei, payment, 1100), ask(mei, payment, 1200)
    approve(first, wei)
    refuse(second, wei)
    for refund in (first, second, ask(mei, sold(mei), 5)):
        assert refused(partial(approve, refund, wei)) == "decided_already"
        assert refused(partial(refuse, refund, wei)) == "decided_already"


@pytest.mark.parametrize("state", ["restricted", "frozen", "closed"])
def test_nothing_leaves_a_shop_that_is_not_active_and_a_refusal_is_possible(
    mei: Person, payment: Payment, wei: User, state: str
) -> None:
    refund = ask(mei, payment, 2000)
    Shop.objects.update(state=state)
    assert refused(lambda: approve(refund, wei)) == f"shop_{state}"
    assert refuse(refund, wei).state == "failed"


def test_who_works_in_the_shop_does_not_approve_for_it(mei: Person, payment: Payment) -> None:
    assistant = hire(mei.shop, SECOND, Staff.Role.ASSISTANT)
    refund = ask(mei, payment, 2000)
    for person in (mei, assistant):
        assert refused(partial(approve, refund, person.user)) == "own_shop"


def test_what_went_back_at_the_providers_own_desk_meanwhile_is_not_refunded_twice(
    mei: Person, payment: Payment, wei: User
) -> None:
    refund = ask(mei, payment, 2000)
    refund_told(payment, "succeeded", amount=1500, object_id="wrf_desk").deliver()
    drain()
    assert refused(lambda: approve(refund, wei)) == "more_than_is_left"
    refuse(refund, wei)
    assert (total("shop_pending", shop=mei.shop), total("refunds_in_flight", shop=mei.shop)) == (3000, 0)
    assert ledger.balance(shop=mei.shop).total == 1500
    assert_books_hold()


# --- Two at once -----------------------------------------------------------------------------------------------------


def _both_at_once(mei: Person) -> list[Any]:
    refund = ask(mei, sold(mei), 2000)
    first, second = (User.objects.create_user(phone, is_staff=True) for phone in (OPERATOR, SECOND))
    return together([partial(approve, refund, first), partial(refuse, refund, second)])


def test_of_two_operators_at_once_one_decides(real_db: None, mei: Person) -> None:
    with slow_after("payments.refund_reviews._lock", callers=2):
        answers = _both_at_once(mei)
    [refusal] = [answer for answer in answers if isinstance(answer, UnableToAct)]
    assert refusal.code == "decided_already"
    refund = Refund.objects.get()
    assert (refund.review, refund.state) in {("approved", "requested"), ("refused", "failed")}
    assert (refund.next_call_at is None) == (refund.review == "refused")
    assert OperatorAct.objects.count() == 1
    assert_books_hold()


def test_without_the_lock_it_is_decided_twice(real_db: None, mei: Person) -> None:
    with without_row_locks(), slow_after("payments.refund_reviews._lock", callers=2):
        answers = _both_at_once(mei)
    assert not [answer for answer in answers if isinstance(answer, Exception)]
    assert OperatorAct.objects.count() == 2


# --- The desk --------------------------------------------------------------------------------------------------------


@pytest.fixture
def desk(db: None) -> Operator:
    return signed_in()


def test_the_desk_lists_what_waits_and_decides_with_a_reason(mei: Person, payment: Payment, desk: Operator) -> None:
    ask(mei, payment, 500)
    first, second = ask(mei, payment, 1200), ask(mei, payment, 1100)
    today = {part.id: part for part in desk.client.get("/admin/today/").context["parts"]}
    waiting = next(row for row in today["waiting"].rows if row[0] == "refunds to look at")
    assert waiting[1] == '<a href="/admin/payments/refund/?held=yes">2</a>'
    assert today["back-cny"].rows[-1][2] == "CN¥28.00"
    assert str(today["back-cny"].before).count("<rect ") == 24
    # No wallet runs: the one that was begun has failed, which the foot of its bar shows and says.
    assert (today["starts"].rows, str(today["starts"].before).count('<rect class="wrong"')) == (
        [["sandbox/platform", 1, 1]],
        1,
    )
    assert "Payments begun at providers today, by hour: 1 of 1 failed" in str(today["starts"].before)
    listed = desk.client.get("/admin/payments/refund/?held=yes")
    assert {row.pk for row in listed.context["cl"].result_list} == {first.pk, second.pk}
    page = desk.client.get(f"/admin/payments/refund/{first.pk}/change/")
    assert_obeys_the_policy(page)
    assert [act.name for act, _address in page.context["acts"]] == ["approve", "refuse"]
    assert [part.id for part in page.context["parts"]] == ["others", "given-back"]
    assert "Given back in CNY on each of the last 30 days: CN¥28.00 in all" in page.text

    assert "Why not? The shop reads this" in desk.act("payments/refund", first, "refuse").text
    assert Refund.objects.filter(review="waiting").count() == 2
    assert desk.act("payments/refund", first, "refuse", "no goods came back").status_code == 302
    assert desk.act_on_list("payments/refund", [second], "approve", "she called").status_code == 302
    assert acts() == [("refuse", "no goods came back"), ("approve", "she called")]
    assert desk.client.get(f"/admin/payments/refund/{first.pk}/change/").context["acts"] == []


def test_who_may_only_look_decides_nothing(mei: Person, payment: Payment, desk: Operator) -> None:
    refund = ask(mei, payment, 1200)
    desk.user.groups.get().permissions.filter(codename="change_refund").delete()
    assert desk.client.get(f"/admin/payments/refund/{refund.pk}/change/").context["acts"] == []
    assert desk.act("payments/refund", refund, "approve", "because").status_code == 403
    assert Refund.objects.get().review == "waiting"
