"""What waits for its moment, in narrow rows beside intents and payments, which are so rewritten in place.

Of an intent that is paid, and a payment that is released, no column changes that an index holds or is limited by: else
each of their dozen indexes would be written again for it.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from merchants.models import Shop
from payments.models.accounts import ProviderAccount
from payments.models.paying import Payment, PaymentIntent


class IntentTimer(models.Model):
    """When an intent is asked about and closed of our own accord, while it may be paid; gone when it is.

    Locked after its intent, by whoever does not skip what others have locked.
    """

    intent = models.OneToOneField(
        PaymentIntent, on_delete=models.CASCADE, primary_key=True, db_constraint=False, related_name="timer"
    )
    # The intent's: providers that rest are left out without looking at what waits for them.
    provider_account = models.ForeignKey(
        ProviderAccount, on_delete=models.PROTECT, db_constraint=False, db_index=False, related_name="+"
    )
    queries = models.PositiveSmallIntegerField(default=0, db_default=0)
    next_query_at = models.DateTimeField(null=True)
    next_close_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="intent_timer_waits", condition=Q(next_query_at__isnull=False) | Q(next_close_at__isnull=False)
            ),
        ]
        indexes = [
            models.Index(fields=["next_query_at"], name="intent_silent", condition=Q(next_query_at__isnull=False)),
            models.Index(fields=["next_close_at"], name="intent_to_close", condition=Q(next_close_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return str(self.intent)


class PendingRelease(models.Model):
    """A payment that turns from pending to available one day: there exactly while its `due_at` is, and the same."""

    payment = models.OneToOneField(
        Payment, on_delete=models.CASCADE, primary_key=True, db_constraint=False, related_name="+"
    )
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, db_constraint=False, db_index=False, related_name="+")
    due_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["due_at"], name="pending_release_due")]

    def __str__(self) -> str:
        return str(self.payment)
