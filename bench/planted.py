"""A month of payments with planted faults, its statements, and what must be found of them; after Django is set up.

Payments come in as the wallet's words do: kept in the inbox and drained. A fault is planted by what is left out, said
twice or said wrongly on one of the two sides. `Month.found` reads from the database alone what was found, by name.
"""

from __future__ import annotations

import time
import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from bench import cast
from bench.ground import used_by
from bench.wallet import FAULTS, Sale, keep, lines_of, order, refund, statement_of, story
from merchants import ids
from merchants.models import User
from payments import chart, inbox, ledger, operating, reconcile, remedies
from payments.models import (
    BankAccount,
    Discrepancy,
    FeeContract,
    IntentTimer,
    Match,
    Settlement,
    Statement,
    StatementLine,
)
from payments.providers.base import answered
from payments.settlement import banking, matching, missing, totals, undoing

DAYS, LATE_DAYS, PER_SETTLEMENT = 30, 4, 33


@dataclass
class Month:
    """So many payments over 30 days; each of the faults is planted in one of a hundred."""

    payments: int
    begin: date = field(default_factory=lambda: timezone.now().astimezone(UTC).date() - timedelta(days=45))
    sales: list[Sale] = field(default_factory=list)
    short: set[str] = field(default_factory=set)
    look_s: float = 0.0
    look_cpu_s: float = 0.0  # Of a processor, here and in the database: that moves less with what else runs.
    seek_s: float = 0.0
    looks: int = 0

    # --- The month itself ---

    def seed(self) -> None:
        """Everything that the wallet did and told us of."""
        codes = cast.shops(max(self.payments // 500, 4))
        intents = cast.intents(codes, self.payments)
        IntentTimer.objects.all().delete()
        for number, intent in enumerate(intents):
            fault = FAULTS[number % 100] if number % 100 < len(FAULTS) - 1 else ""
            amount = 1000 + number * 37 % 9000
            second = (number * 86_400 * DAYS) // self.payments
            at = datetime.combine(self.begin, datetime.min.time(), tzinfo=UTC) + timedelta(seconds=second)
            intent.amount = amount
            currency = "USD" if fault == "wrong currency" and number % 200 < 100 else "CNY"
            object_id = f"wpy_{self.begin:%y%m%d}_{number}"
            self.sales.append(Sale(number, object_id, intent, amount, at, fault, currency))
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE payments_paymentintent AS intent SET amount = made.amount"
                " FROM unnest(%s::uuid[], %s::bigint[]) AS made(id, amount) WHERE intent.id = made.id",
                [[sale.intent.id for sale in self.sales], [sale.amount for sale in self.sales]],
            )
        silent = ("lost webhook", "unknown payment")
        keep([order(sale) for sale in self.sales if sale.fault not in silent])
        keep([refund(sale, 1) for sale in self.sales if sale.refunded])

    def play(self) -> None:
        """Evening by evening: the day's file comes in, is held against the book, and what is silent is asked about."""
        lines: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for sale in self.sales:
            day = (sale.at.date() - self.begin).days
            for line in lines_of(sale):
                lines[day + (LATE_DAYS if sale.fault == "late settlement" else 0)].append(line)
        for day in range(DAYS + LATE_DAYS + 1):
            self._evening(day, lines[day])

    def _evening(self, day: int, lines: list[dict[str, Any]]) -> None:
        today = self.begin + timedelta(days=day)
        evening = datetime.combine(today, datetime.min.time(), tzinfo=UTC) + timedelta(days=1, hours=2)
        for place, line in enumerate(lines):
            line["settlement_id"] = f"set_{today:%y%m%d}_{place // PER_SETTLEMENT}"
        statement = statement_of(lines, today, evening)
        with transaction.atomic():
            settled = totals.note(statement_id=statement.id, now=evening)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            database = cursor.fetchone()[0]
        for wait in (timedelta(0), timedelta(minutes=2), timedelta(minutes=15), timedelta(hours=2), timedelta(hours=4)):
            began, used = time.perf_counter(), time.process_time() + used_by(database)
            self.looks += matching.look(now=evening + wait)
            self.look_s += time.perf_counter() - began
            self.look_cpu_s += time.process_time() + used_by(database) - used
            self._wallet_answers(evening + wait)
            reconcile.drain(clock=timezone.now)
        began = time.perf_counter()
        while missing.find_missing(now=evening + timedelta(hours=5), limit=5000):
            continue
        self.seek_s += time.perf_counter() - began
        short = {s for n, s in enumerate(settled) if (day * 101 + n) % 100 == 7}
        self.short |= {str(Settlement.objects.get(id=one)) for one in short}
        bank_pays(settled, short, now=evening)

    def _wallet_answers(self, now: datetime) -> None:
        """The wallet is asked about the intents of lost notifications, and tells their whole story."""
        asked = set(IntentTimer.objects.filter(next_query_at__lte=now).values_list("intent_id", flat=True))
        if not asked:
            return
        IntentTimer.objects.filter(intent__in=asked).delete()
        for sale in self.sales:
            if sale.intent.id in asked and sale.fault == "lost webhook":
                inbox.keep(account=cast.account(), verified=answered(story(sale)), now=now)

    # --- What was planted, and what was found ---

    def planted(self) -> dict[str, set[str]]:
        by_name = {name: {sale.object_id for sale in self.sales if sale.fault == name} for name in FAULTS}
        return by_name | {"short settlement": self.short}

    def found(self) -> dict[str, set[str]]:
        """Read from the book, the lines and the questions; each fault by the name that the product gives it."""
        reasons = Discrepancy.Reason
        missed = Discrepancy.objects.filter(reason=reasons.MISSING_AT_PROVIDER)
        return {
            "lost webhook": _objects(_LOST_SQL),
            "duplicate": _objects(_DUPLICATE_SQL),
            "wrong fee": _asked(reasons.FEE_DIFFERS),
            "missing refund": set(missed.filter(refund__isnull=False).values_list("payment__object_id", flat=True)),
            "unknown payment": _asked(reasons.UNKNOWN_REFERENCE),
            "double refund": _asked(reasons.REFUND_EXCESS),
            "wrong currency": _asked(reasons.WRONG_CURRENCY) | _asked(reasons.CURRENCY_DIFFERS),
            # Missed first, and answered by the late file: by nobody.
            "late settlement": set(
                missed.filter(refund=None, state="resolved", owner=None).values_list("payment__object_id", flat=True)
            ),
            "short settlement": short_settlements(),
        }

    def questions_beside(self) -> dict[str, int]:
        """Questions that nothing planted explains, by reason."""
        known = {"fee_differs", "unknown_reference", "refund_excess", "wrong_currency", "currency_differs",
                 "stated_twice", "missing_at_provider", "settlement_differs"}  # fmt: skip
        rest = Discrepancy.objects.exclude(reason__in=known)
        return {row.reason: rest.filter(reason=row.reason).count() for row in rest}

    def falsely_matched(self) -> int:
        """Lines that are called matched with something of another name, amount or currency; counted by the database."""
        with connection.cursor() as cursor:
            cursor.execute(_FALSE_SQL)
            return int(cursor.fetchone()[0])

    # --- The queue is resolved, and everything undone ---

    def resolve(self, operator: User, now: datetime) -> None:
        """An operator works off the queue."""
        self._end_what_is_in_suspense(operator, now)
        waiting = list(Discrepancy.objects.filter(state="open").order_by("id").values_list("id", flat=True))
        for first in range(0, len(waiting), 1000):
            part = waiting[first : first + 1000]
            operating.resolve(discrepancy_ids=part, operator=operator, note="looked at", now=now)

    def _end_what_is_in_suspense(self, operator: User, now: datetime) -> None:
        """What a customer's receipt shows to be a shop's is given to it; what nobody can place is kept."""
        shop = self.sales[0].intent.shop_id
        for reason, remedy in (("unknown_reference", "place_with_shop"), ("wrong_currency", "keep")):
            waiting = Discrepancy.objects.filter(reason=reason, state="open").order_by("id")
            for question in list(waiting.values_list("id", flat=True)):
                remedies.propose(
                    discrepancy_id=question, remedy=remedy, note="looked at", operator=operator, now=now,
                    shop_id=shop if remedy == "place_with_shop" else None,
                )  # fmt: skip

    def undo_everything(self, operator: User, now: datetime) -> int:
        holding = list(Match.objects.filter(undone_at=None).order_by("id").values_list("id", flat=True))
        for first in range(0, len(holding), 1000):
            part = holding[first : first + 1000]
            undoing.undo_all(match_ids=part, operator=operator, reason="the whole month", now=now)
        return len(holding)


def suspense() -> dict[str, int]:
    """What stands in suspense, by currency."""
    return {currency: ledger.total_of(chart.SUSPENSE, currency) for currency in ("CNY", "USD")}


def moved_by_matches() -> int:
    """How many accounts stand otherwise than the entries make them that no match has caused; by the database alone."""
    with connection.cursor() as cursor:
        cursor.execute(_RESTORED_SQL)
        return int(cursor.fetchone()[0])


def contract(operator: User) -> None:
    """What the wallet may keep: 0.6 %, and a minor unit more or less."""
    moment = datetime(2020, 1, 1, tzinfo=UTC)
    FeeContract.objects.create(
        side="cost", provider="sandbox", currency="CNY", version=1, valid_from=moment, parts_per_million=6000,
        tolerance_amount=1, note="as signed", made_by=operator, made_at=moment,
    )  # fmt: skip


# --- The bank --------------------------------------------------------------------------------------------------------


def bank_pays(settled: list[uuid.UUID], short: set[uuid.UUID], *, now: datetime) -> None:
    """Our bank's statements of the evening: a credit for each settlement, of a yuan less for the short ones."""
    by_currency: dict[str, list[Settlement]] = defaultdict(list)
    for row in Settlement.objects.filter(id__in=settled).order_by("id"):
        by_currency[row.currency].append(row)
    for currency, rows in sorted(by_currency.items()):
        account, _ = BankAccount.objects.get_or_create(
            name=f"bench-{currency.lower()}", defaults={"holder": "Us", "number": currency, "currency": currency}
        )
        statement = Statement.objects.create(
            bank_account=account, format="camt053", state="imported", fetched=True, sha256=uuid.uuid4().hex,
            line_count=len(rows), created_at=now, imported_at=now,
        )  # fmt: skip
        StatementLine.objects.bulk_create(
            StatementLine(
                statement=statement, number=number, raw={"text": f"payout {row.reference}"}, kind="credit",
                object_id=f"{row.reference}-{currency}", reference=row.reference,
                amount=row.lines_amount - (100 if row.id in short else 0), currency=currency, occurred_at=now,
                look_at=now,
            )
            for number, row in enumerate(rows, start=1)
        )  # fmt: skip
    while banking.look(now=now, limit=1000):
        continue


def short_settlements() -> set[str]:
    asked = Discrepancy.objects.filter(reason=Discrepancy.Reason.SETTLEMENT_DIFFERS)
    return {ids.public(Settlement.prefix, settlement_id) for (settlement_id,) in asked.values_list("settlement_id")}


# --- Asked of the database -------------------------------------------------------------------------------------------


def _objects(statement: str) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return {row[0] for row in cursor.fetchall()}


def _asked(reason: str) -> set[str]:
    return set(Discrepancy.objects.filter(reason=reason).values_list("payment__object_id", flat=True))


_LOST_SQL = """
SELECT payment.object_id FROM payments_payment payment
  JOIN payments_ledgerentry entry ON entry.key = 'paid|' || replace(payment.id::text, '-', '')
  JOIN payments_webhookevent event ON event.id = entry.event_id AND event.authority = 'queried'
  JOIN payments_match made ON made.payment_id = payment.id AND made.undone_at IS NULL
"""

_DUPLICATE_SQL = """
SELECT line.object_id FROM payments_statementline line
  JOIN payments_discrepancy asked ON asked.line_id = line.id AND asked.reason = 'stated_twice'
 WHERE line.outcome = 'duplicate'
"""

_FALSE_SQL = """
SELECT count(*) FROM payments_statementline line
  JOIN payments_match made ON made.id = line.match_id
  LEFT JOIN payments_payment payment ON payment.id = made.payment_id
  LEFT JOIN payments_refund refund ON refund.id = made.refund_id
 WHERE line.outcome = 'matched' AND line.provider_account_id IS NOT NULL
   AND (line.object_id, line.amount, line.currency) IS DISTINCT FROM
       (coalesce(refund.object_id, payment.object_id), coalesce(-refund.amount, payment.amount), payment.currency)
"""

_RESTORED_SQL = """
WITH others AS (
    SELECT entry.debit_id, entry.credit_id, entry.amount FROM payments_ledgerentry entry
     WHERE NOT EXISTS (SELECT FROM payments_match made WHERE made.id = entry.cause_id)
), wanted AS (
    SELECT account_id, sum(net) AS net
      FROM (SELECT credit_id AS account_id, amount AS net FROM others
            UNION ALL SELECT debit_id, -amount FROM others) AS side
     GROUP BY account_id
)
SELECT count(*) FROM payments_accountbalance balance LEFT JOIN wanted ON wanted.account_id = balance.account_id
 WHERE balance.credits - balance.debits <> coalesce(wanted.net, 0)
"""
