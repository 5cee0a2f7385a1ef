"""Which days are wanted of a provider, and the errand that brings them: once, again after failures, or refused."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from django.conf import LazySettings
from django.utils import timezone

from config.celery import app
from merchants import bell, ids
from merchants.audit import UnableToAct
from merchants.models import OperatorAct, User
from payments import circuit
from payments.models import Payment, ProviderAccount, Refund, Statement, StatementLine
from payments.settlement import fetching
from tests.settlement_files import taken, wallet_file
from tests.test_sandbox_provider import answering
from tests.till import platform

pytestmark = pytest.mark.django_db

OPENED = datetime(2026, 11, 20, 9, tzinfo=UTC)
NOW = datetime(2026, 11, 23, 0, 4, tzinfo=UTC)  # The 22nd is over for four minutes, and ready after five.
APPLES = ("payment", "wpy_1", "int_1", 300, 2)


@pytest.fixture
def account(settings: LazySettings) -> Iterator[ProviderAccount]:
    settings.SANDBOX_URL = "http://127.0.0.1:9"
    ProviderAccount.objects.filter(id=platform().id).update(created_at=OPENED)
    yield platform()
    bell.store().flushdb()


def wanted() -> list[tuple[date | None, str]]:
    return list(Statement.objects.order_by("day").values_list("day", "state"))


def fetch(now: datetime = NOW, limit: int = 20) -> int:
    return fetching.fetch_due(now=now, limit=limit, clock=lambda: now)


def only(account: ProviderAccount) -> Statement:
    """One day that is wanted."""
    return Statement.objects.create(
        provider_account=account, format="settlement", day=date(2026, 11, 22), fetched=True, created_at=NOW, due_at=NOW
    )


# --- Which days ------------------------------------------------------------------------------------------------------


def test_every_day_since_the_account_was_opened_is_wanted_once_it_is_ready(account: ProviderAccount) -> None:
    assert fetching.want(now=NOW) == 2
    assert wanted() == [(date(2026, 11, 20), "wanted"), (date(2026, 11, 21), "wanted")]
    assert Statement.objects.filter(due_at=NOW, format="settlement", fetched=True).count() == 2
    assert fetching.want(now=NOW) == 0
    assert fetching.want(now=NOW + timedelta(minutes=1)) == 1
    assert wanted()[-1] == (date(2026, 11, 22), "wanted")


def test_it_looks_back_so_many_days_and_no_further(account: ProviderAccount, settings: LazySettings) -> None:
    settings.STATEMENT_DAYS_BACK = 1
    assert fetching.want(now=NOW + timedelta(minutes=1)) == 1


def test_nothing_is_wanted_of_an_account_or_a_provider_that_is_off(
    account: ProviderAccount, settings: LazySettings
) -> None:
    ProviderAccount.objects.update(active=False)
    assert fetching.want(now=NOW) == 0
    ProviderAccount.objects.update(active=True)
    settings.SANDBOX_URL = ""
    assert fetching.want(now=NOW) == 0
    assert Statement.objects.count() == 0


def test_a_day_begins_where_its_provider_is(account: ProviderAccount) -> None:
    ProviderAccount.objects.update(active=False)
    ProviderAccount.objects.create(
        provider="alipay", name="ali", funds="held", sealed_credentials=account.sealed_credentials
    )
    ProviderAccount.objects.filter(name="ali").update(created_at=datetime(2026, 11, 20, 17, tzinfo=UTC))
    assert fetching.want(now=datetime(2026, 11, 22, 1, 59, tzinfo=UTC)) == 0
    assert fetching.want(now=datetime(2026, 11, 22, 2, 0, tzinfo=UTC)) == 1  # Ten in Shanghai.
    assert wanted() == [(date(2026, 11, 21), "wanted")]


def refunded(account: ProviderAccount, settled_at: datetime) -> None:
    """A payment of the 20th that was refunded later."""
    payment = Payment.objects.create(
        provider_account=account, object_id="E1", amount=300, currency="BRL", placed=False, recorded_at=OPENED,
        match="unexpected", occurred_at=OPENED + timedelta(hours=9),
    )  # fmt: skip
    Refund.objects.create(
        id=ids.new(settled_at), payment=payment, amount=100, currency="BRL", object_id="D1", state="succeeded",
        created_at=settled_at, settled_at=settled_at,
    )  # fmt: skip


@pytest.mark.parametrize(("provider", "again"), [("pix", 1), ("sandbox", 0)])
def test_a_day_is_wanted_again_when_a_later_refund_has_grown_its_file(
    account: ProviderAccount, settings: LazySettings, provider: str, again: int
) -> None:
    settings.PIX_URL = ["https://pix.example"]
    ProviderAccount.objects.update(provider=provider)
    account.refresh_from_db()
    fetching.want(now=NOW)
    Statement.objects.update(state="imported", due_at=None, imported_at=NOW - timedelta(days=1))
    refunded(account, NOW)
    assert fetching.want(now=NOW + timedelta(minutes=59)) == (0 if provider == "pix" else 1)
    Statement.objects.filter(state="wanted").update(due_at=None)
    at = NOW + timedelta(hours=1)
    fetching.want(now=at)
    assert Statement.objects.filter(due_at=at, day=date(2026, 11, 20), state="imported").count() == again
    Statement.objects.update(due_at=None, attempts=6)
    fetching.want(now=at)
    assert not Statement.objects.filter(state="imported", due_at__isnull=False).exists()


# --- The errand ------------------------------------------------------------------------------------------------------


def test_a_day_is_brought_and_taken_in(account: ProviderAccount, settings: LazySettings) -> None:
    row = only(account)
    assert fetching.has_due(now=NOW)
    with answering(200, wallet_file(APPLES)) as settings.SANDBOX_URL:
        assert fetch() == 1
    row.refresh_from_db()
    assert (row.state, row.line_count, row.attempts, row.due_at, row.failure) == ("imported", 2, 1, None, "")
    assert row.name == "sandbox-platform-2026-11-22"
    assert not fetching.has_due(now=NOW + timedelta(days=9))
    assert fetch(NOW + timedelta(days=9)) == 0


def test_a_day_that_cannot_be_brought_is_tried_again_on_a_schedule_and_then_refused(
    account: ProviderAccount, settings: LazySettings
) -> None:
    row, now = only(account), NOW
    for pause in settings.STATEMENT_RETRY_AFTER:
        assert fetch(now) == 1
        row.refresh_from_db()
        assert (row.state, row.due_at) == ("wanted", now + pause)
        assert row.failure.startswith("no file: ConnectionError")
        now += pause
    assert fetch(now) == 1
    row.refresh_from_db()
    assert (row.state, row.due_at, row.attempts) == ("refused", None, 7)
    assert fetching.want(now=NOW + timedelta(minutes=1)) == 2, "the refused day is not wanted again"


def test_what_will_not_pass_is_refused_at_once(account: ProviderAccount, settings: LazySettings) -> None:
    row = only(account)
    with answering(404, b"{}") as settings.SANDBOX_URL:
        fetch()
    row.refresh_from_db()
    assert (row.state, row.due_at, row.failure) == ("refused", None, "refused with 404: {}")


def test_a_file_that_does_not_add_up_is_fetched_again(account: ProviderAccount, settings: LazySettings) -> None:
    row = only(account)
    with answering(200, wallet_file(APPLES).replace(b"total,1", b"total,2")) as settings.SANDBOX_URL:
        fetch()
    row.refresh_from_db()
    assert (row.state, row.due_at) == ("wanted", NOW + timedelta(minutes=10))
    assert "does not add up" in row.failure
    with answering(200, wallet_file(APPLES)) as settings.SANDBOX_URL:
        assert fetch(NOW + timedelta(minutes=10)) == 1
    row.refresh_from_db()
    assert (row.state, row.failure, Statement.objects.count()) == ("imported", "", 1)


def test_one_failure_of_an_account_is_enough_for_a_round(account: ProviderAccount) -> None:
    fetching.want(now=NOW)
    assert fetch() == 1
    assert Statement.objects.filter(attempts=0).count() == 1


def test_an_account_whose_circuit_is_open_is_left_alone(account: ProviderAccount, settings: LazySettings) -> None:
    row = only(account)
    for _ in range(settings.CIRCUIT_FAILURES_MAX):
        circuit.failed(account.id, "sandbox")
    assert (fetching.has_due(now=NOW), fetch()) == (False, 0)
    row.refresh_from_db()
    assert (row.attempts, row.due_at) == (0, NOW)


def test_a_worker_that_is_killed_only_delays_a_day(account: ProviderAccount, settings: LazySettings) -> None:
    row = only(account)
    taken_row = fetching._take(NOW, [])
    assert taken_row is not None
    # Here the worker is killed: the row is committed, and nobody else takes it for a while.
    assert fetch(NOW + settings.STATEMENT_LEASE - timedelta(seconds=1)) == 0
    with answering(200, wallet_file(APPLES)) as settings.SANDBOX_URL:
        assert fetch(NOW + settings.STATEMENT_LEASE) == 1
    row.refresh_from_db()
    assert (row.state, row.attempts) == ("imported", 2)


def test_a_still_day_is_imported_without_a_line(account: ProviderAccount, settings: LazySettings) -> None:
    row = only(account)
    with answering(200, wallet_file()) as settings.SANDBOX_URL:
        fetch()
    row.refresh_from_db()
    assert (row.state, row.line_count, StatementLine.objects.count()) == ("imported", 0, 0)


# --- Once more -------------------------------------------------------------------------------------------------------


def test_an_operator_has_a_day_fetched_again_and_another_content_replaces_it(
    account: ProviderAccount, settings: LazySettings
) -> None:
    wei, row = User.objects.create(phone="+8613700137000"), taken(account, wallet_file(APPLES))
    fetching.fetch_again(statement_id=row.id, operator=wei, reason="a refund is missing", now=NOW)
    with pytest.raises(UnableToAct, match="waits to be fetched already"):
        fetching.fetch_again(statement_id=row.id, operator=wei, reason="again", now=NOW)
    act = OperatorAct.objects.get()
    assert (act.act, act.reason, act.subject_id) == ("fetch_again", "a refund is missing", str(row))
    with answering(200, wallet_file(APPLES, ("refund", "wrf_1", "rfd_1", -50, 0))) as settings.SANDBOX_URL:
        assert fetch() == 1
    row.refresh_from_db()
    newer = Statement.objects.get(state="imported")
    assert (row.state, row.due_at, newer.line_count, newer.fetched) == ("replaced", None, 3, True)
    with pytest.raises(UnableToAct, match="Another file holds"):
        fetching.fetch_again(statement_id=row.id, operator=wei, reason="again", now=NOW)


def test_a_day_that_stays_as_it_was_is_harmless_and_one_that_cannot_be_fetched_again_stays_imported(
    account: ProviderAccount, settings: LazySettings
) -> None:
    wei, row = User.objects.create(phone="+8613700137000"), taken(account, wallet_file(APPLES))
    fetching.fetch_again(statement_id=row.id, operator=wei, reason="sure?", now=NOW)
    assert fetch() == 1
    row.refresh_from_db()
    assert (row.state, row.due_at) == ("imported", NOW + timedelta(minutes=10))
    with answering(200, wallet_file(APPLES)) as settings.SANDBOX_URL:
        assert fetch(NOW + timedelta(minutes=10)) == 1
    row.refresh_from_db()
    assert (row.state, row.due_at, Statement.objects.count()) == ("imported", None, 1)


def test_a_file_that_a_person_brought_is_not_fetched(account: ProviderAccount) -> None:
    wei = User.objects.create(phone="+8613700137000")
    row = taken(account, wallet_file(APPLES), fetched=False, uploaded_by=wei)
    with pytest.raises(UnableToAct, match="A person brought this file"):
        fetching.fetch_again(statement_id=row.id, operator=wei, reason="again", now=timezone.now())
    row.refresh_from_db()
    assert (row.state, row.due_at) == ("imported", None)


def test_the_errand_keeps_a_worker_longer_than_other_errands_and_its_row_longer_than_that(
    settings: LazySettings,
) -> None:
    assert timedelta(seconds=settings.STATEMENT_TASK_S + 60) < settings.STATEMENT_LEASE
    assert settings.STATEMENT_FOR.total_seconds() * 2 < settings.STATEMENT_TASK_S
    # Of the errands only those that are as long are acknowledged at their beginning.
    app.loader.import_default_modules()
    early = {name for name, task in app.tasks.items() if name.startswith("payments.") and not task.acks_late}
    assert early == {fetching.FETCH, "payments.retire_months"}
