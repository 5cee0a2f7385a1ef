"""Fetching the providers' own settlement files: which days are wanted, and the errand that brings them.

A day that is ready and not there becomes a row, and the row is the queue. It is moved ahead and committed before the
provider is called, so a killed worker only delays it. What fails is asked for again on the schedule of
settings.STATEMENT_RETRY_AFTER, and then refused with its reason; an account whose circuit is open is left alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from uuid import UUID

from django.conf import settings
from django.db import OperationalError, transaction
from django.db.models import F, QuerySet
from django.utils.translation import gettext as _

from merchants import audit, ids
from merchants.audit import UnableToAct
from merchants.journal import journal
from merchants.models import User
from payments import circuit, providers
from payments.models import ProviderAccount, Refund, Statement
from payments.providers.base import Provider, ProviderError
from payments.settlement import files

FETCH = "payments.fetch_statements"

# A day is wanted again for refunds that were asked for no longer ago than this, and no more often than this: a refund
# that its provider never lists must not have it asked for ever.
_REFUNDS_OF, _FETCHES_MAX = timedelta(days=3), 6

_log = journal(__name__)


def want(*, now: datetime) -> int:
    """Makes a row for every day of every active account that is ready and not there yet; answers how many.

    It looks back settings.STATEMENT_DAYS_BACK days, and never beyond the day on which the account was opened. A day
    that is there is wanted again where its file grows by refunds of later days, and there was one.
    """
    made = 0
    for account in ProviderAccount.objects.filter(active=True, provider__in=providers.all_enabled()).order_by("id"):
        module = providers.named(account.provider)
        days = list(_ready_days(account, module, now))
        there = Statement.objects.filter(provider_account=account, fetched=True, day__in=days)
        missing = sorted(set(days).difference(there.values_list("day", flat=True)))
        rows = [_wanted(account, module, day, now) for day in missing]
        # Another process may have had the same thought at this moment.
        Statement.objects.bulk_create(rows, ignore_conflicts=True)
        made += len(rows) + (_want_again(account, module, now) if module.STATEMENT_GROWS else 0)
    return made


def has_due(*, now: datetime) -> bool:
    """Whether any day waits to be fetched."""
    return _due(now, circuit.resting()).values("id").first() is not None


def fetch_due(
    *, now: datetime, limit: int, clock: Callable[[], datetime], in_time: Callable[[], bool] = lambda: True
) -> int:
    """Fetches what is due, one day after the other; answers how many. One failure is enough for an account's round."""
    fetched, resting = 0, circuit.resting()
    while fetched < limit and in_time() and (statement := _take(now, resting)) is not None:
        if not _fetch(statement, clock):
            resting.append(_account(statement).id)
        fetched += 1
    return fetched


def fetch_again(*, statement_id: UUID, operator: User, reason: str, now: datetime) -> None:
    """Has a day fetched anew: one that was refused, or one whose file has other content now and replaces ours.

    Raises UnableToAct `not_fetched` for a file that a person brought, `waits_already`, and `replaced_already`.
    """
    with transaction.atomic():
        statement = Statement.objects.select_for_update(no_key=True).get(id=statement_id)
        if not statement.fetched or statement.day is None:
            raise UnableToAct("not_fetched", _("A person brought this file; bring another one."))
        if statement.due_at is not None:
            raise UnableToAct("waits_already", _("It waits to be fetched already."))
        others = Statement.objects.filter(
            provider_account=statement.provider_account_id,
            format=statement.format,
            day=statement.day,
            fetched=True,
            state__in=["wanted", "imported"],
        )
        if statement.state == Statement.State.REPLACED or others.exclude(id=statement.id).exists():
            raise UnableToAct("replaced_already", _("Another file holds for this day by now; fetch that one again."))
        state = "wanted" if statement.state == Statement.State.REFUSED else statement.state
        Statement.objects.filter(id=statement.id).update(state=state, due_at=now, attempts=0)
        audit.record(
            operator=operator,
            act="fetch_again",
            subject=statement,
            reason=reason,
            before={"state": statement.state, "due_at": None},
            after={"state": state, "due_at": now.isoformat()},
            now=now,
        )


# --- Which days ------------------------------------------------------------------------------------------------------


def _ready_days(account: ProviderAccount, module: Provider, now: datetime) -> Iterator[date]:
    """The provider's days from the account's first on, as far as their settlements can be fetched by now."""
    zone = module.STATEMENT_ZONE
    first = now.astimezone(zone).date() - timedelta(days=settings.STATEMENT_DAYS_BACK)
    day = max(first, account.created_at.astimezone(zone).date())
    while _ready_at(module, day) <= now:
        yield day
        day += timedelta(days=1)


