"""Taking settlement files in: whole or not at all, once, and again when a day has another file."""

from __future__ import annotations

import tempfile
import tracemalloc
from datetime import UTC, date, datetime
from typing import Any

import pytest
from django.conf import LazySettings
from django.utils import timezone

from merchants import ids
from merchants.models import OperatorAct, User
from payments.models import (
    BankAccount,
    Discrepancy,
    Match,
    ProviderAccount,
    Settlement,
    Statement,
    StatementLine,
)
from payments.settlement import files
from tests.settlement_files import bank_account, taken, wallet_file, write_wallet_file
from tests.till import platform

pytestmark = pytest.mark.django_db

APPLES = ("payment", "wpy_1", "int_1", 300, 2)
PEARS = ("payment", "wpy_2", "int_2", 75, 0)
BACK = ("refund", "wrf_1", "rfd_1", -120, 0)
GIFT = b"gift,wgf_1,,,5,0,5,CNY,2026-11-22T12:00:00Z,wst_1\r\n"


@pytest.fixture
def account() -> ProviderAccount:
    return platform()


@pytest.fixture
def wei() -> User:
    return User.objects.create(phone="+8613700137000")


def lines(statement: Statement, *columns: str) -> list[Any]:
    names = columns or ("kind", "object_id", "reference", "amount", "fee", "settlement_id")
    return list(statement.lines.order_by("number").values_list(*names))


def with_gift(content: bytes) -> bytes:
    """The same file with a row of a kind that nobody knows; it is in the footer as the others are."""
    head, foot = content.split(b"total,", 1)
    count, _, _, amount, fee, net, *rest = foot.split(b",", 6)
    total = b",".join([str(int(count) + 1).encode(), b"", b"", b"%d" % (int(amount) + 5), fee, b"%d" % (int(net) + 5)])
    return head + GIFT + b"total," + total + b"," + b",".join(rest)


def matched(line: StatementLine, outcome: str = "matched") -> Match:
    """What a matcher would have found for a line."""
    match = Match.objects.create(rule="object_id", provider_account_id=line.provider_account_id, made_at=timezone.now())
    StatementLine.objects.filter(id=line.id).update(match=match, outcome=outcome, look_at=None, looks=1)
    return match


# --- Whole, or not at all --------------------------------------------------------------------------------------------


def test_a_file_is_taken_in_with_its_rows_as_read_and_their_meaning(account: ProviderAccount) -> None:
    now = timezone.now()
    statement = taken(account, wallet_file(APPLES, PEARS, BACK), now=now)
    assert (statement.state, statement.line_count, statement.day, statement.format) == (
        "imported", 4, date(2026, 11, 22), "settlement",
    )  # fmt: skip
    assert lines(statement) == [
        ("payment", "wpy_1", "int_1", 300, 2, "wst_1"),
        ("payment", "wpy_2", "int_2", 75, 0, "wst_1"),
        ("refund", "wrf_1", "rfd_1", -120, 0, "wst_1"),
        ("payout", "wpo_wst_1", "", -253, 0, "wst_1"),
    ]
    first = statement.lines.get(number=2)
    assert first.raw == {
        "kind": "payment", "id": "wpy_1", "order_reference": "int_1", "refund_reference": "", "amount": "300",
        "fee": "2", "net": "298", "currency": "CNY", "occurred_at": "2026-11-22T12:00:00Z", "settlement_id": "wst_1",
    }  # fmt: skip
    assert (first.look_at, first.outcome, first.currency, first.occurred_at, first.provider_account_id) == (
        now, "", "CNY", datetime(2026, 11, 22, 12, tzinfo=UTC), account.id,
    )  # fmt: skip
    settlement = Settlement.objects.get()
    assert (settlement.reference, settlement.lines_amount, settlement.told_amount) == ("wst_1", 253, 253)
    assert OperatorAct.objects.count() == 0


