"""What Celery does for this app. Each task makes one call; the rows are the queue, and the sweep finds lost bells."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from merchants import bell, payment_texts, pushing, texts
from merchants.journal import journal
from payments import (
    accounts,
    archive,
    asking,
    chain,
    code_rhythms,
    code_watch,
    disputes,
    inbox,
    ledger,
    partitions,
    receipt_keys,
    reconcile,
    refunds,
    retiring,
    rollups,
    waiting,
)
from payments.payouts import accounts as payout_accounts
from payments.payouts import bank_lines, preparing, sending
from payments.settlement import banking, fetching, matching, missing

_log = journal(__name__)

_PREPARED_AT_ONCE = 200  # Rows of ours, between two looks at the clock.
_SHOPS_LEARNT = 1000  # In one round; the day has 288.
_AT_ONCE = 20  # Calls with one look at the clock that decides what is due.


@shared_task(name=inbox.DRAIN)
def drain_inbox() -> None:
    taken = reconcile.drain(clock=timezone.now, rung=True)
    # After less than a batch nothing is left; what came later has rung for itself.
    if taken >= settings.DRAIN_BATCH_MAX and inbox.has_due(now=timezone.now()):
        bell.ring(inbox.DRAIN)


@shared_task(name=refunds.SEND)
def send_refunds() -> None:
    bell.answered(refunds.SEND)
    _in_rounds(refunds.send_due)


@shared_task(name=asking.ASK)
def ask_providers() -> None:
    bell.answered(asking.ASK)
    _in_rounds(asking.close_overdue, asking.query_silent, asking.inquire)


@shared_task(name="payments.sweep")
def sweep() -> None:
    """Finds every kind of row whose bell was lost or whose time has come. Runs every settings.SWEEP_EVERY_S."""
    now = timezone.now()
    possible = waiting.possible(now=now)
    for task, has_due in (
        (refunds.SEND, refunds.has_due),
        (asking.ASK, asking.has_due),
        (sending.SEND, sending.has_due),
        (texts.SEND_TASK, texts.has_due),
        (pushing.SEND_TASK, pushing.has_due),
        (payment_texts.TELL_TASK, payment_texts.has_due),
        (matching.MATCH, matching.has_due),
        (fetching.FETCH, fetching.has_due),
    ):
        if task in possible and has_due(now=now):
            bell.ring(task)
    if inbox.DRAIN in possible:
        reconcile.drain(clock=timezone.now)


@shared_task(name=matching.MATCH)
def match_statements() -> None:
    """Holds statements against our book, then looks for what no statement has confirmed."""
    bell.answered(matching.MATCH)
    stop_at = timezone.now() + settings.LOOK_FOR
    matching.look(now=timezone.now(), in_time=lambda: timezone.now() < stop_at)
    while timezone.now() < stop_at and missing.find_missing(now=timezone.now(), limit=settings.LOOK_BATCH_MAX):
        continue
    if matching.has_due(now=timezone.now()):
        bell.ring(matching.MATCH)


@shared_task(name="payments.want_statements")
def want_statements() -> None:
    if fetching.want(now=timezone.now()):
        bell.ring(fetching.FETCH)


# Its bell is answered at its beginning: what is not acknowledged for two minutes would be rung for others again.
@shared_task(
    name=fetching.FETCH,
    acks_late=False,
    soft_time_limit=settings.STATEMENT_TASK_S,
    time_limit=settings.STATEMENT_TASK_S + 60,
)
def fetch_statements() -> None:
    bell.answered(fetching.FETCH)
    stop_at = timezone.now() + settings.STATEMENT_FOR
    fetching.fetch_due(now=timezone.now(), limit=_AT_ONCE, clock=timezone.now, in_time=lambda: timezone.now() < stop_at)


@shared_task(name="payments.release_pending")
def release_pending() -> None:
    while reconcile.release_due(now=timezone.now(), limit=settings.DRAIN_BATCH_MAX) == settings.DRAIN_BATCH_MAX:
        continue


@shared_task(name=accounts.APPLY)
def apply_credential_changes() -> None:
    while accounts.apply_due(now=timezone.now(), limit=_AT_ONCE) == _AT_ONCE:
        continue


@shared_task(name=preparing.PREPARE)
def prepare_payouts() -> None:
    """Ends in time for Celery; what is left is prepared in the next round."""
    stop_at = timezone.now() + settings.DRAIN_FOR
    while preparing.prepare(now=timezone.now(), limit=_PREPARED_AT_ONCE) == _PREPARED_AT_ONCE:
        if timezone.now() > stop_at:
            break


@shared_task(name=sending.SEND)
def send_payouts() -> None:
    bell.answered(sending.SEND)
    _in_rounds(sending.send_due)


@shared_task(name=payout_accounts.APPLY)
def apply_payout_accounts() -> None:
    """Asks who holds new payout accounts, and lets those that are proved take effect when their time has come."""
    _in_rounds(payout_accounts.check_names)
    while payout_accounts.apply_due(now=timezone.now(), limit=_AT_ONCE) == _AT_ONCE:
        continue


@shared_task(name=bank_lines.LOOK)
def look_at_payout_lines() -> None:
    while bank_lines.look(now=timezone.now(), limit=_PREPARED_AT_ONCE) == _PREPARED_AT_ONCE:
        continue


@shared_task(name="payments.remind_of_disputes")
def remind_of_disputes() -> None:
    while disputes.remind(now=timezone.now()):
        continue


@shared_task(name="payments.watch_codes")
def watch_codes() -> None:
    """Learns what is usual for the codes of shops that sell, as far as there is time, and looks for silent ones."""
    stop_at = timezone.now() + settings.OUTWARD_FOR
    code_rhythms.learn_due(now=timezone.now(), limit=_SHOPS_LEARNT, in_time=lambda: timezone.now() < stop_at)
    code_watch.look(now=timezone.now())


@shared_task(name="payments.look_at_bank")
def look_at_bank() -> None:
    while banking.look(now=timezone.now(), limit=settings.DRAIN_BATCH_MAX) == settings.DRAIN_BATCH_MAX:
        continue


@shared_task(name="payments.seal_entries")
def seal_entries() -> None:
    """Lengthens the chain over the ledger, and once a day publishes its head."""
    stop_at = timezone.now() + settings.OUTWARD_FOR
    chain.seal(now=timezone.now(), in_time=lambda: timezone.now() < stop_at)
    chain.publish(now=timezone.now())


@shared_task(name="payments.snapshot_balances")
def snapshot_balances() -> None:
    """Keeps balances of the last midnight (UTC), and of the last full hour those of busy shops.

    Minutes after either: nothing of before can still be in flight.
    """
    hour = rollups.hour_of(timezone.now() - timedelta(minutes=15))
    ledger.take_snapshots(moment=hour.replace(hour=0))
    if hour.hour:
        ledger.take_snapshots_of_busy(moment=hour)


@shared_task(name="payments.close_hours")
def close_hours() -> None:
    rollups.close_hours(now=timezone.now())


@shared_task(name="payments.renew_receipt_keys")
def renew_receipt_keys() -> None:
    receipt_keys.renew(now=timezone.now())


@shared_task(name="payments.make_partitions")
def make_partitions() -> None:
    partitions.make_ahead(now=timezone.now())


# As `fetch_statements`: a month of a busy place is written and read back in more than the minute of other errands.
@shared_task(
    name="payments.retire_months",
    acks_late=False,
    soft_time_limit=settings.RETIRE_TASK_S,
    time_limit=settings.RETIRE_TASK_S + 60,
)
def retire_months() -> None:
    """Retires months of the ledger where only some are kept, and looks whether all archives are where they were put."""
    archive.look_at_files(now=timezone.now())
    if settings.LEDGER_MONTHS_KEPT:
        folder = Path(settings.DATA_DIR) / "archives"
        for part, told in retiring.retire_due(now=timezone.now(), kept=settings.LEDGER_MONTHS_KEPT, folder=folder):
            _log.info("ledger_month", partition=part.name, told=told)


class _Step(Protocol):
    def __call__(self, *, now: datetime, limit: int, in_time: Callable[[], bool]) -> int: ...


def _in_rounds(*steps: _Step) -> None:
    """Calls outward one by one, and ends in time for other errands; what is left has its turn with the next sweep."""
    stop_at = timezone.now() + settings.OUTWARD_FOR
    for step in steps:
        while step(now=timezone.now(), limit=_AT_ONCE, in_time=lambda: timezone.now() < stop_at) == _AT_ONCE:
            continue
