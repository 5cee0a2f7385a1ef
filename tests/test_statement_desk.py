"""The back office's pages of settlement files: what they show, what an operator may bring, and whom they refuse."""

from __future__ import annotations

from datetime import date
from html import unescape
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from payments.models import BankAccount, Discrepancy, ProviderAccount, Statement, StatementLine
from tests.operators import CHIEF_PHONE, Operator, acts, quick_passwords, signed_in  # noqa: F401
from tests.settlement_files import bank_account, taken, wallet_file
from tests.till import platform

pytestmark = pytest.mark.django_db

APPLES, PEARS = ("payment", "wpy_1", "int_1", 300, 2), ("payment", "wpy_2", "int_2", 75, 0)
BRING = "/admin/payments/statement/bring/"
ENTER = "/admin/payments/bankaccount/enter/"


@pytest.fixture
def wei() -> Operator:
    """An operator."""
    return signed_in()


@pytest.fixture
def chief() -> Operator:
    """A superuser."""
    return signed_in(CHIEF_PHONE, superuser=True)


@pytest.fixture
def account() -> ProviderAccount:
    return platform()


def bring(operator: Operator, source: Any, form: str, content: bytes, day: str = "2026-11-22", **more: str) -> Any:
    file = SimpleUploadedFile("settlement.csv", content)
    told = {"source": f"{source.id}/{form}", "day": day, "file": file, **more}
    return operator.client.post(BRING, told, follow=True)


def test_a_file_is_brought_taken_in_and_shown(chief: Operator, account: ProviderAccount) -> None:
    assert "Bring a file" in chief.client.get("/admin/payments/statement/").content.decode()
    assert "settlement file (CSV)" in chief.client.get(BRING).content.decode()
    page = bring(chief, account, "settlement", wallet_file(APPLES, PEARS)).content.decode()
    statement = Statement.objects.get()
    assert (statement.state, statement.uploaded_by, statement.name, statement.day) == (
        "imported", chief.user, "settlement.csv", date(2026, 11, 22),
    )  # fmt: skip
    assert "Taken in, with 3 lines." in page
    assert "To be looked at: 3. Matched: 0. Open: 0." in page
    assert acts() == [("upload", "")]
    line = statement.lines.get(number=2)
    shown = unescape(chief.client.get(f"/admin/payments/statementline/{line.pk}/change/").content.decode())
    assert all(word in shown for word in ("wpy_1", "CN¥3.00", '"order_reference": "int_1"', str(statement)))
    lines = chief.client.get(f"/admin/payments/statementline/?q={statement}").content.decode()
    assert (lines.count("wpy_1"), lines.count("wpy_2")) == (1, 1)
    found = chief.client.get("/admin/payments/statementline/?q=wpy_2").content.decode()
    assert (found.count("int_2"), found.count("int_1")) == (1, 0)


def test_a_file_that_does_not_add_up_is_shown_with_its_reason(chief: Operator, account: ProviderAccount) -> None:
    page = bring(chief, account, "settlement", wallet_file(APPLES).replace(b"total,1", b"total,2")).content.decode()
    assert "Refused: the settlement file does not add up" in page
    assert (Statement.objects.get().state, StatementLine.objects.count()) == ("refused", 0)
    listed = chief.client.get("/admin/payments/statement/").content.decode()
    assert "does not add up" in listed
    ((act, reason),) = acts()
    assert (act, reason) == ("upload", Statement.objects.get().failure)


def test_a_statement_of_the_bank_is_brought_without_a_day(chief: Operator, db: None) -> None:
    text = b"date,amount,currency,direction,reference,end_to_end_id,counterparty,balance\r\n"
    row = b"2026-11-23,3.73,CNY,credit,payout,wst_1,Wallet,3.73\r\n"
    page = bring(chief, bank_account(), "bank_csv", text + row, day="").content.decode()
    assert "Taken in, with 1 lines." in page
    assert Statement.objects.get().day is None


def test_an_operator_of_the_group_may_look_and_not_bring(wei: Operator, account: ProviderAccount) -> None:
    assert "Bring a file" not in wei.client.get("/admin/payments/statement/").content.decode()
    assert wei.client.get(BRING).status_code == 403
    assert bring(wei, account, "settlement", wallet_file(APPLES)).status_code == 403
    assert wei.client.post(ENTER, {}).status_code == 403
    stranger = Client().post(BRING, {"source": "x"})
    assert (stranger.status_code, stranger.url.startswith("/admin/login/")) == (302, True)  # type: ignore[attr-defined]
    assert (Statement.objects.count(), BankAccount.objects.count(), acts()) == (0, 0, [])


def test_a_form_without_our_token_brings_nothing(chief: Operator, account: ProviderAccount) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = chief.client.cookies
    file = SimpleUploadedFile("settlement.csv", wallet_file(APPLES))
    answer = strict.post(BRING, {"source": f"{account.id}/settlement", "day": "", "file": file})
    assert (answer.status_code, Statement.objects.count()) == (403, 0)


