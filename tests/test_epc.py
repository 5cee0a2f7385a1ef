"""SEPA transfer codes: written as the guideline has them, read as apps write them, and compared with segno's."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from segno import helpers

from qr.payloads import epc
from qr.payloads.base import Reading, Unwritable

IBAN = "DE89370400440532013000"
CODE = f"BCD\n002\n1\nSCT\n\nAsha Fruit\n{IBAN}\nEUR12.5\n\n\nApples"
MANY = settings(max_examples=int(os.environ.get("CODE_EXAMPLES", "60")), deadline=None)


def read(text: str) -> Reading:
    reading = epc.reads(text)
    assert reading is not None
    return reading


def faults(text: str) -> dict[str, bool]:
    return {one.code: one.fatal for one in read(text).violations}


def test_a_code_is_read() -> None:
    reading = read(CODE)
    assert (reading.profile, reading.confirmation, reading.violations) == ("epc", "unconfirmed", ())
    assert (reading.payee, reading.account, reading.country) == ("Asha Fruit", IBAN, "DE")
    assert (reading.amount, reading.currency, reading.reference) == (1250, "EUR", "Apples")


def test_lines_may_end_in_either_way_and_the_last_may_be_left_out() -> None:
    assert read(CODE.replace("\n", "\r\n")).fields == read(CODE).fields
    short = "\n".join(CODE.split("\n")[:7])
    assert (read(short).amount, faults(short)) == (None, {})
    assert faults(f"{CODE}\n\n\n\n") == {}


@pytest.mark.parametrize(
    ("old", "new", "code", "fatal"),
    [
        ("\n002\n", "\n003\n", "version_unknown", True),
        ("\n002\n", "\n001\n", "bic_missing", False),
        ("\n1\n", "\n9\n", "charset_unknown", False),
        ("\nSCT\n", "\nINST\n", "kind_unknown", True),
        ("Asha Fruit", " ", "name_missing", True),
        ("Asha Fruit", "A" * 71, "text_too_long", False),
        ("3000\n", "3001\n", "iban_check_failed", True),
        (IBAN, "", "iban_malformed", True),
        (IBAN, "DE89 3704 0044 0532 0130 00", "iban_spaced", False),
        ("SCT\n\n", "SCT\nABC\n", "bic_malformed", False),
        ("EUR12.5", "12.50", "amount_malformed", True),
        ("EUR12.5", "EUR12,50", "amount_malformed", True),
        ("EUR12.5", "EUR0.00", "amount_malformed", True),
        ("EUR12.5", "EUR1234567890", "amount_malformed", True),
        ("\n\nApples", "\nRF18539007547034\nApples", "reference_and_text", False),
        ("\n\nApples", "\nRF18539007547035", "reference_check_failed", False),
        ("Apples", "A" * 141, "text_too_long", False),
        ("Apples", "Apples\ninfo\nmore", "lines_too_many", False),
        ("Apples", "é" * 139, "too_long", False),
    ],
)
def test_what_is_wrong_is_reported(old: str, new: str, code: str, fatal: bool) -> None:
    assert old in CODE
    assert faults(CODE.replace(old, new))[code] is fatal


def test_other_texts_are_no_such_codes() -> None:
    assert [epc.reads(text) for text in ("", "bcd\n002", "BCD002", "SPC\n0200")] == [None] * 4


def test_a_code_is_written() -> None:
    assert epc.write(name="Asha", iban="de89 3704 0044 0532 0130 00") == f"BCD\n002\n1\nSCT\n\nAsha\n{IBAN}"
    written = epc.write(
        name="Äsha", iban=IBAN, bic="COBADEFF", amount=5, purpose="GDDS", reference="RF18539007547034", info="Cart 7"
    )
    assert written == f"BCD\n002\n1\nSCT\nCOBADEFF\nÄsha\n{IBAN}\nEUR0.05\nGDDS\nRF18539007547034\n\nCart 7"
    assert faults(written) == {}


@pytest.mark.parametrize(
    ("wrong", "code", "where"),
    [
        ({"name": ""}, "name_missing", "name"),
        ({"name": "A" * 71}, "text_unfit", "name"),
        ({"name": "A\nB"}, "text_unfit", "name"),
        ({"iban": "DE89370400440532013001"}, "iban_check_failed", "iban"),
        ({"bic": "ABC"}, "bank_code_malformed", "bic"),
        ({"amount": 0}, "amount_out_of_range", "amount"),
        ({"amount": 100_000_000_000}, "amount_out_of_range", "amount"),
        ({"purpose": "gdds"}, "purpose_malformed", "purpose"),
        ({"reference": "1", "text": "1"}, "reference_and_text", "text"),
        ({"reference": "RF18539007547035"}, "reference_check_failed", "reference"),
        ({"reference": "A" * 36}, "text_unfit", "reference"),
        ({"text": "A" * 141}, "text_unfit", "text"),
        ({"text": "é" * 140, "name": "A" * 70}, "too_long", ""),
    ],
)
def test_what_must_not_be_written_is_refused(wrong: dict[str, Any], code: str, where: str) -> None:
    with pytest.raises(Unwritable) as refused:
        epc.write(**{"name": "Asha", "iban": IBAN, **wrong})
    assert (refused.value.code, refused.value.where) == (code, where)


@MANY
@given(
    name=st.text(st.characters(codec="utf-8", categories=["L", "N", "P"]), min_size=1, max_size=40),
    cents=st.integers(1, 99_999_999_999),
    text=st.text(st.characters(codec="latin-1", categories=["L", "N", "P"]), min_size=1, max_size=60),
)
def test_segno_and_we_write_and_read_the_same(name: str, cents: int, text: str) -> None:
    euros = f"{cents // 100}.{cents % 100:02d}"
    theirs = helpers._make_epc_qr_data(name, IBAN, euros, text=text, encoding="utf-8").decode()  # type: ignore[attr-defined]
    ours = epc.write(name=name, iban=IBAN, amount=cents, text=text)
    assert {**read(theirs).fields, "amount": ""} == {**read(ours).fields, "amount": ""}
    assert (read(theirs).amount, read(ours).amount) == (cents, cents)
    assert (faults(theirs), faults(ours)) == ({}, {})


def test_the_bytes_are_read_in_the_charset_that_they_name() -> None:
    for number, charset in enumerate(epc.CHARSETS, start=1):
        name = {"iso8859-5": "Аша", "iso8859-7": "Ασα", "iso8859-4": "Āsa", "iso8859-10": "Āsa"}.get(charset, "Aß")
        text = CODE.replace("\n1\n", f"\n{number}\n").replace("Asha", name)
        assert epc.decoded(text.encode(charset)) == text
    assert epc.decoded(CODE.replace("Asha", "Aß").encode("latin-1")) is None
    assert epc.decoded(b"BCD\n002\n9\n") is None
    assert epc.decoded(b"upi://pay") is None
