"""A shop with so many entries, written by the database itself: what reading costs must not follow how much there is.

Half as many payments as entries, each with its intent, spread evenly over the days before `until`; every payment is
booked as it arrived and as it became available, and the balances are those sums. Imported only after Django is set up.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import connection

from bench import cast
from merchants import ids
from merchants.models import Code, Shop, Staff, Token, User
from payments import chart
from payments.chart import Place
from payments.models import Account

SPAN = timedelta(days=30)


def filled(entries: int, *, until: datetime, span: timedelta = SPAN, phone: str) -> tuple[Shop, str]:
    """The shop and a token of its owner."""
    named = {"name": f"Stall of {entries}", "check_word": f"stall of {phone}"}
    shop = Shop.objects.create(country="CN", currency="CNY", time_zone="Asia/Shanghai", **named)
    code = Code.objects.create(shop=shop, kind=Code.Kind.SHOP)
    user = User.objects.create_user(phone)
    Staff.objects.create(user=user, shop=code.shop, role=Staff.Role.OWNER)
    _row, token = Token.objects.create(user, shop=code.shop)
    add(code, entries // 2, since=until - span, until=until)
    return code.shop, token


def add(code: Code, payments: int, *, since: datetime, until: datetime) -> None:
    """So many payments of that code's shop and twice as many entries."""
    of = cast.account()
    held, free = Place(Account.Kind.SHOP_PENDING, "held", code.shop_id), chart.available(code.shop_id)
    owed = chart.receivable(of.id)
    made = {
        "shop": code.shop_id,
        "code": code.id,
        "account": of.id,
        "amount": cast.AMOUNT,
        "count": payments,
        "since": since,
        "step_ms": max(int((until - since).total_seconds() * 1000 / max(payments, 1)), 1),
        "owed": _account(owed),
        "held": _account(held),
        "free": _account(free),
        "salt": ids.new().hex[-10:],
    }
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")  # A million rows take their time.
        for statement in _STATEMENTS:
            cursor.execute(statement, made)


def _account(place: Place) -> int:
    """The row of an account in the book, which the first posting to it would have made."""
    named = {"kind": place.kind, "funds": place.funds, "currency": "CNY"}
    owners = {"shop_id": place.shop_id, "provider_account_id": place.provider_account_id}
    row, _made = Account.objects.get_or_create(key=place.key("CNY"), defaults={**named, **owners})
    return int(row.pk)


def settle() -> None:
    """What autovacuum would do in its time."""
    with connection.cursor() as cursor:
        for table in ("payments_ledgerentry", "payments_payment", "payments_paymentintent", "payments_accountbalance"):
            cursor.execute(f"VACUUM (ANALYZE) {table}")


# A UUIDv7 of the moment: its milliseconds, the version, a digit of what it is, and a number that ascends.
_ID = """(lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7{what}' || lpad(to_hex(n %% 256), 2, '0')
 || '8' || lpad(to_hex(n), 5, '0') || %(salt)s)::uuid"""
_INTENT, _PAYMENT, _PAID, _DUE = (_ID.format(what=digit) for digit in "0123")
_EACH = """
  FROM (SELECT n, date_trunc('milliseconds', %(since)s::timestamptz + n::bigint * %(step_ms)s * interval '1 ms') AS at
          FROM generate_series(0, %(count)s - 1) AS n) AS each
"""

_INTENTS = f"""
INSERT INTO payments_paymentintent
       (id, shop_id, code_id, provider_account_id, amount, currency, quantity, description, state, closing, single_use,
        page, payer, receipt, provider_object_id, redirect_url, handover, start_failure, created_at, expires_at,
        closed_at)
SELECT {_INTENT}, %(shop)s, %(code)s, %(account)s, %(amount)s, 'CNY', 1, 'Apples', 'paid', '', false,
       {_INTENT}, 'bench', replace({_INTENT}::text, '-', ''), '', '', '{{}}', '', at, at, at {_EACH}
"""
_PAYMENTS = f"""
INSERT INTO payments_payment
       (id, provider_account_id, object_id, shop_id, intent_id, amount, currency, match, placed, occurred_at,
        recorded_at, fee_amount)
SELECT {_PAYMENT}, %(account)s, 'wpy_' || replace({_INTENT}::text, '-', ''), %(shop)s, {_INTENT}, %(amount)s, 'CNY',
       'exact', true, at, at, 0 {_EACH}
"""
_ENTRIES = f"""
INSERT INTO payments_ledgerentry
       (id, key, kind, debit_id, credit_id, amount, currency, shop_id, payment_id, occurred_at, recorded_at)
SELECT {_PAID}, 'paid|' || replace({_PAYMENT}::text, '-', ''), 'paid', %(owed)s, %(held)s, %(amount)s, 'CNY',
       %(shop)s, {_PAYMENT}, at, at {_EACH}
 UNION ALL
SELECT {_DUE}, 'due|' || replace({_PAYMENT}::text, '-', ''), 'due', %(held)s, %(free)s, %(amount)s, 'CNY',
       %(shop)s, {_PAYMENT}, at, at {_EACH}
 ORDER BY 1
"""
_BALANCES = """
INSERT INTO payments_accountbalance AS was (account_id, debits, credits)
VALUES (%(owed)s, %(count)s::bigint * %(amount)s, 0),
       (%(held)s, %(count)s::bigint * %(amount)s, %(count)s::bigint * %(amount)s),
       (%(free)s, 0, %(count)s::bigint * %(amount)s)
    ON CONFLICT (account_id) DO UPDATE
   SET debits = was.debits + EXCLUDED.debits, credits = was.credits + EXCLUDED.credits
"""
_STATEMENTS = (_INTENTS, _PAYMENTS, _ENTRIES, _BALANCES)
