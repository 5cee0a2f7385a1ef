"""The rows of a settlement file as they are kept: as they were read, and what today's adapter makes of them.

They are written in batches by COPY, each far below the time that a statement of ours may take. A row that cannot be
read is kept like any other, and asks its question.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection

from merchants import ids, money
from payments import providers
from payments.models import BankAccount, Discrepancy, Statement, StatementLine
from payments.providers.base import AMOUNT_MAX, ProviderError, RawLine, StatementRow, UnableToRead
from payments.settlement import formats, replacing
from payments.settlement.formats import Read, Source

_BATCH = 5_000  # Rows of one COPY, and of what is held in memory at once.
_encode = json.JSONEncoder(ensure_ascii=False).encode
_WIDTHS = {"object_id": 120, "parent_object_id": 120, "reference": 200, "settlement_id": 120}


READ = (
    "kind",
    "object_id",
    "parent_object_id",
    "reference",
    "settlement_id",
    "amount",
    "fee",
    "currency",
    "occurred_at",
)


class Meaning(NamedTuple):
    """A row's columns of meaning, in the order in which they are written; `why` it cannot be read, where it cannot."""

    kind: str = ""
    object_id: str = ""
    parent_object_id: str = ""
    reference: str = ""
    settlement_id: str = ""
    amount: int = 0
    fee: int = 0
    currency: str = ""
    occurred_at: datetime | None = None
    outcome: str = ""
    why: str = ""


def keep(*, statement: Statement, source: Source, rows: Iterable[RawLine], now: datetime) -> int:
    """Writes all rows of a statement, in the caller's transaction; answers how many.

    Raises ProviderError when more than settings.STATEMENT_UNREADABLE_MAX of them make no sense.
    """
    left, count, unreadable = iter(rows), 0, 0
    read, before = formats.reader(source, statement.format), replacing.tellers(statement)
    with connection.cursor() as cursor:
        # Foreign keys are checked with each batch, and not for all rows at the end; no index is passed over because
        # the tables were last looked at while they were empty.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET LOCAL enable_seqscan = off")
    while batch := list(islice(left, _BATCH)):
        meant = [(row, meaning(read, row.raw)) for row in batch]
        _copy(statement, meant, now)
        replacing.set_aside(
            statement=statement, before=before, rows=[identity(row.number, told) for row, told in meant if told.kind]
        )
        unread = [(row.number, row.raw, told) for row, told in meant if told.why]
        count, unreadable = count + len(batch), unreadable + len(unread)
        if unreadable > settings.STATEMENT_UNREADABLE_MAX:
            told = f"{unreadable} rows up to line {unread[-1][0]} make no sense, this one because {unread[-1][2].why}"
            raise ProviderError(told[:300], permanent=True)
        ask(statement=statement, source=source, unread=unread, now=now)
    return count


def meaning(read: Read, raw: Mapping[str, Any]) -> Meaning:
    """What a row means by today's adapter. Raises nothing: what it cannot read says so."""
    try:
        row = read(raw)
        if row is None:
            return Meaning(kind=StatementLine.Kind.NOTHING, outcome=StatementLine.Outcome.NOTHING)
        _check(row)
    except UnableToRead as failure:
        return Meaning(outcome=StatementLine.Outcome.UNREADABLE, why=str(failure)[:250])
    return Meaning(
        row.kind,
        row.object_id,
        row.parent_object_id,
        row.reference,
        row.settlement_id,
        row.amount,
        row.fee,
        row.currency,
        row.occurred_at,
    )


def identity(number: int, told: Meaning) -> replacing.Row:
    """By what a line is known again in another file."""
    return number, told.kind, told.object_id, told.amount, told.fee, told.currency, told.occurred_at


def change(told: Sequence[tuple[StatementLine, Meaning]], now: datetime) -> None:
    """Gives lines another meaning, and has those that can be read looked at anew."""
    columns: list[list[Any]] = [[line.id for line, _ in told]]
    columns += [[meaning[place] for _, meaning in told] for place in range(10)]
    columns.append([None if meaning.outcome else now for _, meaning in told])
    with connection.cursor() as cursor:
        cursor.execute(_CHANGE_SQL, columns)


