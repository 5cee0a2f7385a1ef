"""What operators do to the rows of money, each with its line in their trail: replay, take, resolve, switch.

Rows are locked in the order of their ids, looked at again under the lock, changed and recorded in one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from merchants import audit
from merchants.audit import UnableToAct
from merchants.models import User
from payments import inbox
from payments.models import Discrepancy, ProviderAccount, QueuedEvent

SET_ASIDE = (QueuedEvent.State.PARKED, QueuedEvent.State.QUARANTINED, QueuedEvent.State.DEAD)


def replay(*, event_ids: Sequence[UUID], operator: User, reason: str, now: datetime) -> int:
    """Gives events that were set aside a fresh start, as if they had just arrived; answers how many.

    Raises UnableToAct `nothing_to_replay` when all of them are waiting their turn or applied already.
    """
    with transaction.atomic():
        aside = list(
            QueuedEvent.objects.select_for_update(of=("self",), no_key=True)
            .filter(event_id__in=event_ids, state__in=SET_ASIDE)
            .select_related("event")
            .order_by("event_id")
        )
        if not aside:
            raise UnableToAct("nothing_to_replay", _("Nothing to replay: applied already, or about to be."))
        for row in aside:
            before = {"state": row.state, "attempts": row.attempts, "reason": row.reason}
            after = {"state": "queued", "attempts": 0, "reason": ""}
            audit.record(
                operator=operator,
                act="replay",
                subject=row.event,
                reason=reason,
                before=before,
                after=after,
                now=now,
            )
        return inbox.requeue(event_ids=[row.event_id for row in aside], now=now)


def take(*, discrepancy_ids: Sequence[UUID], operator: User, now: datetime) -> int:
    """Makes the operator the owner of open questions, also of those that another one had; answers how many."""
    with transaction.atomic():
        rows = _open_questions(discrepancy_ids)
        for row in rows:
            before, after = {"owner": str(row.owner or "")}, {"owner": str(operator)}
            Discrepancy.objects.filter(id=row.id).update(owner=operator)
            audit.record(operator=operator, act="take", subject=row, reason="", before=before, after=after, now=now)
        return len(rows)


def resolve(*, discrepancy_ids: Sequence[UUID], operator: User, note: str, now: datetime) -> int:
    """Closes questions with the note that answers them; who resolves one that nobody took, owns it."""
    with transaction.atomic():
        rows = _open_questions(discrepancy_ids)
        for row in rows:
            owner = row.owner or operator
            Discrepancy.objects.filter(id=row.id).update(
                state=Discrepancy.State.RESOLVED, owner=owner, resolved_at=now, resolution=note
            )
            audit.record(
                operator=operator,
                act="resolve",
                subject=row,
                reason=note,
                before={"state": row.state, "owner": str(row.owner or "")},
                after={"state": "resolved", "owner": str(owner)},
                now=now,
            )
        return len(rows)


def switch(*, account_id: UUID, active: bool, operator: User, reason: str, now: datetime) -> None:
    """Switches a provider account on or off for new payments; what was started there goes on and is booked.

    Raises UnableToAct `switched_already`.
    """
    with transaction.atomic():
        account = ProviderAccount.objects.select_for_update(no_key=True).get(id=account_id)
        if account.active == active:
            told = _("%(account)s is on already.") if active else _("%(account)s is off already.")
            raise UnableToAct("switched_already", told % {"account": account})
        ProviderAccount.objects.filter(id=account.id).update(active=active)
        audit.record(
            operator=operator,
            act="switch_on" if active else "switch_off",
            subject=account,
            reason=reason,
            before={"active": not active},
            after={"active": active},
            now=now,
        )


def _open_questions(discrepancy_ids: Sequence[UUID]) -> list[Discrepancy]:
    """The rows, locked. Raises UnableToAct `resolved_already` when one of them is not open any more."""
    rows = list(
        Discrepancy.objects.select_for_update(of=("self",), no_key=True)
        .filter(id__in=discrepancy_ids)
        .select_related("owner")
        .order_by("id")
    )
    if any(row.state != Discrepancy.State.OPEN for row in rows):
        raise UnableToAct("resolved_already", _("Resolved already; nothing was changed."))
    return rows
