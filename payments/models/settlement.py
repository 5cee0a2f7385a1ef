"""What providers and our bank say moved, line by line, and how each line was matched with our book."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from merchants import ids
from merchants.models import Shop, User
from payments.models.accounts import ProviderAccount
from payments.models.paying import Dispute, Payment, Refund


class BankAccount(models.Model):
    """An account of our own at a bank: where providers settle to, and from which shops are paid out."""

    prefix = "bnk"
    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    name = models.SlugField(max_length=40, unique=True)
    holder = models.CharField(max_length=140, help_text="as the bank writes it: who pays out, in a batch file")
    number = models.CharField(max_length=34, unique=True, help_text="IBAN, or the bank's own number")
    bank_code = models.CharField(max_length=35, blank=True, help_text="BIC, or the national code of the bank")
    currency = models.CharField(max_length=3)
    active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class Statement(models.Model):
    """A provider's own settlement file, or a statement of our bank: taken in whole, or refused whole.

    A fetched one begins `wanted`: its row is the queue. `failure` names what breaks a refused one, and its line. The
    same bytes are taken in once; files without a row look alike on every still day.
    """

    class State(models.TextChoices):
        WANTED = "wanted", _("Wanted")
        IMPORTED = "imported", _("Imported")
        REFUSED = "refused", _("Refused")
        REPLACED = "replaced", _("Replaced")

    prefix = "stm"
    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    provider_account = models.ForeignKey(
        ProviderAccount, on_delete=models.PROTECT, null=True, related_name="statements"
    )
    bank_account = models.ForeignKey(BankAccount, on_delete=models.PROTECT, null=True, related_name="statements")
    format = models.CharField(max_length=24, blank=True, help_text="by which its rows are read")
    day = models.DateField(null=True, help_text="of the provider's own calendar; empty when the file spans several")
    state = models.CharField(max_length=8, choices=State.choices, default=State.WANTED)
    name = models.CharField(max_length=200, blank=True, help_text="of the file, as it came")
    sha256 = models.CharField(max_length=64, blank=True)
    size = models.BigIntegerField(default=0, help_text="in bytes")
    line_count = models.PositiveIntegerField(default=0)
    heading = models.JSONField(default=dict, help_text="what stands in it outside of its rows")
    fetched = models.BooleanField(help_text="by us, from the provider itself; otherwise a person brought it")
    uploaded_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    failure = models.CharField(max_length=300, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(null=True, help_text="when it is fetched (again)")
    created_at = models.DateTimeField()
    imported_at = models.DateTimeField(null=True)
    sought_at = models.DateTimeField(null=True, help_text="when all of our book of its day was held against statements")

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="statement_of_one_source",
                condition=Q(provider_account__isnull=False, bank_account=None)
                | Q(provider_account=None, bank_account__isnull=False),
            ),
            models.CheckConstraint(
                name="statement_brought_or_fetched", condition=Q(fetched=True) | Q(uploaded_by__isnull=False)
            ),
            models.UniqueConstraint(
                fields=["provider_account", "sha256"],
                condition=Q(state="imported", provider_account__isnull=False, line_count__gt=0),
                name="statement_of_provider_once",
            ),
            models.UniqueConstraint(
                fields=["bank_account", "sha256"],
                condition=Q(state="imported", bank_account__isnull=False, line_count__gt=0),
                name="statement_of_bank_once",
            ),
            models.UniqueConstraint(
                fields=["provider_account", "format", "day"],
                condition=Q(fetched=True, state__in=["wanted", "imported"]),
                name="statement_of_day_once",
            ),
        ]
        indexes = [
            models.Index(fields=["due_at"], name="statement_due", condition=Q(due_at__isnull=False)),
            models.Index(fields=["created_at"], name="statement_wanted", condition=Q(state="wanted")),
            models.Index(
                fields=["day"],
                name="statement_to_seek",
                condition=Q(state="imported", sought_at=None, day__isnull=False, provider_account__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return ids.public(self.prefix, self.id)


class Settlement(models.Model):
    """What a provider paid into our bank at once: the net of its lines, the sum it tells, and what arrived."""

    class State(models.TextChoices):
        IN_TRANSIT = "in_transit", _("In Transit")
        ARRIVED = "arrived", _("Arrived")
        DIFFERS = "differs", _("Differs")
        OVERDUE = "overdue", _("Overdue")

    prefix = "set"
    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    provider_account = models.ForeignKey(ProviderAccount, on_delete=models.PROTECT, related_name="settlements")
    reference = models.CharField(max_length=120, help_text="its id at the provider")
    currency = models.CharField(max_length=3)
    told_amount = models.BigIntegerField(null=True, help_text="what the provider says it paid; empty until it does")
    lines_amount = models.BigIntegerField(default=0, help_text="the net of the lines that name it")
    arrived_amount = models.BigIntegerField(default=0, help_text="what our bank says arrived for it")
    state = models.CharField(max_length=10, choices=State.choices, default=State.IN_TRANSIT)
    told_at = models.DateTimeField(null=True)
    look_at = models.DateTimeField(null=True, help_text="when its silence becomes a question")
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["provider_account", "reference", "currency"], name="settlement_once")
        ]
        indexes = [
            models.Index(fields=["look_at"], name="settlement_to_look_at", condition=Q(look_at__isnull=False)),
            models.Index(fields=["currency", "state"], name="settlement_state"),
        ]

    def __str__(self) -> str:
        return ids.public(self.prefix, self.id)


class Match(models.Model):
    """That these lines are about a payment, a refund, a dispute, settlements or a payout. Explained; can be undone.

    Lines name their match, so one, or several (1–n), or a settlement of many (n–1) are the same table. Undoing keeps
    the row, and reverses by new entries whatever was posted for it.
    """

    class Rule(models.TextChoices):
        OBJECT_ID = "object_id", _("by the provider's own id")
        REFERENCE = "reference", _("by our reference")
        SETTLEMENT_ID = "settlement_id", _("by the settlement's id")
        AMOUNT = "amount", _("by the amount, alone among those of its days")
        SUM = "sum", _("several together make the amount")
        BY_HAND = "by_hand", _("by a person")
        NONE = "none", _("fits nothing that is known: in suspense")

    prefix = "mat"
    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    rule = models.CharField(max_length=14, choices=Rule.choices)
    # A row is written for every line: only what matches are found by has an index.
    provider_account = models.ForeignKey(
        ProviderAccount, on_delete=models.PROTECT, null=True, related_name="matches", db_index=False
    )
    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, null=True, related_name="matches")
    refund = models.ForeignKey(Refund, on_delete=models.PROTECT, null=True, related_name="matches", db_index=False)
    dispute = models.ForeignKey(Dispute, on_delete=models.PROTECT, null=True, related_name="matches", db_index=False)
    payout_id = models.UUIDField(null=True)
    why = models.JSONField(default=dict, help_text="what was compared, on both sides")
    made_at = models.DateTimeField()
    made_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    undone_at = models.DateTimeField(null=True)
    undone_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    undone_reason = models.CharField(max_length=500, blank=True)

    class Meta:
        verbose_name_plural = "matches"
        constraints = [
            models.UniqueConstraint(
                fields=["payment"],
                condition=Q(undone_at=None, refund=None, dispute=None, payment__isnull=False),
                name="match_of_payment_once",
            ),
            models.UniqueConstraint(
                fields=["refund"], condition=Q(undone_at=None, refund__isnull=False), name="match_of_refund_once"
            ),
            models.UniqueConstraint(
                fields=["dispute"], condition=Q(undone_at=None, dispute__isnull=False), name="match_of_dispute_once"
            ),
            models.UniqueConstraint(
                fields=["payout_id"],
                condition=Q(undone_at=None, payout_id__isnull=False),
                name="match_of_payout_once",
            ),
        ]

    def __str__(self) -> str:
        return ids.public(self.prefix, self.id)


class SettlementMatch(models.Model):
    """Which settlement a match of bank lines is about: several for one credit that pays several at once."""

    match = models.ForeignKey(Match, on_delete=models.PROTECT, related_name="settlements")
    settlement = models.ForeignKey(Settlement, on_delete=models.PROTECT, related_name="matches")
    amount = models.BigIntegerField(help_text="of the credit, for this settlement")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["match", "settlement"], name="settlement_match_once")]


class StatementLine(models.Model):
    """A row as read (`raw`), its meaning as today's adapter reads it (the columns below), and what became of it.

    Amounts are signed as the account sees them: a payment is positive, a refund and a payout negative; `fee` is what
    was kept of it. `kind` is empty while nobody has read it. `look_at` is set while it still has to be looked at.
    """

    class Kind(models.TextChoices):
        PAYMENT = "payment", _("Payment")
        REFUND = "refund", _("Refund")
        FEE = "fee", _("Fee")
        CHARGEBACK = "chargeback", _("Chargeback")
        PAYOUT = "payout", _("Payout")
        ADJUSTMENT = "adjustment", _("Adjustment")
        CREDIT = "credit", _("Credit")
        DEBIT = "debit", _("Debit")
        NOTHING = "nothing", _("moves no money")

    class Outcome(models.TextChoices):
        MATCHED = "matched", _("Matched")
        MISSING_IN_BOOKS = "missing_in_books", _("Missing In Books")
        AMOUNT_DIFFERS = "amount_differs", _("Amount Differs")
        CURRENCY_DIFFERS = "currency_differs", _("Currency Differs")
        FEE_DIFFERS = "fee_differs", _("Fee Differs")
        DUPLICATE = "duplicate", _("Duplicate")
        TIMING = "timing", _("Timing")
        ASKED = "asked", _("the provider is being asked")
        UNREADABLE = "unreadable", _("Unreadable")
        NOTHING = "nothing", _("moves no money")
        UNDONE = "undone", _("its match was undone by a person")

    id = models.BigAutoField(primary_key=True)
    # The constraint below is an index that begins with it.
    statement = models.ForeignKey(Statement, on_delete=models.PROTECT, related_name="lines", db_index=False)
    provider_account = models.ForeignKey(
        ProviderAccount, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    number = models.PositiveIntegerField(help_text="its line in the file")
    raw = models.JSONField()
    kind = models.CharField(max_length=10, choices=Kind.choices, blank=True, default="")
    object_id = models.CharField(max_length=120, blank=True, default="")
    parent_object_id = models.CharField(max_length=120, blank=True, default="")
    reference = models.CharField(max_length=200, blank=True, default="")
    settlement_id = models.CharField(max_length=120, blank=True, default="")
    amount = models.BigIntegerField(default=0)
    fee = models.BigIntegerField(default=0)
    currency = models.CharField(max_length=3, blank=True, default="")
    occurred_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=16, choices=Outcome.choices, blank=True, default="")
    # Without a check for each row, which would cost as much as the update: `check_books` asks it of all at once.
    match = models.ForeignKey(Match, on_delete=models.PROTECT, null=True, related_name="lines", db_constraint=False)
    look_at = models.DateTimeField(null=True, help_text="when it is looked at (again)")
    looks = models.PositiveSmallIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["statement", "number"], name="statement_line_once")]
        indexes = [
            models.Index(
                fields=["provider_account", "kind", "object_id"],
                name="statement_line_object",
                condition=~Q(object_id=""),
            ),
            models.Index(fields=["look_at", "id"], name="statement_line_due", condition=Q(look_at__isnull=False)),
            models.Index(
                fields=["provider_account", "settlement_id"],
                name="statement_line_settled",
                condition=~Q(settlement_id=""),
            ),
            # What a person has to look at, among very many that fit.
            models.Index(
                fields=["outcome", "-id"],
                name="statement_line_open",
                condition=Q(
                    outcome__in=[
                        "missing_in_books",
                        "amount_differs",
                        "currency_differs",
                        "fee_differs",
                        "duplicate",
                        "timing",
                        "asked",
                        "unreadable",
                        "undone",
                    ]
                ),
            ),
            # Which payments without a name are alike: only one that is alone can be known by its amount.
            models.Index(
                fields=["provider_account", "currency", "amount"],
                name="statement_line_nameless",
                condition=Q(object_id="", kind="payment"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.statement} line {self.number}"


class Adjustment(models.Model):
    """What an operator books to end a discrepancy. Above a limit it waits until a second operator agrees (four eyes).

    `remedy` names one of the few things that can be done (`payments.remedies`): nobody chooses accounts freely.
    """

    class State(models.TextChoices):
        PROPOSED = "proposed", _("Proposed")
        POSTED = "posted", _("Posted")
        REFUSED = "refused", _("Refused")

    prefix = "adj"
    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    discrepancy = models.ForeignKey("payments.Discrepancy", on_delete=models.PROTECT, related_name="adjustments")
    remedy = models.CharField(max_length=24)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, null=True, related_name="adjustments")
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    note = models.CharField(max_length=500)
    state = models.CharField(max_length=8, choices=State.choices, default=State.PROPOSED)
    proposed_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField()
    decided_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True)
    four_eyes = models.BooleanField(help_text="above the limit: who proposes it cannot agree to it")
    explains = models.BigIntegerField(
        null=True,
        help_text="what its entry credits to a provider, less debits; kept when that leaves the database",
    )

    class Meta:
        constraints = [
            models.CheckConstraint(name="adjustment_amount_positive", condition=Q(amount__gt=0)),
            models.UniqueConstraint(fields=["discrepancy"], condition=Q(state="proposed"), name="adjustment_one_waits"),
            models.CheckConstraint(
                name="adjustment_four_eyes",
                condition=Q(four_eyes=False) | ~Q(state="posted") | ~Q(decided_by=models.F("proposed_by")),
            ),
        ]

    def __str__(self) -> str:
        return ids.public(self.prefix, self.id)
