"""The third side of the match: what our bank says arrived or left, held against the settlements of the providers.

A credit that pays settlements is booked bank / receivable. One that fits nothing is booked to suspense at once, because
the money is there, asked about, and looked at again: the file that explains it may come later. Then it moves on from
suspense. Lines that name a payout of ours are not looked at here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Upper
from django.utils.translation import gettext as _

from merchants import audit, ids
from merchants.audit import UnableToAct
from merchants.models import User
from payments import chart, ledger
from payments.chart import Movement
from payments.models import LedgerEntry, Match, ProviderAccount, Settlement, SettlementMatch, StatementLine
from payments.payouts import bank_lines
from payments.settlement import bank_pairs, differences, suspended, totals
from payments.settlement.bank_pairs import Awaited, BankLine, Limits, Pairing
from payments.settlement.suspended import Suspended

Outcome, State = StatementLine.Outcome, Settlement.State

_OPEN = (State.IN_TRANSIT, State.OVERDUE, State.DIFFERS)
_AWAITED_MAX = 2000  # Of each currency, the newest: more than a year of one account, or a week of a hundred.


@dataclass(slots=True)
class _Work:
    """What one look has found, to be written in the fixed order: matches, then lines, questions and the book."""

    now: datetime
    matches: list[Match] = field(default_factory=list)
    parts: list[SettlementMatch] = field(default_factory=list)
    lines: list[StatementLine] = field(default_factory=list)
    movements: list[Movement] = field(default_factory=list)


def look(*, now: datetime, limit: int) -> int:
    """Looks at lines of our bank and at settlements whose time has come; answers the greater number of the two.

    Two workers wait for each other at the settlements and the lines, and the second one finds them done.
    """
    with transaction.atomic():
        lines = _look_at_lines(now, limit)
    with transaction.atomic():
        overdue = _look_at_settlements(now, limit)
    return max(lines, overdue)


def match_credit(*, line_id: int, settlement_ids: Sequence[UUID], operator: User, reason: str, now: datetime) -> Match:
    """A person says which settlements a line of our bank pays; each gets its rest, what is left over falls to the last.

    Raises UnableToAct `line_not_of_bank`, `line_of_payout`, `line_empty`, `line_matched`, `line_kept`,
    `settlement_unknown`, `currency_differs`, `settlement_not_ours`.
    """
    with transaction.atomic():
        rows = list(Settlement.objects.select_for_update(no_key=True).filter(id__in=set(settlement_ids)).order_by("id"))
        line = StatementLine.objects.select_for_update(no_key=True).get(id=line_id)
        waiting = suspended.of([line])
        _check_by_hand(line, waiting.get(line.id), rows, settlement_ids)
        ordered = sorted(rows, key=lambda row: list(settlement_ids).index(row.id))
        amount = _signed(line)
        parts = bank_pairs.allot(amount, [_awaited(row) for row in ordered])
        work = _Work(now)
        match = _settle(
            work, line, parts, Match.Rule.BY_HAND, {row.id: row for row in rows}, waiting.get(line.id), operator
        )
        _write(work)
        audit.record(
            operator=operator,
            act="match_credit",
            subject=match,
            reason=reason,
            before={"line": line.id, "stood_in": "suspense" if line.id in waiting else "nothing"},
            after={"settlements": [str(row) for row in ordered], "amounts": [part for _, part in parts]},
            now=now,
        )
    return match


# --- One look --------------------------------------------------------------------------------------------------------


def _look_at_lines(now: datetime, limit: int) -> int:
    peeked = list(_due(now).order_by("look_at", "id")[:limit])
    if not peeked:
        return 0
    rows = _lock_awaited(peeked)
    lines = list(
        _due(now).select_for_update(of=("self",), no_key=True).filter(id__in=[p.id for p in peeked]).order_by("id")
    )
    free = _free(lines, waiting := suspended.of(lines))
    work = _Work(now)
    ended = suspended.kept(lines)
    open_lines = [line for line in free.values() if line.id not in ended]
    for found in _pairings(open_lines, list(rows.values()), now):
        _settle(work, free.pop(found.line_id), found.parts, found.rule, rows, waiting.get(found.line_id), None)
    for line in free.values():
        _leave(work, line, waiting.get(line.id))
    _write(work)
    return len(peeked)


def _look_at_settlements(now: datetime, limit: int) -> int:
    """Settlements that have been waited for long enough are overdue, and asked about once."""
    due = Settlement.objects.filter(look_at__lte=now, state=State.IN_TRANSIT)
    rows = due.select_for_update(of=("self",), no_key=True).filter(
        id__in=list(due.order_by("id").values_list("id", flat=True)[:limit])
    )
    late = list(rows.order_by("id").values_list("id", flat=True))
    totals.mark_overdue(settlement_ids=late)
    differences.ask_overdue(settlement_ids=late, now=now)
    return len(late)


def _due(now: datetime) -> QuerySet[StatementLine]:
    return _waiting().filter(look_at__lte=now)


def _waiting() -> QuerySet[StatementLine]:
    """Lines of our bank that have still to be looked at, without those of payouts."""
    return StatementLine.objects.filter(
        look_at__isnull=False, provider_account=None, kind__in=["credit", "debit"], statement__state="imported"
    ).exclude(bank_lines.OURS)


def _free(lines: Sequence[StatementLine], waiting: dict[int, Suspended]) -> dict[int, StatementLine]:
    """Without those that were told before, move nothing, or were ended by a person: these are not looked at again."""
    repeated = _repeated(lines)
    empty = {line.id for line in lines if not line.amount}
    ended = {line.id for line in lines if line.id in waiting and waiting[line.id].ended_for(line)}
    StatementLine.objects.filter(id__in=repeated).update(outcome=Outcome.DUPLICATE, look_at=None)
    StatementLine.objects.filter(id__in=empty).update(outcome=Outcome.NOTHING, look_at=None)
    StatementLine.objects.filter(id__in=ended).update(look_at=None)
    return {line.id: line for line in lines if line.id not in repeated | empty | ended}


def _lock_awaited(lines: Sequence[StatementLine]) -> dict[UUID, Settlement]:
    """The settlements that these lines may pay, locked: those still open, and whichever the lines name."""
    currencies = {line.currency for line in lines}
    named = {word for line in lines for word in _words(line) if len(word) >= bank_pairs.REFERENCE_MIN}
    wanted: set[UUID] = set()
    for currency in sorted(currencies):
        rows = Settlement.objects.filter(currency=currency)
        wanted.update(rows.filter(state__in=_OPEN).order_by("-created_at").values_list("id", flat=True)[:_AWAITED_MAX])
        known = rows.annotate(name=Upper("reference")).filter(name__in=sorted(named))
        wanted.update(known.order_by("-created_at").values_list("id", flat=True)[:_AWAITED_MAX])
    held = Settlement.objects.filter(id__in=wanted, provider_account__funds="held")
    locked = held.select_for_update(of=("self",), no_key=True).order_by("id")
    return {row.id: row for row in locked}


def _repeated(lines: Sequence[StatementLine]) -> set[int]:
    """Lines that another statement of the same account of ours told before, by the bank's own id."""
    named = [line for line in lines if line.object_id and line.match_id is None]
    if not named:
        return set()
    told = StatementLine.objects.filter(
        Q(statement__state="imported") | Q(match__isnull=False),
        provider_account=None,
        kind__in={line.kind for line in named},
        object_id__in={line.object_id for line in named},
    ).exclude(outcome=Outcome.DUPLICATE)
    bank_account = dict(told.values_list("id", "statement__bank_account_id"))
    account_of = bank_account | dict(
        StatementLine.objects.filter(id__in=[line.id for line in named]).values_list("id", "statement__bank_account_id")
    )
    before: dict[tuple[Any, ...], list[StatementLine]] = {}
    for row in told:
        before.setdefault(_identity(row, account_of[row.id]), []).append(row)
    return {
        line.id
        for line in named
        if any(
            row.id < line.id and row.statement_id != line.statement_id
            for row in before.get(_identity(line, account_of[line.id]), [])
        )
    }


