"""A bank's statement in our own CSV layout: each balance must follow from the one before it."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest

from payments.models import BankAccount
from payments.providers.base import ProviderError, StatementRow, UnableToRead
from payments.settlement import bank_csv

ACCOUNT = BankAccount(name="main", currency="CNY")
HEAD = "date,amount,currency,direction,reference,end_to_end_id,counterparty,balance\r\n"
FIRST = "2026-11-23,3.73,CNY,credit,payout,wst_1,Wallet,103.73\r\n"
SECOND = "2026-11-24,100,CNY,debit,rent,,Landlord,3.73\r\n"


def read(text: str) -> list[StatementRow | None]:
    return [bank_csv.meaning(line.raw) for line in bank_csv.lines(ACCOUNT, io.BytesIO(text.encode()))]


def test_rows_are_credits_and_debits_with_the_payers_reference_or_the_banks_words() -> None:
    at = [datetime(2026, 11, day, tzinfo=UTC) for day in (23, 24)]
    assert read(HEAD + FIRST + SECOND) == [
        StatementRow("credit", "2026-11-23/credit/3.73/103.73", "wst_1", 373, 0, "CNY", at[0]),
        StatementRow("debit", "2026-11-24/debit/100/3.73", "rent", -10_000, 0, "CNY", at[1]),
    ]
    assert read("\ufeff" + HEAD + "2026-11-23,0.00,CNY,credit,,,,5\r\n") == [None]
    assert read(HEAD) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (HEAD + FIRST + SECOND.replace("3.73\r", "3.74\r"), "line 3 of the statement: it does not add up: 10373"),
        (HEAD + FIRST + SECOND.replace("debit", "credit"), "line 3 of the statement: it does not add up"),
        (HEAD + FIRST.replace("3.73", "3.735", 1), "line 2 of the statement: not an amount of CNY: '3.735'"),
        (HEAD + FIRST.replace("3.73", "3,73", 1), "line 2 of the statement has 9 values in 8 columns"),
        (HEAD + FIRST.replace("3.73", "-3.73", 1), "line 2 of the statement: a date, an amount without a sign"),
        (HEAD + FIRST.replace("2026-11-23", "23.11.2026"), "line 2 of the statement: a date"),
        (HEAD + FIRST.replace("CNY", "USD"), "line 2 of the statement: the account is in CNY"),
        (HEAD + FIRST.replace("credit", "in"), "line 2 of the statement: a date"),
        (FIRST, "line 1 of the statement is not date,amount,"),
        ("", "line 1 of the statement is not date,amount,"),
        (HEAD + '"open', "cannot be read"),
    ],
)
def test_a_statement_with_a_fault_gives_no_row(text: str, told: str) -> None:
    with pytest.raises(ProviderError) as failure:
        next(bank_csv.lines(ACCOUNT, io.BytesIO(text.encode())))
    assert (told in str(failure.value), failure.value.permanent) == (True, True), failure.value


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(ProviderError, match="cannot be read"):
        next(bank_csv.lines(ACCOUNT, io.BytesIO(HEAD.encode() + b"\xff\xfe")))


def test_a_row_of_another_form_cannot_be_read() -> None:
    for raw in ({}, {"amount": "1", "currency": "CNY", "direction": "up", "date": "2026-11-23"}):
        with pytest.raises(UnableToRead):
            bank_csv.meaning(raw)
