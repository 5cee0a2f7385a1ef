"""What of our book the lines of a batch may be about: loaded in bulk, with its rows locked in the one fixed order.

Payments first, then refunds and disputes, each by id; the lines themselves are locked after them by whoever judges.
Every look-up is by an index, for all lines at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection

from merchants import columns, ids
from payments.known import intent_id, refund_id
from payments.models import Dispute, Payment, PaymentIntent, Refund, Statement, StatementLine
from payments.settlement.stated import Book, Line, Ours, Pairing

Kind = StatementLine.Kind
_BACK = (Kind.REFUND, Kind.CHARGEBACK)


def load(lines: Sequence[Line]) -> Book:
    """Locks and loads every row that these lines may be about, and the pairings that hold of them."""
    intents = {named for line in lines if (named := intent_id(line.reference))}
    refunds = {named for line in lines if (named := refund_id(line.reference))}
    objects = {(line.account_id, line.object_of_payment) for line in lines if line.object_of_payment}
    back = {line.object_id for line in lines if line.kind in _BACK and line.object_id}
    book = Book()
    nameless = [line for line in lines if _nameless(line)]
    wanted = _payments_named(objects, intents, refunds, back) | _payments_alike(nameless)
    _load(book, wanted, with_back=any(line.kind in _BACK for line in lines))
    book.intents = dict(PaymentIntent.objects.filter(id__in=intents).values_list("id", "provider_account_id"))
    book.nameless = _rivals(nameless)
    return book


def load_only(*, payment_ids: Iterable[UUID]) -> Book:
    """The same for payments that a person has chosen, with all that went back of them."""
    book = Book()
    _load(book, set(payment_ids), with_back=True)
    return book


def lines_of(rows: Iterable[Sequence[Any]]) -> list[Line]:
    """Lines from rows of `COLUMNS`."""
    named: dict[UUID, str] = {}
    found = []
    for line_id, statement_id, *rest in rows:
        name = named.get(statement_id) or named.setdefault(statement_id, ids.public(Statement.prefix, statement_id))
        found.append(Line(line_id, name, *rest))
    return found


# Of a line (`line`) and its statement, in the order of the fields of `Line`.
COLUMNS = """line.id, line.statement_id, line.number, line.provider_account_id, line.kind, line.object_id,
       line.parent_object_id, line.reference, line.settlement_id, line.amount, line.fee, line.currency,
       line.occurred_at, line.looks, statement.fetched, statement.state = 'imported'"""


def _nameless(line: Line) -> bool:
    return line.kind == Kind.PAYMENT and not line.object_id and line.occurred_at is not None


def _load(book: Book, payment_ids: set[UUID], *, with_back: bool) -> None:
    if not payment_ids:
        return
    with connection.cursor() as cursor:
        named = columns.literal(payment_ids)
        cursor.execute(_PAYMENTS_SQL, [named])
        for row in cursor.fetchall():
            payment_id, account_id, shop_id, funds, object_id, amount, currency, at, intent = row
            name = ids.public(Payment.prefix, payment_id)
            book.add(
                Ours("payment", payment_id, name, account_id, payment_id, shop_id, funds, object_id, amount, currency,
                     at, "", intent)
            )  # fmt: skip
        if with_back:
            _load_back(book, cursor, named)
        cursor.execute(_PAIRINGS_SQL, [named])
        for row in cursor.fetchall():
            _add_pairing(book, *row)


def _load_back(book: Book, cursor: Any, payment_ids: str) -> None:
    cursor.execute(_REFUNDS_SQL, [payment_ids])
    for refund_id_, payment_id, object_id, amount, currency, at, state in cursor.fetchall():
        of = book.ours["payment", payment_id]
        name = ids.public(Refund.prefix, refund_id_)
        book.add(
            Ours("refund", refund_id_, name, of.account_id, payment_id, of.shop_id, of.funds, object_id, -amount,
                 currency, at, state)
        )  # fmt: skip
    cursor.execute(_DISPUTES_SQL, [payment_ids])
    for dispute_id, payment_id, object_id, amount, currency, at, state in cursor.fetchall():
        of = book.ours["payment", payment_id]
        name = ids.public(Dispute.prefix, dispute_id)
        # Gone from the account while it is open or lost, and there again once it was won.
        gone = -amount if state in (Dispute.State.OPEN, Dispute.State.LOST) else 0
        book.add(
            Ours("dispute", dispute_id, name, of.account_id, payment_id, of.shop_id, of.funds, object_id, gone,
                 currency, at, state)
        )  # fmt: skip


def _add_pairing(
    book: Book, match_id: UUID, rule: str, payment: UUID, refund: UUID | None, dispute: UUID | None, told: str
) -> None:
    about = "refund" if refund else "dispute" if dispute else "payment"
    key = (about, refund or dispute or payment)
    if key not in book.ours:
        return
    why = json.loads(told)
    stated, fee = why.get("stated", {}), why.get("fee", {})
    book.pairings[key] = Pairing(
        id=match_id,
        rule=rule,
        ours=book.ours[key],
        new=False,
        amount=stated.get("amount", 0),
        fee=fee.get("stated", 0),
        booked_fee=fee.get("booked", 0),
        names=list(stated.get("lines", [])),
        open_keys=list(why.get("questions", [])),
    )


def _payments_named(
    objects: set[tuple[UUID, str]], intents: set[UUID], refunds: set[UUID], back: set[str]
) -> set[UUID]:
    pairs = list(objects)
    with connection.cursor() as cursor:
        cursor.execute(
            _NAMED_SQL,
            {
                "accounts": columns.literal(account for account, _ in pairs),
                "objects": columns.literal(object_id for _, object_id in pairs),
                "intents": columns.literal(intents),
                "refunds": columns.literal(refunds),
                "back": columns.literal(back),
            },
        )
        return {row[0] for row in cursor.fetchall()}


def _payments_alike(nameless: Sequence[Line]) -> set[UUID]:
    """Payments that lines without a name may be about: of their accounts, about their times, of their amounts."""
    found: set[UUID] = set()
    within = settings.MATCH_BY_AMOUNT_WITHIN
    with connection.cursor() as cursor:
        for account_id, lines in _by_account(nameless):
            moments = [line.occurred_at for line in lines if line.occurred_at]
            cursor.execute(
                _ALIKE_SQL,
                [[line.currency for line in lines], [line.amount for line in lines], account_id,
                 min(moments) - within, max(moments) + within],
            )  # fmt: skip
            found |= {row[0] for row in cursor.fetchall()}
    return found


def _rivals(nameless: Sequence[Line]) -> list[tuple[int, UUID, str, int, datetime]]:
    """Every line without a name that could be taken for one of these."""
    found: list[tuple[int, UUID, str, int, datetime]] = []
    within: timedelta = 2 * settings.MATCH_BY_AMOUNT_WITHIN
    with connection.cursor() as cursor:
        for account_id, lines in _by_account(nameless):
            moments = [line.occurred_at for line in lines if line.occurred_at]
            cursor.execute(
                _RIVALS_SQL,
                [[line.currency for line in lines], [line.amount for line in lines], account_id,
                 min(moments) - within, max(moments) + within],
            )  # fmt: skip
            found += cursor.fetchall()
    return found


def _by_account(lines: Sequence[Line]) -> Iterable[tuple[UUID, list[Line]]]:
    accounts: dict[UUID, list[Line]] = {}
    for line in lines:
        accounts.setdefault(line.account_id, []).append(line)
    return sorted(accounts.items())


_NAMED_SQL = """
SELECT payment.id FROM unnest(%(accounts)s::uuid[], %(objects)s::text[]) AS named(account_id, object_id)
  JOIN payments_payment payment
    ON payment.provider_account_id = named.account_id AND payment.object_id = named.object_id
