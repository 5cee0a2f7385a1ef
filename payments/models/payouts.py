"""Money out: where a shop is paid, on what terms, and each payout with its batch. The payee is always the shop."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from merchants import ids
from merchants.models import Shop, Staff, User
from payments.models.accounts import ProviderAccount
from payments.models.settlement import BankAccount


class PayoutAccount(models.Model):
    """Where a shop's money is paid to. Its number is sealed; a change waits and is told to the old phones.

    waiting → active → replaced; or waiting → canceled. `verified_at` is set once its holder has been proved, and only
    then it becomes active.
    """

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        ACTIVE = "active", _("Active")
        REPLACED = "replaced", _("Replaced")
        CANCELED = "canceled", _("Canceled")

    class Scheme(models.TextChoices):
        IBAN = "iban", _("IBAN")
        LOCAL = "local", _("account number and bank code")

    prefix = "pya"
    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="payout_accounts")
    currency = models.CharField(max_length=3)
    scheme = models.CharField(max_length=5, choices=Scheme.choices)
    country = models.CharField(max_length=2)
    bank_code = models.CharField(max_length=35, blank=True)
    holder = models.CharField(max_length=140)
    tail = models.CharField(max_length=4, help_text="the last letters of the number: all of it that is shown")
    sealed_number = models.BinaryField(editable=False)
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    requested_by = models.ForeignKey(Staff, on_delete=models.PROTECT, related_name="+")
    requested_at = models.DateTimeField()
    effective_at = models.DateTimeField()
    verified_at = models.DateTimeField(null=True)
    verified_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    verification = models.CharField(max_length=200, blank=True, help_text="how it was proved, or why it is not")
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["shop", "currency"], condition=Q(state="waiting"), name="payout_account_one_waits"
            ),
            models.UniqueConstraint(
                fields=["shop", "currency"], condition=Q(state="active"), name="payout_account_one_active"
            ),
            models.UniqueConstraint(fields=["id", "shop"], name="payout_account_of_shop"),
            models.CheckConstraint(
                name="payout_account_verified", condition=~Q(state="active") | Q(verified_at__isnull=False)
            ),
        ]
        indexes = [
            models.Index(fields=["effective_at"], name="payout_account_due", condition=Q(state="waiting")),
        ]

    def __str__(self) -> str:
        return ids.public(self.prefix, self.id)


class PayoutTerms(models.Model):
    """When and how much a shop is paid out; the row without a shop holds for all others of its currency."""

    id = models.BigAutoField(primary_key=True)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, null=True, related_name="payout_terms")
    currency = models.CharField(max_length=3)
    minimum_amount = models.BigIntegerField(default=1, help_text="less than this waits for more")
    delay_days = models.PositiveSmallIntegerField(default=1, help_text="working days after the day it was earned")
    cut_off = models.TimeField(help_text="on the shop's clock: what is earned later counts for the next day")
    channel = models.CharField(max_length=12, help_text="`file` (pain.001), or the name of an API")
    calendar = models.CharField(max_length=12, help_text="whose holidays count: a country, or a system as TARGET")

    class Meta:
        verbose_name_plural = "payout terms"
        constraints = [
            models.UniqueConstraint(fields=["shop", "currency"], name="payout_terms_once", nulls_distinct=False),
            models.CheckConstraint(name="payout_terms_minimum", condition=Q(minimum_amount__gte=1)),
        ]


class Holiday(models.Model):
    """A day on which a calendar's banks do not pay. Saturdays and Sundays are free without a row, unless `working`."""

    id = models.BigAutoField(primary_key=True)
    calendar = models.CharField(max_length=12)
    day = models.DateField()
    name = models.CharField(max_length=80)
    working = models.BooleanField(default=False, help_text="a weekend day on which banks work instead")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["calendar", "day"], name="holiday_once")]


class PayoutBatch(models.Model):
    """Payouts that leave together by one channel: a file for our bank, or calls to an API. Released by an operator.

    Above a limit a first operator approves and a second releases. Nothing joins a batch that was approved.
    """

    class State(models.TextChoices):
        PREPARED = "prepared", _("Prepared")
        RELEASED = "released", _("Released")
        CANCELED = "canceled", _("Canceled")

    prefix = "pob"
    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    channel = models.CharField(max_length=12)
    bank_account = models.ForeignKey(BankAccount, on_delete=models.PROTECT, null=True, related_name="batches")
    provider_account = models.ForeignKey(
        ProviderAccount,
        on_delete=models.PROTECT,
        null=True,
        related_name="payout_batches",
        help_text="ours at the API that pays",
    )
    currency = models.CharField(max_length=3)
    execution_day = models.DateField()
    state = models.CharField(max_length=8, choices=State.choices, default=State.PREPARED)
    prepared_at = models.DateTimeField()
    approved_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    approved_at = models.DateTimeField(null=True)
    released_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    released_at = models.DateTimeField(null=True)
    sha256 = models.CharField(max_length=64, blank=True, help_text="of its file, the same each time it is made")

    class Meta:
        verbose_name_plural = "payout batches"
        constraints = [
            models.UniqueConstraint(
                fields=["channel", "currency", "execution_day"],
                condition=Q(state="prepared", approved_by=None),
                name="payout_batch_one_open",
            ),
            models.CheckConstraint(
                name="payout_batch_four_eyes",
                condition=Q(approved_by=None) | Q(released_by=None) | ~Q(released_by=models.F("approved_by")),
            ),
        ]

    def __str__(self) -> str:
        return ids.public(self.prefix, self.id)


class Payout(models.Model):
    """Money out, to the shop and nobody else: a foreign key of both columns holds its account to the same shop.

    prepared → sent → paid → (perhaps) returned; prepared or sent → failed. A failed or returned one is the shop's
    available money again.
    """

    class State(models.TextChoices):
        PREPARED = "prepared", _("Prepared")
        SENT = "sent", _("Sent")
        PAID = "paid", _("Paid")
        FAILED = "failed", _("Failed")
        RETURNED = "returned", _("Returned")

    prefix = "pyo"
    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="payouts")
    account = models.ForeignKey(PayoutAccount, on_delete=models.PROTECT, related_name="payouts")
    batch = models.ForeignKey(PayoutBatch, on_delete=models.PROTECT, null=True, related_name="payouts", db_index=False)
    earned_day = models.DateField(help_text="what was earned until the cut-off of this day is in it")
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    state = models.CharField(max_length=8, choices=State.choices, default=State.PREPARED)
    object_id = models.CharField(max_length=80, blank=True, help_text="its id at the channel, once known")
    failure = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)
    settled_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_call_at = models.DateTimeField(null=True, help_text="when the channel is asked (again)")

    class Meta:
        constraints = [
            models.CheckConstraint(name="payout_amount_positive", condition=Q(amount__gt=0)),
            models.UniqueConstraint(
                fields=["shop", "currency", "earned_day"],
                condition=~Q(state__in=["failed", "returned"]),
                name="payout_once_a_day",
            ),
        ]
        indexes = [
            models.Index(fields=["shop", "-id"], name="payout_of_shop"),
            models.Index(fields=["batch", "id"], name="payout_of_batch"),
            models.Index(fields=["next_call_at"], name="payout_to_call", condition=Q(next_call_at__isnull=False)),
            models.Index(
                fields=["state", "currency"], name="payout_under_way", condition=Q(state__in=["prepared", "sent"])
            ),
        ]

    def __str__(self) -> str:
        return self.reference

    @property
    def reference(self) -> str:
        """The name of this payout at the channel, its end-to-end id, and the idempotency key of asking for it."""
        return ids.public(self.prefix, self.id)
