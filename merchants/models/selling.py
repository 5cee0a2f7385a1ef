"""What is sold and what points at it: items with a price, and codes on paper or screen."""

from __future__ import annotations

from functools import partial

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from merchants import ids
from merchants.models.people import Shop, Staff


class Item(models.Model):
    """What is sold, with a price in minor units of its shop's currency."""

    prefix = "itm"
    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="items")
    name = models.CharField(max_length=80)
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    unit = models.CharField(max_length=20, blank=True, help_text='what the price buys: "pile", "kg", "cup"')
    photo = models.ImageField(upload_to="items/", blank=True)
    active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["shop", "-id"], name="item_of_shop")]
        constraints = [models.CheckConstraint(name="item_price_positive", condition=Q(amount__gt=0))]

    def __str__(self) -> str:
        return self.name


class Code(models.Model):
    """A slug that points at a Shop, and perhaps at an Item, an amount and an assistant.

    `shop`: the payer enters the amount. `item`: the item's price. `one_time`: an amount, an expiry, one payment.
    """

    class Kind(models.TextChoices):
        SHOP = "shop", _("Shop")
        ITEM = "item", _("Item")
        ONE_TIME = "one_time", _("One Time")

    class State(models.TextChoices):
        ACTIVE = "active", _("Active")
        SUSPENDED = "suspended", _("Suspended")
        RETIRED = "retired", _("Retired")

    prefix = "cod"
    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="codes")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    slug = models.CharField(max_length=24, unique=True, default=partial(ids.secret, 12))
    item = models.ForeignKey(Item, on_delete=models.PROTECT, null=True, blank=True, related_name="codes")
    staff = models.ForeignKey(Staff, on_delete=models.PROTECT, null=True, blank=True, related_name="codes")
    amount = models.BigIntegerField(null=True, blank=True)
    currency = models.CharField(max_length=3, blank=True)
    label = models.CharField(max_length=80, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.ACTIVE)
    expires_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    retired_at = models.DateTimeField(null=True, blank=True)
    replaced_by = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="replaces", help_text="where it leads now"
    )
    forwards = models.BooleanField(default=False, help_text="whether who scans it is led on to what replaced it")
    held = models.BooleanField(default=False, help_text="suspended by an operator, whom alone it waits for")

    class Meta:
        indexes = [models.Index(fields=["shop", "-id"], name="code_of_shop")]
        constraints = [
            models.CheckConstraint(
                name="code_kind_fits",
                condition=Q(kind="shop", item__isnull=True, amount__isnull=True)
                | Q(kind="item", item__isnull=False, amount__isnull=True)
                | Q(kind="one_time", amount__gt=0, expires_at__isnull=False) & ~Q(currency=""),
            ),
            models.CheckConstraint(name="code_state_known", condition=Q(state__in=["active", "suspended", "retired"])),
            models.CheckConstraint(
                name="code_replaced_is_retired",
                condition=Q(replaced_by=None, forwards=False)
                | Q(replaced_by__isnull=False, state="retired") & ~Q(replaced_by=F("id")),
            ),
            models.CheckConstraint(name="code_held_is_suspended", condition=Q(held=False) | Q(state="suspended")),
        ]

    def __str__(self) -> str:
        return self.label or self.slug

    @property
    def url(self) -> str:
        """What is printed: always built from PUBLIC_URL, whatever host a request came by."""
        return f"{settings.PUBLIC_URL}/s/{self.slug}"


class WalletCode(models.Model):
    """A code of a wallet or bank of the shop's own that tells no server when it is paid: `unconfirmed` for ever."""

    class State(models.TextChoices):
        ACTIVE = "active", _("Active")
        RETIRED = "retired", _("Retired")

    prefix = "wco"
    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="wallet_codes")
    staff = models.ForeignKey(Staff, on_delete=models.PROTECT, related_name="wallet_codes", help_text="who entered it")
    profile = models.CharField(max_length=20, help_text="the kind of payload, as `qr.payloads` names it")
    payload = models.TextField(help_text="what is drawn")
    payee = models.CharField(max_length=200, help_text="whose it says it is")
    account = models.CharField(max_length=200, help_text="what receives the money, as far as the payload says")
    label = models.CharField(max_length=80, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.ACTIVE)
    created_at = models.DateTimeField()
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["shop", "-id"], name="wallet_code_of_shop")]
        constraints = [
            models.CheckConstraint(name="wallet_code_state_known", condition=Q(state__in=["active", "retired"]))
        ]

    def __str__(self) -> str:
        return self.label or self.payee
