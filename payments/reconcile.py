"""The shell round the decision: loads what a batch of events needs, has `meaning` decide, writes it in one transaction.

The only writer of the state of intents, payments and refunds after they were asked for. Rows are locked in one fixed
order (shops, intents, payments, refunds, balances, notice counters; each by id), so that batches never wait for each
other in a circle. A batch that fails is halved until the event that breaks it stands alone; that one is parked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from uuid import UUID

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from prometheus_client import Counter

from merchants import ids, notify
from merchants.journal import journal
from merchants.models import Shop
from payments import chart, facts, inbox, inquiries, ledger, meaning, providers
from payments.chart import Subject
from payments.inbox import Leased
from payments.known import AccountFacts, Decision, IntentFacts, Known, PaymentFacts, RefundFacts, pending_left
from payments.models import Discrepancy, Payment, ProviderAccount, Refund, WebhookEvent
from payments.providers.base import Event, UnableToRead, Verified

_log = journal(__name__)
_outcomes = Counter("pushcart_events", "Events by what became of them", ["outcome"])

# How often a batch is decided again because another worker booked one of its payments in between.
_OVERTAKEN_MAX = 5


_OUR_TROUBLE = (OperationalError, InterfaceError, SoftTimeLimitExceeded)


class Overtaken(Exception):
    """Another transaction has booked a payment that we were about to book: decide again, knowing it."""


def drain(*, clock: Callable[[], datetime]) -> int:
    """Empties the queue of what is due, batch by batch, and announces after each commit what shops have to hear.

    Stops after `settings.DRAIN_FOR` even when more is due (the caller rings again). Answers how many events were taken.
    """
    taken, stop_at = 0, clock() + settings.DRAIN_FOR
    while clock() < stop_at:
        batch = inbox.lease(limit=settings.DRAIN_BATCH_MAX, now=clock())
        notify.announce(apply(batch, clock=clock).shops)
        # One suspect a round, when nothing else is in our hands: a full inbox may not starve them, nor they the inbox.
        suspect = inbox.lease_suspect(now=clock())
        notify.announce(apply(suspect, clock=clock).shops)
        if not batch and not suspect:
            break
        taken += len(batch) + len(suspect)
    return taken


@dataclass(slots=True)
class Applied:
    """What became of a batch: how many events were taken, and the shops that have something to hear."""

    events: int = 0
    shops: set[UUID] = field(default_factory=set)


def apply(leased: Sequence[Leased], *, clock: Callable[[], datetime]) -> Applied:
    """Applies leased events: in one transaction when all goes well, in ever smaller ones around what does not.

    Raises OperationalError when the database itself is in trouble, and Celery's time limit when it strikes: what is
    not applied is then given back, because it is not the events' fault.
    """
    done = Applied(events=len(leased))
    todo: list[Sequence[Leased]] = [leased] if leased else []
    while todo:
        batch = todo.pop()
        try:
            done.shops |= _apply_batch(batch, now=clock())
        except Exception as failure:
            if isinstance(failure, _OUR_TROUBLE) and not _is_deadlock(failure):
                inbox.give_back([leased for waiting in [batch, *todo] for leased in waiting], now=clock())
                raise
            if len(batch) > 1:
                middle = len(batch) // 2
                todo += [batch[middle:], batch[:middle]]
                continue
            _log.error("event_parked", event_id=str(batch[0].event_id), failure=repr(failure))
            _park(batch[0], f"{type(failure).__name__}: {failure}", clock())
    return done


def release_due(*, now: datetime, limit: int) -> int:
    """T+n: moves what is left of due payments from pending to available. A frozen shop's money stays where it is."""
    with transaction.atomic():
        due = Payment.objects.filter(due_at__lte=now).exclude(shop__state=Shop.State.FROZEN).order_by("due_at")[:limit]
        wanted = dict(due.values_list("id", "shop_id"))
        # Under the shops' locks: one that is being frozen at this moment keeps its money where it is.
        shops = Shop.objects.select_for_update(no_key=True).filter(id__in=set(wanted.values())).order_by("id")
        free = {shop.id for shop in shops if shop.state != Shop.State.FROZEN}
        locked = list(
            Payment.objects.select_for_update(of=("self",), no_key=True)
            .filter(id__in=[payment for payment, shop in wanted.items() if shop in free], due_at__lte=now)
            .select_related("provider_account")
            .order_by("id")
        )
        refunds = facts.of_refunds(Refund.objects.filter(payment__in=locked))
        movements = []
        for row in locked:
            payment = facts.of_payment(row)
            left = pending_left(payment, [r for r in refunds if r.payment_id == payment.id])
            if left:
                movements.append(chart.due(Subject(payment.source, payment.currency, payment.id), left, now))
        ledger.post(movements, now=now)
        Payment.objects.filter(id__in=[row.id for row in locked]).update(due_at=None)
    return len(locked)


