"""A statement as a file for spreadsheets: RFC 4180, the opening first, a line for each movement, the closing last.

UTF-8 with a byte order mark, without which Excel reads Chinese as something else. What people have written (a name, a
reason) never becomes a formula; amounts are plain decimals in the currency's own number of places.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import datetime
from itertools import islice

from django.utils.translation import gettext as _

from merchants import money
from payments import statement, statement_file
from payments.ledger import Balance
from payments.models import Dispute, LedgerEntry, Payment, Refund
from payments.statement import Asked, Basis, Line

CONTENT_TYPE = "text/csv; charset=utf-8"
COLUMNS = (
    "recorded_at", "occurred_at", "kind", "description", "reason", "change", "balance", "currency",
    "receipt", "payment", "refund", "dispute", "entry",
)  # fmt: skip

_BYTE_ORDER_MARK = "\ufeff"
_LINES_AT_ONCE = 500  # In one piece of the answer: some 100 kB.

# With any of these in front (spaces aside) a spreadsheet may take a text for a formula; some open full-width ones too.
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")


def pieces(asked: Asked) -> Iterator[bytes]:
    """The file, piece by piece. One whose last line is not the closing balance was cut off on its way."""
    first = statement.opening(asked)
    rows = _rows(asked, first)
    write = csv.writer(_Echo(), lineterminator="\r\n").writerow
    begun = _BYTE_ORDER_MARK + write(COLUMNS)
    while some := list(islice(rows, _LINES_AT_ONCE)):
        yield (begun + "".join(write(row) for row in some)).encode()
        begun = ""


def defused(text: str) -> str:
    """A text that no spreadsheet runs: an apostrophe before what it could take for a formula."""
    risky = text.startswith(_FORMULA) or text.lstrip().startswith(_FORMULA)
    return f"'{text}" if risky else text


class _Echo:
    """A file that gives back what is written to it: the csv module's `writerow` answers what `write` answered."""

    def write(self, text: str) -> str:
        return text


def _rows(asked: Asked, first: Balance) -> Iterator[tuple[str, ...]]:
    total = first.total
    yield _edge(asked, _("Opening balance"), asked.period.start, total)
    for line in statement.lines(asked, first):
        total = line.balance
        yield _row(asked, line)
    yield _edge(asked, _("Closing balance"), asked.until, total)


def _edge(asked: Asked, said: str, moment: datetime, total: int) -> tuple[str, ...]:
    """The first or the last line. Its time stands in the column that the statement goes by."""
    at = statement_file.local(asked, moment)
    times = (at, "") if asked.basis is Basis.RECORDED else ("", at)
    return (*times, said, "", "", "", _amount(asked, total), asked.shop.currency, "", "", "", "", "")


def _row(asked: Asked, line: Line) -> tuple[str, ...]:
    return (
        statement_file.local(asked, line.recorded_at),
        statement_file.local(asked, line.occurred_at),
        statement_file.words(line.kind),
        defused(line.description),
        defused(line.reason),
        _amount(asked, line.change),
        _amount(asked, line.balance),
        asked.shop.currency,
        statement_file.receipt(line),
        statement_file.public(Payment, line.payment_id),
        statement_file.public(Refund, line.refund_id),
        statement_file.public(Dispute, line.dispute_id),
        statement_file.public(LedgerEntry, line.entry_id),
    )


def _amount(asked: Asked, amount: int) -> str:
    return f"{money.decimal(amount, asked.shop.currency):f}"
