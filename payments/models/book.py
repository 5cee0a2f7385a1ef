"""The book: accounts, immutable entries (one movement each), and the balances kept beside them."""

from __future__ import annotations

from datetime import timedelta

from django.db import models
from django.db.models import Q
from django.db.models.lookups import GreaterThan, LessThan
from django.utils.translation import gettext_lazy as _

from merchants import ids
from merchants.models import Shop
from payments.models.accounts import ProviderAccount


class Account(models.Model):
    """A place where money stands, in one currency: of the platform, of a shop, or of a provider account."""

    class Kind(models.TextChoices):
        PROVIDER_RECEIVABLE = "provider_receivable", _("Provider Receivable")
        SHOP_PENDING = "shop_pending", _("Shop Pending")
        SHOP_AVAILABLE = "shop_available", _("Shop Available")
        SETTLED_DIRECT = "settled_direct", _("Settled Direct")
        REFUNDS_IN_FLIGHT = "refunds_in_flight", _("Refunds In Flight")
        PAYOUTS_IN_FLIGHT = "payouts_in_flight", _("Payouts In Flight")
        DISPUTES_HELD = "disputes_held", _("Disputes Held")
        FEE_INCOME = "fee_income", _("Fee Income")
        PROVIDER_FEES = "provider_fees", _("Provider Fees")
        BANK = "bank", _("Bank")
        SUSPENSE = "suspense", _("Suspense")
        ADJUSTMENTS = "adjustments", _("Adjustments")

    id = models.BigAutoField(primary_key=True)
    key = models.CharField(max_length=160, unique=True, help_text="the columns below in one word, for one index")
    kind = models.CharField(max_length=20, choices=Kind.choices)
    currency = models.CharField(max_length=3)
    funds = models.CharField(
        max_length=6,
        choices=ProviderAccount.Funds.choices,
        blank=True,
        help_text="a shop's held and direct money stand apart: direct money is never paid out",
    )
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, null=True, related_name="accounts")
    provider_account = models.ForeignKey(ProviderAccount, on_delete=models.PROTECT, null=True, related_name="accounts")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "currency", "funds", "shop", "provider_account"],
                name="account_once",
                nulls_distinct=False,
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.currency} {self.shop or self.provider_account or ''}".strip()


class AccountBalance(models.Model):
    """The running totals of one account, changed once per batch with the rows locked in id order."""

    account = models.OneToOneField(Account, on_delete=models.PROTECT, primary_key=True, related_name="balance")
    debits = models.BigIntegerField(default=0)
    credits = models.BigIntegerField(default=0)


class BalanceSnapshot(models.Model):
    """The totals of one account over all entries before `moment`: what makes "the balance at" a short sum."""

    id = models.BigAutoField(primary_key=True)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="snapshots")
    moment = models.DateTimeField()
    debits = models.BigIntegerField()
    credits = models.BigIntegerField()
    whole = models.BooleanField(
        default=True, db_default=True, help_text="taken of every account that had moved by then"
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "moment"], name="balance_snapshot_once")]
        indexes = [models.Index(fields=["moment"], name="balance_snapshot_whole", condition=Q(whole=True))]


_DELAY = models.F("recorded_at") - models.F("occurred_at")
_APART = Q(LessThan(_DELAY, timedelta(days=-1))) | Q(GreaterThan(_DELAY, timedelta(days=2)))


class LedgerEntry(models.Model):
    """One movement: `amount` of `currency`, credited to one account and debited to another. Inserted, never changed.

    The id is a UUIDv7 of `recorded_at`, so reading by id is reading in time; the table is partitioned by month. What
    was booked once says EntryKey. A trigger checks that both accounts exist and carry this currency, for a whole
    statement at once; other triggers refuse UPDATE, DELETE and TRUNCATE.
    """

    class Kind(models.TextChoices):
        PAID = "paid", _("Paid")
        DUE = "due", _("Due")
        FEE = "fee", _("Fee")
        REFUND_ASKED = "refund_asked", _("Refund Asked")
        REFUND_CONFIRMED = "refund_confirmed", _("Refund Confirmed")
        REFUND_FAILED = "refund_failed", _("Refund Failed")
        REFUND_REPORTED = "refund_reported", _("Refund Reported")
        DISPUTE_HELD = "dispute_held", _("Dispute Held")
        DISPUTE_RELEASED = "dispute_released", _("Dispute Released")
        DISPUTE_LOST = "dispute_lost", _("Dispute Lost")
        ADJUSTED = "adjusted", _("Adjusted")
        PROVIDER_FEE = "provider_fee", _("Provider Fee")
        SETTLED = "settled", _("Settled")
        CREDITED = "credited", _("Credited")
        PAYOUT_ASKED = "payout_asked", _("Payout Asked")
        PAYOUT_PAID = "payout_paid", _("Payout Paid")
        PAYOUT_FAILED = "payout_failed", _("Payout Failed")
        PAYOUT_RETURNED = "payout_returned", _("Payout Returned")
        REVERSED = "reversed", _("Reversed")

    prefix = "ent"
    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    key = models.CharField(max_length=200, help_text="what makes this movement happen once")
    kind = models.CharField(max_length=20, choices=Kind.choices)
    debit = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    credit = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    shop = models.ForeignKey(
        Shop, on_delete=models.PROTECT, null=True, related_name="entries", db_constraint=False, db_index=False
    )
    payment_id = models.UUIDField(null=True)
    refund_id = models.UUIDField(null=True)
    dispute_id = models.UUIDField(null=True)
    event_id = models.UUIDField(null=True)
    cause_id = models.UUIDField(
        null=True, help_text="the match, payout or adjustment it was posted for; of a fee its contract"
    )
    occurred_at = models.DateTimeField()
    recorded_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "ledger entries"
        constraints = [
            models.CheckConstraint(name="ledger_entry_amount_positive", condition=Q(amount__gt=0)),
            models.CheckConstraint(name="ledger_entry_two_accounts", condition=~Q(debit=models.F("credit"))),
        ]
        indexes = [
            models.Index(fields=["shop", "-id"], name="ledger_entry_of_shop"),
            models.Index(fields=["cause_id"], name="ledger_entry_cause", condition=Q(cause_id__isnull=False)),
            # What our book learned much later than it happened, or before: a day is read by its ids, and by this.
            models.Index(fields=["shop", "occurred_at"], name="ledger_entry_apart", condition=_APART),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount} {self.currency}"


class EntryKey(models.Model):
    """What was booked, once for ever: the key of an entry, written in the statement that writes the entry."""

    key = models.CharField(max_length=200, primary_key=True)
    entry_id = models.UUIDField()

    def __str__(self) -> str:
        return self.key