UNION
SELECT id FROM payments_payment WHERE intent_id = ANY(%(intents)s::uuid[])
UNION
SELECT payment_id FROM payments_refund WHERE id = ANY(%(refunds)s::uuid[])
UNION
SELECT payment_id FROM payments_refund WHERE object_id = ANY(%(back)s::text[]) AND object_id <> ''
UNION
SELECT payment_id FROM payments_dispute WHERE object_id = ANY(%(back)s::text[])
"""

_ALIKE_SQL = """
WITH stated AS MATERIALIZED (SELECT DISTINCT * FROM unnest(%s::text[], %s::bigint[]) AS one(currency, amount))
SELECT payment.id FROM payments_payment payment JOIN stated USING (currency, amount)
 WHERE payment.provider_account_id = %s AND payment.occurred_at BETWEEN %s AND %s
"""

_RIVALS_SQL = """
WITH stated AS MATERIALIZED (SELECT DISTINCT * FROM unnest(%s::text[], %s::bigint[]) AS one(currency, amount))
SELECT line.id, line.provider_account_id, line.currency, line.amount, line.occurred_at
  FROM payments_statementline line JOIN stated USING (currency, amount)
 WHERE line.provider_account_id = %s AND line.kind = 'payment' AND line.object_id = ''
   AND line.occurred_at BETWEEN %s AND %s
"""

_PAYMENTS_SQL = """
SELECT payment.id, payment.provider_account_id, payment.shop_id, account.funds, payment.object_id, payment.amount,
       payment.currency, payment.occurred_at, payment.intent_id
  FROM payments_payment payment JOIN payments_provideraccount account ON account.id = payment.provider_account_id
 WHERE payment.id = ANY(%s::uuid[]) ORDER BY payment.id FOR NO KEY UPDATE OF payment
"""

_REFUNDS_SQL = """
SELECT id, payment_id, object_id, amount, currency, coalesce(settled_at, created_at), state
  FROM payments_refund WHERE payment_id = ANY(%s::uuid[]) ORDER BY id FOR NO KEY UPDATE
"""

_DISPUTES_SQL = """
SELECT id, payment_id, object_id, amount, currency, told_at, state
  FROM payments_dispute WHERE payment_id = ANY(%s::uuid[]) ORDER BY id FOR NO KEY UPDATE
"""

_PAIRINGS_SQL = """
SELECT id, rule, payment_id, refund_id, dispute_id, why::text FROM payments_match
 WHERE payment_id = ANY(%s::uuid[]) AND undone_at IS NULL
"""
