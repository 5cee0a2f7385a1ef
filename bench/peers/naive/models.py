"""A shop with a balance, what was received, and what was booked of it."""

from __future__ import annotations

import uuid

from django.db import models


class Account(models.Model):
    """A shop's, or one of our own: clearing and fees."""

    reference = models.CharField(max_length=40, unique=True)
    balance = models.BigIntegerField(default=0)


class WebhookEvent(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    delivery_id = models.CharField(max_length=120, unique=True)
    headers = models.JSONField()
    payload = models.JSONField()
    status = models.CharField(max_length=10, default="pending", db_index=True)
    received_at = models.DateTimeField(auto_now_add=True)
    posted_at = models.DateTimeField(null=True)


class Transaction(models.Model):
    event = models.OneToOneField(WebhookEvent, on_delete=models.PROTECT)
    created_at = models.DateTimeField(auto_now_add=True)


class Leg(models.Model):
    transaction = models.ForeignKey(Transaction, on_delete=models.PROTECT, related_name="legs")
    account = models.ForeignKey(Account, on_delete=models.PROTECT)
    amount = models.BigIntegerField()
