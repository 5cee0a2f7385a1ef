"""From what is owed to payouts: each shop's turn in its own transaction, under its lock, into the day's batch.

Whatever runs beside it, no more leaves than is there: the entry locks the shop's balance, and a balance below zero
undoes the payout. Once per shop, currency and day, by a constraint of the database.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, F, Max, OuterRef, Q, QuerySet, Subquery, Sum

from merchants import ids
from merchants.journal import journal
from merchants.models import Shop
from payments import chart, ledger
from payments.chart import Place
from payments.models import (
    Account,
    AccountBalance,
    BankAccount,
    Discrepancy,
    LedgerEntry,
    Payout,
    PayoutAccount,
    PayoutBatch,
    PayoutTerms,
)
from payments.payouts import channels, outcomes, owed, terms
from payments.payouts.owed import Owed, Reason, Standing, Turn
from payments.payouts.working_days import Calendar, NoWorkingDay

PREPARE = "payments.prepare_payouts"

_log = journal(__name__)
_PAGE = 500  # Shops looked at with one query.


class Overdrawn(Exception):
    """A payout would take more than is there: something left in the meantime. Nothing has changed."""


@dataclass(frozen=True, slots=True)
class Next:
    """A shop's next payout: `turn` is empty while nobody has set terms, `account` while none is active."""

    currency: str
    owed: Owed
    turn: Turn | None
    account: PayoutAccount | None
    terms: PayoutTerms | None


def prepare(*, now: datetime, limit: int) -> int:
    """Makes the payouts whose turn has come, at most `limit`; answers how many were made."""
    made, calendars = 0, _Calendars(now)
    for shop_id, currency in _candidates(now, calendars):
        if made == limit:
            break
        try:
            made += _prepare(shop_id, currency, now, calendars)
        except Overdrawn:
            _log.warning("payout_overdrawn", shop=str(shop_id), currency=currency)
    return made


def look(shop: Shop, *, now: datetime) -> Next:
    """The shop's next payout in its currency: what, when, and why not."""
    return _look(shop, shop.currency, now, _Calendars(now))


class _Calendars:
    """The calendars of one run, each read once."""

    def __init__(self, now: datetime) -> None:
        self._around, self._known = now.date(), dict[str, Calendar]()

    def named(self, name: str) -> Calendar:
        if name not in self._known:
            self._known[name] = terms.days(name, self._around)
        return self._known[name]


def _candidates(now: datetime, calendars: _Calendars) -> Iterator[tuple[UUID, str]]:
    """Shops with money, an account and a turn that was not handled yet. Only a first look: the lock decides."""
    last = 0
    while page := list(_with_money(last)[:_PAGE]):
        last = page[-1].account_id
        rows = [(row.account.shop, row.account.currency) for row in page if row.account.shop is not None]
        handled, known = _handled([shop.id for shop, _ in rows]), _terms_of([shop for shop, _ in rows])
        for shop, currency in rows:
            found = known.get((shop.id, currency)) or known.get((None, currency))
            if found is None:
                continue
            turn = _turn(shop, found, now, calendars, handled.get((shop.id, currency)))
            if turn is not None and turn.opens_at <= now:
                yield shop.id, currency


def _with_money(after: int) -> QuerySet[AccountBalance]:
    ready = PayoutAccount.objects.filter(shop=OuterRef("account__shop"), currency=OuterRef("account__currency"))
    return (
        AccountBalance.objects.filter(
            account_id__gt=after,
            account__kind=Account.Kind.SHOP_AVAILABLE,
            account__funds="held",
            account__shop__state=Shop.State.ACTIVE,
            credits__gt=F("debits"),
        )
        .filter(Exists(ready.filter(state=PayoutAccount.State.ACTIVE)))
        .exclude(Exists(ready.filter(state=PayoutAccount.State.WAITING)))
        .select_related("account__shop")
        .order_by("account_id")
    )


def _handled(shop_ids: Sequence[UUID]) -> dict[tuple[UUID, str], date]:
    """The latest earned day of which each shop has had a payout, whatever became of it: a turn comes once."""
    rows = Payout.objects.filter(shop_id__in=shop_ids).values("shop_id", "currency").annotate(last=Max("earned_day"))
    return {(row["shop_id"], row["currency"]): row["last"] for row in rows}


def _terms_of(shops: Sequence[Shop]) -> dict[tuple[UUID | None, str], PayoutTerms]:
    rows = PayoutTerms.objects.filter(Q(shop=None) | Q(shop__in=shops))
    return {(row.shop_id, row.currency): row for row in rows}


def _turn(shop: Shop, found: PayoutTerms, now: datetime, calendars: _Calendars, handled: date | None) -> Turn | None:
    try:
        return owed.next_turn(now, terms.on_the_clock_of(shop, found), calendars.named(found.calendar), handled=handled)
    except NoWorkingDay as failure:
        _log.error("calendar_without_working_days", calendar=found.calendar, failure=str(failure))
        return None


