"""The shell round the decision: loads what a batch of events needs, has `meaning` decide, writes it in one transaction.

Rows are locked in one fixed order (shops, intents, payments, refunds, disputes, balances, notice counters; each by
id), so that batches never wait for each other in a circle. A batch that fails is halved until the event that breaks it
stands alone; that one is parked.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from django.conf import settings
from django.db import OperationalError, connection, connections, transaction
from prometheus_client import Counter as Metric

from merchants import columns, ids, interpreter, notify, plans
from merchants.journal import journal
from merchants.models import Shop
from payments import chart, facts, fees, inbox, inquiries, ledger, meaning, taking
from payments.chart import Subject
from payments.inbox import Leased
from payments.known import (
    AccountFacts,
    Decision,
    Known,
    pending_left,
)
from payments.models import Payment, PendingRelease
from payments.providers.base import Event
from payments.recording import Overtaken, record
from payments.taking import Batch

_log = journal(__name__)
_outcomes = Metric("pushcart_events", "Events by what became of them", ["outcome"])

# How often a batch is decided again because another worker booked one of its payments in between.
_OVERTAKEN_MAX = 5
# What a killed worker left is found by reading through the whole queue, which may be long.
_SUSPECTS_EVERY, _SUSPECTS_FOR = timedelta(seconds=2), timedelta(seconds=1)


def drain(*, clock: Callable[[], datetime], rung: bool = False) -> int:
    """Empties the queue of what is due, batch by batch, and announces after each commit what shops have to hear.

    A full batch calls a second thread: one decides in the time in which the other waits for the database. Stops after
    `settings.DRAIN_FOR` even when more is due (the caller rings again). Answers how many events were taken. `rung`: a
    bell told of something new, so what killed workers left is the next sweep's, unless this takes as long as until it.
    """
    began = clock()
    look_at = began + _SUSPECTS_EVERY if rung else began
    turns, stop_at, ended = taking.Turns(clock), began + settings.DRAIN_FOR, threading.Event()
    helper: Future[int] | None = None
    taken = 0
    with interpreter.busy_with_batches(), ThreadPoolExecutor(1, thread_name_prefix="drain") as thread:
        try:
            while True:
                with turns.batch() as batch:
                    if batch.full and helper is None and clock() < stop_at:
                        helper = thread.submit(copy_context().run, _help, turns, stop_at, ended, clock)
                    notify.announce(apply(batch, clock=clock).shops)
                suspects = 0
                # A full inbox may not starve suspects, nor they it: some now and then, or when nothing else is due.
                if not batch.leased or clock() >= look_at:
                    suspects = _apply_suspects(turns, clock)
                    look_at = clock() + _SUSPECTS_EVERY
                taken += len(batch.leased) + suspects
                # What came after a batch that was not full has rung for itself.
                if clock() >= stop_at or not (batch.full or suspects):
                    return taken + (helper.result() if helper else 0)
        finally:
            ended.set()  # When this thread is in trouble, the other begins no batch any more.


def _help(turns: taking.Turns, stop_at: datetime, ended: threading.Event, clock: Callable[[], datetime]) -> int:
    """Applies batches beside the thread that drains, as long as they are full; answers how many events were taken."""
    taken = 0
    try:
        while clock() < stop_at and not ended.is_set():
            with turns.batch() as batch:
                notify.announce(apply(batch, clock=clock).shops)
            taken += len(batch.leased)
            if not batch.full:
                break
    finally:
        connections.close_all()
    return taken


def _apply_suspects(turns: taking.Turns, clock: Callable[[], datetime]) -> int:
    """Applies what killed workers left, each event alone and for a moment only; answers how many."""
    taken, stop_at = 0, clock() + _SUSPECTS_FOR
    while True:
        with turns.suspect() as suspect:
            if not suspect.leased:
                return taken
            notify.announce(apply(suspect, clock=clock).shops)
        taken += 1
        if clock() >= stop_at:
            return taken


@dataclass(slots=True)
class Applied:
    """What became of a batch: how many events were taken, and the shops that have something to hear."""

    events: int = 0
    shops: set[UUID] = field(default_factory=set)


def apply(batch: Batch, *, clock: Callable[[], datetime]) -> Applied:
    """Applies leased events: in one transaction when all goes well, in ever smaller ones around what does not.

    Raises OperationalError when the database itself is in trouble, and Celery's time limit when it strikes: what is
    not applied is then given back, because it is not the events' fault.
    """
    done = Applied(events=len(batch.leased))
    todo = [batch] if batch.leased else []
    while todo:
        batch = todo.pop()
        try:
            done.shops |= _apply_batch(batch, now=clock())
        except Exception as failure:
            if isinstance(failure, taking.OUR_TROUBLE) and not _is_deadlock(failure):
                inbox.give_back([leased for waiting in [batch, *todo] for leased in waiting.leased], now=clock())
                raise
            if len(batch.leased) > 1:
                todo += reversed(batch.halves())
                continue
            _log.error("event_parked", event_id=str(batch.leased[0].event_id), failure=repr(failure))
            _park(batch.leased[0], f"{type(failure).__name__}: {failure}", clock())
    return done


def release_due(*, now: datetime, limit: int) -> int:
    """T+n: moves what is left of due payments from pending to available, less our fee on it.

    The contract is the one of when the payment happened; what was refunded or is contested by now costs nothing, and
    what comes back later is not charged any more. A frozen shop's money stays where it is.
    """
    with transaction.atomic():
        due = PendingRelease.objects.filter(due_at__lte=now).exclude(shop__state=Shop.State.FROZEN).order_by("due_at")
        wanted = dict(due.values_list("payment_id", "shop_id")[:limit])
        # Under the shops' locks: one that is being frozen at this moment keeps its money where it is.
        shops = Shop.objects.select_for_update(no_key=True).filter(id__in=set(wanted.values())).order_by("id")
        free = {shop.id for shop in shops if shop.state != Shop.State.FROZEN}
        locked = list(
            Payment.objects.select_for_update(of=("self",), no_key=True)
            .filter(id__in=[payment for payment, shop in wanted.items() if shop in free], due_at__lte=now)
            .select_related("provider_account")
            .order_by("id")
        )
        charged = _release(locked, now)
        if locked:
            _set_released([row.id for row in locked], charged)
    return len(locked)


def _release(locked: Sequence[Payment], now: datetime) -> dict[UUID, int]:
    """Posts what becomes available and what we charge for it; answers the fee of each payment that has one."""
    known = facts.of_payments(locked, partial(ids.new, now))
    provider_of = {row.id: row.provider_account.provider for row in locked}
    terms = fees.charge_terms(shop_ids={row.shop_id for row in locked if row.shop_id})
    charged: dict[UUID, int] = {}
    movements = []
    for payment in known.payments.values():
        left = pending_left(payment, known)
        if not left or payment.shop_id is None:
            continue
        subject = Subject(payment.source, payment.currency, payment.id)
        contract = terms.contract(payment.shop_id, provider_of[payment.id], payment.currency, payment.occurred_at)
        fee = fees.charged(contract.rates, left, paid=payment.amount)
        if fee:
            charged[payment.id] = fee
            movements.append(chart.fee(subject, fee, now, contract_id=contract.id))
        if left > fee:
            movements.append(chart.due(subject, left - fee, now))
    ledger.post(movements, now=now)
    return charged


def _set_released(payment_ids: list[UUID], charged: dict[UUID, int]) -> None:
    with connection.cursor() as cursor:
        released = columns.literals((id_, charged.get(id_, 0)) for id_ in payment_ids)
        cursor.execute(_SET_RELEASED_SQL, [released[0], *released])


_SET_RELEASED_SQL = """
WITH freed AS (
    DELETE FROM payments_pendingrelease WHERE payment_id = ANY(%s::uuid[])
)
UPDATE payments_payment AS payment SET due_at = NULL, fee_amount = charged.amount
  FROM unnest(%s::uuid[], %s::bigint[]) AS charged(id, amount) WHERE payment.id = charged.id
