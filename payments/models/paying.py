"""What we expect and what happened: intents, payments, refunds and disputes."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Cast, Right
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from merchants import ids
from merchants.models import Code, Item, Shop, Staff, User
from payments.models.accounts import ProviderAccount


class PaymentIntent(models.Model):
    """What we expect: this payer is about to pay this amount. open → paid, expired or canceled.

    `paid` says that money arrived for it; whether it was the right amount, its Payment's `match` says.
    """

    class State(models.TextChoices):
        OPEN = "open", _("Open")
        PAID = "paid", _("Paid")
        EXPIRED = "expired", _("Expired")
        CANCELED = "canceled", _("Canceled")

    class Closing(models.TextChoices):
        """Why we asked the provider to close it, or why the provider did."""

        NONE = "", _("None")
        EXPIRED = "expired", _("Expired")
        FROZEN = "frozen", _("Frozen")
        REFUSED = "refused", _("Refused")

    prefix = "int"
    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, db_index=False, related_name="intents")
    code = models.ForeignKey(Code, on_delete=models.PROTECT, related_name="intents")
    item = models.ForeignKey(Item, on_delete=models.PROTECT, null=True, related_name="intents")
    staff = models.ForeignKey(Staff, on_delete=models.PROTECT, null=True, db_index=False, related_name="intents")
    provider_account = models.ForeignKey(
        ProviderAccount, on_delete=models.PROTECT, db_index=False, related_name="intents"
    )
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    quantity = models.PositiveIntegerField(default=1)
    description = models.CharField(max_length=120)
    state = models.CharField(max_length=8, choices=State.choices, default=State.OPEN)
    closing = models.CharField(max_length=8, choices=Closing.choices, blank=True, default="")
    single_use = models.BooleanField(default=False)
    page = models.UUIDField(unique=True, help_text="the id of the pay page it was started from")
    payer = models.CharField(max_length=64, help_text="a hash of the payer's cookie")
    receipt = models.CharField(max_length=32, unique=True)
    provider_object_id = models.CharField(max_length=120, blank=True, help_text="what it was started as, there")
    redirect_url = models.TextField(blank=True)
    handover = models.JSONField(default=dict, help_text="how the payer gets to her wallet, beside the redirect")
    start_failure = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    # Of the state, what the index below is limited by: paying leaves it as it is, so the row is rewritten in place.
    given_up = models.GeneratedField(
        expression=Q(state__in=["expired", "canceled"]),  # type: ignore[arg-type]  # The stubs do not know of Q here.
        output_field=models.BooleanField(),
        db_persist=True,
    )

    class Meta:
        constraints = [
            models.CheckConstraint(name="intent_amount_positive", condition=Q(amount__gt=0)),
            models.UniqueConstraint(
                fields=["code"],
                condition=Q(single_use=True, given_up=False),
                name="intent_one_for_a_one_time_code",
            ),
        ]
        indexes = [
            models.Index(fields=["shop", "-id"], name="intent_of_shop"),
        ]

    def __str__(self) -> str:
        return self.reference

    @property
    def startable(self) -> bool:
        """Whether the payer can be handed over to her wallet."""
        return bool(self.redirect_url or self.handover)

    @property
    def reference(self) -> str:
        """The name of this intent at the provider, and the idempotency key of its start."""
        return ids.public(self.prefix, self.id)


# Not as it was asked for, or in suspense.
IRREGULAR = ~Q(match="exact") | Q(placed=False)
# The last four letters of a receipt's number (20 bits of its intent's id), which a customer reads out.
RECEIPT_TAIL = Right(Cast("intent", models.TextField()), 5)


class Payment(models.Model):
    """What the provider says happened: money that arrived, once per (account, object id), and how it fits an intent.

    A trigger checks, for a whole statement at once, that account, shop and intent exist and that the intent is the
    shop's; others refuse to delete what payments name. One look for all rows is cheaper than three for each.
    """

    class Match(models.TextChoices):
        EXACT = "exact", _("Exact")
        SHORT = "short", _("Short")
        OVER = "over", _("Over")
        LATE = "late", _("Late")
        DOUBLE = "double", _("Double")
        UNEXPECTED = "unexpected", _("Unexpected")

    prefix = "pay"
    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    provider_account = models.ForeignKey(
        ProviderAccount, on_delete=models.PROTECT, db_constraint=False, db_index=False, related_name="payments"
    )
    object_id = models.CharField(max_length=80)
    shop = models.ForeignKey(
        Shop, on_delete=models.PROTECT, null=True, db_constraint=False, db_index=False, related_name="payments"
    )
    intent = models.ForeignKey(
        PaymentIntent, on_delete=models.PROTECT, null=True, db_constraint=False, related_name="payments"
    )
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    match = models.CharField(max_length=10, choices=Match.choices)
    placed = models.BooleanField(help_text="booked to the shop; otherwise it waits in suspense")
    occurred_at = models.DateTimeField()
    recorded_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True, help_text="when it turns from pending to available; empty once it has")
    fee_amount = models.BigIntegerField(
        default=0, db_default=0, help_text="what we charged for it when it became available"
    )

    class Meta:
        constraints = [
            # The object first: payments/facts.py finds them by it.
            models.UniqueConstraint(fields=["object_id", "provider_account"], name="payment_economic_key"),
            models.CheckConstraint(name="payment_amount_positive", condition=Q(amount__gt=0)),
            models.CheckConstraint(name="payment_placed_has_shop", condition=Q(placed=False) | Q(shop__isnull=False)),
        ]
        indexes = [
            models.Index(fields=["shop", "-id"], name="payment_of_shop"),
            # Which payments of a day no statement has confirmed.
            models.Index(fields=["provider_account", "occurred_at"], name="payment_of_account"),
            # What a vendor asks for (payments/search.py), each newest first.
            models.Index(fields=["shop", "-occurred_at", "-id"], name="payment_happened"),
            models.Index(fields=["shop", "provider_account", "-occurred_at", "-id"], name="payment_by_wallet"),
            models.Index(fields=["shop", "amount", "-occurred_at", "-id"], name="payment_by_amount"),
            models.Index(fields=["shop", "-occurred_at", "-id"], name="payment_wants_look", condition=IRREGULAR),
            models.Index(F("shop"), RECEIPT_TAIL, name="payment_receipt_tail"),
        ]

    # Read once for each, or for many payments together: `Prefetch("refunds", to_attr="its_refunds")`.

    @cached_property
    def its_refunds(self) -> list[Refund]:
        return list(self.refunds.all())

    @cached_property
    def its_disputes(self) -> list[Dispute]:
        return list(self.disputes.all())

    def __str__(self) -> str:
        return ids.public(self.prefix, self.id)


class Refund(models.Model):
    """Money back. Asked by us (`requested`), or reported by the provider. "Refunded" is the sum of these rows."""

    class State(models.TextChoices):
        REQUESTED = "requested", _("Requested")
        SUCCEEDED = "succeeded", _("Succeeded")
        FAILED = "failed", _("Failed")

    class Origin(models.TextChoices):
        SHOP = "shop", _("Shop")
        PROVIDER = "provider", _("Provider")
        OPERATOR = "operator", _("by us, of money that nobody could place")

    class Review(models.TextChoices):
        """Whether an operator has to look at it before the provider is asked."""

        NONE = "", _("not needed")
        WAITING = "waiting", _("waits for an operator")
        APPROVED = "approved", _("approved")
        REFUSED = "refused", _("refused")

    prefix = "rfd"
    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="refunds")
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, null=True, related_name="refunds")
    origin = models.CharField(max_length=8, choices=Origin.choices, default=Origin.SHOP)
    requested_by = models.ForeignKey(Staff, on_delete=models.PROTECT, null=True, related_name="refunds")
    confirmed = models.BooleanField(default=False, help_text="by a code that was sent to the phone of who asked for it")
    object_id = models.CharField(max_length=80, blank=True, help_text=_("its id at the provider, once known"))
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    reason = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=9, choices=State.choices, default=State.REQUESTED)
    pending_amount = models.BigIntegerField(
        default=0, help_text="how much of it was drawn from the shop's pending money; the rest came from the available"
    )
    failure = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_call_at = models.DateTimeField(null=True, help_text=_("when the provider is asked (again)"))
    review = models.CharField(max_length=8, choices=Review.choices, blank=True, default="", db_default="")
    reviewed_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="reviewed_refunds")
    reviewed_at = models.DateTimeField(null=True)
    refusal = models.CharField(
        max_length=500, blank=True, default="", db_default="", help_text=_("why an operator refused it, for the shop")
    )

    class Meta:
        constraints = [
            models.CheckConstraint(name="refund_amount_positive", condition=Q(amount__gt=0)),
            models.CheckConstraint(
                name="refund_held_is_not_sent", condition=~Q(review="waiting") | Q(next_call_at__isnull=True)
            ),
            models.UniqueConstraint(
                fields=["payment", "object_id"], condition=~Q(object_id=""), name="refund_object_once"
            ),
        ]
        indexes = [
            models.Index(fields=["payment"], name="refund_of_payment"),
            models.Index(fields=["shop", "-id"], name="refund_of_shop"),
            models.Index(fields=["next_call_at"], name="refund_to_call", condition=Q(next_call_at__isnull=False)),
            # By which a statement names it, and which of a day no statement has confirmed.
            models.Index(fields=["object_id"], name="refund_of_object", condition=~Q(object_id="")),
            models.Index(fields=["settled_at"], name="refund_settled", condition=Q(state="succeeded")),
            models.Index(fields=["id"], name="refund_to_review", condition=Q(review="waiting", state="requested")),
        ]

    def __str__(self) -> str:
        return self.reference

    @property
    def held(self) -> bool:
        """Whether it waits for an operator, and its provider does not know of it."""
        return self.review == self.Review.WAITING and self.state == self.State.REQUESTED

    @property
    def reference(self) -> str:
        """The name of this refund at the provider, and the idempotency key of asking for it."""
        return ids.public(self.prefix, self.id)


class Dispute(models.Model):
    """Money contested by its payer at her bank or wallet. While it is open it is held; the provider's word ends it."""

    class State(models.TextChoices):
        OPEN = "open", _("Open")
        WON = "won", _("Won")
        LOST = "lost", _("Lost")
        CLOSED = "closed", _("Closed")

    prefix = "dsp"
    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="disputes")
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, null=True, related_name="disputes")
    object_id = models.CharField(max_length=80, help_text="its id at the provider")
    amount = models.BigIntegerField(help_text="held while it is open; lost when it is lost")
    currency = models.CharField(max_length=3)
    state = models.CharField(max_length=6, choices=State.choices, default=State.OPEN)
    pending_amount = models.BigIntegerField(default=0, help_text="how much of it was drawn from the pending money")
    evidence_due_at = models.DateTimeField(null=True, help_text="until when the shop may answer it")
    reminded_at = models.DateTimeField(null=True)
    told_at = models.DateTimeField(help_text="of the provider's latest word, by its own time")
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(name="dispute_amount_positive", condition=Q(amount__gt=0)),
            models.UniqueConstraint(fields=["payment", "object_id"], name="dispute_object_once"),
        ]
        indexes = [
            models.Index(fields=["shop", "-id"], name="dispute_of_shop"),
            models.Index(
                fields=["evidence_due_at"],
                name="dispute_to_remind",
                condition=Q(state="open", reminded_at__isnull=True, evidence_due_at__isnull=False),
            ),
            models.Index(fields=["object_id"], name="dispute_of_object"),
            models.Index(fields=["told_at"], name="dispute_lost", condition=Q(state="lost")),
        ]

    def __str__(self) -> str:
        return ids.public(self.prefix, self.id)