# --- One shop --------------------------------------------------------------------------------------------------------


def _prepare(shop_id: UUID, currency: str, now: datetime, calendars: _Calendars) -> bool:
    """Whether a payout was made. Raises Overdrawn."""
    with transaction.atomic():
        shop = Shop.objects.select_for_update(no_key=True).get(id=shop_id)
        found = _look(shop, currency, now, calendars)
        if found.owed.reason is not None or found.turn is None or found.account is None or found.terms is None:
            return False
        batch = _batch(found.terms.channel, currency, found.turn.pay_day, now)
        if batch is None:
            return False
        payout = Payout(
            id=ids.new(now),
            shop=shop,
            account=found.account,
            batch=batch,
            earned_day=found.turn.earned_day,
            amount=found.owed.amount,
            currency=currency,
            created_at=now,
        )
        outcomes.ask(payout, now=now)
        if ledger.total_of(chart.available(shop.id), currency) < 0:
            raise Overdrawn
    _log.info("payout_prepared", payout=payout.reference)
    return True


def _look(shop: Shop, currency: str, now: datetime, calendars: _Calendars) -> Next:
    """The turn that is due; where it has nothing to pay, the one after it, for which something may be there already."""
    account, standing_of_account = _account(shop, currency)
    found = terms.of(shop, currency)
    turn = None
    if found is not None:
        turn = _turn(shop, found, now, calendars, _handled([shop.id]).get((shop.id, currency)))
    if found is None or turn is None:
        return Next(currency, Owed(0, owed.without_terms(shop.state)), None, account, found)
    standing = Standing(
        shop_state=shop.state,
        available=ledger.total_of(chart.available(shop.id), currency),
        pending=ledger.total_of(Place(Account.Kind.SHOP_PENDING, "held", shop.id), currency),
        came_since=_came_since(shop, currency, turn.cut_off_at),
        account=standing_of_account,
    )
    on_terms = terms.on_the_clock_of(shop, found)
    decided = owed.owed(standing, on_terms, turn, now=now)
    if decided.reason is Reason.NOTHING_AVAILABLE and turn.opens_at <= now:
        later = _turn(shop, found, now, calendars, turn.earned_day)
        if later is not None:
            turn, standing = later, replace(standing, came_since=_came_since(shop, currency, later.cut_off_at))
            decided = owed.owed(standing, on_terms, turn, now=now)
    return Next(currency, decided, turn, account, found)


def _account(shop: Shop, currency: str) -> tuple[PayoutAccount | None, owed.Account]:
    rows = PayoutAccount.objects.filter(shop=shop, currency=currency)
    active = rows.filter(state=PayoutAccount.State.ACTIVE).first()
    waiting = rows.filter(state=PayoutAccount.State.WAITING).first()
    if active is None:
        return None, owed.Account.NONE if waiting is None else owed.Account.UNVERIFIED
    if waiting is not None:
        return active, owed.Account.CHANGING
    failed = Discrepancy.objects.filter(
        payout__account=active, reason=Discrepancy.Reason.PAYOUT_FAILED, state=Discrepancy.State.OPEN
    )
    return active, owed.Account.FAILED if failed.exists() else owed.Account.READY


def _came_since(shop: Shop, currency: str, since: datetime) -> int:
    """What was credited to the shop's available money from a moment on; entries are numbered by their time."""
    place = Account.objects.filter(key=chart.available(shop.id).key(currency)).values("id")[:1]
    came = LedgerEntry.objects.filter(shop=shop, id__gte=ids.first_of(since), credit=Subquery(place))
    return came.aggregate(total=Sum("amount"))["total"] or 0


def _batch(channel: str, currency: str, day: date, now: datetime) -> PayoutBatch | None:
    """The open batch of that day, locked so that it cannot be approved meanwhile; None without an account of ours."""
    bank = BankAccount.objects.filter(currency=currency, active=True).order_by("id").first()
    ours = channels.account(channel) if channel != channels.FILE else None
    if (bank if channel == channels.FILE else ours) is None:
        _log.error("no_account_to_pay_from", channel=channel, currency=currency)
        return None
    made = PayoutBatch(
        id=ids.new(now),
        channel=channel,
        bank_account=bank if channel == channels.FILE else None,
        provider_account=ours,
        currency=currency,
        execution_day=day,
        prepared_at=now,
    )
    PayoutBatch.objects.bulk_create([made], ignore_conflicts=True)  # Another worker may have made it just now.
    still_open = PayoutBatch.objects.filter(
        channel=channel, currency=currency, execution_day=day, state=PayoutBatch.State.PREPARED, approved_by=None
    )
    return still_open.select_for_update(no_key=True).first()