def _identity(line: StatementLine, bank_account_id: UUID) -> tuple[Any, ...]:
    return (bank_account_id, line.kind, line.object_id, line.amount, line.currency)


def _pairings(lines: list[StatementLine], rows: list[Settlement], now: datetime) -> list[Pairing]:
    amounts = {line.amount for line in lines}
    others = _waiting().filter(amount__in=amounts).exclude(id__in=[line.id for line in lines])[:_AWAITED_MAX]
    taken_apart = SettlementMatch.objects.filter(settlement__in=rows, match__undone_by__isnull=False)
    barred = {
        (line_id, settlement_id)
        for settlement_id, why in taken_apart.values_list("settlement_id", "match__why")
        for line_id in why.get("lines", [])
    }
    return bank_pairs.pair(
        [_bank_line(line, now) for line in lines],
        [_awaited(row) for row in rows],
        rivals=[_bank_line(line, now) for line in others],
        barred=barred,
        limits=Limits(settings.SETTLEMENT_APART, settings.SETTLEMENTS_TOGETHER_MAX),
    )


# --- What a line becomes ---------------------------------------------------------------------------------------------


def _settle(
    work: _Work,
    line: StatementLine,
    parts: Iterable[tuple[UUID, int]],
    rule: str,
    rows: dict[UUID, Settlement],
    waited: Suspended | None,
    operator: User | None,
) -> Match:
    """The line pays these settlements: bank / receivable, or from suspense when it has stood there."""
    parts = list(parts)
    paid = [rows[settlement_id] for settlement_id, _ in parts]
    match = Match(
        id=ids.new(work.now),
        rule=rule,
        provider_account_id=paid[0].provider_account_id,
        why={
            **_told(line),
            "settlements": [
                {
                    "settlement": str(row),
                    "reference": row.reference,
                    "told": row.told_amount,
                    "lines": row.lines_amount,
                    "arrived_before": row.arrived_amount,
                    "of_this_line": part,
                }
                for row, (_, part) in zip(paid, parts, strict=True)
            ],
            "from": "suspense" if waited else "bank",
        },
        made_at=work.now,
        made_by=operator,
    )
    place = chart.SUSPENSE if waited else chart.BANK
    for row, (settlement_id, part) in zip(paid, parts, strict=True):
        work.parts.append(SettlementMatch(match=match, settlement_id=settlement_id, amount=part))
        key = f"settled|{match.id.hex}|{settlement_id.hex}"
        sides = (place, chart.receivable(row.provider_account_id))
        work.movements.append(_movement(work, match, line, key, LedgerEntry.Kind.SETTLED, sides, part))
    work.matches.append(match)
    work.lines.append(line)
    line.match, line.outcome, line.look_at, line.looks = match, Outcome.MATCHED, None, line.looks + 1
    return match


