"""What is charged for a payment: the contracts, each version kept for ever."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from merchants import ids
from merchants.models import Shop, User
from payments.models.accounts import ProviderAccount


class FeeContract(models.Model):
    """One version of what is charged: by us to a shop (`charge`), or by a provider to its account (`cost`).

    It is in force from `valid_from` until the next version of the same scope is. A scope is one side, a provider, a
    currency, and one shop or account, or (both empty) all that have none of their own. Rows are only added.
    """

    class Side(models.TextChoices):
        CHARGE = "charge", _("what we charge a shop")
        COST = "cost", _("what a provider charges")

    prefix = "fee"
    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    side = models.CharField(max_length=6, choices=Side.choices)
    provider = models.CharField(max_length=20)
    currency = models.CharField(max_length=3)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, null=True, blank=True, related_name="fee_contracts")
    provider_account = models.ForeignKey(
        ProviderAccount, on_delete=models.PROTECT, null=True, blank=True, related_name="fee_contracts"
    )
    version = models.PositiveIntegerField()
    valid_from = models.DateTimeField()
    parts_per_million = models.PositiveIntegerField(default=0, help_text="6000 is 0.6 %")
    fixed_amount = models.BigIntegerField(default=0, help_text="minor units, for each payment")
    floor_amount = models.BigIntegerField(default=0, help_text="never less than this")
    cap_amount = models.BigIntegerField(null=True, blank=True, help_text="never more than this; empty: no cap")
    tiers = models.JSONField(
        default=list,
        blank=True,
        help_text='for payments from an amount on, other rates: [{"from_amount": 100000, "parts_per_million": 5000, '
        '"fixed_amount": 0}]',
    )
    tolerance_amount = models.BigIntegerField(default=0, help_text="cost: a difference up to this is booked by itself")
    note = models.CharField(max_length=500)
    made_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["side", "provider", "currency", "shop", "provider_account", "version"],
                name="fee_contract_version_once",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                name="fee_contract_scope",
                condition=Q(side="charge", provider_account=None) | Q(side="cost", shop=None),
            ),
            models.CheckConstraint(
                name="fee_contract_amounts",
                condition=Q(fixed_amount__gte=0, floor_amount__gte=0, tolerance_amount__gte=0)
                & (Q(cap_amount=None) | Q(cap_amount__gte=models.F("floor_amount"))),
            ),
            models.CheckConstraint(name="fee_contract_below_the_whole", condition=Q(parts_per_million__lte=1_000_000)),
        ]

    def __str__(self) -> str:
        return ids.public(self.prefix, self.id)
