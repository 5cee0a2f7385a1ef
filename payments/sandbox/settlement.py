"""The daily settlement file: what moved on one UTC day, a row each, what was paid out of it, and a footer by which a
cut-off file is known.

The faults that are asked for (see `behaviours`) are planted here and nowhere else: the wallet's own books stay right.
"""

import csv
import io
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta

from .behaviours import loaded, misstated
from .exchange import Refusal

COLUMNS = (
    "kind",
    "id",
    "order_reference",
    "refund_reference",
    "amount",
    "fee",
    "net",
    "currency",
    "occurred_at",
    "settlement_id",
)
MILLION = 1_000_000

MOVEMENTS = """
SELECT 'payment' AS kind, payments.id AS id, payments.reference AS order_reference, '' AS refund_reference,
       payments.amount, payments.currency, occurred_at, orders.behaviours
  FROM payments JOIN orders ON orders.id = order_id
 WHERE payments.account = :account AND occurred_at >= :first AND occurred_at < :after
UNION ALL
SELECT 'refund', refunds.id, orders.reference, refunds.reference, -refunds.amount, refunds.currency, occurred_at, ''
  FROM refunds JOIN orders ON orders.id = order_id
 WHERE refunds.account = :account AND refunds.state = 'succeeded' AND occurred_at >= :first AND occurred_at < :after
ORDER BY occurred_at, id
"""


@dataclass(frozen=True)
class Row:
    """A movement as the file states it. Amounts are signed minor units: a payment adds, a refund takes away."""

    kind: str
    id: str
    order_reference: str
    refund_reference: str
    amount: int
    fee: int
    currency: str
    occurred_at: str
    short: int = 0  # What the bank gets too little for it.

    @property
    def net(self) -> int:
        return self.amount - self.fee


@dataclass(frozen=True)
class Payout:
    """What a day's settlement in one currency pays into the merchant's bank account; `arrives` is what gets there."""

    settlement_id: str
    currency: str
    day: date
    amount: int
    arrives: int


def settlement(db: sqlite3.Connection, account: str, day: date) -> str:
    """Return an account's settlement of a day (UTC) as CSV.

    net = amount - fee. After the rows comes one footer row `total` per currency, with the count of its rows in the
    column `id` and the column sums; a day on which nothing moved has one footer with a count of 0 and no currency. Then
    comes a row `payout` per currency: the net of the day, which leaves for the bank under the `settlement_id` that its
    rows name.
    """
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\r\n")
    lines.writerow(COLUMNS)
    totals: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    stated = list(rows(db, account, day))
    for row in stated:
        named = (row.kind, row.id, row.order_reference, row.refund_reference)
        own = settlement_id(account, day, row.currency)
        lines.writerow((*named, row.amount, row.fee, row.net, row.currency, row.occurred_at, own))
        for place, number in enumerate((1, row.amount, row.fee, row.net)):
            totals[row.currency][place] += number
    for currency, (count, amount, fee, net) in sorted(totals.items() or [("", [0, 0, 0, 0])]):
        lines.writerow(("total", count, "", "", amount, fee, net, currency, "", ""))
    for payout in payouts(account, day, stated):
        own, at = payout.settlement_id, f"{day}T23:59:59.999999Z"
        lines.writerow(
            ("payout", f"wpo_{own[4:]}", "", "", -payout.amount, 0, -payout.amount, payout.currency, at, own)
        )
    return text.getvalue()


def day_of(text: str, today: date) -> date:
    """Read a day (YYYY-MM-DD); 404 `settlement_unknown` for one that has not begun."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise Refusal(404, "settlement_unknown", "A settlement is named by its day, YYYY-MM-DD.") from None
    if day > today:
        raise Refusal(404, "settlement_unknown", "This day has not begun.")
    return day


def rows(db: sqlite3.Connection, account: str, day: date) -> Iterator[Row]:
    """Every row of a day, faults included: what is settled late is a row of the day after."""
    found = db.execute("SELECT fee_ppm FROM terms WHERE account = ?", (account,)).fetchone()
    window = {"account": account, "first": f"{day - timedelta(days=1)}T", "after": f"{day + timedelta(days=1)}T"}
    for moved in db.execute(MOVEMENTS, window):
        faults = loaded(moved["behaviours"])
        late, of_today = "settled_late" in faults, moved["occurred_at"] >= f"{day}T"
        if late == of_today:
            continue
        yield from _stated(moved, faults, found["fee_ppm"] if found else 0)


def payouts(account: str, day: date, stated: list[Row]) -> list[Payout]:
    """What is paid out of a day's rows: their net, for each currency in which it is not zero."""
    nets: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    for row in stated:
        nets[row.currency][0] += row.net
        nets[row.currency][1] += row.short
    return [
        Payout(settlement_id(account, day, currency), currency, day, net, net - short)
        for currency, (net, short) in sorted(nets.items())
        if net
    ]


def settlement_id(account: str, day: date, currency: str) -> str:
    """Name the settlement of a day in one currency."""
    return f"wst_{account}_{day:%Y%m%d}_{currency}"


def _stated(moved: sqlite3.Row, faults: frozenset[str], fee_ppm: int) -> Iterator[Row]:
    amount, currency = moved["amount"], moved["currency"]
    names = {name: moved[name] for name in ("kind", "id", "order_reference", "refund_reference", "occurred_at")}
    fee = (amount * fee_ppm + MILLION // 2) // MILLION if moved["kind"] == "payment" else 0
    row = Row(amount=amount, fee=fee, currency=currency, **names)
    if "unsettled" in faults:
        return
    if "settled_otherwise" in faults:
        row = replace(row, amount=misstated(amount))
    if "settled_in_currency" in faults:
        row = replace(row, currency="EUR" if currency == "USD" else "USD")
    if "fee_wrong" in faults:
        row = replace(row, fee=2 * fee + 1)
    if "short_payout" in faults:
        row = replace(row, short=max(1, amount // 10))
    yield row
    if "settled_twice" in faults:
        yield row
