"""Sums by the hour, so that a dashboard reads a few rows and not those that they are the sums of."""

from __future__ import annotations

from django.db import models

from payments.models.accounts import ProviderAccount


class HourRollup(models.Model):
    """The payments that were recorded within one hour in one currency: how many, and what they make in minor units.

    Written in the transaction that books them. `slot` parts the writers of an hour, who would wait for each other.
    """

    id = models.BigAutoField(primary_key=True)
    hour = models.DateTimeField(help_text="when it began")
    currency = models.CharField(max_length=3)
    slot = models.SmallIntegerField()
    payments = models.BigIntegerField()
    amount = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["hour", "currency", "slot"], name="hour_rollup_once")]


class StartRollup(models.Model):
    """The payments that were begun at one of our accounts within one hour that is over, and how many of them failed."""

    id = models.BigAutoField(primary_key=True)
    hour = models.DateTimeField(help_text="when it began")
    provider_account = models.ForeignKey(ProviderAccount, on_delete=models.PROTECT, db_index=False, related_name="+")
    starts = models.BigIntegerField()
    failed = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["hour", "provider_account"], name="start_rollup_once")]
