"""What must be told, and what was answered: notices to a shop, texts to a phone, replies to a repeated request."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from merchants import ids
from merchants.models.people import Shop


class NoticeCounter(models.Model):
    """The number of a shop's newest Notice. Its row is locked in the posting transaction: numbers commit in order."""

    shop = models.OneToOneField(Shop, on_delete=models.CASCADE, primary_key=True, related_name="notice_counter")
    last = models.BigIntegerField(default=0)


class Notice(models.Model):
    """Something the shop must be told, written in the same transaction as the money it tells of.

    A trigger checks for a whole statement at once that the shops exist; another refuses to delete one that was told.
    """

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    shop = models.ForeignKey(
        Shop, on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="notices"
    )
    number = models.BigIntegerField()
    kind = models.CharField(max_length=24)
    data = models.JSONField(default=dict)
    about = models.UUIDField(null=True, help_text="the payment it tells of")
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["shop", "number"], name="notice_numbered_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.number}"


class TextMessage(models.Model):
    """An SMS to be sent: the row is the queue. Its body is sealed while it waits and wiped when it is gone."""

    class State(models.TextChoices):
        QUEUED = "queued", _("Queued")
        SENT = "sent", _("Sent")
        FAILED = "failed", _("Failed")
        EXPIRED = "expired", _("Expired")

    prefix = "txt"
    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    phone = models.CharField(max_length=16)
    sealed_body = models.BinaryField()
    state = models.CharField(max_length=8, choices=State.choices, default=State.QUEUED)
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    created_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)
    failure = models.CharField(max_length=200, blank=True)

    class Meta:
        indexes = [models.Index(fields=["due_at"], name="text_message_due", condition=Q(state="queued"))]


class IdempotentReply(models.Model):
    """What we answered to a request that carried an Idempotency-Key, kept in the transaction of its effect."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    caller = models.CharField(max_length=100)
    key = models.CharField(max_length=255)
    fingerprint = models.BinaryField(max_length=32)
    status = models.PositiveSmallIntegerField()
    body = models.JSONField(null=True)
    language = models.CharField(max_length=10, default="", help_text="of the words in it")
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["caller", "key"], name="idempotent_reply_once")]
        indexes = [models.Index(fields=["created_at"], name="idempotent_reply_age")]
