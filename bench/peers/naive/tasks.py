"""One task for one event: books it in a transaction of its own."""

from __future__ import annotations

from celery import shared_task
from django.db import OperationalError, transaction
from django.db.models import F
from django.utils import timezone

from bench.peers.naive.models import Account, Leg, Transaction, WebhookEvent

FEE_PERCENT = 1


@shared_task(autoretry_for=(OperationalError,), retry_backoff=True)
def post_event(event_id):
    with transaction.atomic():
        event = WebhookEvent.objects.select_for_update().get(pk=event_id)
        if event.status != "pending":
            return
        payment = event.payload["data"]["payment"]
        shop = Account.objects.select_for_update().get(reference=payment["reference"])
        # Our own accounts have no balance column to wait for: every event would queue up behind their rows.
        clearing, fees = _own("clearing"), _own("fees")
        fee = payment["amount"] * FEE_PERCENT // 100
        booked = Transaction.objects.create(event=event)
        Leg.objects.bulk_create(
            [
                Leg(transaction=booked, account_id=clearing, amount=-payment["amount"]),
                Leg(transaction=booked, account_id=shop.pk, amount=payment["amount"] - fee),
                Leg(transaction=booked, account_id=fees, amount=fee),
            ]
        )
        Account.objects.filter(pk=shop.pk).update(balance=F("balance") + payment["amount"] - fee)
        event.status, event.posted_at = "posted", timezone.now()
        event.save(update_fields=["status", "posted_at"])


_ids = {}


def _own(name):
    """The key of one of our own accounts, looked up once in a process."""
    if name not in _ids:
        _ids[name] = Account.objects.get(reference=name).pk
    return _ids[name]