def ask(
    *, statement: Statement, source: Source, unread: Sequence[tuple[int, Mapping[str, Any], Meaning]], now: datetime
) -> None:
    """Opens a question for each row that cannot be read; a row that stands in a file's next version too asks once."""
    if not unread:
        return
    numbers = [number for number, _, _ in unread]
    lines = dict(statement.lines.filter(number__in=numbers).values_list("number", "id"))
    account = None if isinstance(source, BankAccount) else source
    Discrepancy.objects.bulk_create(
        (
            Discrepancy(
                id=ids.new(now),
                key=f"line_unreadable|{source.id.hex}|{statement.day}|{_digest(raw)}",
                reason=Discrepancy.Reason.LINE_UNREADABLE,
                provider_account=account,
                shop_id=account.shop_id if account else None,
                line_id=lines[number],
                amount=0,
                currency=_currency(source),
                details={"line": number, "why": told.why, "statement": str(statement)},
                opened_at=now,
            )
            for number, raw, told in unread
        ),
        ignore_conflicts=True,
    )


def _check(row: StatementRow) -> None:
    """What the columns can hold. Raises UnableToRead."""
    for name, width in _WIDTHS.items():
        text = getattr(row, name)
        if not isinstance(text, str) or len(text) > width or "\0" in text or not _is_text(text):
            raise UnableToRead(f"its {name} is no text of {width} characters")
    if max(abs(row.amount), abs(row.fee)) > AMOUNT_MAX or not money.is_currency(row.currency):
        raise UnableToRead(f"not an amount: {row.amount} {row.currency[:8]!r}, fee {row.fee}")
    if row.occurred_at.tzinfo is None:
        raise UnableToRead("a time without a zone")


def _copy(statement: Statement, meant: Sequence[tuple[RawLine, Meaning]], now: datetime) -> None:
    # `cursor.copy` is psycopg's own; Django's cursor passes it on.
    with connection.cursor() as cursor, cursor.copy(_COPY_SQL) as copy:
        for row, told in meant:
            look_at = None if told.outcome else now
            head = (statement.id, statement.provider_account_id, row.number, _json(row.raw))
            copy.write_row((*head, *told[:10], look_at, 0))


def _json(raw: Mapping[str, Any]) -> str:
    """As the database can hold it: what it cannot (a zero character, half of a surrogate pair) is shown as U+FFFD."""
    text = _encode(raw)
    if "\\u0000" in text:
        text = _encode(_without_zeros(raw))
    return (
        text if text.isascii() or _is_text(text) else text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    )


def _without_zeros(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, Mapping):
        return {_without_zeros(name): _without_zeros(inner) for name, inner in value.items()}
    return [_without_zeros(inner) for inner in value] if isinstance(value, list) else value


def _is_text(text: str) -> bool:
    try:
        text.isascii() or text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _digest(raw: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(raw, sort_keys=True).encode()).hexdigest()[:32]


def _currency(source: Source) -> str:
    """In which a question about a row is counted that has no amount yet."""
    if isinstance(source, BankAccount):
        return source.currency
    if source.shop is not None:
        return source.shop.currency
    return min(providers.named(source.provider).CURRENCIES or {"USD"})


_COPY_SQL = """
COPY payments_statementline (statement_id, provider_account_id, number, raw, kind, object_id, parent_object_id,
                             reference, settlement_id, amount, fee, currency, occurred_at, outcome, look_at, looks)
FROM STDIN
"""
_CHANGE_SQL = """
UPDATE payments_statementline line
   SET kind = told.kind, object_id = told.object_id, parent_object_id = told.parent_object_id,
       reference = told.reference, settlement_id = told.settlement_id, amount = told.amount, fee = told.fee,
       currency = told.currency, occurred_at = told.occurred_at, outcome = told.outcome, look_at = told.look_at
  FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::bigint[],
              %s::text[], %s::timestamptz[], %s::text[], %s::timestamptz[])
       AS told(id, kind, object_id, parent_object_id, reference, settlement_id, amount, fee, currency, occurred_at,
               outcome, look_at)
 WHERE line.id = told.id
"""