def test_a_file_that_does_not_add_up_is_refused_whole_and_says_which_line_breaks_it(
    account: ProviderAccount, wei: User
) -> None:
    wrong = wallet_file(APPLES, PEARS).replace(b"75,0,75", b"75,0,76")
    statement = taken(account, wrong, fetched=False, uploaded_by=wei)
    assert (statement.state, statement.line_count) == ("refused", 0)
    assert statement.failure.startswith("line 3 of the settlement file has not the form we know")
    assert (StatementLine.objects.count(), Settlement.objects.count()) == (0, 0)
    act = OperatorAct.objects.get()
    assert (act.act, act.operator, act.subject_id, act.after["state"]) == ("upload", wei, str(statement), "refused")
    assert act.reason == statement.failure


def test_a_file_of_a_format_that_its_source_has_not_is_refused(account: ProviderAccount) -> None:
    statement = taken(account, wallet_file(APPLES), form="trade")
    assert (statement.state, "has no files of the format" in statement.failure) == ("refused", True)


def test_what_fails_in_the_middle_leaves_nothing(account: ProviderAccount, settings: LazySettings) -> None:
    settings.STATEMENT_UNREADABLE_MAX = 0
    statement = taken(account, with_gift(wallet_file(APPLES, PEARS)))
    assert (statement.state, "1 rows up to line 4 make no sense" in statement.failure) == ("refused", True)
    assert (StatementLine.objects.count(), Discrepancy.objects.count(), Settlement.objects.count()) == (0, 0, 0)


def test_a_row_that_nobody_can_read_is_kept_and_asks_its_question(account: ProviderAccount) -> None:
    statement = taken(account, with_gift(wallet_file(APPLES)))
    line = statement.lines.get(number=3)
    assert (line.kind, line.outcome, line.look_at, line.raw["id"]) == ("", "unreadable", None, "wgf_1")
    question = Discrepancy.objects.get()
    assert (question.reason, question.line, question.amount, question.provider_account) == (
        "line_unreadable", line, 0, account,
    )  # fmt: skip
    assert question.details["line"] == 3
    assert "KeyError('gift')" in question.details["why"]
    assert statement.lines.get(number=2).look_at is not None


def test_what_no_database_can_hold_is_kept_as_a_sign_for_it(account: ProviderAccount) -> None:
    content = wallet_file(("payment", "wpy_1", "a\0b", 300, 2))
    statement = taken(account, content)
    line = statement.lines.get(number=2)
    assert (line.outcome, line.raw["order_reference"]) == ("unreadable", "a\ufffdb")


# --- Once ------------------------------------------------------------------------------------------------------------


def test_the_same_bytes_twice_are_one_statement(account: ProviderAccount, wei: User) -> None:
    first = taken(account, wallet_file(APPLES))
    again = taken(account, wallet_file(APPLES))
    brought = taken(account, wallet_file(APPLES), fetched=False, uploaded_by=wei, day=None)
    assert first.id == again.id == brought.id
    assert (Statement.objects.count(), StatementLine.objects.count()) == (1, 2)


def test_a_day_that_was_wanted_is_filled_and_one_that_a_person_brought_before_is_wanted_no_more(
    account: ProviderAccount, wei: User
) -> None:
    def wanted(day: date) -> Statement:
        return Statement.objects.create(
            provider_account=account, format="settlement", day=day, fetched=True, created_at=timezone.now(),
            due_at=timezone.now(),
        )  # fmt: skip

    row = wanted(date(2026, 11, 22))
    assert taken(account, wallet_file(APPLES)).id == row.id
    brought = taken(account, wallet_file(PEARS), fetched=False, uploaded_by=wei, day=date(2026, 11, 23))
    late = wanted(date(2026, 11, 23))
    assert taken(account, wallet_file(PEARS), day=date(2026, 11, 23)).id == brought.id
    late.refresh_from_db()
    assert (late.state, late.due_at) == ("replaced", None)


