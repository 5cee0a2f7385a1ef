"""What every provider module offers, and the words in which it speaks to the rest of the product.

A provider is a module of ten functions and a few facts about itself (see `Provider`). It translates once, at the
edge: outside words come in as raw bytes, are verified, and leave as `Event`s in our words. Nothing specific to a
provider stands anywhere else.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from typing import IO, Any, Literal, Protocol

from merchants.values import value
from payments.models import PaymentIntent, ProviderAccount, Refund

Kind = Literal[
    "payment.pending",
    "payment.succeeded",
    "payment.failed",
    "payment.closed",
    "refund.pending",
    "refund.succeeded",
    "refund.failed",
    "refund.total",
    "dispute.opened",
    "dispute.won",
    "dispute.lost",
    "dispute.closed",
    "payout.paid",
    "payout.failed",
    "info",
    "unknown",
]
Authority = Literal["signed", "mtls", "unsigned_hint", "queried", "file"]
AMOUNT_MAX = 10**15  # Minor units. No payment is larger; a sum of thousands still fits the book's columns.


class ProviderError(Exception):
    """The other side failed. `permanent`: asking again will not help."""

    def __init__(self, message: str, *, permanent: bool) -> None:
        super().__init__(message)
        self.permanent = permanent


class Unauthorised(ProviderError):
    """The other side does not take our credentials."""

    def __init__(self, message: str) -> None:
        super().__init__(message, permanent=True)


class UnableToVerify(Exception):
    """A notification that is not proved to come from the provider; `code` says why, for the answer and the counter.

    `ask` names what has to be asked of the provider (by `query`) before it can be proved, such as a new key: the
    provider is then told to come again (503) instead of being refused.
    """

    def __init__(self, code: str, *, ask: str = "") -> None:
        super().__init__(code)
        self.code, self.ask = code, ask


class UnableToRead(Exception):
    """A proved notification that makes no sense to us; it is parked with this text and can be replayed."""


@dataclass(frozen=True, slots=True)
class Field:
    """One value of an account's credentials. `secret`: sealed and never shown again.

    `form` says what is checked when it is entered: a `private_key`, `public_key` or `certificate` in PEM, several
    `secrets` by spaces (the newest first), an `address` among those that the settings allow, or any `text`.
    `length`: how many characters it has, where there is only one length. `names_us`: by this value the provider's
    messages name our account, under this field's name (`Event.account`).
    """

    name: str
    label: str
    secret: bool = True
    required: bool = True
    form: Literal["text", "secrets", "private_key", "public_key", "certificate", "address"] = "text"
    names_us: bool = False
    length: int = 0


@value
class Delivery:
    """A notification as it came: header names in lower case, the address's query, and the peer's certificate.

    `client_certificate` (PEM) is what our own proxy says it has verified; empty unless the proxy is a trusted one.
    """

    raw: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    client_certificate: str = ""


@value
class Verified:
    """A notification or an answer that is proved to come from the provider, not yet understood.

    `delivery_id` is the provider's own name for this delivery (the same over its retries); `headers` are those that the
    signature covers; `key_id` says which key proved it. An `unsigned_hint` is proved by nothing: it may only lead to a
    question.
    """

    delivery_id: str
    raw: bytes
    authority: Authority
    headers: Mapping[str, str] = field(default_factory=dict)
    key_id: str = ""


@value
class Event:
    """One thing that happened at the provider, in our words.

    `object_id`: the provider's id of the payment, refund or dispute; with the account it is the economic key, under
    which a thing is booked once however many events tell of it. `parent_object_id`: for a refund or dispute, the
    payment's. `reference`: our own reference of the intent (or the refund), as the provider repeats it; empty when
    there is none. `amount`: minor units of `currency`, always positive where money is told of. `final`: it will not be
    overtaken by another event.

    `decision`: `apply`; `ignore` (nothing of ours); `quarantine` (proved, but contradicts itself or us: a person must
    look); `query` (not proved: the provider is asked about `object_id`, or about the intent of `reference`). `reason`
    says why it is not `apply`.
    `refunded_total` (refund.total): all that was ever refunded of the payment; the difference is booked.
    `fee`: what the provider keeps, when it says so. `account`: how the provider names our account, by `Field.name`.
    """

    kind: Kind
    object_id: str
    amount: int
    currency: str
    occurred_at: datetime
    reference: str = ""
    parent_object_id: str = ""
    final: bool = True
    decision: Literal["apply", "ignore", "quarantine", "query"] = "apply"
    reason: str = ""
    refunded_total: int | None = None
    fee: int | None = None
    evidence_due_at: datetime | None = None
    account: Mapping[str, str] = field(default_factory=dict)

    @property
    def economic_key(self) -> str:
        """What this event is about, within its account: `payment|<object>`, `refund|<object>`, `dispute|<object>`."""
        return f"{self.kind.split('.')[0]}|{self.object_id}"


@dataclass(frozen=True, slots=True)
class Visit:
    """How the payer comes to us. The browser's own words decide the layout and nothing else.

    `place`: in this provider's `own_app`, on a `phone`, or at a `computer`. `return_url`: where she comes back to.
    `address`: her IP address, for providers that want it. `identify_url`: where the provider may send her back with a
    `grant` that says who she is there (OAuth); with that grant the start is asked again.
    """

    return_url: str
    place: Literal["own_app", "phone", "computer"] = "computer"
    address: str = ""
    identify_url: str = ""
    grant: str = ""


@dataclass(frozen=True, slots=True)
class Started:
    """The provider knows of our intent, by `object_id`; and how the payer is handed over to her wallet.

    One or more of: `redirect_url` (the browser goes there, or posts `form` there), `qr` (content of a code that the
    wallet scans), `copy` (the same as text that is pasted into the wallet), `app_url` (opens the wallet on the phone),
    `bridge` (the call that the wallet's own browser takes: its name in `bridge["call"]`, its arguments in
    `bridge["arguments"]`). Where the payer must first say who she is, `redirect_url` leads there; nothing is started.
    """

    object_id: str
    redirect_url: str = ""
    form: Mapping[str, str] = field(default_factory=dict)
    qr: str = ""
    copy: str = ""
    app_url: str = ""
    bridge: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ref:
    """What a provider is asked about: our intent, or only an `object_id` (from a hint, or `UnableToVerify.ask`).

    For an intent: its `reference`, the `object_id` it got at the start (empty when that answer was lost), and when it
    was made.
    """

    reference: str = ""
    object_id: str = ""
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What a provider wants to read as an answer. An empty body of a refusal is filled with our problem document."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain"


@dataclass(frozen=True, slots=True)
class StatementRow:
    """A row of the provider's own settlement file. Amounts in minor units, signed as the account sees them: a payment
    is positive, a refund negative. `fee` is what was kept of it (positive); `reference` is ours, of intent or refund.
    In a bank's statement there are only `credit` and `debit`.
    """

    kind: Literal["payment", "refund", "fee", "chargeback", "payout", "adjustment", "credit", "debit"]
    object_id: str
    reference: str
    amount: int
    fee: int
    currency: str
    occurred_at: datetime
    parent_object_id: str = ""
    settlement_id: str = ""


@dataclass(frozen=True, slots=True)
class RawLine:
    """A row of a settlement file as it was read: its line's number in the file, and its columns by their names."""

    number: int
    raw: Mapping[str, Any]


