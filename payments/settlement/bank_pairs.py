"""Which settlements a line of our bank pays: by what it names, by an amount that is alone, or by several that make it.

Pure: no clock, no database. What is ambiguous is no pairing: such a line waits for a person.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from payments.models import Match

Rule = Match.Rule

REFERENCE_MIN = 6  # Letters of a settlement's id before a text that happens to contain it may count as naming it.
_WORD = re.compile(r"\w(?:[\w.-]*\w)?")


@dataclass(frozen=True, slots=True)
class BankLine:
    """A line of our bank: what came is above zero, what left is below. `words` are of its texts, in capitals."""

    id: int
    amount: int
    currency: str
    at: datetime
    words: frozenset[str]


@dataclass(frozen=True, slots=True)
class Awaited:
    """A settlement as it stands: what is expected of it (below zero: the provider takes), and what has arrived."""

    id: UUID
    account_id: UUID
    reference: str
    currency: str
    expected: int
    arrived: int
    at: datetime
    waiting: bool  # Nothing has arrived, and it is not explained otherwise.

    @property
    def rest(self) -> int:
        return self.expected - self.arrived


@dataclass(frozen=True, slots=True)
class Pairing:
    """A line and what of it belongs to which settlement; the parts make the line."""

    line_id: int
    rule: str
    parts: tuple[tuple[UUID, int], ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """How far a line and a settlement may lie apart in time, and how many settlements one line may pay at once."""

    apart: timedelta
    together: int


def pair(
    lines: Sequence[BankLine],
    awaited: Sequence[Awaited],
    *,
    rivals: Sequence[BankLine] = (),
    barred: AbstractSet[tuple[int, UUID]] = frozenset(),
    limits: Limits,
) -> list[Pairing]:
    """What these lines pay. `rivals` are free lines that are not decided now and make an amount ambiguous all the same;
    `barred` are pairs that a person has taken apart."""
    open_lines = {line.id: line for line in sorted(lines, key=lambda line: (line.at, line.id))}
    standing = {row.id: row for row in sorted(awaited, key=lambda row: (row.at, row.reference, row.id))}
    made: list[Pairing] = []
    for rule in (_by_name, _by_amount, _by_sum):
        found = list(rule(list(open_lines.values()), standing, rivals, barred, limits))
        for pairing in found:
            del open_lines[pairing.line_id]
            for settlement_id, _amount in pairing.parts:
                standing.pop(settlement_id, None)
        made += found
    return made


def words(*texts: Any) -> frozenset[str]:
    """The words of a line's texts (the strings in its raw row, however deep), as banks write them: in capitals."""
    found: set[str] = set()
    for text in _texts(texts):
        found.update(text.upper().split())
        found.update(_WORD.findall(text.upper()))
    return frozenset(found)


def allot(amount: int, settlements: Sequence[Awaited]) -> tuple[tuple[UUID, int], ...]:
    """Divides a line among the settlements that it pays, each its rest; what is short or above falls to the last."""
    parts, left = [], amount
    for settlement in settlements[:-1]:
        part = settlement.rest if abs(settlement.rest) <= abs(left) and settlement.rest * left > 0 else 0
        parts.append((settlement.id, part))
        left -= part
    parts.append((settlements[-1].id, left))
    return tuple((settlement_id, part) for settlement_id, part in parts if part)


# --- The rules, the surest first -------------------------------------------------------------------------------------

_Standing = dict[UUID, Awaited]


