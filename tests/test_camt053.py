"""Statements of a bank as camt.053: every entry and its money, or the whole file refused and the entry named."""

from __future__ import annotations

import io
import tracemalloc
from datetime import UTC, datetime
from typing import Any

import pytest

from payments.models import BankAccount
from payments.providers.base import ProviderError, StatementRow, UnableToRead
from payments.settlement import camt053

ACCOUNT = BankAccount(name="main", holder="Pushcart", number="DE02120300000000202051", currency="EUR")
NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:camt.053.001."


def entry(
    amount: str = "10.00", direction: str = "CRDT", *, status: str = "<Cd>BOOK</Cd>", ref: str = "B1", more: str = ""
) -> str:
    return (
        f'<Ntry><NtryRef>N-{ref}</NtryRef><Amt Ccy="EUR">{amount}</Amt><CdtDbtInd>{direction}</CdtDbtInd>'
        f"<Sts>{status}</Sts><BookgDt><Dt>2026-11-23</Dt></BookgDt><AcctSvcrRef>{ref}</AcctSvcrRef>"
        f"<BkTxCd/>{more}</Ntry>"
    )


def part(amount: str = "", end_to_end: str = "", words: str = "", more: str = "") -> str:
    told = f'<Amt Ccy="EUR">{amount}</Amt>' if amount else ""
    refs = f"<Refs><EndToEndId>{end_to_end}</EndToEndId></Refs>" if end_to_end else ""
    remitted = f"<RmtInf><Ustrd>{words}</Ustrd></RmtInf>" if words else ""
    return f"<TxDtls>{refs}{told}{remitted}{more}</TxDtls>"


def details(*parts: str) -> str:
    return f"<NtryDtls>{''.join(parts)}</NtryDtls>"


def balance(code: str, amount: str, direction: str = "CRDT") -> str:
    return (
        f"<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>"
        f'<Amt Ccy="EUR">{amount}</Amt><CdtDbtInd>{direction}</CdtDbtInd></Bal>'
    )


def statement(*entries: str, opening: str = "100.00", closing: str = "110.00", iban: str = ACCOUNT.number) -> str:
    return (
        f"<Stmt><Id>S1</Id><Acct><Id><IBAN>{iban}</IBAN></Id><Ccy>EUR</Ccy></Acct>"
        f"{balance('OPBD', opening)}{balance('CLBD', closing)}{''.join(entries)}</Stmt>"
    )


def document(*statements: str, version: str = "08", before: str = "") -> bytes:
    head = f'<?xml version="1.0" encoding="UTF-8"?>{before}<Document xmlns="{NAMESPACE}{version}">'
    return f"{head}<BkToCstmrStmt><GrpHdr/>{''.join(statements)}</BkToCstmrStmt></Document>".encode()


def read(content: bytes) -> list[StatementRow | None]:
    return [camt053.meaning(line.raw) for line in camt053.lines(ACCOUNT, io.BytesIO(content))]


def refused(content: bytes) -> str:
    with pytest.raises(ProviderError) as failure:
        next(camt053.lines(ACCOUNT, io.BytesIO(content)))
    assert failure.value.permanent
    return str(failure.value)


@pytest.mark.parametrize(("version", "status"), [("02", "BOOK"), ("08", "<Cd>BOOK</Cd>")])
def test_an_entry_is_a_line_with_its_reference_its_name_and_its_day(version: str, status: str) -> None:
    paid = entry(status=status, more=details(part(end_to_end="wst_1", words="payout wst_1")))
    assert read(document(statement(paid), version=version)) == [
        StatementRow("credit", "B1", "wst_1", 1000, 0, "EUR", datetime(2026, 11, 23, tzinfo=UTC))
    ]


def test_what_leaves_is_negative_and_what_is_not_booked_is_no_line() -> None:
    content = document(
        statement(
            entry("30.50", "DBIT", more=details(part(end_to_end="pyo_1"))),
            entry("7.00", status="<Cd>PDNG</Cd>", ref="B2"),
            entry("40.50", ref="B3", more=details(part(end_to_end="NOTPROVIDED", words="STRIPE  PAYOUT\n po_1"))),
        )
    )
    told = [(row.kind, row.amount, row.reference, row.object_id) for row in read(content) if row]
    assert told == [("debit", -3050, "pyo_1", "B1"), ("credit", 4050, "STRIPE PAYOUT po_1", "B3")]


def test_a_payment_that_came_back_names_its_reason_and_its_first_reference() -> None:
    back = part(end_to_end="pyo_1", more="<RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf>")
    (row,) = read(document(statement(entry(more=details(back)))))
    assert row is not None
    assert (row.kind, row.reference, row.parent_object_id) == ("credit", "pyo_1", "return/AC04")


def test_a_reversal_says_that_it_is_one() -> None:
    reversal = entry().replace("<Sts>", "<RvslInd>true</RvslInd><Sts>")
    (row,) = read(document(statement(reversal)))
    assert row is not None
    assert (row.amount, row.parent_object_id) == (1000, "reversal")


