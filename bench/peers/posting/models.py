"""The book as it is mostly written by hand: a vendor with a balance, an inbox, transactions with legs."""

from __future__ import annotations

from django.db import models


class Vendor(models.Model):
    balance = models.BigIntegerField(default=0)


class Event(models.Model):
    vendor = models.ForeignKey(Vendor, on_delete=models.PROTECT)
    amount = models.BigIntegerField()
    body = models.TextField()
    status = models.CharField(max_length=10, default="pending", db_index=True)


class Txn(models.Model):
    event = models.OneToOneField(Event, on_delete=models.PROTECT)
    created_at = models.DateTimeField(auto_now_add=True)


class Leg(models.Model):
    txn = models.ForeignKey(Txn, on_delete=models.PROTECT, related_name="legs")
    account = models.CharField(max_length=40, db_index=True)
    amount = models.BigIntegerField()