def _by_name(
    lines: Sequence[BankLine],
    standing: _Standing,
    rivals: object,
    barred: AbstractSet[tuple[int, UUID]],
    limits: Limits,
) -> Iterator[Pairing]:
    """Lines that name settlements. The same id at two accounts counts for the one of which just this is awaited."""
    named: dict[tuple[str, str], list[Awaited]] = defaultdict(list)
    for settlement in standing.values():
        if len(settlement.reference) >= REFERENCE_MIN:
            named[settlement.currency, settlement.reference.upper()].append(settlement)
    arrived: dict[UUID, int] = defaultdict(int)
    for line in lines:
        chosen = []
        for word in sorted(line.words):
            rows = [row for row in named.get((line.currency, word), ()) if (line.id, row.id) not in barred]
            fitting = [row for row in rows if row.rest - arrived[row.id] == line.amount]
            if len(rows) == 1 or len(fitting) == 1:
                chosen.append(_as_of(rows[0] if len(rows) == 1 else fitting[0], arrived))
        if chosen:
            parts = allot(line.amount, sorted(chosen, key=lambda row: (row.at, row.reference, row.id)))
            for settlement_id, part in parts:
                arrived[settlement_id] += part
            yield Pairing(line.id, Rule.SETTLEMENT_ID, parts)


def _by_amount(
    lines: Sequence[BankLine],
    standing: _Standing,
    rivals: Sequence[BankLine],
    barred: AbstractSet[tuple[int, UUID]],
    limits: Limits,
) -> Iterator[Pairing]:
    """A line and a settlement of exactly one amount, each alone with it within the days."""
    waiting: dict[tuple[str, int], list[Awaited]] = defaultdict(list)
    for row in standing.values():
        if row.waiting:
            waiting[row.currency, row.rest].append(row)
    asking: dict[tuple[str, int], list[BankLine]] = defaultdict(list)
    for line in {line.id: line for line in [*rivals, *lines]}.values():
        asking[line.currency, line.amount].append(line)
    for line in lines:
        there = [row for row in waiting[line.currency, line.amount] if _near(line, row, limits)]
        here = [other for other in asking[line.currency, line.amount] if there and _near(other, there[0], limits)]
        if len(there) == len(here) == 1 and (line.id, there[0].id) not in barred:
            yield Pairing(line.id, Rule.AMOUNT, ((there[0].id, line.amount),))


def _by_sum(
    lines: Sequence[BankLine],
    standing: _Standing,
    rivals: Sequence[BankLine],
    barred: AbstractSet[tuple[int, UUID]],
    limits: Limits,
) -> Iterator[Pairing]:
    """Settlements of one account that follow each other and make the line exactly, when no others do."""
    runs = _runs(standing.values(), limits)
    taken: set[UUID] = set()
    alike = Counter((line.currency, line.amount) for line in {line.id: line for line in [*rivals, *lines]}.values())
    for line in lines:
        making = [run for run in runs[line.currency, line.amount] if all(_near(line, row, limits) for row in run)]
        if len(making) != 1 or alike[line.currency, line.amount] > 1:
            continue
        if not any(row.id in taken or (line.id, row.id) in barred for row in making[0]):
            taken.update(row.id for row in making[0])
            yield Pairing(line.id, Rule.SUM, tuple((row.id, row.rest) for row in making[0]))


def _runs(rows: Iterable[Awaited], limits: Limits) -> dict[tuple[str, int], list[list[Awaited]]]:
    """Every run of waiting settlements of one account by its sum, single ones included: they make others ambiguous."""
    by_account: dict[tuple[UUID, str], list[Awaited]] = defaultdict(list)
    for row in rows:
        if row.waiting:
            by_account[row.account_id, row.currency].append(row)
    runs: dict[tuple[str, int], list[list[Awaited]]] = defaultdict(list)
    for (_account, currency), ordered in by_account.items():
        for first in range(len(ordered)):
            total = 0
            for last in range(first, min(first + limits.together, len(ordered))):
                total += ordered[last].rest
                runs[currency, total].append(ordered[first : last + 1])
    return runs


def _near(line: BankLine, row: Awaited, limits: Limits) -> bool:
    return abs(line.at - row.at) <= limits.apart


def _as_of(row: Awaited, arrived: dict[UUID, int]) -> Awaited:
    return replace(row, arrived=row.arrived + arrived[row.id])


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _texts(list(value.values()))
    elif isinstance(value, Iterable):
        for part in value:
            yield from _texts(part)
