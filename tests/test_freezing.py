"""Freezing a shop: nothing starts any more, what is open is closed at the provider, and money that comes is kept."""

from __future__ import annotations

import json
import uuid
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from merchants import audit
from merchants.audit import UnableToAct
from merchants.models import OperatorAct, Shop, User
from payments import asking, checkout, freezing
from payments.checkout import UnableToStart
from payments.models import IntentTimer, Payment, PaymentIntent, WebhookEvent
from tests.cast import Person
from tests.operators import OPERATOR_PHONE
from tests.running_wallet import known_at, running_wallet, start
from tests.till import assert_books_hold, closed, drain, expect, paid, platform, shop_code, total

pytestmark = pytest.mark.django_db


@pytest.fixture
def wei() -> User:
    """An operator."""
    return User.objects.create_user(OPERATOR_PHONE, is_staff=True)


@pytest.fixture(autouse=True)
def held(db: None) -> None:
    platform()


def test_a_frozen_shop_starts_nothing_and_its_open_intents_are_to_be_closed_at_once(
    mei: Person, arjun: Person, wei: User, now: datetime
) -> None:
    mine, done, other = (
        expect(shop_code(mei.shop), 500),
        expect(shop_code(mei.shop), 300),
        expect(shop_code(arjun.shop), 9),
    )
    paid(done).deliver()
    drain()

    assert freezing.freeze(shop_id=mei.shop.id, operator=wei, reason="a stolen phone", now=now) == 1

    assert _row(mine) == ("open", "frozen", now)
    assert _row(done)[:2] == ("paid", "")
    assert _row(other) == ("open", "", other.expires_at)
    mei.shop.refresh_from_db()
    assert (mei.shop.state, mei.shop.state_reason) == ("frozen", "a stolen phone")
    act = OperatorAct.objects.get()
    assert (act.act, act.reason, act.operator) == ("freeze", "a stolen phone", wei)
    assert act.before == {"state": "active", "state_reason": ""}
    assert act.after == {"state": "frozen", "state_reason": "a stolen phone"}
    with pytest.raises(UnableToStart) as refusal:
        checkout.start(code=shop_code(mei.shop), amount=500, quantity=1, page=uuid.uuid4(), payer="x", now=now)
    assert refusal.value.code == "shop_frozen"
    assert PaymentIntent.objects.count() == 3


def test_the_providers_word_cancels_a_frozen_intent(mei: Person, wei: User, now: datetime) -> None:
    intent = expect(shop_code(mei.shop), 500)
    freezing.freeze(shop_id=mei.shop.id, operator=wei, reason="a tip", now=now)
    closed(intent).deliver()
    drain()
    assert _row(intent) == ("canceled", "frozen", None)


def test_money_that_arrives_at_a_frozen_shop_is_booked(mei: Person, wei: User, now: datetime) -> None:
    intent = expect(shop_code(mei.shop), 500)
    freezing.freeze(shop_id=mei.shop.id, operator=wei, reason="a tip", now=now)
    paid(intent).deliver()
    drain()
    assert Payment.objects.get().match == "exact"
    assert total("shop_pending", shop=mei.shop) == 500
    assert_books_hold()


def test_the_next_sweep_closes_what_was_open_at_the_wallet_itself(
    mei: Person, wei: User, now: datetime, tmp_path: Path
) -> None:
    with running_wallet(tmp_path) as wallet, known_at(wallet):
        intent = start(shop_code(mei.shop), 500)
        freezing.freeze(shop_id=mei.shop.id, operator=wei, reason="a tip", now=now)
        assert asking.close_overdue(now=now) == 1
        drain()
        assert _row(intent) == ("canceled", "frozen", None)
        order = json.loads(bytes(WebhookEvent.objects.get().raw))
    assert (order["reference"], order["state"], order["payments"]) == (intent.reference, "closed", [])


@pytest.mark.parametrize("state", ["frozen", "closed"])
def test_what_is_frozen_or_closed_is_not_frozen_again(mei: Person, wei: User, now: datetime, state: str) -> None:
    Shop.objects.update(state=state)
    intent = PaymentIntent.objects.count()
    with pytest.raises(UnableToAct) as refusal:
        freezing.freeze(shop_id=mei.shop.id, operator=wei, reason="again", now=now)
    assert refusal.value.code == f"shop_{state}"
    assert (OperatorAct.objects.count(), PaymentIntent.objects.count()) == (0, intent)


@pytest.mark.parametrize("state", ["active", "restricted"])
def test_an_unfrozen_shop_has_the_state_it_had_before(mei: Person, wei: User, now: datetime, state: str) -> None:
    Shop.objects.update(state=state)
    freezing.freeze(shop_id=mei.shop.id, operator=wei, reason="a tip", now=now)
    later = now + timedelta(hours=1)

    assert freezing.unfreeze(shop_id=mei.shop.id, operator=wei, reason="a mistake", now=later) == state

    mei.shop.refresh_from_db()
    assert (mei.shop.state, mei.shop.state_reason) == (state, "")
    assert [act.act for act in audit.trail(mei.shop)] == ["unfreeze", "freeze"]


def test_a_shop_that_is_not_frozen_cannot_be_unfrozen(mei: Person, wei: User, now: datetime) -> None:
    Shop.objects.update(state="closed")
    with pytest.raises(UnableToAct):
        freezing.unfreeze(shop_id=mei.shop.id, operator=wei, reason="why not", now=now)
    assert (Shop.objects.get().state, OperatorAct.objects.count()) == ("closed", 0)


def test_an_intent_that_is_closing_stays_so_when_the_shop_is_unfrozen(mei: Person, wei: User, now: datetime) -> None:
    intent = expect(shop_code(mei.shop), 500)
    freezing.freeze(shop_id=mei.shop.id, operator=wei, reason="a tip", now=now)
    freezing.unfreeze(shop_id=mei.shop.id, operator=wei, reason="a mistake", now=now)
    assert _row(intent) == ("open", "frozen", now)


def _row(intent: PaymentIntent) -> tuple[str, str, datetime | None]:
    intent.refresh_from_db()
    timer = IntentTimer.objects.filter(intent=intent).first()
    return intent.state, intent.closing, timer.next_close_at if timer else None