def _want_again(account: ProviderAccount, module: Provider, now: datetime) -> int:
    """Has days fetched anew whose payments were refunded after their file was taken in; answers how many."""
    latest: dict[date, datetime] = {}
    refunds = Refund.objects.filter(
        id__gte=ids.first_of(now - _REFUNDS_OF),
        payment__provider_account=account,
        state=Refund.State.SUCCEEDED,
        settled_at__lte=now - module.STATEMENT_READY,
    )
    for paid_at, settled_at in refunds.values_list("payment__occurred_at", "settled_at"):
        day = paid_at.astimezone(module.STATEMENT_ZONE).date()
        if settled_at is not None:
            latest[day] = max(settled_at, latest.get(day, settled_at))
    there = Statement.objects.filter(
        provider_account=account, day__in=latest, state=Statement.State.IMPORTED, fetched=True, due_at=None,
        attempts__lt=_FETCHES_MAX,
    )  # fmt: skip
    grown = [row.id for row in there if row.day and row.imported_at and row.imported_at < latest[row.day]]
    return Statement.objects.filter(id__in=grown).update(due_at=now)


def _ready_at(module: Provider, day: date) -> datetime:
    end = datetime.combine(day + timedelta(days=1), time_of_day(), module.STATEMENT_ZONE)
    return end + module.STATEMENT_READY


def _wanted(account: ProviderAccount, module: Provider, day: date, now: datetime) -> Statement:
    return Statement(
        id=ids.new(now),
        provider_account=account,
        format=next(iter(module.FORMATS)),
        day=day,
        fetched=True,
        due_at=now,
        created_at=now,
    )


# --- The errand ------------------------------------------------------------------------------------------------------


def _due(now: datetime, resting: Sequence[UUID]) -> QuerySet[Statement]:
    due = Statement.objects.filter(due_at__lte=now, provider_account__provider__in=providers.all_enabled())
    return due.exclude(provider_account__in=resting).order_by("due_at", "id")


def _take(now: datetime, resting: Sequence[UUID]) -> Statement | None:
    with transaction.atomic():
        due = _due(now, resting).select_for_update(of=("self",), skip_locked=True, no_key=True)
        statement = due.select_related("provider_account__shop").first()
        if statement is not None:
            Statement.objects.filter(id=statement.id).update(
                attempts=F("attempts") + 1, due_at=now + settings.STATEMENT_LEASE
            )
            statement.attempts += 1
    return statement


def _fetch(statement: Statement, clock: Callable[[], datetime]) -> bool:
    """Brings one day; False when it could not be brought this time."""
    account, day = _account(statement), statement.day
    assert day is not None, "only days are wanted"
    try:
        taken = _brought(account, day, clock)
    except ProviderError as failure:
        _put_off(statement, str(failure), permanent=failure.permanent, now=clock())
        return False
    except files.Busy:
        return False  # Its turn comes again, by the lease.
    except OperationalError as failure:
        # A statement that took too long, a connection that broke: nothing was stored.
        _put_off(statement, f"it could not be stored: {failure}", permanent=False, now=clock())
        return False
    if taken.state == Statement.State.REFUSED:
        # What does not add up may have been fetched while it was written.
        _put_off(statement, taken.failure, permanent=False, now=clock())
        return False
    Statement.objects.filter(id=statement.id).update(due_at=None)
    _log.info("statement_fetched", statement=str(taken), account=str(account), day=str(day), lines=taken.line_count)
    return True


def _account(statement: Statement) -> ProviderAccount:
    assert statement.provider_account is not None, "only files of providers are wanted"
    return statement.provider_account


def _brought(account: ProviderAccount, day: date, clock: Callable[[], datetime]) -> Statement:
    with tempfile.TemporaryFile() as file:
        form = providers.named(account.provider).statement(account, day, file)
        if not form:
            return files.nothing_happened(source=account, day=day, now=clock())
        return files.take_in(
            source=account,
            form=form,
            file=file,
            name=f"{account.provider}-{account.name}-{day}",
            day=day,
            fetched=True,
            uploaded_by=None,
            now=clock(),
        )


def _put_off(statement: Statement, failure: str, *, permanent: bool, now: datetime) -> None:
    """Has it tried again, or refused when there is no sense in that; one that was imported before stays imported."""
    _log.warning("statement_not_fetched", statement=str(statement), failure=failure, attempts=statement.attempts)
    pauses = settings.STATEMENT_RETRY_AFTER
    over = permanent or statement.attempts > len(pauses)
    again = None if over else now + pauses[statement.attempts - 1]
    state = Statement.State.REFUSED if over else Statement.State.WANTED
    rows = Statement.objects.filter(id=statement.id)
    rows.filter(state=Statement.State.IMPORTED).update(failure=failure[:300], due_at=again)
    rows.filter(state__in=["wanted", "refused"]).update(state=state, failure=failure[:300], due_at=again)
