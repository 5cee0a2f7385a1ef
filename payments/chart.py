"""The chart of accounts: between which two places each movement of money goes, written once.

Pure. A movement is (debit, credit, amount): balanced by construction. Held money is ours until we pay it out, so it
stands between the provider and the shop's pending and available; direct money has already reached the shop, and its
movements only keep her book.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from merchants.values import value
from payments.models import Account, LedgerEntry

Kind = LedgerEntry.Kind


@value
class Place:
    """Names an account within a currency, before anybody knows its row."""

    kind: str
    funds: str = ""
    shop_id: UUID | None = None
    provider_account_id: UUID | None = None

    def key(self, currency: str) -> str:
        """The account's name in the book, by which it is found."""
        shop = self.shop_id.hex if self.shop_id else ""
        provider_account = self.provider_account_id.hex if self.provider_account_id else ""
        return "|".join((self.kind, currency, self.funds, shop, provider_account))


# The platform's own places; each exists once in a currency.
BANK = Place(Account.Kind.BANK)
SUSPENSE = Place(Account.Kind.SUSPENSE)
ADJUSTMENTS = Place(Account.Kind.ADJUSTMENTS)
FEE_INCOME = Place(Account.Kind.FEE_INCOME)


def receivable(provider_account_id: UUID) -> Place:
    """What a provider owes us at one of our accounts there."""
    return Place(Account.Kind.PROVIDER_RECEIVABLE, "held", None, provider_account_id)


def provider_fees(provider_account_id: UUID) -> Place:
    """What a provider has kept for itself at one of our accounts there."""
    return Place(Account.Kind.PROVIDER_FEES, "held", None, provider_account_id)


def available(shop_id: UUID, funds: str = "held") -> Place:
    return Place(Account.Kind.SHOP_AVAILABLE, funds, shop_id)


def payouts_in_flight(shop_id: UUID) -> Place:
    return Place(Account.Kind.PAYOUTS_IN_FLIGHT, "held", shop_id)


@value
class Source:
    """Where a payment's money stands: at which provider account, of which funds, for which shop (or in suspense)."""

    provider_account_id: UUID
    funds: str
    shop_id: UUID | None
    placed: bool

    @property
    def outside(self) -> Place:
        """The provider's side: what it owes us, or what it has already given the shop itself."""
        if self.funds == "direct":
            return Place(Account.Kind.SETTLED_DIRECT, "direct", self.shop_id, self.provider_account_id)
        return receivable(self.provider_account_id)

    def inside(self, *, pending: bool) -> Place:
        """The shop's side, or suspense while nobody knows whose it is."""
        if not self.placed:
            return SUSPENSE
        if pending and self.funds == "held":
            return Place(Account.Kind.SHOP_PENDING, "held", self.shop_id)
        return Place(Account.Kind.SHOP_AVAILABLE, self.funds, self.shop_id)

    @property
    def in_flight(self) -> Place:
        return Place(Account.Kind.REFUNDS_IN_FLIGHT, self.funds, self.shop_id if self.placed else None)

    @property
    def held(self) -> Place:
        return Place(Account.Kind.DISPUTES_HELD, self.funds, self.shop_id if self.placed else None)


@value
class Movement:
    """One entry to be posted. `key` makes it happen once; `amount` is in minor units of `currency`, above zero."""

    key: str
    kind: str
    debit: Place
    credit: Place
    amount: int
    currency: str
    occurred_at: datetime
    shop_id: UUID | None = None
    payment_id: UUID | None = None
    refund_id: UUID | None = None
    dispute_id: UUID | None = None
    event_id: UUID | None = None
    cause_id: UUID | None = None