# --- One batch, one transaction --------------------------------------------------------------------------------------


def _apply_batch(batch: Sequence[Leased], *, now: datetime) -> set[UUID]:
    for _ in range(_OVERTAKEN_MAX):
        try:
            with transaction.atomic():
                _plan_for_growth()
                return _apply_once(batch, now)
        except Overtaken:
            continue
    raise OperationalError("other workers keep overtaking this batch")


def _apply_once(batch: Sequence[Leased], now: datetime) -> set[UUID]:
    attempts = {leased.event_id: leased.attempts for leased in batch}
    rows = facts.stored_events(list(attempts))
    heard = {row[1] for row in rows}
    _fix_currencies(heard, now)
    accounts = facts.accounts(heard)
    unread: dict[UUID, str] = {}
    read: list[tuple[UUID, UUID, Sequence[Event]]] = []
    for event_id, account_id, verified in rows:
        try:
            read.append((event_id, account_id, _read(accounts[account_id], verified)))
        except UnableToRead as failure:
            unread[event_id] = str(failure)
    known = facts.lock_and_load(read, partial(ids.new, now))
    decisions = _decide(read, {row.id: facts.of_account(row) for row in accounts.values()}, known, now)
    _write(decisions, known, now)
    _inquire(decisions, {event_id: account_id for event_id, account_id, _ in read}, now)
    shops = _tell(decisions, now)
    fates = _fates(decisions, unread)
    finished = []
    for event_id, tried in attempts.items():
        outcome, reason = fates.get(event_id, ("applied", ""))
        _outcomes.labels(outcome).inc()
        if outcome == "parked":
            inbox.park(event_id=event_id, attempts=tried, reason=reason, now=now)
        elif outcome == "quarantined":
            inbox.quarantine(event_id=event_id, reason=reason)
        else:
            finished.append(event_id)
    inbox.settle(finished)
    return shops


def _read(account: ProviderAccount, verified: Verified) -> Sequence[Event]:
    """What the account's provider says in it. What nobody has proved may lead to questions and to nothing else."""
    events = providers.named(account.provider).normalise(account, verified)
    if verified.authority != "unsigned_hint":
        return events
    return [
        event
        if event.decision in ("query", "ignore")
        else replace(event, decision="quarantine", reason="nobody has signed it")
        for event in events
    ]


def _inquire(decisions: list[tuple[UUID, Decision]], account_of: dict[UUID, UUID], now: datetime) -> None:
    wanted = [(account_of[event_id], about) for event_id, made in decisions for about in made.inquiries]
    inquiries.open_all(wanted, now=now)


