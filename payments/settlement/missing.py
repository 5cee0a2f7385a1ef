"""What our book has and no statement confirms: looked for once a day is final, day by day and account by account.

A day is final when its provider has had its time (STATEMENT_FINAL) and every statement up to then is in and was looked
at. Until then what is not stated is only in transit. `Statement.sought_at` says which days are done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from merchants import ids
from payments import providers
from payments.models import Discrepancy, Dispute, Payment, ProviderAccount, Refund, Statement
from payments.settlement import pairing
from payments.settlement.stated import About, Question

_PREFIXES: dict[About, str] = {"payment": Payment.prefix, "refund": Refund.prefix, "dispute": Dispute.prefix}


def find_missing(*, now: datetime, limit: int) -> int:
    """Asks about what is missing on the earliest final day of each account, at most `limit` questions for a day.

    Answers how many days it looked at; 0 when nothing is left. What a later statement brings answers itself.
    """
    return sum(_seek(day, now, limit) for day in _final_days(now))


@dataclass(frozen=True, slots=True)
class _Day:
    """A day of an account whose statements are all in: that of the day itself, and those until it was final."""

    account: ProviderAccount
    day: date
    begin: datetime
    end: datetime
    statements: Sequence[UUID]


def _final_days(now: datetime) -> list[_Day]:
    unsought = Statement.objects.filter(
        state=Statement.State.IMPORTED, sought_at=None, day__isnull=False, provider_account__isnull=False
    )
    found = []
    waiting = ProviderAccount.objects.filter(id__in=unsought.values("provider_account")).order_by("id")
    for account in waiting:
        days = unsought.filter(provider_account=account).order_by("day").values_list("day", flat=True).distinct()
        final = (day for wanted in days if wanted and (day := _when_final(account, wanted, now)))
        found += [day for day in [next(final, None)] if day is not None]
    return found


def _when_final(account: ProviderAccount, day: date, now: datetime) -> _Day | None:
    """The day with its statements, when it is over for good and every statement until then is in."""
    provider = providers.named(account.provider)
    begin = datetime.combine(day, time(), tzinfo=provider.STATEMENT_ZONE)
    end = datetime.combine(day + timedelta(days=1), time(), tzinfo=provider.STATEMENT_ZONE)
    if now < end + provider.STATEMENT_FINAL:
        return None
    last = (end + provider.STATEMENT_FINAL - timedelta(microseconds=1)).astimezone(provider.STATEMENT_ZONE).date()
    rows = Statement.objects.filter(
        provider_account=account, state=Statement.State.IMPORTED, day__gte=day, day__lte=last
    ).values_list("id", "day")
    if len({row_day for _, row_day in rows}) <= (last - day).days:
        return None
    return _Day(account, day, begin, end, [statement_id for statement_id, _ in rows])


def _seek(day: _Day, now: datetime, limit: int) -> int:
    with transaction.atomic():
        own = Statement.objects.select_for_update(no_key=True).filter(
            provider_account=day.account, day=day.day, state=Statement.State.IMPORTED, sought_at=None
        )
        waiting = [statement.id for statement in own.order_by("id")]
        if not waiting or _still_to_look_at(day.statements):
            return 0
        found = [question for about in _PREFIXES for question in _missing(about, day, limit)]
        pairing.ask(found, now=now)
        if len(found) < limit:
            Statement.objects.filter(id__in=waiting).update(sought_at=now)
    return 1


def _still_to_look_at(statements: Sequence[UUID]) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(_WAITING_SQL, [list(statements)])
        return cursor.fetchone() is not None


def _missing(about: About, day: _Day, limit: int) -> list[Question]:
    statement = _MISSING_SQL[about]
    asked: dict[str, Any] = {"account": day.account.id, "begin": day.begin, "end": day.end, "limit": limit}
    with connection.cursor() as cursor:
        cursor.execute(statement, {**asked, "only": None})
        suspected = cursor.fetchall()
        if not suspected:
            return []
        # Under the payments' locks and looked at again: a line that confirms one may be being matched.
        payments = sorted({row[1] for row in suspected})
        cursor.execute("SELECT id FROM payments_payment WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE", [payments])
        cursor.execute(statement, {**asked, "only": [row[0] for row in suspected]})
        return [_question(about, day, *row) for row in cursor.fetchall()]


def _question(
    about: About, day: _Day, row_id: UUID, payment_id: UUID, shop_id: UUID | None, object_id: str, amount: int,
    currency: str, at: datetime,
) -> Question:  # fmt: skip
    booked = {
        about: ids.public(_PREFIXES[about], row_id),
        "object": object_id,
        "amount": amount,
        "currency": currency,
        "occurred_at": at.isoformat(),
    }
    return Question(
        key=f"{pairing.MISSING_AT_PROVIDER}|{about}|{row_id.hex}",
        reason=str(Discrepancy.Reason.MISSING_AT_PROVIDER),
        line_id=0,
        account_id=day.account.id,
        amount=amount,
        currency=currency,
        shop_id=shop_id,
        payment_id=payment_id,
        refund_id=row_id if about == "refund" else None,
        details={"booked": booked, "statements": [ids.public(Statement.prefix, one) for one in day.statements]},
    )


_WAITING_SQL = """
SELECT 1 FROM payments_statementline
 WHERE look_at IS NOT NULL AND outcome = '' AND statement_id = ANY(%s::uuid[]) LIMIT 1
