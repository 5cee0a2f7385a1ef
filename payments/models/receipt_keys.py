"""The keys by which a receipt proves itself to the vendor's phone."""

from __future__ import annotations

from django.db import models

from merchants import ids


class ReceiptKey(models.Model):
    """An Ed25519 key of ours: it signs until `signs_until`, and phones trust what it signed until `trusted_until`."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    number = models.PositiveIntegerField(unique=True, help_text="how a statement names its key")
    public_key = models.BinaryField(max_length=32)
    sealed_private_key = models.BinaryField()
    created_at = models.DateTimeField()
    signs_until = models.DateTimeField()
    trusted_until = models.DateTimeField()

    def __str__(self) -> str:
        return f"receipt key {self.number}"
