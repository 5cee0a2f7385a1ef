"""Every address that is read costs as many questions for six rows as for two: a new one must be named here."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from merchants import ids, items
from merchants.desk import desk
from merchants.models import Code, CodeAlarm, PushSubscription, Token, WalletCode
from payments import receipt_keys
from payments.models import Dispute, Payment, ReceiptKey, Refund
from tests.cast import Person, hire
from tests.operators import quick_passwords, signed_in  # noqa: F401
from tests.test_figures import line, payout, question, statement
from tests.till import direct, drain, expect, paid, platform, shop_code

FEW, MANY = 2, 6
QUESTIONS_MAX = 10
API = "api/v1/"

# By its name: the path behind /api/v1/, and the part of the answer that is the list, if all its rows are on one page.
LISTS = {
    "code-alarms": ("code-alarms", "results"),
    "codes": ("codes", "results"),
    "devices": ("devices?of=shop", "results"),
    "disputes": ("disputes", "results"),
    "items": ("items", "results"),
    "ledger-day": ("ledger/day", "by_item"),
    "ledger-entries": ("ledger/entries", "results"),
    "notices": ("notices", "results"),
    "payments": ("payments", "results"),
    "payouts": ("payouts", "results"),
    "push": ("push", "subscriptions"),
    "receipt-keys": ("receipt-keys", "results"),
    "reported-sales": ("reported-sales", "results"),
    "wallet-codes": ("wallet-codes", "results"),
}
# What shows one thing, or as many as the product has ways to be paid.
OTHERS = {
    "code": "codes/{code}",
    "code-activity": "codes/{code}/activity",
    "code-png": "codes/{code}/image.png",
    "code-poster": "codes/{code}/poster.pdf",
    "code-svg": "codes/{code}/image.svg",
    "code-tent": "codes/{code}/tent.pdf",
    "codes-print": "codes/print.html?ids={codes}",
    "codes-sheet": "codes/sheet.pdf?ids={codes}",
    "item": "items/{item}",
    "ledger-balance": "ledger/balance",
    "ledger-statement": "ledger/statement?month={month}",
    "ledger-statement-camt053": "ledger/statement.xml?month={month}",
    "ledger-statement-csv": "ledger/statement.csv?month={month}",
    "ledger-statement-html": "ledger/statement.html?month={month}",
    "ledger-statement-pdf": "ledger/statement.pdf?month={month}",
    "payment": "payments/{payment}",
    "payment-texts": "payment-texts",
    "payout": "payouts/{payout}",
    "payout-account": "payout-account",
    "payout-next": "payouts/next",
    "provider-accounts": "provider-accounts",
    "providers": "providers",
    "shop": "shop",
    "shop-fees": "shop/fees",
    "wallet-code": "wallet-codes/{wallet_code}",
    "wallet-code-png": "wallet-codes/{wallet_code}/image.png",
    "wallet-code-sticker": "wallet-codes/{wallet_code}/sticker.pdf",
    "wallet-code-svg": "wallet-codes/{wallet_code}/image.svg",
}
# The same list, asked in ways that have queries of their own.
ASKED = [
    *(f"payments?{query}" for query in (
        "order=occurred", "refunded=yes", "refunded=partly", "refunded=no", "wants_look=true", "wants_look=false",
        "provider=sandbox", "match=exact", "search=2", "min_amount=1",
    )),
    "devices", "disputes?state=open", "codes?kind=item", "code-alarms?state=open", "ledger/balance?at={now}",
    "ledger/day?basis=recorded",
]  # fmt: skip


# Lists of what a shop has ever had: each is a page that an index holds in its order. What was typed is few rows.
PAGED = {path for path, part in LISTS.values() if part == "results"} - {"devices?of=shop", "receipt-keys"}
PAGED |= {path for path in ASKED if path.partition("?")[0] in PAGED and "search=" not in path}


class Market:
    """A shop in which everything that a list shows exists as often as it is asked for."""

    def __init__(self, mei: Person) -> None:
        self.mei, self.rows = mei, 0
        self.account = platform()
        direct(mei.shop)

    def grow(self, rows: int) -> None:
        now = timezone.now()
        for number in range(self.rows, rows):
            self._sell(number, now)
            self._keep(number, now)
        drain()
        for payment in Payment.objects.filter(refunds=None):
            told: dict[str, Any] = {"payment": payment, "shop": self.mei.shop, "amount": 1, "currency": "CNY"}
            for _ in range(2):
                Refund.objects.create(created_at=now, **told)
                Dispute.objects.create(object_id=str(ids.new(now)), told_at=now, opened_at=now, **told)
        self.rows = rows

    def _sell(self, number: int, now: Any) -> None:
        """An item with its code, a payment by it, and one that fits nothing."""
        item = items.create(shop=self.mei.shop, name=f"Pile {number}", amount=200, unit="", photo=None, now=now)
        Code.objects.filter(item=item).update(staff=hire(self.mei.shop, f"+8613500{number:06}").staff)
        for amount in (200, 150):
            paid(expect(item.codes.get(), now=now), amount=amount).deliver()
        CodeAlarm.objects.create(
            shop=self.mei.shop, code=item.codes.get(), kind="silent", evidence={"count": 9}, raised_at=now
        )

    def _keep(self, number: int, now: Any) -> None:
        mei = self.mei
        token, _ = Token.objects.create(mei.user, shop=mei.shop)
        PushSubscription.objects.create(
            user=mei.user, shop=mei.shop, token=token, address_digest=ids.new(now).bytes * 2, sealed_address=b"sealed",
            language="en", told=0, due_at=now + timedelta(days=1), created_at=now,
        )  # fmt: skip
        code = WalletCode.objects.create(
            shop=mei.shop, staff=mei.staff, profile="promptpay", payload=PROMPTPAY, payee="Mei", account="0812345678",
            created_at=now,
        )  # fmt: skip
        sale = {"wallet_code": ids.public("wco", code.id), "price": {"amount": 100, "currency": "CNY"}}
        assert mei.api().post("/api/v1/reported-sales", sale).status_code == 201
        payout(mei, "paid", 70, now)
        question(self.account, "short", 200, now, shop=mei.shop)
        of = statement(self.account, "imported", now - timedelta(days=number))
        line(of, 2, now)
        key = receipt_keys.signing(now=now)
        key.pk, key.number = None, ReceiptKey.objects.count() + 1
        key.save(force_insert=True)

    def address(self, path: str) -> str:
        ours = {
            "codes": ",".join(ids.public("cod", code) for code in self.mei.shop.codes.values_list("id", flat=True)),
            "code": ids.public("cod", shop_code(self.mei.shop).id),
            "item": ids.public("itm", self.mei.shop.items.latest("id").id),
            "payment": str(Payment.objects.latest("id")),
            "payout": ids.public("pyo", self.mei.shop.payouts.latest("id").id),
            "wallet_code": ids.public("wco", self.mei.shop.wallet_codes.latest("id").id),
            "slug": shop_code(self.mei.shop).slug,
            "receipt": self.mei.shop.intents.latest("id").receipt,
            "month": f"{timezone.now():%Y-%m}",
            "now": f"{timezone.now():%Y-%m-%dT%H:%M:%SZ}",
        }
        return f"/{API}{path.format(**ours)}"


PROMPTPAY = "00020101021129370016A000000677010111011300668123456785303764540550.005802TH6304"


@pytest.fixture
def market(mei: Person, settings: LazySettings) -> Market:
    settings.STATEMENT_BUDGET = settings.START_BUDGET_PAYER = "1000/minute"
    return Market(mei)


def names(patterns: list[URLPattern | URLResolver], prefix: str = "") -> Iterator[str]:
    """The names of addresses of the API that are read."""
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from names(pattern.url_patterns, path)
        elif path.startswith(API) and hasattr(getattr(pattern.callback, "cls", None), "get"):
            yield str(pattern.name)


def asked(client: Client, address: str) -> tuple[list[str], Any]:
    """The questions that an answer cost, all of it read, and the answer."""
    with CaptureQueriesContext(connection) as questions:
        answer = client.get(address)
        if answer.streaming:
            b"".join(answer)  # All of it is made while it is read.
    assert answer.status_code == 200, (address, getattr(answer, "content", b"")[:300])
    return [question["sql"] for question in questions.captured_queries], answer


def assert_read_in_order(statement: str) -> None:
    """An index gives this page as it is, when the planner may neither sort nor read a whole table."""
    ways = ("seqscan", "sort", "incremental_sort", "bitmapscan")
    with connection.cursor() as cursor:
        cursor.execute("; ".join(f"SET LOCAL enable_{way} = off" for way in ways))
        cursor.execute(f"EXPLAIN {statement}")
        plan = "\n".join(row[0] for row in cursor.fetchall())
        cursor.execute("; ".join(f"SET LOCAL enable_{way} = on" for way in ways))
    assert not re.search(r"Seq Scan on|Sort  \(", plan), (statement, plan)


def test_every_address_that_is_read_is_known_here() -> None:
    assert sorted(names(get_resolver().url_patterns)) == sorted([*LISTS, *OTHERS])


def test_each_costs_the_same_for_two_rows_and_for_six(market: Market, client: Client) -> None:
    """Also the desk's lists, and a customer's pages."""
    operator, api = signed_in(superuser=True).client, market.mei.api()
    answers = dict(LISTS.values()) | dict.fromkeys([*OTHERS.values(), *ASKED], "")
    desks = [
        reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist", current_app=desk.name)
        for model in desk._registry
    ]
    costs: dict[str, list[int]] = defaultdict(list)
    for rows in (FEW, MANY):
        market.grow(rows)
        pages: list[tuple[Client, str, str]] = [(api, path, market.address(path)) for path in answers]
        pages += [(operator, path, path) for path in desks]
        pages += [(client, path, market.address(path)[len(API) :]) for path in ("s/{slug}", "r/{receipt}")]
        for who, path, address in pages:
            if rows == FEW:
                who.get(address)  # What only the first one asks is kept by the process.
            questions, answer = asked(who, address)
            costs[path].append(len(questions))
            if path in PAGED:
                ordered = [sql for sql in questions if " ORDER BY " in sql and " LIMIT " in sql]
                assert ordered, path
                for sql in ordered:
                    assert_read_in_order(sql)
                assert not [sql for sql in questions if " OFFSET " in sql or "COUNT(*)" in sql], path
            assert not answers.get(path) or len(answer.json()[answers[path]]) >= rows, path
    assert {path: cost for path, cost in costs.items() if cost[0] != cost[1]} == {}
    assert max(costs[path][0] for path, _part in LISTS.values()) <= QUESTIONS_MAX
