"""`reseal_credentials`: seals everything anew under the first of CREDENTIAL_KEYS; then older keys can be removed.

Rows are locked in small batches, so that the product goes on meanwhile. Every process must know the new key before: put
it in front, restart, run this, and remove the old one when it says that nothing is left.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.db import models, transaction
from django.db.models import Q

from merchants import audit, seals
from merchants.models import PushSubscription, TextMessage
from payments.models import CredentialChange, OldCredentials, PayoutAccount, ProviderAccount, ReceiptKey

_BATCH = 100
# What holds a seal: the table, its column, and the rows that still need it.
_SEALED: list[tuple[type[models.Model], str, Q]] = [
    (ProviderAccount, "sealed_credentials", Q()),
    (OldCredentials, "sealed_credentials", Q()),
    (CredentialChange, "sealed_credentials", Q(state=CredentialChange.State.WAITING)),
    (PayoutAccount, "sealed_number", ~Q(state=PayoutAccount.State.CANCELED)),
    (ReceiptKey, "sealed_private_key", ~Q(sealed_private_key=b"")),
    (PushSubscription, "sealed_address", Q(ended_at=None)),
    (TextMessage, "sealed_body", Q(state=TextMessage.State.QUEUED)),
]


class Command(BaseCommand):
    help = "Seals credentials, payout accounts, receipt keys, push addresses and unsent texts anew under the first key."

    def handle(self, *args: Any, **options: Any) -> None:
        unreadable: list[str] = []
        for model, column, needed in _SEALED:
            changed, kept, lost = _reseal(model, column, needed)
            unreadable += lost
            name = str(model._meta.verbose_name_plural)
            self.stdout.write(f"{name}: {changed} sealed anew, {kept} were already, {len(lost)} cannot be opened")
        if unreadable:
            rows = "\n".join(unreadable)
            raise CommandError(f"No key of CREDENTIAL_KEYS opens these; remove no key before they are:\n{rows}")
        self.stdout.write("Everything is sealed under the first key: the others can be removed.")


def _reseal(model: type[models.Model], column: str, needed: Q) -> tuple[int, int, list[str]]:
    """How many rows were sealed anew, how many were already, and which no key opens."""
    changed, kept = 0, 0
    lost: list[str] = []
    last: UUID | int | None = None
    while True:
        with transaction.atomic():
            rows = model._default_manager.filter(needed).order_by("pk")
            rows = rows.filter(pk__gt=last) if last is not None else rows
            batch = list(rows.select_for_update(of=("self",), no_key=True)[:_BATCH])
            for row in batch:
                try:
                    sealed = seals.resealed(getattr(row, column))
                except seals.Unreadable:
                    lost.append(" ".join(audit.named(row)))
                    continue
                kept += sealed is None
                changed += sealed is not None
                if sealed is not None:
                    model._default_manager.filter(pk=row.pk).update(**{column: sealed})
        if len(batch) < _BATCH:
            return changed, kept, lost
        last = batch[-1].pk