def test_a_batch_is_a_line_for_each_transaction_and_they_must_make_the_entry() -> None:
    batch = entry(more=details(part("4.00", "a"), part("6.00", "b")))
    told = [(row.amount, row.reference, row.object_id) for row in read(document(statement(batch))) if row]
    assert told == [(400, "a", "B1"), (600, "b", "B1/2")]
    wrong = entry(more=details(part("4.00", "a"), part("6.01", "b")))
    assert refused(document(statement(entry("0.00", ref="B0"), wrong))) == (
        "entry 2 of statement S1: it does not add up: B1 is 1000, its 2 transactions are 1001"
    )


def test_an_amount_of_a_transaction_may_stand_in_its_details() -> None:
    old = "<TxDtls><AmtDtls><TxAmt><Amt Ccy='EUR'>{}</Amt></TxAmt></AmtDtls></TxDtls>"
    batch = entry(status="BOOK", more=details(old.format("4.00"), old.format("6.00")))
    assert [row.amount for row in read(document(statement(batch), version="02")) if row] == [400, 600]


def test_an_entry_of_nothing_moves_nothing() -> None:
    assert read(document(statement(entry(), entry("0.00", ref="B2"))))[1] is None


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (document(statement(entry("10.01"))), "it does not add up: after 1 entries 10000 and 1001 are not 11000"),
        (document(statement(entry(), entry())), "it does not add up: after 2 entries 10000 and 2000 are not 11000"),
        (document(statement(entry(), iban="DE893704")), "it is of another account: DE893704"),
        (document(statement(entry()).replace("<Ccy>EUR", "<Ccy>CHF")), "the account is in EUR, the statement in CHF"),
        (document(statement(entry().replace('"EUR"', '"USD"'))), "entry 1 of statement S1: an amount in another cur"),
        (document(statement(entry("10.001"))), "not an amount of EUR: '10.001'"),
        (document(statement(entry("1e1"))), "not an amount: '1e1'"),
        (document(statement(entry("-10.00"))), "not an amount: '-10.00'"),
        (document(statement(entry(direction="UP"))), "it does not say in which direction"),
        (document(statement(entry(status=""))), "it does not say whether it is booked"),
        (document(statement(entry()).replace("OPBD", "ITBD")), "no opening or no closing balance"),
        (document(statement(entry()).replace("Acct>", "Act>")), "it names no account"),
        (document(), "the file holds no statement"),
        (document(statement(entry()), version="01"), "no camt.053 of version 02 or 08"),
        (document(statement(entry()))[:-20], "the statement is no XML"),
        (b"", "the statement is no XML"),
        (b"date,amount", "the statement is no XML"),
    ],
)  # fmt: skip
def test_a_file_with_a_fault_is_refused_whole(content: bytes, told: str) -> None:
    assert told in refused(content)


def test_one_statement_of_several_that_does_not_add_up_spoils_the_file() -> None:
    good = statement(entry())
    assert len(read(document(good, good.replace("S1", "S2")))) == 2
    bad = good.replace("S1", "S2").replace("110.00", "111.00")
    assert refused(document(good, bad)).startswith("entry 2 of statement S2: it does not add up")


BOMB = '<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("before", ["<!DOCTYPE d>", BOMB, '<!DOCTYPE d SYSTEM "file:///etc/hostname">'])
def test_document_types_and_entities_are_refused_before_anything_is_read(before: str, encoding: str) -> None:
    text = document(statement(entry()), before=before).decode().replace("UTF-8", encoding)
    assert "declares a document type" in refused(text.encode(encoding))


def test_endless_nesting_is_refused() -> None:
    deep = "<a>" * 100 + "</a>" * 100
    assert "nested deeper" in refused(document(deep))


def test_a_row_of_another_form_cannot_be_read() -> None:
    raw: dict[str, Any] = dict(next(camt053.lines(ACCOUNT, io.BytesIO(document(statement(entry()))))).raw)
    for wrong in ({**raw, "direction": "UP"}, {**raw, "booked": "someday"}, {}, {**raw, "amount": None}):
        with pytest.raises(UnableToRead):
            camt053.meaning(wrong)


@pytest.mark.parametrize("batched", [False, True])
def test_a_long_statement_is_read_in_little_memory(batched: bool) -> None:
    peaks = []
    for count in (1_000, 4_000):
        inside = [part("1.00", f"wst_{number}", "x" * 100) for number in range(count)]
        if batched:
            entries = [entry(f"{count}.00", more=details(*inside))]
        else:
            entries = [entry("1.00", ref=f"B{n}", more=details(one)) for n, one in enumerate(inside)]
        content = io.BytesIO(document(statement(*entries, closing=f"{100 + count}.00")))
        tracemalloc.start()
        assert sum(1 for _ in camt053.lines(ACCOUNT, content)) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0] + 100_000, peaks
