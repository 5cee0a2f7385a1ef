"""Asking of our own accord: intents that fell silent, and intents that nobody will pay any more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
from django.conf import LazySettings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from merchants.models import Item, Notice
from payments import asking, circuit, ledger, reconcile
from payments.models import IntentTimer, Payment, PaymentIntent, QueuedEvent, WebhookEvent
from tests.cast import Person
from tests.running_wallet import approve, known_at, running_wallet, start
from tests.sandbox.pretend_shop import Wallet
from tests.till import assert_books_hold, expect, paid, platform


@pytest.fixture(scope="module")
def wallet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wallet]:
    with running_wallet(tmp_path_factory.mktemp("wallet")) as running:
        yield running


@pytest.fixture
def known(wallet: Wallet, db: None) -> Iterator[None]:
    """The wallet runs, knows the platform, and none of its notifications arrives."""
    with known_at(wallet):
        yield


def seconds_after(intent: PaymentIntent, seconds: float) -> datetime:
    return intent.created_at + timedelta(seconds=seconds)


def timer_of(intent: PaymentIntent) -> IntentTimer:
    return IntentTimer.objects.select_related("intent").get(intent=intent)


def drain() -> int:
    """What the worker does after the moments that these tests play."""
    return reconcile.drain(clock=lambda: timezone.now() + timedelta(days=2))


def test_a_silent_intent_is_asked_about_seven_times_in_a_day(known: None, apples: Item) -> None:
    intent = start(apples.codes.get())
    asked_at = []
    for seconds in (10, 30, 120, 600, 3600, 21_600, 86_400):
        assert asking.query_silent(now=seconds_after(intent, seconds - 0.001)) == 0
        assert asking.query_silent(now=seconds_after(intent, seconds)) == 1
        assert asking.query_silent(now=seconds_after(intent, seconds)) == 0
        timer = timer_of(intent)
        asked_at.append((seconds, timer.queries))
    assert asked_at == [(10, 1), (30, 2), (120, 3), (600, 4), (3600, 5), (21_600, 6), (86_400, 7)]
    assert timer.next_query_at is None
    assert asking.query_silent(now=seconds_after(intent, 864_000)) == 0


def test_whoever_waits_longest_is_asked_about_and_closed_first(known: None, apples: Item) -> None:
    older, newer = start(apples.codes.get()), start(apples.codes.get())
    now = timezone.now()
    IntentTimer.objects.filter(intent=older).update(next_query_at=now, next_close_at=now)
    earlier = now - timedelta(seconds=1)
    IntentTimer.objects.filter(intent=newer).update(next_query_at=earlier, next_close_at=earlier)
    assert asking.query_silent(now=now, limit=1) == 1
    assert list(PaymentIntent.objects.filter(timer__queries=1)) == [newer]
    assert asking.close_overdue(now=now, limit=1) == 1
    assert list(PaymentIntent.objects.filter(closing="expired")) == [newer]


@pytest.mark.parametrize("take", [asking.query_silent, asking.close_overdue])
def test_a_backlog_is_taken_without_walking_through_what_is_finished(
    known: None, apples: Item, take: Callable[..., int]
) -> None:
    intent = start(apples.codes.get())
    _copies(intent, 20_000, state="'paid'")
    _copies(intent, 4000)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO payments_intenttimer (intent_id, provider_account_id, next_query_at, next_close_at)"
            " SELECT made.id, made.provider_account_id, next_query_at, next_close_at"
            " FROM payments_paymentintent made, payments_intenttimer"
            " WHERE state = 'open' AND made.id <> intent_id AND intent_id = %s",
            [intent.id],
        )
        cursor.execute("ANALYZE payments_paymentintent, payments_intenttimer")
    with CaptureQueriesContext(connection) as asked:
        assert take(now=seconds_after(intent, 86_401), limit=1) == 1
        assert asking.has_due(now=seconds_after(intent, 86_401))
    looked = [query["sql"] for query in asked if query["sql"].startswith("SELECT") and "<= '" in query["sql"]]
    assert len(looked) == 2
    for statement in looked:
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN " + statement)
            plan = " ".join(row[0] for row in cursor.fetchall())
        assert "using intent_silent" in plan or "using intent_to_close" in plan, plan


def _copies(intent: PaymentIntent, count: int, **changed: str) -> None:
    """Many more intents like this one, made by the database."""
    own = {
        "id": "gen_random_uuid()",
        "page": "gen_random_uuid()",
        "receipt": "substr(gen_random_uuid()::text, 1, 32)",
    }
    columns = [str(field.column) for field in PaymentIntent._meta.concrete_fields if not field.generated]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO payments_paymentintent ({', '.join(columns)})"
            f" SELECT {', '.join((own | changed).get(column, column) for column in columns)}"
            f" FROM payments_paymentintent, generate_series(1, {count}) WHERE id = %s",
            [intent.id],
        )


def test_after_an_outage_the_missed_turns_are_one_question(known: None, apples: Item) -> None:
    intent = start(apples.codes.get())
    assert asking.query_silent(now=seconds_after(intent, 700)) == 1
    timer = timer_of(intent)
    assert (timer.queries, timer.next_query_at) == (1, seconds_after(intent, 3600))


def test_a_payment_whose_notification_was_lost_is_found_by_asking(
    known: None, wallet: Wallet, mei: Person, apples: Item
) -> None:
    intent = start(apples.codes.get())
    approve(wallet, intent, "lose")
    assert WebhookEvent.objects.count() == 0

    assert asking.query_silent(now=seconds_after(intent, 10)) == 1
    drain()

    intent.refresh_from_db()
    assert (intent.state, IntentTimer.objects.count()) == ("paid", 0)
    payment, event = Payment.objects.get(), WebhookEvent.objects.get()
    assert (payment.match, payment.amount) == ("exact", 200)
    assert payment.object_id == wallet.books()["payments"][-1]["id"]
    assert (event.authority, event.headers, event.key_id) == ("queried", {}, "")
    assert ledger.balance(shop=mei.shop).pending == 200
    assert Notice.objects.count() == 1
    assert_books_hold()


def test_a_payment_that_was_both_told_and_asked_about_is_booked_once(
    known: None, wallet: Wallet, mei: Person, apples: Item
) -> None:
    intent = start(apples.codes.get())
    approve(wallet, intent)
    paid(intent, object_id=wallet.books()["payments"][-1]["id"]).deliver()
    asking.query_silent(now=seconds_after(intent, 10))
    assert drain() == 2
    assert Payment.objects.count() == Notice.objects.count() == 1
    assert ledger.balance(shop=mei.shop).pending == 200
    assert_books_hold()


def test_the_same_answer_twice_is_kept_once(known: None, apples: Item) -> None:
    intent = start(apples.codes.get())
    for seconds in (10, 30):
        asking.query_silent(now=seconds_after(intent, seconds))
    drain()
    assert WebhookEvent.objects.count() == 1
    intent.refresh_from_db()
    assert (intent.state, timer_of(intent).queries) == ("open", 2)


def test_a_paid_intent_is_not_asked_about(known: None, apples: Item) -> None:
    intent = start(apples.codes.get())
    paid(intent).deliver()
    drain()
    assert asking.query_silent(now=seconds_after(intent, 86_400)) == 0
    assert asking.close_overdue(now=seconds_after(intent, 86_400)) == 0


def test_a_wallet_that_is_down_is_asked_again_at_the_next_turn(
    wallet: Wallet, apples: Item, settings: LazySettings
) -> None:
    with known_at(wallet):
        intent = start(apples.codes.get())
        approve(wallet, intent, "lose")
    settings.SANDBOX_URL = "http://127.0.0.1:9"
    assert asking.query_silent(now=seconds_after(intent, 10)) == 1
    timer = timer_of(intent)
    assert (timer.intent.state, timer.queries, timer.next_query_at) == ("open", 1, seconds_after(intent, 30))
    assert WebhookEvent.objects.count() == QueuedEvent.objects.count() == 0

    with known_at(wallet):
        assert asking.query_silent(now=seconds_after(intent, 30)) == 1
        drain()
    intent.refresh_from_db()
    assert intent.state == "paid"


def test_one_intent_that_cannot_be_asked_about_does_not_keep_the_others_waiting(
    wallet: Wallet, db: None, apples: Item, now: datetime
) -> None:
    platform()
    unknown = expect(apples.codes.get(), now=now)  # The wallet was down and never heard of it.
    with known_at(wallet):
        intent = start(apples.codes.get(), now=now)
        approve(wallet, intent, "lose")
        assert asking.query_silent(now=now + timedelta(seconds=10)) == 2
        drain()
    intent.refresh_from_db()
    unknown.refresh_from_db()
    assert (intent.state, unknown.state) == ("paid", "open")


def test_a_round_asks_no_more_than_it_may(known: None, apples: Item, now: datetime) -> None:
    for _ in range(3):
        start(apples.codes.get(), now=now)
    assert asking.query_silent(now=now + timedelta(seconds=10), limit=2) == 2
    assert asking.query_silent(now=now + timedelta(seconds=10), limit=2) == 1


# --- Closing ---------------------------------------------------------------------------------------------------------


def test_an_intent_expires_by_being_closed_at_the_wallet_first(known: None, wallet: Wallet, apples: Item) -> None:
    intent = start(apples.codes.get())
    assert asking.close_overdue(now=seconds_after(intent, 15 * 60 - 0.001)) == 0
    assert asking.close_overdue(now=seconds_after(intent, 15 * 60)) == 1
    intent.refresh_from_db()
    assert (intent.state, intent.closing) == ("open", "expired")  # It ends by the wallet's word, not by ours.
    refused = wallet.control("POST", "/approve", {"reference": intent.reference}).json()["refused"]
    assert refused == [{"reference": intent.reference, "code": "order_closed"}]

    drain()
    intent.refresh_from_db()
    assert (intent.state, intent.closing, timer_of(intent).next_close_at) == ("expired", "expired", None)
    assert Notice.objects.count() == 0
    assert asking.close_overdue(now=seconds_after(intent, 86_400)) == 0


def test_what_was_paid_in_the_last_second_is_paid_and_not_expired(
    known: None, wallet: Wallet, mei: Person, apples: Item
) -> None:
    intent = start(apples.codes.get())
    approve(wallet, intent, "lose")
    assert asking.close_overdue(now=seconds_after(intent, 15 * 60)) == 1
    drain()
    intent.refresh_from_db()
    assert (intent.state, Payment.objects.get().match) == ("paid", "exact")
    assert ledger.balance(shop=mei.shop).pending == 200
    assert_books_hold()


def test_an_expired_intent_that_was_paid_late_is_found_by_asking_on(
    known: None, wallet: Wallet, mei: Person, apples: Item
) -> None:
    intent = start(apples.codes.get())
    asking.close_overdue(now=seconds_after(intent, 15 * 60))
    drain()
    approve(wallet, intent, "late,lose")
    asking.query_silent(now=seconds_after(intent, 3600))
    drain()
    intent.refresh_from_db()
    assert (intent.state, Payment.objects.get().match) == ("expired", "late")
    assert ledger.balance(shop=mei.shop).pending == 200
    assert_books_hold()


def test_a_frozen_shops_intent_is_canceled_at_once(known: None, mei: Person, apples: Item) -> None:
    intent = start(apples.codes.get())
    PaymentIntent.objects.update(closing="frozen")
    IntentTimer.objects.update(next_close_at=intent.created_at)
    assert asking.close_overdue(now=seconds_after(intent, 1)) == 1
    drain()
    intent.refresh_from_db()
    assert (intent.state, intent.closing) == ("canceled", "frozen")


def test_while_the_wallet_is_down_closing_is_tried_again_after_half_a_minute(
    wallet: Wallet, db: None, apples: Item, settings: LazySettings
) -> None:
    with known_at(wallet):
        intent = start(apples.codes.get())
    settings.SANDBOX_URL = "http://127.0.0.1:9"
    assert asking.close_overdue(now=seconds_after(intent, 900)) == 1
    timer = timer_of(intent)
    assert (timer.intent.state, timer.next_close_at) == ("open", seconds_after(intent, 930))
    assert asking.close_overdue(now=seconds_after(intent, 929)) == 0
    with known_at(wallet):
        assert asking.close_overdue(now=seconds_after(intent, 930)) == 1
        drain()
    intent.refresh_from_db()
    assert intent.state == "expired"


def test_an_intent_that_the_wallet_never_heard_of_expires_too(wallet: Wallet, db: None, apples: Item) -> None:
    """The wallet was down when the customer came, and she went away: nobody can ever pay this."""
    platform()
    intent = expect(apples.codes.get(), now=timezone.now() - timedelta(minutes=15))
    assert intent.redirect_url == ""
    with known_at(wallet):
        asking.close_overdue(now=timezone.now())
        drain()
    intent.refresh_from_db()
    assert (intent.state, timer_of(intent).next_close_at) == ("expired", None)


def test_what_takes_days_to_end_is_closed_ever_less_often(known: None, apples: Item, settings: LazySettings) -> None:
    intent = start(apples.codes.get())
    settings.SANDBOX_URL = "http://127.0.0.1:9"
    for late, again in ((0, 30), (60, 30), (600, 60), (7200, 720), (360_000, 3600)):
        now = intent.expires_at + timedelta(seconds=late)
        IntentTimer.objects.update(next_close_at=now)
        circuit.succeeded(intent.provider_account_id)
        assert asking.close_overdue(now=now) == 1
        assert IntentTimer.objects.get().next_close_at == now + timedelta(seconds=again)
