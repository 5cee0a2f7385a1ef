"""Law 2 on the real tables: the same shuffled, repeated and crashed deliveries, through inbox, drain and ledger."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from unittest import mock

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from merchants.models import Notice
from payments import ledger, reconcile
from payments.models import Payment, PaymentIntent, QueuedEvent
from tests.cast import empty_tables, open_shop
from tests.till import (
    Notification,
    agree,
    assert_books_hold,
    closed,
    drain,
    expect,
    paid,
    platform,
    refund_told,
    shop_code,
    total,
)

NOON = datetime.now(UTC) - timedelta(hours=1)


class Killed(Exception):
    """The worker died at this point: its transaction is gone, its lease stands."""


def story(rng: st.DataObject) -> tuple[list[Notification], dict[str, int], int]:
    """Four intents, what happened to each at the wallet, and what the wallet would say of it."""
    mei = open_shop("+8613800138000", "Mei's fruit")
    platform()
    said: list[Notification] = []
    truth = {"CNY": 0, "USD": 0}
    payments = 0
    for number, amount in enumerate((200, 350, 1, 80)):
        intent = expect(shop_code(mei.shop), amount)
        match rng.draw(st.sampled_from(["exact", "short", "double", "dollars", "refused", "closed_then_paid", "desk"])):
            case "exact":
                came = [paid(intent)]
            case "short":
                came = [paid(intent, amount=max(amount - 1, 1))]
            case "double":
                came = [paid(intent), paid(intent)]
            case "dollars":
                came = [paid(intent, currency="USD")]
            case "refused":
                came = []
                said.append(closed(intent, refused=True))
            case "closed_then_paid":
                came = [paid(intent)]
                said.append(closed(intent))
            case _:
                came = [paid(intent, object_id=f"wpy_{number}")]
                payment = Payment(
                    object_id=f"wpy_{number}", amount=amount, currency="CNY", provider_account=platform(), intent=intent
                )
                said.append(refund_told(payment, "succeeded", amount=amount, object_id=f"wrf_{number}"))
                truth["CNY"] -= amount
        said += came
        payments += len(came)
        for money in came:
            told = money.message["data"]["payment"]
            truth[told["currency"]] += told["amount"]
    return said, truth, payments


@pytest.mark.usefixtures("real_db")
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(rng=st.data())
def test_whatever_is_shuffled_repeated_or_crashed_the_tables_end_right(rng: st.DataObject) -> None:
    empty_tables()
    said, truth, payments = story(rng)
    rate, fixed = rng.draw(st.sampled_from([(0, 0), (6000, 0), (250_000, 3)]))
    agree(parts_per_million=rate, fixed_amount=fixed)
    repeated = [replace(word, delivery=f"again_{uuid.uuid4().hex}") for word in said]
    for word in rng.draw(st.permutations([*said, *said, *repeated])):
        word.deliver()
        match rng.draw(st.sampled_from(["wait", "wait", "drain", "crash", "a day passes"])):
            case "drain":
                drain()
            case "a day passes":
                reconcile.release_due(now=timezone.now() + timedelta(days=2), limit=100)
            case "crash":
                crash_once(rng.draw(st.sampled_from(["ledger", "notify", "settle"])))
    for _ in range(8):  # The retries of what was parked, and the leases of what died, run out one after the other.
        QueuedEvent.objects.update(due_at=timezone.now() - timedelta(seconds=1))
        drain()

    assert QueuedEvent.objects.count() == 0
    assert Payment.objects.count() == payments == Notice.objects.filter(kind__startswith="payment_").count()
    for currency, net in truth.items():
        assert -total("provider_receivable", currency, account=platform()) == net
    shop = PaymentIntent.objects.select_related("shop").first().shop  # type: ignore[union-attr]
    fees = sum(Payment.objects.values_list("fee_amount", flat=True))
    assert ledger.balance(shop=shop).total == truth["CNY"] - fees
    assert total("fee_income") == fees
    assert_books_hold()


def crash_once(where: str) -> None:
    """The worker dies in mid-batch, after some of its writes and before its commit."""
    target = {"ledger": "payments.ledger.post", "notify": "merchants.notify.tell", "settle": "payments.inbox.settle"}
    with mock.patch(target[where], side_effect=Killed), mock.patch.object(reconcile, "apply", _unguarded):
        try:
            drain()
        except Killed:
            return


def _unguarded(leased: object, *, clock: object) -> object:
    """A killed process has no `except`: the batch is applied without the net that parks what fails."""
    return reconcile.Applied(shops=reconcile._apply_batch(leased, now=timezone.now()))  # type: ignore[arg-type]