class Provider(Protocol):
    """A provider module: facts about itself, and its functions. Calls outward have timeouts, raise ProviderError."""

    TITLE: str  # As shops and operators call it.
    WALLET: str  # As payers call what they pay with; marked where that is no name. Pages translate it.
    CURRENCIES: frozenset[str] | None  # None: any.
    FIELDS: Sequence[Field]  # Its credentials.
    APP: re.Pattern[str] | None  # Known in the User-Agent of its own app's browser.
    DESTINATIONS: Sequence[str]  # Origins to which a payer's browser may be sent.
    FORMATS: Mapping[str, str]  # Its settlement files: name and what it is; the first is the one that is fetched.
    STATEMENT_ZONE: tzinfo  # In which its days begin.
    STATEMENT_READY: timedelta  # How long after a day's end its settlement can be fetched.
    STATEMENT_FINAL: timedelta  # How long after a day's end what is still not in any statement is missing.
    STATEMENT_GROWS: bool  # Whether a refund of a later day is added to the file of its payment's day.

    def start(self, account: ProviderAccount, intent: PaymentIntent, visit: Visit) -> Started:
        """Announces the intent under its reference; asked again with the same reference, answers the same."""

    def close(self, account: ProviderAccount, intent: PaymentIntent) -> Verified:
        """Closes the intent at the provider; the answer says whether it is closed or was paid before."""

    def refund(self, account: ProviderAccount, refund: Refund, payment_object_id: str) -> Verified:
        """Asks for a refund under its reference; asked again with the same reference, answers how it stands now.

        The provider's final "no" is an answer too (`refund.failed`), not an error.
        """

    def verify(self, account: ProviderAccount, delivery: Delivery, *, now: datetime) -> Verified:
        """Proves a notification from its raw bytes. Raises UnableToVerify, and nothing else, whatever comes."""

    def normalise(self, account: ProviderAccount, verified: Verified) -> Sequence[Event]:
        """What a proved notification or answer says, in our words. No clock, no network. Raises UnableToRead only.

        The account is given for the keys that open what is encrypted (`credentials.every_of`), and for nothing else.
        """

    def query(self, account: ProviderAccount, ref: Ref) -> Verified:
        """Asks for everything the provider knows of the intent (or object), its refunds included.

        That the provider knows nothing of it is an answer, not an error. Raises Unauthorised for refused credentials.
        """

    def statement(self, account: ProviderAccount, day: date, into: IO[bytes]) -> str:
        """Writes the provider's own settlement of one day into a file, as it came; answers its format ("": nothing).

        Raises ProviderError; not `permanent` when it may be there later.
        """

    def lines(self, account: ProviderAccount, form: str, file: IO[bytes]) -> Iterator[RawLine]:
        """The rows of such a file as they stand in it, in bounded memory, given only once the whole file adds up.

        `form` is one of FORMATS. Raises ProviderError, which names the line, before the first row is given.
        """

    def meaning(self, account: ProviderAccount, form: str, raw: Mapping[str, Any]) -> StatementRow | None:
        """What a row says, in our words; None when it moves no money. Pure. Raises UnableToRead."""

    def acknowledge(self, refusal: str = "") -> Reply:
        """The reply that this provider takes for "kept", or, with the code of a refusal, for "not accepted"."""


def answered(message: Mapping[str, Any]) -> Verified:
    """An answer to a call of ours, as it enters the inbox: by its content, so that the same answer twice is one event.

    `message` holds what the provider said, unchanged, under names that `normalise` knows it by again.
    """
    # In ASCII: half of a surrogate pair, which JSON can name, could not be written otherwise.
    raw = json.dumps(message, sort_keys=True, separators=(",", ":")).encode()
    return Verified(delivery_id=f"queried:{hashlib.sha256(raw).hexdigest()}", raw=raw, authority="queried")
