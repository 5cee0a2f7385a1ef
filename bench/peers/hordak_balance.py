"""django-hordak's balance of one account, by so many legs: it adds them up each time it is asked (`get_balance`)."""

from __future__ import annotations

import json
import os
import sys
import time
from decimal import Decimal
from statistics import median
from urllib.parse import unquote, urlsplit

import django
from django.conf import settings

_ADDRESS = urlsplit(os.environ["PEERS_DATABASE_URL"])
settings.configure(
    SECRET_KEY="only-for-the-bench",
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "mptt", "hordak"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": _ADDRESS.path.lstrip("/"),
            "USER": unquote(_ADDRESS.username or ""),
            "PASSWORD": unquote(_ADDRESS.password or ""),
            "HOST": _ADDRESS.hostname,
            "PORT": _ADDRESS.port,
        }
    },
    DEFAULT_CURRENCY="CNY",
    CURRENCIES=["CNY"],
    HORDAK_CURRENCIES=["CNY"],
)
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from hordak.models import Account, AccountType, Leg, Transaction  # noqa: E402
from moneyed import Money  # noqa: E402

AMOUNT, BULK = Money(Decimal("2.00"), "CNY"), 2000


def fill(legs: int) -> Account:
    """An account with so many legs; it keeps those that it has."""
    clearing, _ = Account.objects.get_or_create(
        name="clearing", defaults={"code": "1", "type": AccountType.asset, "currencies": ["CNY"]}
    )
    vendor, _ = Account.objects.get_or_create(
        name="vendor", defaults={"code": "2", "type": AccountType.liability, "currencies": ["CNY"]}
    )
    for first in range(Leg.objects.filter(account=vendor).count(), legs, BULK):
        count = min(BULK, legs - first)
        with transaction.atomic():
            made = Transaction.objects.bulk_create(Transaction(description="payment") for _ in range(count))
            Leg.objects.bulk_create(
                leg
                for each in made
                for leg in (
                    Leg(transaction=each, account=clearing, debit=AMOUNT),
                    Leg(transaction=each, account=vendor, credit=AMOUNT),
                )
            )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE) hordak_leg")
    return vendor


def measured(vendor: Account, legs: int, times: int) -> dict[str, float]:
    took = []
    cpu = time.process_time()
    for _ in range(times):
        began = time.perf_counter()
        held = vendor.get_balance()["CNY"].amount
        took.append((time.perf_counter() - began) * 1000)
        assert held == legs * AMOUNT.amount
    return {
        "p50_ms": median(took),
        "p99_ms": sorted(took)[int(times * 0.99)],
        "cpu_us": (time.process_time() - cpu) / times * 1e6,
    }


def main() -> None:
    with open(os.dup(1), "w", buffering=1) as answers:
        os.dup2(2, 1)  # Whatever a package prints goes where it disturbs nobody.
        call_command("migrate", verbosity=0)
        vendor = None
        print("{}", file=answers)
        for line in sys.stdin:
            asked = json.loads(line)
            vendor = fill(asked["legs"]) if vendor is None or asked["do"] == "fill" else vendor
            told = measured(vendor, asked["legs"], asked["times"]) if asked["do"] == "read" else {}
            print(json.dumps(told), file=answers)


if __name__ == "__main__":
    main()
