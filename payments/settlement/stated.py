"""What lines are judged on and what a judgement is made of: both sides as plain values, and the pairs that hold.

Pure. Amounts are signed as the account sees them, on both sides: a payment is positive, what went back is negative.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol
from uuid import UUID

About = Literal["payment", "refund", "dispute"]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a provider's statement. `looks`: how often it was looked at before; `fetched`: by us, from there.

    `counts` is false when its statement was replaced by another.
    """

    id: int
    statement: str
    number: int
    account_id: UUID
    kind: str
    object_id: str
    parent_object_id: str
    reference: str
    settlement_id: str
    amount: int
    fee: int
    currency: str
    occurred_at: datetime | None
    looks: int
    fetched: bool
    counts: bool = True

    @property
    def name(self) -> str:
        """How a person finds it: its statement, and its line's number in the file."""
        return f"{self.statement} line {self.number}"

    @property
    def object_of_payment(self) -> str:
        """The provider's id of the payment it is about: its own, or that of what went back."""
        return self.object_id if self.kind == "payment" else self.parent_object_id


@dataclass(frozen=True, slots=True)
class Ours:
    """Something in our book that lines may be about. `amount` as the account sees it; 0 for a dispute that was won."""

    about: About
    id: UUID
    name: str  # As everybody outside knows it.
    account_id: UUID
    payment_id: UUID
    shop_id: UUID | None
    funds: str
    object_id: str
    amount: int
    currency: str
    occurred_at: datetime
    state: str = ""
    intent_id: UUID | None = None

    @property
    def key(self) -> tuple[str, UUID]:
        return self.about, self.id


@dataclass(slots=True)
class Pairing:
    """A Match that holds, or is being made: what lines together say of one thing of ours."""

    id: UUID
    rule: str
    ours: Ours
    new: bool
    amount: int = 0  # Of all its lines.
    fee: int = 0
    booked_fee: int = 0
    lines: list[Line] = field(default_factory=list)  # Those that joined it in this batch.
    names: list[str] = field(default_factory=list)  # Of all its lines.
    open_keys: list[str] = field(default_factory=list)  # Of questions that it raised before.
    reason: str = ""  # What a person said who made it.

    def add(self, line: Line) -> None:
        self.amount += line.amount
        self.fee += line.fee
        self.lines.append(line)
        self.names.append(line.name)


@dataclass(frozen=True, slots=True)
class Question:
    """A Discrepancy to open, once per key."""

    key: str
    reason: str
    line_id: int
    account_id: UUID
    amount: int
    currency: str
    shop_id: UUID | None = None
    payment_id: UUID | None = None
    refund_id: UUID | None = None
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ask:
    """What its provider is asked: about our intent (whose whole story it then tells), or about an object of its own."""

    account_id: UUID
    intent_id: UUID | None
    object_id: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a line. `again`: when it is looked at again; `proves`: it is booked as the statement has it."""

    line: Line
    outcome: str
    pairing: Pairing | None = None
    question: Question | None = None
    ask: Ask | None = None
    again: timedelta | None = None
    proves: bool = False


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What a pairing comes to once all lines of a batch were judged. `fee`: to be booked now, beyond what was."""

    pairing: Pairing
    outcome: str
    why: dict[str, Any]
    fee: int
    questions: tuple[Question, ...]
    answered: tuple[str, ...]  # The keys of questions that have answered themselves.


class Terms(Protocol):
    """What a provider may keep of an amount, and how far a stated fee may differ; None where nothing was agreed."""

    def expected(self, account_id: UUID, currency: str, amount: int, at: datetime) -> tuple[int, int] | None: ...


@dataclass(frozen=True, slots=True)
class Patience:
    """How often, and how long after each look, a line is looked at again; and how near by time amounts are compared."""

    asked: Sequence[timedelta]
    timing: Sequence[timedelta]
    amount_within: timedelta


@dataclass(slots=True)
class Book:
    """Everything of ours that the lines of a batch may be about, and the pairings that hold."""

    ours: dict[tuple[str, UUID], Ours] = field(default_factory=dict)
    pairings: dict[tuple[str, UUID], Pairing] = field(default_factory=dict)
    intents: dict[UUID, UUID] = field(default_factory=dict)  # Ours that lines name, with their accounts.
    # Lines without a name: account, currency, amount and time of each, in any statement.
    nameless: list[tuple[int, UUID, str, int, datetime]] = field(default_factory=list)
    _by_object: dict[tuple[UUID, str, str], list[Ours]] = field(default_factory=lambda: defaultdict(list))
    _by_intent: dict[UUID, list[Ours]] = field(default_factory=lambda: defaultdict(list))
    _back: dict[UUID, list[Ours]] = field(default_factory=lambda: defaultdict(list))
    _alike: dict[tuple[UUID, str, int], list[Ours]] = field(default_factory=lambda: defaultdict(list))

    def add(self, ours: Ours) -> None:
        if ours.key in self.ours:
            return
        self.ours[ours.key] = ours
        if ours.object_id:
            self._by_object[ours.account_id, ours.about, ours.object_id].append(ours)
        if ours.about != "payment":
            self._back[ours.payment_id].append(ours)
            return
        self._alike[ours.account_id, ours.currency, ours.amount].append(ours)
        if ours.intent_id is not None:
            self._by_intent[ours.intent_id].append(ours)

    def named(self, account_id: UUID, about: str, object_id: str) -> list[Ours]:
        """Ours of that provider's id; a refund's id need only be unique within its payment."""
        return self._by_object.get((account_id, about, object_id), []) if object_id else []

    def of_intent(self, intent_id: UUID | None, account_id: UUID) -> list[Ours]:
        found = self._by_intent.get(intent_id, []) if intent_id else []
        return [ours for ours in found if ours.account_id == account_id]

    def back(self, payment: Ours | None, about: str) -> list[Ours]:
        """What went back of a payment, or is contested of it."""
        return [ours for ours in self._back.get(payment.id, []) if ours.about == about] if payment else []

    def alike(self, line: Line, within: timedelta) -> list[Ours]:
        """Payments of the line's very amount and about its time that no line has claimed."""
        at = line.occurred_at
        found = self._alike.get((line.account_id, line.currency, line.amount), [])
        return [o for o in found if at and o.key not in self.pairings and abs(o.occurred_at - at) <= within]

    def rivals(self, line: Line, within: timedelta) -> int:
        """How many other lines without a name could be about the same payment."""
        same = (line.account_id, line.currency, line.amount)
        at = line.occurred_at
        return sum(
            1
            for line_id, account_id, currency, amount, moment in self.nameless
            if line_id != line.id and (account_id, currency, amount) == same and at and abs(moment - at) <= 2 * within
        )
