"""What no server has confirmed is never money: no row, sum, file or notice changes by a sale that a vendor reports."""

from __future__ import annotations

import json
import os
import random
import re
from datetime import datetime
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.utils import timezone

from merchants import ids
from payments import ledger, reported, statement
from payments.models import ReportedSale
from payments.statement import Asked, Basis
from tests.cast import Person
from tests.test_layout import ROOT, python_files
from tests.test_reported import SALES, note, wallet_code
from tests.till import assert_books_hold, drain, expect, paid, platform, shop_code

# Whoever writes reported sales, shows them to their vendor, or shows them to operators.
KNOW_OF_THEM = {
    "payments/admin/__init__.py",
    "payments/admin/reported.py",
    "payments/admin/story.py",  # Shows them to operators, as unconfirmed.
    "payments/models/__init__.py",
    "payments/models/reported.py",
    "payments/reported.py",
    "payments/reported_views.py",
}
STEPS = int(os.environ.get("FUZZ_EXAMPLES", "25"))


def everything_but_them() -> dict[str, list[Any]]:
    """Every row of every table of ours but the notes themselves."""
    found = {}
    with connection.cursor() as cursor:
        for model in apps.get_models():
            table = model._meta.db_table
            if model is not ReportedSale and model._meta.app_label in ("merchants", "payments"):
                cursor.execute(f'SELECT to_jsonb(it)::text FROM "{table}" it ORDER BY 1')
                found[table] = cursor.fetchall()
    return found


def told_to(person: Person, at: datetime) -> dict[str, bytes]:
    """What the API answers about money, to the byte."""
    day = reported.day(person.shop, "", now=at).name
    moment = at.isoformat().replace("+00:00", "Z")
    asked = {
        "/api/v1/payments": {},
        "/api/v1/notices": {},
        "/api/v1/ledger/balance": {},
        "/api/v1/ledger/entries": {},
        "/api/v1/payouts/next": {},
        **{
            f"/api/v1/ledger/statement{form}": {"day": day, "at": moment}
            for form in ("", ".csv", ".pdf", ".html", ".xml")
        },
    }
    answers = {path: person.api().get(path, query) for path, query in asked.items()}
    assert {answer.status_code for answer in answers.values()} == {200}
    told = {path: answer.getvalue() for path, answer in answers.items()}
    taken = person.api().get("/api/v1/ledger/day", {"day": day}).json()
    assert taken.pop("until") and taken.pop("before")  # Up to the moment of asking.
    return {**told, "/api/v1/ledger/day": json.dumps(taken).encode()}


@pytest.mark.django_db
def test_the_books_are_byte_for_byte_what_they_were_after_any_reported_sales(mei: Person, lan: Person) -> None:
    platform()
    paid(expect(shop_code(mei.shop), 500)).deliver()
    drain()
    code = wallet_code(mei)
    at = timezone.now()
    period = statement.period(day=reported.day(mei.shop, "", now=at).name, month="", zone="Asia/Shanghai", known_at=at)
    asked = Asked(shop=mei.shop, period=period, basis=Basis.RECORDED, everything=True, known_at=at)
    rows, answers = everything_but_them(), told_to(mei, at)
    sums, balance = statement.summary(asked), ledger.balance(shop=mei.shop)

    chance = random.Random(20261128)
    kept: dict[str, int] = {}
    for _ in range(STEPS):
        person = chance.choice([mei, lan])
        if kept and chance.random() < 0.3:
            taken = chance.choice(sorted(kept))
            if person.api().delete(f"{SALES}/{taken}").status_code == 204:
                del kept[taken]
        else:
            amount = chance.choice([1, 500, 10**6])
            answer = note(person, code, amount, note=chance.choice(["", "=1+1", "paid 5.00"]))
            kept[answer.json()["id"]] = amount

    assert sum(one.amount for one in reported.sums(mei.shop, period)) == sum(kept.values()) > 0
    assert ReportedSale.objects.count() > len(kept)
    assert everything_but_them() == rows
    assert told_to(mei, at) == answers
    assert (statement.summary(asked), ledger.balance(shop=mei.shop)) == (sums, balance)
    assert (balance.total, sums.money_in) == (500, 500)
    assert_books_hold()


def test_no_other_module_knows_of_them() -> None:
    named = re.compile(r"ReportedSale\b|reportedsale|reported_sales\b|\breported\.\w|import \(?[^()]*\breported\b")
    sources = [path for path in python_files("merchants", "payments", "qr", "config") if "sandbox" not in path.parts]
    know = {str(path) for path in sources if named.search((ROOT / path).read_text())}
    assert know == KNOW_OF_THEM


@pytest.mark.django_db
def test_no_row_of_any_other_table_can_point_at_one() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conrelid::regclass::text FROM pg_constraint WHERE contype = 'f' AND confrelid = %s::regclass",
            ["payments_reportedsale"],
        )
        assert cursor.fetchall() == []
        cursor.execute(
            "SELECT conrelid::regclass::text FROM pg_constraint WHERE contype = 'f' AND confrelid = %s::regclass",
            ["merchants_walletcode"],
        )
        assert cursor.fetchall() == [("payments_reportedsale",)]


@pytest.mark.django_db
def test_its_answers_never_say_paid(mei: Person) -> None:
    code = wallet_code(mei)
    one, page = note(mei, code), mei.api().get(SALES)
    for answer in (one, page):
        assert b"paid" not in answer.content
        assert b'"unconfirmed"' in answer.content
    name = one.json()["id"]
    for path in (f"/api/v1/payments/{name}", f"/api/v1/payments/pay_{name[4:]}"):
        assert mei.api().get(path).status_code == 404
    assert ids.parse("rep", name) == ReportedSale.objects.get().id
