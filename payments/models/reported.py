"""What no server has told us: sales that a shop says were paid by a wallet code of its own."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from merchants import ids
from merchants.models import Shop, Staff, WalletCode


class ReportedSale(models.Model):
    """A sale as its vendor reports it: `unconfirmed`, never a Payment, never in the ledger, never told as money."""

    prefix = "rep"
    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="reported_sales")
    wallet_code = models.ForeignKey(WalletCode, on_delete=models.PROTECT, related_name="reported_sales")
    staff = models.ForeignKey(Staff, on_delete=models.PROTECT, related_name="reported_sales")
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    note = models.CharField(max_length=80, blank=True)
    reported_at = models.DateTimeField()
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["shop", "-id"], name="reported_sale_of_shop")]
        constraints = [models.CheckConstraint(name="reported_sale_positive", condition=Q(amount__gt=0))]

    def __str__(self) -> str:
        return ids.public(self.prefix, self.id)