"""


# --- One batch, one transaction --------------------------------------------------------------------------------------


def _apply_batch(batch: Batch, *, now: datetime) -> set[UUID]:
    for _ in range(_OVERTAKEN_MAX):
        try:
            with transaction.atomic():
                return _apply_once(batch, now)
        except Overtaken:
            continue
    raise OperationalError("other workers keep overtaking this batch")


def _apply_once(batch: Batch, now: datetime) -> set[UUID]:
    accounts = _accounts(batch, now)
    unread = {one.event_id: one.unreadable for one in batch.read if one.unreadable}
    read = [(one.event_id, one.account.id, one.events) for one in batch.read if not one.unreadable]
    known = facts.lock_and_load(read, partial(next, ids.endless(now)))
    decisions = _decide(read, accounts, known, now)
    fates = _fates(decisions, unread)
    finished = [leased.event_id for leased in batch.leased if not fates or leased.event_id not in fates]
    with plans.kept(), columns.together() if _is_plain(decisions, fates) else nullcontext():
        record(decisions, known, now)
        _inquire(decisions, read, now)
        shops = _tell(decisions, now)
        _set_aside([leased for leased in batch.leased if leased.event_id in fates] if fates else [], fates, now)
        inbox.settle(finished)
    for outcome, count in Counter(outcome for outcome, _ in fates.values()).items():
        _outcomes.labels(outcome).inc(count)
    _outcomes.labels("applied").inc(len(finished))
    return shops


def _is_plain(decisions: Sequence[tuple[UUID, Decision]], fates: Mapping[UUID, object]) -> bool:
    """Whether it is payments and intents only, as nearly always: all else is written by statements of Django's own."""
    return not fates and not any(
        made.new_refund or made.refund or made.merged_refund or made.new_dispute or made.dispute or made.questions
        or made.inquiries
        for _, made in decisions
    )  # fmt: skip