def _plan_for_growth() -> None:
    """Every look-up of a batch is by an index. A plan made while the tables were empty would read them whole, and the
    checks of foreign keys keep such a plan for the life of the session: posting then slows with every row."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")


def _fix_currencies(account_ids: set[UUID], now: datetime) -> None:
    """Money on a shop's own account needs no intent: from the first word of it on, the shop's currency stays.

    In another one her balance would not show it. Shops are locked before all else, as by everybody who locks them.
    """
    own = ProviderAccount.objects.filter(id__in=account_ids, shop__isnull=False).values("shop_id")
    loose = Shop.objects.select_for_update(no_key=True).filter(id__in=own, currency_locked_at=None).order_by("id")
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


# --- Writing ---------------------------------------------------------------------------------------------------------


def _write(decisions: list[tuple[UUID, Decision]], known: Known, now: datetime) -> None:
    made = [decision for _, decision in decisions]
    _insert_payments([d.new_payment for d in made if d.new_payment], now)
    changed = {d.intent.id for d in made if d.intent}
    _update_intents([known.intents[intent_id] for intent_id in sorted(changed)], now)
    new_refunds = {d.new_refund.id for d in made if d.new_refund}
    touched = {d.refund.id for d in made if d.refund}
    payments = {payment.id: payment for payment in known.payments.values()}
    _insert_refunds([(known.refunds[r], payments[known.refunds[r].payment_id]) for r in sorted(new_refunds)], now)
    _update_refunds([known.refunds[refund_id] for refund_id in sorted(touched - new_refunds)])
    _open_questions(decisions, {payment.id: payment.account_id for payment in payments.values()}, now)
    ledger.post([movement for decision in made for movement in decision.movements], now=now)


def _insert_payments(payments: list[PaymentFacts], now: datetime) -> None:
    if not payments:
        return
    ordered = sorted(payments, key=lambda payment: (payment.account_id, payment.object_id))
    columns = zip(
        *(
            (p.id, p.account_id, p.object_id, p.shop_id, p.intent_id, p.amount, p.currency, str(p.match), p.placed,
             p.occurred_at, p.due_at)
            for p in ordered
        ),
        strict=True,
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_INSERT_PAYMENTS_SQL, [now, *(list(column) for column in columns)])
        if cursor.rowcount < len(ordered):
            raise Overtaken


def _update_intents(intents: list[IntentFacts], now: datetime) -> None:
    if not intents:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            _UPDATE_INTENTS_SQL,
            [now, [i.id for i in intents], [str(i.state) for i in intents], [str(i.closing) for i in intents]],
        )


def _insert_refunds(refunds: list[tuple[RefundFacts, PaymentFacts]], now: datetime) -> None:
    Refund.objects.bulk_create(
        Refund(
            id=refund.id,
            payment_id=payment.id,
            shop_id=payment.shop_id,
            origin=refund.origin,
            object_id=refund.object_id,
            amount=refund.amount,
            currency=payment.currency,
            state=refund.state,
            pending_amount=refund.pending_amount,
            created_at=now,
            settled_at=refund.settled_at,
        )
        for refund, payment in refunds
    )


def _update_refunds(refunds: list[RefundFacts]) -> None:
    for refund in refunds:
        settled = {"next_call_at": None} if refund.state != Refund.State.REQUESTED else {}
        Refund.objects.filter(id=refund.id).update(
            state=refund.state,
            object_id=refund.object_id,
            amount=refund.amount,
            pending_amount=refund.pending_amount,
            settled_at=refund.settled_at,
            **settled,
        )


def _open_questions(decisions: list[tuple[UUID, Decision]], accounts: dict[UUID, UUID], now: datetime) -> None:
    events = {event_id for event_id, decision in decisions if decision.questions}
    if not events:
        return
    account_of = dict(WebhookEvent.objects.filter(id__in=events).values_list("id", "provider_account_id"))
    Discrepancy.objects.bulk_create(
        (
            Discrepancy(
                id=ids.new(now),
                key=question.key,
                reason=question.reason,
                provider_account_id=account_of[event_id],
                shop_id=question.shop_id,
                payment_id=question.payment_id,
                intent_id=question.intent_id,
                event_id=event_id,
                amount=question.amount,
                currency=question.currency,
                details=question.details,
                opened_at=now,
            )
            for event_id, decision in decisions
            for question in decision.questions
        ),
        ignore_conflicts=True,  # The same question is asked once, however often its event is applied.
    )


def _tell(decisions: list[tuple[UUID, Decision]], now: datetime) -> set[UUID]:
    tellings = [telling for _, decision in decisions for telling in decision.tellings]
    notify.tell(tellings, now=now)
    return {telling.shop_id for telling in tellings}


_INSERT_PAYMENTS_SQL = """
INSERT INTO payments_payment (recorded_at, id, provider_account_id, object_id, shop_id, intent_id, amount, currency,
                              match, placed, occurred_at, due_at)
SELECT %s, * FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::uuid[], %s::uuid[], %s::bigint[], %s::text[],
                         %s::text[], %s::boolean[], %s::timestamptz[], %s::timestamptz[])
ON CONFLICT (provider_account_id, object_id) DO NOTHING
"""

_UPDATE_INTENTS_SQL = """
UPDATE payments_paymentintent AS intent
   SET state = changed.state, closing = changed.closing, next_close_at = NULL,
       -- One that ended unpaid may still be paid late, and its notification lost: it goes on being asked about.
       next_query_at = CASE WHEN changed.state = 'paid' THEN NULL ELSE intent.next_query_at END,
       closed_at = coalesce(intent.closed_at, %s)
  FROM unnest(%s::uuid[], %s::text[], %s::text[]) AS changed(id, state, closing)
 WHERE intent.id = changed.id
"""
