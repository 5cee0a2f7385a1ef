"""Something that does not fit: with a reason, an age, an owner and a resolution."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from merchants import ids
from merchants.models import Shop, User
from payments.models.accounts import ProviderAccount
from payments.models.paying import Payment, PaymentIntent, Refund
from payments.models.payouts import Payout
from payments.models.settlement import Settlement, StatementLine


class Discrepancy(models.Model):
    """One open question about money. `key` makes the same question arise once, however often its event is applied."""

    class Reason(models.TextChoices):
        SHORT = "short", _("the payer paid less than asked")
        OVER = "over", _("the payer paid more than asked")
        LATE = "late", _("paid after the intent was closed")
        DOUBLE = "double", _("paid twice")
        UNEXPECTED = "unexpected", _("a payment that no intent announced")
        UNKNOWN_REFERENCE = "unknown_reference", _("a payment with a reference that is not ours")
        WRONG_CURRENCY = "wrong_currency", _("paid in another currency than asked")
        OTHER_ACCOUNT = "other_account", _("an event of one account about another account's intent")
        CONTRADICTION = "contradiction", _("the provider tells two different stories of one payment")
        REFUND_EXCESS = "refund_excess", _("refunded more than was received")
        REFUND_DIFFERS = "refund_differs", _("refunded another amount than asked")
        REFUND_REFUSED = "refund_refused", _("the provider will not carry out a refund that was asked for")
        DISPUTE_EXCESS = "dispute_excess", _("contested and refunded more than was received")
        WRONG_ACCOUNT = "wrong_account", _("a proved event about another account at the provider")
        SUSPECT = "suspect", _("a proved event that contradicts itself")
        MISSING_IN_BOOKS = "missing_in_books", _("a statement has what our book does not know")
        MISSING_AT_PROVIDER = "missing_at_provider", _("our book has what no statement confirms")
        AMOUNT_DIFFERS = "amount_differs", _("a statement has another amount than our book")
        CURRENCY_DIFFERS = "currency_differs", _("a statement has another currency than our book")
        FEE_DIFFERS = "fee_differs", _("the provider kept another fee than agreed")
        STATED_TWICE = "stated_twice", _("a statement has the same thing twice")
        STATED_OTHERWISE = (
            "stated_otherwise",
            _("a fee or a correction that is about nothing of ours"),
        )
        LINE_UNREADABLE = "line_unreadable", _("a line of a statement that makes no sense to us")
        SETTLEMENT_DIFFERS = "settlement_differs", _("the bank got another amount than the provider's lines make")
        SETTLEMENT_OVERDUE = "settlement_overdue", _("a settlement that has not reached the bank")
        UNKNOWN_CREDIT = "unknown_credit", _("money at the bank that nobody announced")
        UNKNOWN_DEBIT = "unknown_debit", _("money that left the bank and was not sent by us")
        PAYOUT_FAILED = "payout_failed", _("a payout that did not reach its shop")

    class State(models.TextChoices):
        OPEN = "open", _("Open")
        RESOLVED = "resolved", _("Resolved")

    SUGGESTIONS = {
        Reason.SHORT: _("Ask the customer for the rest, or refund what came."),
        Reason.OVER: _("Refund the difference to the payer."),
        Reason.LATE: _("Hand over the goods, or refund the payment."),
        Reason.DOUBLE: _("Refund one of the two payments."),
        Reason.UNEXPECTED: _("Ask the shop what it was for; keep it or refund it."),
        Reason.UNKNOWN_REFERENCE: _("Look the payment up at the provider; place it with a shop or return it."),
        Reason.WRONG_CURRENCY: _("Return the payment at the provider, or convert and place it."),
        Reason.OTHER_ACCOUNT: _("Check who holds this account's secret; rotate it if anyone else may."),
        Reason.CONTRADICTION: _("Query the provider and compare with its statement."),
        Reason.REFUND_EXCESS: _("Claim the excess back from the provider or the payer."),
        Reason.REFUND_DIFFERS: _("Compare with the provider's statement; adjust what is left."),
        Reason.REFUND_REFUSED: _("See why the provider refuses; refund at its own desk, or tell the shop."),
        Reason.DISPUTE_EXCESS: _("Tell the provider that the payment was refunded already."),
        Reason.WRONG_ACCOUNT: _("Check the account's ids; somebody may send us another account's notifications."),
        Reason.SUSPECT: _("Look at the raw event; query the provider and compare."),
        Reason.MISSING_IN_BOOKS: _("Look it up at the provider; book it from the statement."),
        Reason.MISSING_AT_PROVIDER: _("Ask the provider where it is; write it off when it will never come."),
        Reason.AMOUNT_DIFFERS: _("Ask the provider which is right; book the difference."),
        Reason.CURRENCY_DIFFERS: _("Ask the provider which is right; return it, or book the difference."),
        Reason.FEE_DIFFERS: _("Claim it back from the provider, or accept the fee."),
        Reason.STATED_TWICE: _("Tell the provider; it settles too much (or takes it back later)."),
        Reason.STATED_OTHERWISE: _("See the provider's desk for what it is; accept it, or claim it back."),
        Reason.LINE_UNREADABLE: _("Correct the adapter and read the line again."),
        Reason.SETTLEMENT_DIFFERS: _("Claim the rest from the provider, or accept the difference."),
        Reason.SETTLEMENT_OVERDUE: _("Ask the provider when it was sent, and the bank whether it came."),
        Reason.UNKNOWN_CREDIT: _("Find out who sent it; match it with a settlement, or return it."),
        Reason.UNKNOWN_DEBIT: _("Ask the bank at once what it was; nobody here has ordered it."),
        Reason.PAYOUT_FAILED: _("The shop has it again; ask her for an account that takes it."),
    }

    prefix = "dis"
    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    key = models.CharField(max_length=200, unique=True)
    reason = models.CharField(max_length=20, choices=Reason.choices)
    provider_account = models.ForeignKey(
        ProviderAccount,
        on_delete=models.PROTECT,
        null=True,
        related_name="discrepancies",
        help_text="empty for a question about our bank alone",
    )
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, null=True, related_name="discrepancies")
    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, null=True, related_name="discrepancies")
    intent = models.ForeignKey(PaymentIntent, on_delete=models.PROTECT, null=True, related_name="discrepancies")
    refund = models.ForeignKey(Refund, on_delete=models.PROTECT, null=True, related_name="discrepancies")
    line = models.ForeignKey(StatementLine, on_delete=models.PROTECT, null=True, related_name="discrepancies")
    settlement = models.ForeignKey(Settlement, on_delete=models.PROTECT, null=True, related_name="discrepancies")
    payout = models.ForeignKey(Payout, on_delete=models.PROTECT, null=True, related_name="discrepancies")
    event_id = models.UUIDField(null=True)
    amount = models.BigIntegerField(help_text="what does not fit, in minor units")
    currency = models.CharField(max_length=3)
    details = models.JSONField(default=dict)
    state = models.CharField(max_length=8, choices=State.choices, default=State.OPEN)
    owner = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="discrepancies")
    opened_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolution = models.CharField(max_length=500, blank=True)

    class Meta:
        verbose_name_plural = "discrepancies"
        indexes = [models.Index(fields=["opened_at"], name="discrepancy_open", condition=Q(state="open"))]

    def __str__(self) -> str:
        return ids.public(self.prefix, self.id)

    @property
    def suggestion(self) -> str:
        return str(self.SUGGESTIONS[self.Reason(self.reason)])
