"""Who is texted when no phone of hers has heard of a payment: what she asked for, what was heard, how far we looked."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from merchants.models.people import Staff


class PaymentTexts(models.Model):
    """A person who asked for texts about payments in a shop. The row is the queue: what is due is above `judged`.

    Her phones say what they heard: a page everything up to a number (`heard`), a service worker one number
    (`heard_apart`, as far as it is above both marks).
    """

    staff = models.OneToOneField(Staff, on_delete=models.CASCADE, primary_key=True, related_name="payment_texts")
    language = models.CharField(max_length=5)
    from_amount = models.BigIntegerField(default=0, help_text="minor units; less is not texted")
    a_day = models.PositiveSmallIntegerField(help_text="texts at most on one day of the shop")
    quiet_from = models.TimeField(null=True, help_text="in the shop's time zone")
    quiet_until = models.TimeField(null=True)
    heard = models.BigIntegerField(default=0, help_text="up to this number a phone of hers heard every notice")
    heard_apart = ArrayField(models.BigIntegerField(), default=list, help_text="and these numbers above it")
    judged = models.BigIntegerField(help_text="the number of the last notice that was texted, or passed over")
    day = models.DateField(null=True, help_text="the shop's day on which she was last texted")
    sent = models.PositiveSmallIntegerField(default=0, help_text="texts on that day")
    created_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "payment texts"
        constraints = [
            models.CheckConstraint(
                name="payment_texts_quiet_hours_whole",
                condition=Q(quiet_from=None, quiet_until=None) | Q(quiet_from__isnull=False, quiet_until__isnull=False),
            )
        ]
