"""Reminds a shop of a dispute whose evidence is due soon; what a dispute does to money stands in `contested`."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import transaction

from merchants import ids, notify
from merchants.notify import Telling
from payments.models import Dispute, Payment


def remind(*, now: datetime, limit: int = 100) -> int:
    """Tells each shop once, settings.EVIDENCE_REMINDER before the date, that it may still answer; answers how many."""
    with transaction.atomic():
        due = list(
            Dispute.objects.select_for_update(skip_locked=True, no_key=True)
            .filter(
                state=Dispute.State.OPEN,
                reminded_at=None,
                evidence_due_at__gt=now,
                evidence_due_at__lte=now + settings.EVIDENCE_REMINDER,
            )
            .order_by("id")[:limit]
        )
        Dispute.objects.filter(id__in=[dispute.id for dispute in due]).update(reminded_at=now)
        tellings = [_telling(dispute) for dispute in due if dispute.shop_id is not None]
        notify.tell(tellings, now=now)
        transaction.on_commit(lambda: notify.announce(telling.shop_id for telling in tellings))
    return len(due)


def _telling(dispute: Dispute) -> Telling:
    assert dispute.shop_id is not None
    assert dispute.evidence_due_at is not None
    data = {
        "payment": ids.public(Payment.prefix, dispute.payment_id),
        "dispute": ids.public(Dispute.prefix, dispute.id),
        "amount": {"amount": dispute.amount, "currency": dispute.currency},
        "evidence_due_at": dispute.evidence_due_at.isoformat(),
    }
    return Telling(dispute.shop_id, "dispute_evidence_due", data, dispute.payment_id)