def test_still_days_have_files_alike(account: ProviderAccount) -> None:
    days = [taken(account, wallet_file(), day=date(2026, 11, day)) for day in (1, 2)]
    days += [files.nothing_happened(source=account, day=date(2026, 11, 3), now=timezone.now())]
    assert [(row.state, row.line_count) for row in days] == [("imported", 0)] * 3
    assert len({row.id for row in days}) == 3


# --- Another file of the same day ------------------------------------------------------------------------------------


def test_unchanged_lines_hand_over_what_became_of_them(account: ProviderAccount) -> None:
    older = taken(account, with_gift(wallet_file(APPLES, PEARS)))
    match = matched(older.lines.get(object_id="wpy_1"))
    question = Discrepancy.objects.get()

    newer = taken(account, with_gift(wallet_file(PEARS, APPLES, BACK)))

    older.refresh_from_db()
    assert (older.state, newer.state) == ("replaced", "imported")
    assert lines(newer, "kind", "object_id", "outcome", "match_id", "looks") == [
        ("payment", "wpy_2", "", None, 0),
        ("payment", "wpy_1", "matched", match.id, 1),
        ("refund", "wrf_1", "", None, 0),
        ("", "", "unreadable", None, 0),
        ("payout", "wpo_wst_1", "", None, 0),
    ]
    assert newer.lines.filter(look_at=None).count() == 2
    assert not older.lines.exclude(match=None, look_at=None).exists()
    question.refresh_from_db()
    assert (Discrepancy.objects.count(), question.line) == (1, newer.lines.get(kind=""))
    settlement = Settlement.objects.get()
    assert (settlement.lines_amount, settlement.told_amount) == (253, 253)


def test_a_line_that_is_gone_keeps_its_match_and_asks(account: ProviderAccount) -> None:
    older = taken(account, wallet_file(APPLES, PEARS))
    match = matched(older.lines.get(object_id="wpy_1"))
    taken(account, wallet_file(("payment", "wpy_1", "int_1", 310, 2), PEARS))
    line = older.lines.get(object_id="wpy_1")
    assert (line.match, line.outcome) == (match, "matched")
    question = Discrepancy.objects.get()
    assert (question.reason, question.line, question.amount) == ("contradiction", line, 300)
    changed = StatementLine.objects.get(statement__state="imported", object_id="wpy_1")
    assert (changed.amount, changed.match, changed.look_at is not None) == (310, None, True)


def test_two_lines_alike_are_two_pairs(account: ProviderAccount) -> None:
    older = taken(account, wallet_file(APPLES, APPLES, paid_out=False))
    matched(older.lines.get(number=2))
    matched(older.lines.get(number=3), outcome="duplicate")
    newer = taken(account, wallet_file(APPLES, APPLES))
    outcomes = lines(newer, "outcome")
    assert outcomes == [("matched",), ("duplicate",), ("",)]


def test_a_day_without_anything_replaces_one_with_something(account: ProviderAccount) -> None:
    taken(account, wallet_file(APPLES))
    files.nothing_happened(source=account, day=date(2026, 11, 22), now=timezone.now())
    assert sorted(Statement.objects.values_list("state", "line_count")) == [("imported", 0), ("replaced", 2)]
    assert Settlement.objects.get().lines_amount == 0


# --- Told again ------------------------------------------------------------------------------------------------------

BANK = "date,amount,currency,direction,reference,end_to_end_id,counterparty,balance\r\n"
MONDAY = "2026-11-23,3.73,CNY,credit,payout wst_1,wst_1,Wallet,3.73\r\n"
TUESDAY = "2026-11-24,1.00,CNY,debit,charges,,Bank,2.73\r\n"


def test_a_week_of_the_bank_after_its_days_is_counted_once(db: None, wei: User) -> None:
    account = bank_account()
    first = taken(account, (BANK + MONDAY).encode(), form="bank_csv", uploaded_by=wei)
    week = taken(account, (BANK + MONDAY + TUESDAY).encode(), form="bank_csv", uploaded_by=wei)
    assert lines(first, "kind", "reference", "amount", "outcome") == [("credit", "wst_1", 373, "")]
    assert lines(week, "kind", "reference", "amount", "outcome") == [
        ("credit", "wst_1", 373, "nothing"),
        ("debit", "charges", -100, ""),
    ]
    assert StatementLine.objects.filter(look_at__isnull=False).count() == 2