@value
class Subject:
    """What a movement is about; shared by all movements of one payment, refund or dispute."""

    source: Source
    currency: str
    payment_id: UUID
    refund_id: UUID | None = None
    event_id: UUID | None = None
    dispute_id: UUID | None = None
    dispute_amount: int = 0  # As the word told it that is being booked.

    def movement(self, kind: str, key: str, debit: Place, credit: Place, amount: int, at: datetime) -> Movement:
        return Movement(
            key=key,
            kind=kind,
            debit=debit,
            credit=credit,
            amount=amount,
            currency=self.currency,
            occurred_at=at,
            shop_id=self.source.shop_id,
            payment_id=self.payment_id,
            refund_id=self.refund_id,
            dispute_id=self.dispute_id,
            event_id=self.event_id,
        )


def paid(subject: Subject, amount: int, at: datetime) -> Movement:
    """Money arrived: provider_receivable / shop_pending, or settled_direct / shop_available, or … / suspense."""
    source = subject.source
    return subject.movement(
        Kind.PAID, f"paid|{subject.payment_id.hex}", source.outside, source.inside(pending=True), amount, at
    )


def due(subject: Subject, amount: int, at: datetime) -> Movement:
    """T+n has come: shop_pending / shop_available."""
    source = subject.source
    return subject.movement(
        Kind.DUE,
        f"due|{subject.payment_id.hex}",
        source.inside(pending=True),
        source.inside(pending=False),
        amount,
        at,
    )


def fee(subject: Subject, amount: int, at: datetime, *, contract_id: UUID | None) -> Movement:
    """What we charge when T+n has come: shop_pending / fee_income, named by the contract that says how much."""
    charged = subject.movement(
        Kind.FEE, f"fee|{subject.payment_id.hex}", subject.source.inside(pending=True), FEE_INCOME, amount, at
    )
    return replace(charged, cause_id=contract_id)


def refund_asked(subject: Subject, amount: int, at: datetime, *, pending: bool) -> Movement:
    source = subject.source
    return subject.movement(
        Kind.REFUND_ASKED, _refund_key("asked", subject), source.inside(pending=pending), source.in_flight, amount, at
    )


def refund_confirmed(subject: Subject, amount: int, at: datetime) -> Movement:
    source = subject.source
    return subject.movement(
        Kind.REFUND_CONFIRMED, _refund_key("confirmed", subject), source.in_flight, source.outside, amount, at
    )


def refund_failed(subject: Subject, amount: int, at: datetime, *, pending: bool) -> Movement:
    """The asking is reversed: what was in flight is the shop's again."""
    source = subject.source
    return subject.movement(
        Kind.REFUND_FAILED, _refund_key("failed", subject), source.in_flight, source.inside(pending=pending), amount, at
    )


def refund_revived(subject: Subject, amount: int, at: datetime) -> Movement:
    """A refund that had failed succeeded after all: straight from the shop's available money to the provider."""
    source = subject.source
    key = _refund_key(f"revived_{_moment(at)}", subject)
    return subject.movement(Kind.REFUND_REPORTED, key, source.inside(pending=False), source.outside, amount, at)


def refund_reported(subject: Subject, amount: int, at: datetime, *, pending: bool) -> Movement:
    """The provider refunded what nobody here had asked for: straight from the shop (or suspense) to the provider."""
    source = subject.source
    return subject.movement(
        Kind.REFUND_REPORTED,
        _refund_key("reported", subject),
        source.inside(pending=pending),
        source.outside,
        amount,
        at,
    )


def refund_returned(subject: Subject, amount: int, at: datetime, *, pending: bool) -> Movement:
    """A refund that had succeeded came back: from the provider's side to the shop."""
    source = subject.source
    key = _refund_key(f"{'returned_pending' if pending else 'returned'}_{_moment(at)}", subject)
    return subject.movement(Kind.REFUND_FAILED, key, source.outside, source.inside(pending=pending), amount, at)


def refund_divided(subject: Subject, amount: int, at: datetime, part: str, *, pending: bool) -> Movement:
    """Of a refund booked from a total, `part` (the provider's id) is one of its own: it leaves the total's row."""
    source = subject.source
    key = _refund_key(f"divided_{part}", subject)
    return subject.movement(Kind.REFUND_FAILED, key, source.outside, source.inside(pending=pending), amount, at)