def _set_aside(remaining: Sequence[Leased], fates: dict[UUID, tuple[str, str]], now: datetime) -> None:
    for leased in remaining:
        outcome, reason = fates[leased.event_id]
        if outcome == "parked":
            inbox.park(event_id=leased.event_id, attempts=leased.attempts, reason=reason, now=now)
        else:
            inbox.quarantine(event_id=leased.event_id, reason=reason)


def _inquire(
    decisions: list[tuple[UUID, Decision]], read: Sequence[tuple[UUID, UUID, Sequence[Event]]], now: datetime
) -> None:
    wanted = [(event_id, about) for event_id, made in decisions for about in made.inquiries]
    if wanted:
        account_of = {event_id: account_id for event_id, account_id, _ in read}
        inquiries.open_all([(account_of[event_id], about) for event_id, about in wanted], now=now)


def _accounts(batch: Batch, now: datetime) -> dict[UUID, AccountFacts]:
    """What decisions know of the accounts that were told of events; of a shop's own, as it is under the shop's lock."""
    shared = {id(one.account): one.account for one in batch.read}  # Many events, few accounts.
    rows = {account.id: account for account in shared.values()}
    own = [account.shop_id for account in rows.values() if account.shop_id]
    if own:
        _fix_currencies(own, now)
        rows = facts.accounts(rows)
    return {row.id: facts.of_account(row) for row in rows.values()}


def _fix_currencies(shop_ids: Sequence[UUID], now: datetime) -> None:
    """Money on a shop's own account needs no intent: from the first word of it on, the shop's currency stays.

    In another one her balance would not show it. Shops are locked before all else, as by everybody who locks them.
    """
    loose = Shop.objects.select_for_update(no_key=True).filter(id__in=shop_ids, currency_locked_at=None).order_by("id")
    if shops := [shop.id for shop in loose]:
        Shop.objects.filter(id__in=shops).update(currency_locked_at=now)


def _decide(
    read: list[tuple[UUID, UUID, Sequence[Event]]], accounts: dict[UUID, AccountFacts], known: Known, now: datetime
) -> list[tuple[UUID, Decision]]:
    """Every event in the order of arrival, each knowing what the ones before it changed."""
    decisions = []
    for event_id, account_id, events in read:
        for event in events:
            decision = meaning.decide(event, accounts[account_id], known, event_id=event_id, now=now)
            known.absorb(decision)
            decisions.append((event_id, decision))
    return decisions


def _fates(decisions: list[tuple[UUID, Decision]], unread: dict[UUID, str]) -> dict[UUID, tuple[str, str]]:
    """The stored events that do not leave the queue, and why: of an event with several parts, the worst part counts."""
    fates = {event_id: ("parked", reason) for event_id, reason in unread.items()}
    for wanted in ("parked", "quarantined"):
        fates |= {event_id: (wanted, made.reason) for event_id, made in decisions if made.outcome == wanted}
    return fates


def _park(leased: Leased, reason: str, now: datetime) -> None:
    inbox.park(event_id=leased.event_id, attempts=leased.attempts, reason=reason, now=now)
    _outcomes.labels("parked").inc()


def _is_deadlock(failure: Exception) -> bool:
    return getattr(failure.__cause__, "sqlstate", None) in {"40P01", "40001"}


def _tell(decisions: list[tuple[UUID, Decision]], now: datetime) -> set[UUID]:
    """Tells the shops, and answers whom to wake: them, and whoever looks at a receipt that says something else now."""
    tellings = [telling for _, decision in decisions for telling in decision.tellings]
    notify.tell(tellings, now=now)
    changed = [decision.intent.shop_id for _, decision in decisions if decision.intent is not None]
    shops = [*changed, *(telling.shop_id for telling in tellings)]
    return set({shop.int: shop for shop in shops}.values())  # Hashing a UUID is a call of Python's.