def _leave(work: _Work, line: StatementLine, waited: Suspended | None) -> None:
    """It fits nothing: to suspense, unless it stands there already, and looked at again while that may help."""
    if waited is None:
        match = Match(
            id=ids.new(work.now),
            rule=Match.Rule.NONE,
            why={**_told(line), "settlements": [], "from": "bank"},
            made_at=work.now,
        )
        work.matches.append(match)
        key, sides = f"credited|{match.id.hex}", (chart.BANK, chart.SUSPENSE)
        work.movements.append(_movement(work, match, line, key, LedgerEntry.Kind.CREDITED, sides, _signed(line)))
        line.match, since = match, work.now
    else:
        line.match, since = waited.match, waited.match.made_at
    again = work.now + settings.CREDIT_LOOKED_AT_AGAIN
    line.look_at = again if again <= since + settings.CREDIT_LOOKED_AT_FOR else None
    line.outcome, line.looks = Outcome.MISSING_IN_BOOKS, line.looks + 1
    work.lines.append(line)


def _movement(
    work: _Work,
    match: Match,
    line: StatementLine,
    key: str,
    kind: str,
    sides: tuple[chart.Place, chart.Place],
    part: int,
) -> Movement:
    """From `sides` the first is debited by what came, and credited by what left."""
    debit, credit = sides if part > 0 else sides[::-1]
    at = line.occurred_at or work.now
    return Movement(key, kind, debit, credit, abs(part), line.currency, at, cause_id=match.id)