def dispute_held(subject: Subject, amount: int, at: datetime, *, pending: bool) -> Movement:
    """A payer contests it: from the shop (or suspense) into disputes_held, until the provider says how it ends."""
    source = subject.source
    return subject.movement(
        Kind.DISPUTE_HELD, _dispute_key("held", subject, at), source.inside(pending=pending), source.held, amount, at
    )


def dispute_released(subject: Subject, amount: int, at: datetime, *, pending: bool) -> Movement:
    source = subject.source
    key = _dispute_key("released_pending" if pending else "released", subject, at)
    return subject.movement(Kind.DISPUTE_RELEASED, key, source.held, source.inside(pending=pending), amount, at)


def dispute_lost(subject: Subject, amount: int, at: datetime) -> Movement:
    """What was held goes back to the payer: the provider takes it out of what it owes."""
    source = subject.source
    return subject.movement(
        Kind.DISPUTE_LOST, _dispute_key("lost", subject, at), source.held, source.outside, amount, at
    )


def dispute_taken(subject: Subject, amount: int, at: datetime) -> Movement:
    """Lost, though it was not held (any more): straight from the shop's available money to the provider."""
    source = subject.source
    key = _dispute_key("taken", subject, at)
    return subject.movement(Kind.DISPUTE_LOST, key, source.inside(pending=False), source.outside, amount, at)


def dispute_returned(subject: Subject, amount: int, at: datetime) -> Movement:
    """What the provider had taken comes back to the shop."""
    source = subject.source
    key = _dispute_key("returned", subject, at)
    return subject.movement(Kind.DISPUTE_RELEASED, key, source.outside, source.inside(pending=False), amount, at)


@value
class PayoutSubject:
    """What the movements of one payout share; they are posted for the payout itself (`cause_id`)."""

    payout_id: UUID
    shop_id: UUID
    amount: int
    currency: str

    def movement(self, kind: str, debit: Place, credit: Place, at: datetime, again: str = "") -> Movement:
        return Movement(
            key=f"{kind}|{self.payout_id.hex}{again}",
            kind=kind,
            debit=debit,
            credit=credit,
            amount=self.amount,
            currency=self.currency,
            occurred_at=at,
            shop_id=self.shop_id,
            cause_id=self.payout_id,
        )


def payout_asked(subject: PayoutSubject, at: datetime, *, again: bool = False) -> Movement:
    """Money is put on its way; `again`, when one that had failed left after all."""
    shop, flying = available(subject.shop_id), payouts_in_flight(subject.shop_id)
    return subject.movement(Kind.PAYOUT_ASKED, shop, flying, at, "|again" if again else "")


def payout_paid(subject: PayoutSubject, at: datetime) -> Movement:
    return subject.movement(Kind.PAYOUT_PAID, payouts_in_flight(subject.shop_id), BANK, at)


def payout_failed(subject: PayoutSubject, at: datetime) -> Movement:
    """The asking is reversed: what was in flight is the shop's again."""
    return subject.movement(Kind.PAYOUT_FAILED, payouts_in_flight(subject.shop_id), available(subject.shop_id), at)


def payout_returned(subject: PayoutSubject, at: datetime) -> Movement:
    """What had left our bank came back to it, and is the shop's again."""
    return subject.movement(Kind.PAYOUT_RETURNED, BANK, available(subject.shop_id), at)


def _dispute_key(step: str, subject: Subject, at: datetime) -> str:
    assert subject.dispute_id is not None
    # Of one moment there are words that differ in their amount alone.
    return f"dispute_{step}|{subject.dispute_id.hex}|{_moment(at)}|{subject.dispute_amount}"


def _refund_key(step: str, subject: Subject) -> str:
    assert subject.refund_id is not None
    return f"refund_{step}|{subject.refund_id.hex}"


def _moment(at: datetime) -> str:
    """A provider may change its mind again and again: each word is a movement of its own, named by its time."""
    return at.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%f")
