"""The inbox: what a provider sent, kept once as raw bytes, and the narrow queue of what has still to be applied."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from merchants import ids
from payments.models.accounts import ProviderAccount


class WebhookEvent(models.Model):
    """The raw bytes a provider sent or answered, kept before anything is done with them. Never changed afterwards.

    The table is partitioned by month: the id is a UUIDv7 of `received_at`. That a delivery is kept once says Delivery.
    Meaning is computed later from `raw`; the signed headers, the key that verified them and the verdict stand beside.
    """

    class Authority(models.TextChoices):
        SIGNED = "signed", _("Signed")
        MTLS = "mtls", _("Mtls")
        UNSIGNED_HINT = "unsigned_hint", _("Unsigned Hint")
        QUERIED = "queried", _("Queried")
        FILE = "file", _("stated in a settlement file")

    prefix = "evt"
    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    provider_account = models.ForeignKey(
        ProviderAccount, on_delete=models.PROTECT, related_name="events", db_constraint=False, db_index=False
    )
    delivery_id = models.CharField(max_length=120)
    raw = models.BinaryField()
    headers = models.JSONField(default=dict)
    key_id = models.CharField(max_length=80, blank=True)
    authority = models.CharField(max_length=13, choices=Authority.choices)
    received_at = models.DateTimeField()

    def __str__(self) -> str:
        return ids.public(self.prefix, self.id)


class Delivery(models.Model):
    """A delivery's own name, told once for ever: its event may long have gone to an archive, and is not kept again."""

    pk = models.CompositePrimaryKey("provider_account_id", "delivery_id")
    provider_account = models.ForeignKey(
        ProviderAccount, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    delivery_id = models.CharField(max_length=120)
    event_id = models.UUIDField()

    class Meta:
        verbose_name_plural = "deliveries"

    def __str__(self) -> str:
        return self.delivery_id


class QueuedEvent(models.Model):
    """One row per event that is not applied yet; the row is deleted in the transaction that applies it.

    `due_at` is both the lease and the retry time: a drain that takes the row moves it ahead and commits before it
    works, so a killed worker only delays it.
    """

    class State(models.TextChoices):
        QUEUED = "queued", _("Queued")
        PARKED = "parked", _("Parked")
        QUARANTINED = "quarantined", _("Quarantined")
        DEAD = "dead", _("Dead")

    event = models.OneToOneField(
        WebhookEvent, on_delete=models.PROTECT, primary_key=True, related_name="queued", db_constraint=False
    )
    state = models.CharField(max_length=11, choices=State.choices, default=State.QUEUED)
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField()
    reason = models.CharField(max_length=300, blank=True)
    received_at = models.DateTimeField()

    class Meta:
        indexes = [
            # Without `due_at`: a lease moves that, and a row whose indexed columns stay is rewritten in its place.
            models.Index(fields=["event"], name="queued_event_waits", condition=Q(state__in=["queued", "parked"]))
        ]

    def __str__(self) -> str:
        return f"{self.state} {ids.public(WebhookEvent.prefix, self.event_id)}"
