"""What a hint makes us ask: one question however often it is hinted, asked in time, and given up at last."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from django.conf import LazySettings
from django.utils import timezone

from merchants import limits
from merchants.models import Item
from payments import asking, circuit, credentials, inquiries
from payments.models import Inquiry, IntentTimer, PaymentIntent, ProviderAccount, WebhookEvent
from tests.running_wallet import known_at, running_wallet, start
from tests.sandbox.pretend_shop import Wallet
from tests.till import SECRET, drain, expect, platform

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def wallet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wallet]:
    with running_wallet(tmp_path_factory.mktemp("wallet")) as running:
        yield running


@pytest.fixture
def account(db: None, settings: LazySettings) -> ProviderAccount:
    settings.SANDBOX_URL = NOWHERE
    return platform()


def waiting(now: datetime) -> int:
    return inquiries.due(now=now).count()


def test_a_question_is_noted_once_however_often_it_is_hinted(account: ProviderAccount) -> None:
    now = timezone.now()
    for _ in range(3):
        inquiries.open_all([(account.id, "payment/1"), (account.id, "payment/1"), (account.id, "payment/2")], now=now)
    assert sorted(Inquiry.objects.values_list("object_id", flat=True)) == ["payment/1", "payment/2"]
    assert waiting(now) == 2


def test_it_is_asked_again_on_its_schedule_and_then_given_up_until_it_is_hinted_again(account: ProviderAccount) -> None:
    now = timezone.now()
    inquiries.open_all([(account.id, "payment/1")], now=now)
    for seconds in (5, 30, 300, 3600, 21_600, 86_400):
        circuit.succeeded(account.id)
        assert asking.inquire(now=now) == 1
        assert waiting(now + timedelta(seconds=seconds - 1)) == 0
        now += timedelta(seconds=seconds)
        assert waiting(now) == 1
    circuit.succeeded(account.id)
    assert asking.inquire(now=now) == 1
    row = Inquiry.objects.get()
    assert (row.due_at, row.attempts, row.failure) == (None, 7, "cannot be reached: ConnectionError")
    inquiries.open_all([(account.id, "payment/1")], now=now)
    assert (waiting(now), Inquiry.objects.get().attempts) == (1, 0)


def test_what_is_hinted_at_while_the_provider_answers_is_asked_once_more(account: ProviderAccount) -> None:
    now = timezone.now()
    inquiries.open_all([(account.id, "payment/1")], now=now)
    asked = Inquiry.objects.get()
    inquiries.postpone(asked, now=now)
    inquiries.open_all([(account.id, "payment/1")], now=now + timedelta(seconds=1))
    inquiries.close(asked, now=now + timedelta(seconds=2))
    assert waiting(now + timedelta(seconds=2)) == 1
    inquiries.close(Inquiry.objects.get(), now=now + timedelta(seconds=3))
    assert Inquiry.objects.count() == 0


def test_a_question_that_was_opened_anew_while_the_budget_was_spent_loses_no_turn(
    account: ProviderAccount, settings: LazySettings
) -> None:
    settings.QUERY_BUDGET = "1/minute"
    assert limits.may_question(account.provider)
    now = timezone.now()
    inquiries.open_all([(account.id, "payment/1")], now=now)
    Inquiry.objects.update(attempts=len(settings.RETRY_AFTER))
    last = asking._take_hinted(now, [])
    assert last is not None
    inquiries.open_all([(account.id, "payment/1")], now=now)
    assert asking._inquire(last, now) is False
    assert (Inquiry.objects.get().attempts, waiting(now + timedelta(seconds=10))) == (0, 1)


def test_an_answer_enters_the_inbox_and_ends_the_question(wallet: Wallet, db: None) -> None:
    with known_at(wallet) as account:
        now = timezone.now()
        inquiries.open_all([(account.id, "whatever")], now=now)
        assert (asking.has_due(now=now), asking.inquire(now=now)) == (True, 1)
        assert (Inquiry.objects.count(), WebhookEvent.objects.get().authority) == (0, "queried")
        assert asking.has_due(now=now) is False


def test_a_provider_is_not_asked_more_than_its_budget_and_no_turn_is_lost(
    wallet: Wallet, apples: Item, settings: LazySettings
) -> None:
    settings.QUERY_BUDGET = "3/minute"
    with known_at(wallet) as account:
        for _ in range(5):
            start(apples.codes.get())
        later = timezone.now() + timedelta(seconds=11)
        inquiries.open_all([(account.id, "one more")], now=later)
        asking.query_silent(now=later)
        asking.inquire(now=later)
        assert WebhookEvent.objects.count() == 3
        assert sorted(IntentTimer.objects.values_list("queries", flat=True)) == [0, 0, 1, 1, 1]
        assert Inquiry.objects.get().attempts == 0
        # What was not asked waits some seconds, and then has the turn it had.
        held_back = IntentTimer.objects.filter(queries=0, next_query_at=later + timedelta(seconds=10))
        assert held_back.count() == 1


def test_hints_that_anybody_can_send_leave_half_of_the_questions_to_payers_who_wait(
    wallet: Wallet, apples: Item, settings: LazySettings
) -> None:
    settings.QUERY_BUDGET = "6/minute"
    with known_at(wallet) as account:
        for _ in range(3):
            start(apples.codes.get())
        later = timezone.now() + timedelta(seconds=11)
        inquiries.open_all([(account.id, f"invented-{number}") for number in range(9)], now=later)
        asking.inquire(now=later)
        assert Inquiry.objects.count() == 6
        assert asking.query_silent(now=later) == 3
        assert set(IntentTimer.objects.values_list("queries", flat=True)) == {1}


def test_an_account_that_fails_is_left_alone_for_the_round_and_the_others_are_asked(
    wallet: Wallet, apples: Item, settings: LazySettings
) -> None:
    with known_at(wallet):
        lost = platform_two()
        for _ in range(3):
            intent = expect(apples.codes.get())
            PaymentIntent.objects.filter(id=intent.id).update(provider_account=lost)
            IntentTimer.objects.filter(intent=intent).update(provider_account=lost, next_query_at=timezone.now())
        for _ in range(2):
            start(apples.codes.get())
        later = timezone.now() + timedelta(seconds=11)
        assert asking.query_silent(now=later) == 3  # The lost one once, and then only those that answer.
        assert WebhookEvent.objects.count() == 2


def platform_two() -> ProviderAccount:
    """An account whose key the wallet does not know."""
    sealed = credentials.sealed({"api_key": "unknown there", "webhook_secrets": SECRET})
    return ProviderAccount.objects.create(
        provider="sandbox", name="unknown", funds="held", sealed_credentials=sealed, active=False
    )


def test_rows_of_an_account_whose_circuit_is_open_keep_their_turns(wallet: Wallet, apples: Item) -> None:
    with known_at(wallet) as account:
        start(apples.codes.get())
        for _ in range(5):
            circuit.failed(account.id, "sandbox")
        later = timezone.now() + timedelta(hours=2)
        inquiries.open_all([(account.id, "x")], now=later)
        assert asking.has_due(now=later) is False
        assert (asking.query_silent(now=later), asking.close_overdue(now=later), asking.inquire(now=later)) == (0, 0, 0)
        circuit.succeeded(account.id)
        assert asking.has_due(now=later) is True
        assert asking.query_silent(now=later) == 1
        drain()
