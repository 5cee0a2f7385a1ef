"""All written forms of a statement beside each other: they tell the same sums, line by line, on any book."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest
from django.conf import LazySettings
from django.utils import timezone
from pypdf import PdfReader
from rest_framework.test import APIClient

from merchants.models import Shop, Staff
from payments import statement, statement_camt053, statement_csv, statement_html, statement_pdf
from payments.statement import Asked, Basis
from tests.cast import Person, hire, problem
from tests.test_ledger import NOON, movement, pending, post, receivable
from tests.test_statement import LATER, ask, month_of_trade
from tests.till import platform

ADDRESS = "/api/v1/ledger/statement"
FORMS = ["csv", "pdf", "html", "xml"]
TYPES = {"csv": "text/csv; charset=utf-8", "pdf": "application/pdf", "html": "text/html; charset=utf-8",
         "xml": "application/xml; charset=utf-8"}  # fmt: skip


@dataclass(frozen=True)
class Told:
    """A form as its reader understands it, in minor units: opening, (change, balance) of each line, closing."""

    opening: int
    lines: list[tuple[int, int]]
    closing: int


def made(asked: Asked, form: str, now: datetime = LATER) -> bytes:
    if form == "pdf":
        file = io.BytesIO()
        statement_pdf.write(asked, now, file)
        return file.getvalue()
    pieces: Iterator[bytes] = {
        "csv": lambda: statement_csv.pieces(asked),
        "html": lambda: statement_html.pieces(asked, now),
        "xml": lambda: statement_camt053.pieces(asked, now),
    }[form]()
    return b"".join(pieces)


def read(form: str, file: bytes, places: int = 2) -> Told:
    """A reader of that form which shares nothing with its writer. Locales of these tests group by commas."""
    rows = {"csv": _read_csv, "pdf": _read_pdf, "html": _read_html, "xml": _read_xml}[form](file)
    lines = [(_minor(change, places), _minor(balance, places)) for change, balance in rows]
    return Told(lines[0][1], lines[1:-1], lines[-1][1])


def _minor(text: str, places: int) -> int:
    number = Decimal(text.replace(",", "").replace("−", "-") or "0")
    assert -number.as_tuple().exponent in {places, 0}  # type: ignore[operator]
    return int(number.scaleb(places))


def _read_csv(file: bytes) -> list[tuple[str, str]]:
    rows = csv.DictReader(io.StringIO(file.decode("utf-8-sig"), newline=""), strict=True)
    return [(row["change"], row["balance"]) for row in rows]


def pdf_rows(file: bytes) -> list[dict[float, str]]:
    """What is written in each row of each page: texts by where they begin."""
    rows = []
    for page in PdfReader(io.BytesIO(file), strict=True).pages:
        found: dict[float, dict[float, str]] = {}

        def keep(text: str, _cm: Any, tm: Any, _font: Any, _size: Any, found: Any = found) -> None:
            if text.strip():
                row = found.setdefault(tm[5], {})
                row[tm[4]] = row.get(tm[4], "") + text.strip("\n")

        page.extract_text(visitor_text=keep)
        rows += [dict(sorted(row.items())) for _y, row in sorted(found.items(), reverse=True)]
    return rows


def _read_pdf(file: bytes) -> list[tuple[str, str]]:
    found = []
    for row in pdf_rows(file):
        texts = list(row.values())
        if re.fullmatch(r"\d\d:\d\d:\d\d|\d{1,2} \w{3} \d\d:\d\d", texts[0].strip()):
            edge = texts[1] in {"Opening balance", "Closing balance"}
            found.append(("" if edge else texts[-2].strip(), texts[-1].strip()))
    return found


class _Cells(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip("\n")


def _read_html(file: bytes) -> list[tuple[str, str]]:
    reader = _Cells()
    reader.feed(file.decode())
    return [(row[2], row[3]) for row in reader.rows if len(row) == 4 and row[0][:2] == "20"]


def _read_xml(file: bytes) -> list[tuple[str, str]]:
    space = {"c": "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"}
    tree = ElementTree.fromstring(file)
    balance = Decimal(0)

    def signed(element: ElementTree.Element) -> Decimal:
        amount = Decimal(element.findtext("c:Amt", namespaces=space) or "")
        return -amount if element.findtext("c:CdtDbtInd", namespaces=space) == "DBIT" else amount

    first, last = tree.findall(".//c:Bal", space)
    balance = signed(first)
    rows = [("", str(balance))]
    for entry in tree.findall(".//c:Ntry", space):
        balance += signed(entry)
        rows.append((str(signed(entry)), str(balance)))
    assert balance == signed(last)
    return [*rows, ("", str(signed(last)))]


@pytest.mark.parametrize("basis", list(Basis))
def test_all_forms_tell_the_same_sums_on_a_book_of_anything(mei: Person, basis: Basis) -> None:
    platform()
    month_of_trade(mei.shop)
    for name in ("2026-11", "2026-11-24", "2026-12-03", "2026-10"):
        asked = ask(mei.shop, name, basis)
        found = statement.summary(asked)
        for form in FORMS:
            told = read(form, made(asked, form))
            assert (told.opening, told.closing) == (found.opening.total, found.closing.total), (form, name)
            assert sum(change for change, _balance in told.lines if change > 0) == found.money_in
            assert -sum(change for change, _balance in told.lines if change < 0) == found.money_out
            assert len(told.lines) == sum(each.count for each in found.totals)
            running = told.opening
            for change, balance in told.lines:
                running += change
                assert balance == running, (form, name)
            assert running == told.closing


def test_the_days_of_a_month_make_the_month(mei: Person) -> None:
    platform()
    month_of_trade(mei.shop)
    for form in FORMS:
        month = read(form, made(ask(mei.shop, "2026-11"), form))
        days = [read(form, made(ask(mei.shop, f"2026-11-{day:02}"), form)) for day in range(1, 31)]
        assert [line for day in days for line in day.lines] == month.lines, form
        assert (days[0].opening, days[-1].closing) == (month.opening, month.closing), form
        assert [day.closing for day in days[:-1]] == [day.opening for day in days[1:]], form


def test_the_same_question_gives_the_same_bytes_once_it_is_final(mei: Person) -> None:
    platform()
    month_of_trade(mei.shop)
    at = NOON + timedelta(days=3)

    def asked(basis: Basis) -> Asked:
        return ask(mei.shop, "2026-11", basis, at=at)

    kinds = [(form, basis) for form in FORMS for basis in Basis]
    assert all(asked(basis).final(LATER) for basis in Basis)
    first = [made(asked(basis), form, now=at + timedelta(hours=1)) for form, basis in kinds]
    post(movement(mei.shop, 1_000_000), now=at + timedelta(days=30))
    for (form, basis), file in zip(kinds, first, strict=True):
        assert made(asked(basis), form, now=LATER) == file, (form, basis)


def test_a_period_that_is_over_is_the_same_whenever_it_is_asked_for(mei: Person) -> None:
    platform()
    month_of_trade(mei.shop)
    for form in FORMS:
        files = {
            made(ask(mei.shop, "2026-11-24", at=NOON + timedelta(days=days)), form, now=NOON + timedelta(days=days))
            for days in (4, 40, 150)
        }
        assert len(files) == 1, form


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("currency", "places"), [("JPY", 0), ("CNY", 2), ("KWD", 3)])
def test_amounts_have_the_places_of_their_currency(mei: Person, form: str, currency: str, places: int) -> None:
    platform()
    Shop.objects.filter(id=mei.shop.id).update(currency=currency)
    mei.shop.refresh_from_db()
    back: dict[str, Any] = {"debit": pending(mei.shop), "credit": receivable()}
    post(
        movement(mei.shop, 123_456_789_012, currency=currency),
        movement(mei.shop, 200_000_000_005, currency=currency, **back),
        movement(mei.shop, 1, currency=currency),
    )
    told = read(form, made(ask(mei.shop, "2026-11-22"), form), places)
    assert sorted(change for change, _balance in told.lines) == [-200_000_000_005, 1, 123_456_789_012]
    assert told.closing == -76_543_210_992


def test_forms_that_show_parts_show_all_movements_when_they_are_asked_for(mei: Person) -> None:
    platform()
    month_of_trade(mei.shop)
    asked = ask(mei.shop, "2026-11", everything=True)
    every, moving = (
        len(list(statement.lines(each, statement.opening(each)))) for each in (asked, ask(mei.shop, "2026-11"))
    )
    assert every > moving
    assert {form: len(read(form, made(asked, form)).lines) for form in FORMS} == {
        "csv": every, "pdf": every, "html": every, "xml": moving,
    }  # fmt: skip


# --- Over HTTP -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_a_file_with_a_name_that_nobody_keeps(api: APIClient, mei: Person, form: str) -> None:
    platform()
    post(movement(mei.shop, 250, occurred_at=datetime(2026, 1, 22, 12, tzinfo=UTC)), now=timezone.now())
    answer: Any = api.get(f"{ADDRESS}.{form}?month=2026-01&basis=effective", HTTP_ACCEPT="image/png")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == TYPES[form]
    assert answer.headers["Content-Disposition"] == f'attachment; filename="statement-2026-01.{form}"'
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert read(form, b"".join(answer.streaming_content)) == Told(0, [(250, 250)], 250)


@pytest.mark.parametrize("form", FORMS)
def test_nobody_else_gets_it(mei: Person, lan: Person, arjun: Person, stranger: APIClient, form: str) -> None:
    platform()
    post(movement(mei.shop, 250, occurred_at=datetime(2026, 1, 22, 12, tzinfo=UTC)), now=timezone.now())
    question = f"{ADDRESS}.{form}?month=2026-01&basis=effective"
    assert hire(mei.shop, "+8613700137000", Staff.Role.MANAGER).api().get(question).status_code == 200
    assert problem(lan.api().get(question)) == (403, "role_too_low")
    assert problem(stranger.get(question)) == (401, "not_authenticated")
    of_another_shop: Any = arjun.api().get(question)
    assert read(form, b"".join(of_another_shop.streaming_content)) == Told(0, [], 0)


@pytest.mark.parametrize("form", FORMS)
def test_wrong_questions_and_too_many_are_problems(api: APIClient, settings: LazySettings, form: str) -> None:
    settings.STATEMENT_BUDGET = "1/minute"
    assert problem(api.get(f"{ADDRESS}.{form}", HTTP_ACCEPT=TYPES[form])) == (400, "period_wrong")
    assert problem(api.get(f"{ADDRESS}.{form}?day=2026-11-22&at=noon")) == (400, "moment_wrong")
    assert problem(api.get(f"{ADDRESS}.{form}?day=9000-01-01")) == (400, "period_wrong")
    assert api.get(f"{ADDRESS}.{form}?month=2026-01").status_code == 200
    assert problem(api.get(f"{ADDRESS}.{form}?month=2026-01")) == (429, "too_many_statements")
