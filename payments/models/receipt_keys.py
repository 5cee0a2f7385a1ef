"""The keys by which a receipt proves itself to the vendor's phone."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from merchants import ids


class ReceiptKey(models.Model):
    """An Ed25519 key of ours: it signs from `signs_from` until `signs_until`, and is trusted until `trusted_until`.

    The periods follow each other without a gap and never overlap. A key that was withdrawn is trusted no more.
    """

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    number = models.PositiveIntegerField(unique=True, help_text="how a statement names its key")
    public_key = models.BinaryField(max_length=32)
    sealed_private_key = models.BinaryField()
    created_at = models.DateTimeField()
    signs_from = models.DateTimeField()
    signs_until = models.DateTimeField()
    trusted_until = models.DateTimeField()
    withdrawn_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="receipt_key_times_follow",
                condition=Q(signs_from__lt=F("signs_until")) & Q(signs_until__lte=F("trusted_until")),
            ),
        ]

    def __str__(self) -> str:
        return f"receipt key {self.number}"