def test_what_a_file_of_several_days_tells_again_is_counted_once(account: ProviderAccount, wei: User) -> None:
    taken(account, wallet_file(APPLES))
    several = taken(account, wallet_file(APPLES, PEARS), fetched=False, uploaded_by=wei, day=None)
    assert lines(several, "object_id", "outcome", "settlement_id") == [
        ("wpy_1", "nothing", ""),
        ("wpy_2", "", "wst_1"),
        ("wpo_wst_1", "", "wst_1"),
    ]
    twice = taken(account, wallet_file(PEARS, PEARS, settlement="wst_9"), day=date(2026, 11, 24))
    assert lines(twice, "object_id", "outcome")[:2] == [("wpy_2", "nothing"), ("wpy_2", "nothing")]


def test_the_same_thing_in_the_files_of_two_days_is_looked_at(account: ProviderAccount) -> None:
    taken(account, wallet_file(APPLES))
    other = taken(account, wallet_file(APPLES, PEARS), day=date(2026, 11, 23))
    assert lines(other, "object_id", "outcome")[0] == ("wpy_1", "")


# --- Reading again ---------------------------------------------------------------------------------------------------


def test_lines_are_read_again_with_todays_adapter(account: ProviderAccount, wei: User) -> None:
    statement = taken(account, with_gift(wallet_file(APPLES, PEARS)))
    gift, pears = statement.lines.get(kind=""), statement.lines.get(object_id="wpy_2")
    kept = matched(statement.lines.get(object_id="wpy_1"))
    # As an older adapter would have left them: one could not be read, of the other the fee was not seen.
    StatementLine.objects.filter(id=gift.id).update(raw={**pears.raw, "id": "wpy_3", "fee": "1", "net": "74"})
    StatementLine.objects.filter(id=pears.id).update(fee=7, outcome="fee_differs", look_at=None)
    now = timezone.now()

    assert files.reread(statement=statement, now=now, operator=wei, reason="corrected") == 2

    assert lines(statement, "object_id", "amount", "fee", "outcome", "match_id") == [
        ("wpy_1", 300, 2, "matched", kept.id),
        ("wpy_2", 75, 0, "", None),
        ("wpy_3", 75, 1, "", None),
        ("wpo_wst_1", -373, 0, "", None),
    ]
    question = Discrepancy.objects.get(reason="line_unreadable")
    assert (question.state, question.resolved_at) == ("resolved", now)
    assert statement.lines.get(object_id="wpy_3").look_at == now
    assert (OperatorAct.objects.get().act, OperatorAct.objects.get().after) == ("reread", {"changed": 2})
    assert files.reread(statement=statement, now=now) == 0


# --- How much --------------------------------------------------------------------------------------------------------


def test_twice_the_rows_are_taken_in_within_the_same_memory(account: ProviderAccount) -> None:
    peaks = []
    for number, count in enumerate((12_000, 24_000)):
        with tempfile.TemporaryFile() as file:
            write_wallet_file(file, count)
            size = file.tell()
            tracemalloc.start()
            statement = taken(account, file, day=date(2026, 11, 1 + number))
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        assert (statement.state, statement.line_count, statement.size) == ("imported", count + 1, size)
    assert peaks[1] < 1.2 * peaks[0], peaks


def test_an_account_at_a_bank_has_statements_and_no_settlements(db: None, wei: User) -> None:
    statement = taken(bank_account(), (BANK + MONDAY).encode(), form="bank_csv", uploaded_by=wei)
    assert (statement.state, statement.day, Settlement.objects.count()) == ("imported", None, 0)
    assert BankAccount.objects.get().statements.get() == statement
    assert str(statement).startswith("stm_")
    assert ids.parse("stm", str(statement)) == statement.id
