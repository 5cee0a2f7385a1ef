"""django-hordak: a transaction with a leg for each account, as its documentation writes them, and many at once."""

from __future__ import annotations

import time
from decimal import Decimal

from django.db import connection, transaction
from hordak.models import Account, AccountType, Leg, Transaction
from moneyed import Money

CNY = "CNY"
PAID, FEE, REST = Money(Decimal("2.00"), CNY), Money(Decimal("0.02"), CNY), Money(Decimal("1.98"), CNY)
BULK = 500  # Its best size here.


def fill(vendors: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE hordak_leg, hordak_transaction RESTART IDENTITY CASCADE")
    if not Account.objects.exists():
        Account.objects.create(name="clearing", code="1", type=AccountType.asset, currencies=[CNY])
        Account.objects.create(name="fees", code="2", type=AccountType.income, currencies=[CNY])
        for number in range(vendors):
            code = str(100 + number)
            Account.objects.create(name=f"vendor {number}", code=code, type=AccountType.liability, currencies=[CNY])


def _accounts() -> tuple[Account, Account, list[Account]]:
    vendors = list(Account.objects.filter(name__startswith="vendor").order_by("id"))
    return Account.objects.get(name="clearing"), Account.objects.get(name="fees"), vendors


def one_by_one(events: int) -> float:
    clearing, fees, vendors = _accounts()
    began = time.perf_counter()
    for number in range(events):
        with transaction.atomic():
            made = Transaction.objects.create(description=f"payment {number}")
            Leg.objects.create(transaction=made, account=clearing, debit=PAID)
            Leg.objects.create(transaction=made, account=fees, credit=FEE)
            Leg.objects.create(transaction=made, account=vendors[number % len(vendors)], credit=REST)
    return time.perf_counter() - began


def in_bulk(events: int) -> float:
    clearing, fees, vendors = _accounts()
    began = time.perf_counter()
    for first in range(0, events, BULK):
        numbers = range(first, min(first + BULK, events))
        with transaction.atomic():
            made = Transaction.objects.bulk_create(Transaction(description=f"payment {n}") for n in numbers)
            Leg.objects.bulk_create(
                leg
                for number, each in zip(numbers, made, strict=True)
                for leg in (
                    Leg(transaction=each, account=clearing, debit=PAID),
                    Leg(transaction=each, account=fees, credit=FEE),
                    Leg(transaction=each, account=vendors[number % len(vendors)], credit=REST),
                )
            )
    return time.perf_counter() - began


def check(events: int) -> None:
    assert Transaction.objects.count() == events and Leg.objects.count() == 3 * events
    _clearing, fees, vendors = _accounts()
    held = sum((vendor.get_balance()[CNY].amount for vendor in vendors[:3]), Decimal(0))
    mine = sum(1 for number in range(events) if number % len(vendors) < 3)
    assert held == mine * REST.amount and fees.get_balance()[CNY].amount == events * FEE.amount
