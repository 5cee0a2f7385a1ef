"""Where payments are told while the app is closed: one subscription per signed-in phone, and how far it was told."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from merchants import ids
from merchants.models.people import Shop, Token, User


class PushSubscription(models.Model):
    """A signed-in phone that wants to be told by push; it goes with its token, so whoever signs out is told no more.

    The row is the queue: what is due is every notice above `told`. Its address and keys are sealed, since whoever
    knows them can write to that phone.
    """

    class Ended(models.TextChoices):
        ASKED = "asked", _("Asked")
        GONE = "gone", _("Gone")
        LEFT = "left", _("Left")
        UNREACHABLE = "unreachable", _("Unreachable")

    prefix = "psh"
    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="push_subscriptions")
    shop = models.ForeignKey(Shop, on_delete=models.CASCADE, related_name="push_subscriptions")
    token = models.OneToOneField(Token, on_delete=models.CASCADE, related_name="push_subscription")
    address_digest = models.BinaryField(max_length=32, unique=True, help_text="SHA-256 of the address")
    sealed_address = models.BinaryField(help_text="the address and keys, until it has ended")
    language = models.CharField(max_length=5)
    quiet_from = models.TimeField(null=True, help_text="in the shop's time zone")
    quiet_until = models.TimeField(null=True)
    big_amount = models.BigIntegerField(null=True, help_text="minor units; from here on quiet hours do not count")
    told = models.BigIntegerField(help_text="the number of the last notice that was pushed, or passed over")
    due_at = models.DateTimeField(help_text="not before; ahead while it is being sent to, or after a failure")
    test_asked = models.BooleanField(default=False, help_text="she wants to see what a push looks like")
    failures = models.PositiveSmallIntegerField(default=0, help_text="in a row")
    last_success = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    ended_why = models.CharField(max_length=11, choices=Ended.choices, blank=True)

    class Meta:
        indexes = [models.Index(fields=["shop"], name="push_of_shop", condition=Q(ended_at=None))]
        constraints = [
            models.CheckConstraint(
                name="push_quiet_hours_whole",
                condition=Q(quiet_from=None, quiet_until=None) | Q(quiet_from__isnull=False, quiet_until__isnull=False),
            )
        ]
