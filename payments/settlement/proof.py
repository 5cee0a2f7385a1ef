"""A line of a statement as an event: what a provider's own file proves, in the words in which the inbox keeps it.

Pure. A notification that was lost and cannot be asked for is told by the file in the end; so it enters by the inbox, as
everything does, and is decided on like any other event.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime

from payments.models import StatementLine
from payments.providers.base import AMOUNT_MAX, Event, Kind, UnableToRead, Verified
from payments.settlement.stated import Line

_KINDS: dict[str, Kind] = {
    StatementLine.Kind.PAYMENT: "payment.succeeded",
    StatementLine.Kind.REFUND: "refund.succeeded",
    StatementLine.Kind.CHARGEBACK: "dispute.lost",
}


def of_line(line: Line, *, parent_object_id: str = "") -> Verified:
    """The line as it is kept in the inbox: once, however many files state it; `parent_object_id` where it names none.

    Only for lines that are `judging.provable`.
    """
    assert line.occurred_at is not None
    said = {
        "kind": line.kind,
        "object_id": line.object_id,
        "parent_object_id": line.parent_object_id or parent_object_id,
        "reference": line.reference,
        "amount": line.amount,
        "currency": line.currency,
    }
    name = hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    stated = {**said, "occurred_at": line.occurred_at.isoformat(), "statement": line.statement, "line": line.number}
    raw = json.dumps({"stated": stated}, sort_keys=True, separators=(",", ":")).encode()
    return Verified(delivery_id=f"file:{name}", raw=raw, authority="file")


def read(verified: Verified) -> Sequence[Event]:
    """What the file says, in our words. Raises UnableToRead for what `of_line` could not have written."""
    try:
        stated = json.loads(verified.raw)["stated"]
        amount, at = abs(stated["amount"]), datetime.fromisoformat(stated["occurred_at"])
        if not 0 < amount <= AMOUNT_MAX or at.tzinfo is None:
            raise ValueError(f"not an amount and a time: {amount}, {at}")
        return [
            Event(
                kind=_KINDS[stated["kind"]],
                object_id=stated["object_id"],
                parent_object_id=stated["parent_object_id"] if stated["kind"] != StatementLine.Kind.PAYMENT else "",
                amount=amount,
                currency=stated["currency"],
                occurred_at=at,
                reference=stated["reference"],
            )
        ]
    except (KeyError, TypeError, ValueError) as failure:
        raise UnableToRead(f"not a line of a statement as we keep it: {failure!r}") from failure
