"""The daily settlement file: what moved on one UTC day, a row each, and a footer by which a cut-off file is known."""

import csv
import io
import sqlite3
from collections import defaultdict
from datetime import date, datetime, timedelta

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
)
FEE = 0  # The pretend wallet takes none; the column is there because every real one does.

MOVEMENTS = """
SELECT 'payment' AS kind, id, reference AS order_reference, '' AS refund_reference, amount, currency, occurred_at
  FROM payments WHERE account = :account AND occurred_at >= :first AND occurred_at < :after
UNION ALL
SELECT 'refund', refunds.id, orders.reference, refunds.reference, -refunds.amount, refunds.currency, occurred_at
  FROM refunds JOIN orders ON orders.id = order_id
 WHERE refunds.account = :account AND refunds.state = 'succeeded' AND occurred_at >= :first AND occurred_at < :after
ORDER BY occurred_at, id
"""


def settlement(db: sqlite3.Connection, account: str, day: str, now: datetime) -> str:
    """Return an account's settlement of a day (YYYY-MM-DD, UTC) as CSV; 404 for a day that has not begun.

    Amounts are signed minor units: a payment adds, a refund takes away; net = amount - fee. After the rows comes one
    footer row `total` per currency, with the count of its rows in the column `id` and the column sums; a day on which
    nothing moved has one footer with a count of 0 and no currency.
    """
    try:
        first = date.fromisoformat(day)
    except ValueError:
        raise Refusal(404, "settlement_unknown", "A settlement is named by its day, YYYY-MM-DD.") from None
    if first > now.date():
        raise Refusal(404, "settlement_unknown", "This day has not begun.")
    window = {"account": account, "first": f"{first}T", "after": f"{first + timedelta(days=1)}T"}
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\r\n")
    lines.writerow(COLUMNS)
    totals: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for row in db.execute(MOVEMENTS, window):
        net = row["amount"] - FEE
        lines.writerow(
            (
                row["kind"],
                row["id"],
                row["order_reference"],
                row["refund_reference"],
                row["amount"],
                FEE,
                net,
                row["currency"],
                row["occurred_at"],
            )
        )
        for place, number in enumerate((1, row["amount"], FEE, net)):
            totals[row["currency"]][place] += number
    for currency, (count, amount, fee, net) in sorted(totals.items() or [("", [0, 0, 0, 0])]):
        lines.writerow(("total", count, "", "", amount, fee, net, currency, ""))
    return text.getvalue()