def _write(work: _Work) -> None:
    Match.objects.bulk_create(work.matches)
    SettlementMatch.objects.bulk_create(work.parts)
    StatementLine.objects.bulk_update(work.lines, ["match", "outcome", "look_at", "looks"])
    totals.recount(settlement_ids={part.settlement_id for part in work.parts}, now=work.now)
    suspended.ask(work.lines, now=work.now)
    ledger.post(work.movements, now=work.now)


def _check_by_hand(
    line: StatementLine, waited: Suspended | None, rows: Sequence[Settlement], settlement_ids: Sequence[UUID]
) -> None:
    if line.provider_account_id is not None or line.kind not in (StatementLine.Kind.CREDIT, StatementLine.Kind.DEBIT):
        raise UnableToAct("line_not_of_bank", _("This is no credit and no debit of our bank."))
    if bank_lines.payout_id(line.reference):
        raise UnableToAct("line_of_payout", _("This line names a payout of ours."))
    if not line.amount or line.outcome == Outcome.DUPLICATE:
        raise UnableToAct("line_empty", _("This line moves nothing, or was told before."))
    if line.match_id is not None and (waited is None or line.match_id != waited.match.id):
        raise UnableToAct("line_matched", _("This line is matched already; undo that first."))
    if suspended.kept([line]):
        raise UnableToAct(
            "line_kept", _("Somebody has ended this line with money: it does not stand in suspense any more.")
        )
    if not rows or len(rows) != len(settlement_ids):
        raise UnableToAct("settlement_unknown", _("Name each of the settlements once."))
    if any(row.currency != line.currency for row in rows):
        raise UnableToAct("currency_differs", _("A line pays settlements of its own currency."))
    if any(row.provider_account.funds != ProviderAccount.Funds.HELD for row in rows):
        raise UnableToAct("settlement_not_ours", _("That one goes to the shop's own bank and never to ours."))


# --- Facts -----------------------------------------------------------------------------------------------------------


def _signed(line: StatementLine) -> int:
    return abs(line.amount) if line.kind == StatementLine.Kind.CREDIT else -abs(line.amount)


def _bank_line(line: StatementLine, now: datetime) -> BankLine:
    return BankLine(line.id, _signed(line), line.currency, line.occurred_at or now, _words(line))


def _words(line: StatementLine) -> frozenset[str]:
    return bank_pairs.words(line.reference, line.settlement_id, line.raw)


def _awaited(row: Settlement) -> Awaited:
    expected = differences.expected(row)
    return Awaited(
        id=row.id,
        account_id=row.provider_account_id,
        reference=row.reference,
        currency=row.currency,
        expected=expected,
        arrived=row.arrived_amount,
        at=row.told_at or row.created_at,
        waiting=bool(expected) and row.state in (State.IN_TRANSIT, State.OVERDUE),
    )


def _told(line: StatementLine) -> dict[str, Any]:
    """What the line says, for the explanation of its match."""
    return {
        "lines": [line.id],
        "line": {
            "amount": _signed(line),
            "currency": line.currency,
            "occurred_at": line.occurred_at.isoformat() if line.occurred_at else None,
            "reference": line.reference,
        },
    }