"""

# What is stated in another currency is stated: it has its own question.
_ASKED = """
   AND NOT EXISTS (SELECT FROM payments_discrepancy asked
                    WHERE asked.payment_id = payment.id AND asked.reason IN ('missing_at_provider', 'currency_differs')
                      AND asked.key LIKE ANY (ARRAY['%%|' || replace({0}.id::text, '-', ''), 'currency_differs|%%'])
                      AND asked.refund_id IS NOT DISTINCT FROM {1})
   AND (%(only)s::uuid[] IS NULL OR {0}.id = ANY(%(only)s::uuid[]))
 ORDER BY {0}.id LIMIT %(limit)s
"""

_MISSING_SQL: dict[About, str] = {
    "payment": """
SELECT payment.id, payment.id, payment.shop_id, payment.object_id, payment.amount, payment.currency, payment.occurred_at
  FROM payments_payment payment
 WHERE payment.provider_account_id = %(account)s
   AND payment.occurred_at >= %(begin)s AND payment.occurred_at < %(end)s
   AND NOT EXISTS (SELECT FROM payments_match made WHERE made.payment_id = payment.id AND made.undone_at IS NULL
                      AND made.refund_id IS NULL AND made.dispute_id IS NULL)
"""
    + _ASKED.format("payment", "NULL"),
    "refund": """
SELECT refund.id, payment.id, payment.shop_id, refund.object_id, refund.amount, refund.currency, refund.settled_at
  FROM payments_refund refund JOIN payments_payment payment ON payment.id = refund.payment_id
 WHERE refund.state = 'succeeded' AND refund.settled_at >= %(begin)s AND refund.settled_at < %(end)s
   AND payment.provider_account_id = %(account)s
   AND NOT EXISTS (SELECT FROM payments_match made WHERE made.refund_id = refund.id AND made.undone_at IS NULL)
"""
    + _ASKED.format("refund", "refund.id"),
    "dispute": """
SELECT dispute.id, payment.id, payment.shop_id, dispute.object_id, dispute.amount, dispute.currency, dispute.told_at
  FROM payments_dispute dispute JOIN payments_payment payment ON payment.id = dispute.payment_id
 WHERE dispute.state = 'lost' AND dispute.told_at >= %(begin)s AND dispute.told_at < %(end)s
   AND payment.provider_account_id = %(account)s
   AND NOT EXISTS (SELECT FROM payments_match made WHERE made.dispute_id = dispute.id AND made.undone_at IS NULL)
"""
    + _ASKED.format("dispute", "NULL"),
}
