"""What every provider module offers, and the words in which it speaks to the rest of the product.

A provider is a module of eight functions (see `Provider`). It translates once, at the edge: outside words come in as
raw bytes, are verified, and leave as `Event`s in our words. Nothing specific to a provider stands anywhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal, Protocol

from payments.models import PaymentIntent, ProviderAccount, Refund

Kind = Literal[
    "payment.pending",
    "payment.succeeded",
    "payment.failed",
    "payment.closed",
    "refund.pending",
    "refund.succeeded",
    "refund.failed",
    "info",
    "unknown",
]
Authority = Literal["signed", "queried"]


class ProviderError(Exception):
    """The other side failed. `permanent`: asking again will not help."""

    def __init__(self, message: str, *, permanent: bool) -> None:
        super().__init__(message)
        self.permanent = permanent


class UnableToVerify(Exception):
    """A notification that is not proved to come from the provider; `code` says why, for the answer and the counter."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class UnableToRead(Exception):
    """A proved notification that makes no sense to us; it is parked with this text and can be replayed."""


@dataclass(frozen=True, slots=True)
class Verified:
    """A notification or an answer that is proved to come from the provider, not yet understood.

    `delivery_id` is the provider's own name for this delivery (the same over its retries); `headers` are those that the
    signature covers; `key_id` says which key proved it.
    """

    delivery_id: str
    raw: bytes
    authority: Authority
    headers: Mapping[str, str] = field(default_factory=dict)
    key_id: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened at the provider, in our words.

    `object_id`: the provider's id of the payment or refund. `parent_object_id`: for a refund, the payment's.
    `reference`: our own reference of the intent (or the refund), as the provider repeats it; empty when there is none.
    `amount`: minor units of `currency`, always positive. `final`: it will not be overtaken by another event.
    """

    kind: Kind
    object_id: str
    amount: int
    currency: str
    occurred_at: datetime
    reference: str = ""
    parent_object_id: str = ""
    final: bool = True


@dataclass(frozen=True, slots=True)
class Started:
    """The provider knows of our intent; the payer goes to `redirect_url`."""

    object_id: str
    redirect_url: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What a provider wants to read as an acknowledgement."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain"


@dataclass(frozen=True, slots=True)
class StatementRow:
    """A row of the provider's own settlement file. Amounts in minor units; refunds are negative."""

    kind: Literal["payment", "refund"]
    object_id: str
    reference: str
    amount: int
    fee: int
    currency: str
    occurred_at: datetime


class Provider(Protocol):
    """The eight functions of a provider module. All calls outward have timeouts and raise ProviderError."""

    def start(self, account: ProviderAccount, intent: PaymentIntent, return_url: str) -> Started:
        """Announces the intent under its reference; asked again with the same reference, answers the same."""

    def close(self, account: ProviderAccount, intent: PaymentIntent) -> Verified:
        """Closes the intent at the provider; the answer says whether it is closed or was paid before."""

    def refund(self, account: ProviderAccount, refund: Refund, payment_object_id: str) -> Verified:
        """Asks for a refund under its reference; asked again with the same reference, answers the same."""

    def verify(self, account: ProviderAccount, raw: bytes, headers: Mapping[str, str]) -> Verified:
        """Proves a notification from its raw bytes. Raises UnableToVerify."""

    def normalise(self, verified: Verified) -> Sequence[Event]:
        """What a proved notification or answer says, in our words. Pure. Raises UnableToRead."""

    def query(self, account: ProviderAccount, reference: str) -> Verified:
        """Asks for everything the provider knows of the intent with our reference, its refunds included."""

    def statement(self, account: ProviderAccount, day: date) -> Iterator[StatementRow]:
        """The provider's settlement rows of one day."""

    def acknowledge(self, accepted: bool) -> Reply:
        """The reply that this provider takes for "kept" (or for "not accepted")."""