@pytest.mark.parametrize("source", ["", "x/y", "00000000-0000-0000-0000-000000000000/settlement"])
def test_a_source_that_is_none_of_ours_is_refused(chief: Operator, account: ProviderAccount, source: str) -> None:
    file = SimpleUploadedFile("settlement.csv", wallet_file(APPLES))
    answer = chief.client.post(BRING, {"source": source, "file": file})
    assert (answer.status_code, Statement.objects.count()) == (200, 0)


def test_a_file_larger_than_any_is_refused_before_it_is_read(
    chief: Operator, account: ProviderAccount, settings: LazySettings
) -> None:
    settings.STATEMENT_BYTES_MAX = 100
    small = bring(chief, account, "settlement", wallet_file(APPLES))
    assert "larger than any we know" in small.content.decode()
    huge = bring(chief, account, "settlement", wallet_file(*[APPLES] * 2000))
    assert (huge.status_code, Statement.objects.count()) == (413, 0)


def test_lines_are_read_again_and_days_fetched_again_from_the_page(wei: Operator, account: ProviderAccount) -> None:
    statement = taken(account, wallet_file(APPLES))
    StatementLine.objects.filter(object_id="wpy_1").update(fee=0)
    page = wei.act("payments/statement", statement, "reread")
    assert (page.status_code, statement.lines.get(object_id="wpy_1").fee) == (302, 2)
    assert wei.act("payments/statement", statement, "fetch-again", "a refund is missing").status_code == 302
    statement.refresh_from_db()
    assert statement.due_at is not None
    assert acts() == [("reread", ""), ("fetch_again", "a refund is missing")]
    again = wei.client.get(f"/admin/payments/statement/{statement.pk}/change/").content.decode()
    assert "Fetch it again" not in again


def test_the_list_asks_as_many_questions_however_many_files(wei: Operator, account: ProviderAccount) -> None:
    def asked() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            page = wei.client.get("/admin/payments/statement/").content.decode()
        assert "0 / 0 / 0" in page
        return len(queries)

    taken(account, wallet_file(APPLES))
    one = asked()
    for day in range(1, 4):
        taken(account, wallet_file(("payment", f"wpy_{day}x", "", 5, 0)), day=date(2026, 11, day))
    assert asked() == one
    Statement.objects.update(line_count=1_000_000)
    page = wei.client.get("/admin/payments/statement/").content.decode()
    assert page.count("see its page") == 4


def test_a_question_about_a_line_can_be_opened(wei: Operator, account: ProviderAccount) -> None:
    statement = taken(account, wallet_file(("payment", "wpy_1" * 40, "int_1", 5, 0)))
    question = Discrepancy.objects.get(reason="line_unreadable")
    page = wei.client.get(f"/admin/payments/discrepancy/{question.pk}/change/").content.decode()
    assert "object_id is no text of 120 characters" in page
    assert str(statement) in page


ACCOUNT = {
    "name": "main", "holder": "Pushcart GmbH", "number": "DE02 1203 0000 0000 2020 51", "bank_code": "byladem1001",
    "currency": "EUR", "reason": "opened today",
}  # fmt: skip


def test_a_bank_account_is_entered_once(chief: Operator, db: None) -> None:
    assert chief.client.post(ENTER, ACCOUNT).status_code == 302
    account = BankAccount.objects.get()
    assert (account.number, account.bank_code, account.currency, account.active) == (
        "DE02120300000000202051", "BYLADEM1001", "EUR", True,
    )  # fmt: skip
    assert acts() == [("add_bank_account", "opened today")]
    again = chief.client.post(ENTER, {**ACCOUNT, "name": "other"})
    assert "of this name or number already" in again.content.decode()
    assert (BankAccount.objects.count(), len(acts())) == (1, 1)
    assert (
        "Pushcart GmbH"
        in chief.client.get("/admin/payments/bankaccount/?q=DE02 1203 0000 0000 2020 51").content.decode()
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"number": "DE03 1203 0000 0000 2020 51"},
        {"number": "1" * 35},
        {"number": "12/34"},
        {"currency": "EURO"},
        {"currency": "XXX"},
        {"name": "two words"},
        {"reason": ""},
        {"holder": ""},
    ],
)
def test_an_account_that_cannot_be_one_is_refused(chief: Operator, wrong: dict[str, str]) -> None:
    assert chief.client.post(ENTER, {**ACCOUNT, **wrong}).status_code == 200
    assert (BankAccount.objects.count(), acts()) == (0, [])


def test_the_standing_of_a_line_that_a_matcher_left_open_is_counted(wei: Operator, account: ProviderAccount) -> None:
    statement = taken(account, wallet_file(APPLES, PEARS, paid_out=False), now=timezone.now())
    StatementLine.objects.filter(object_id="wpy_1").update(outcome="missing_in_books", look_at=None)
    listed = wei.client.get("/admin/payments/statement/").content.decode()
    assert "1 / 0 / 1" in listed
    assert "missing_in_books" in wei.client.get(f"/admin/payments/statement/{statement.pk}/change/").content.decode()
