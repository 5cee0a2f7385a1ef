"""Swiss QR-bills: their lines, their references, and the same bills from the `qrbill` package."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qrbill import QRBill

from qr.payloads import swiss
from qr.payloads.base import Reading, Unwritable

PLAIN, BY_QR = "CH5380005000010283664", "CH4431999123000889012"
ASHA = swiss.Party("Asha Fruit", "1000", "Lausanne", "CH", "Rue du Lac", "7")
BILL = swiss.write(
    iban=PLAIN, creditor=ASHA, currency="CHF", amount=1250, reference="RF18539007547034", message="Pears"
)
MANY = settings(max_examples=int(os.environ.get("CODE_EXAMPLES", "40")), deadline=None)


def read(text: str) -> Reading:
    reading = swiss.reads(text)
    assert reading is not None
    return reading


def faults(text: str) -> dict[str, bool]:
    return {one.code: one.fatal for one in read(text).violations}


def changed(line: str, value: str, text: str = BILL) -> str:
    lines = text.split("\r\n")
    lines[swiss.LINES.index(line)] = value
    return "\r\n".join(lines)


def test_a_bill_is_written_line_by_line_and_read_again() -> None:
    assert BILL.split("\r\n") == [
        "SPC", "0200", "1", PLAIN, "S", "Asha Fruit", "Rue du Lac", "7", "1000", "Lausanne", "CH", *[""] * 7, "12.50",
        "CHF", *[""] * 7, "SCOR", "RF18539007547034", "Pears", "EPD",
    ]  # fmt: skip
    reading = read(BILL)
    assert (reading.profile, reading.confirmation, reading.violations) == ("swiss", "unconfirmed", ())
    assert (reading.payee, reading.account, reading.city, reading.country) == ("Asha Fruit", PLAIN, "Lausanne", "CH")
    assert (reading.amount, reading.currency, reading.reference) == (1250, "CHF", "RF18539007547034")
    assert read(BILL.replace("\r\n", "\n")).fields == reading.fields


def test_a_qr_reference_has_its_check_digit() -> None:
    assert swiss.qr_check_digit("21000000000313947143000901") == "7"
    bill = swiss.write(iban=BY_QR, creditor=ASHA, currency="EUR", reference="210000000003139471430009017")
    assert (read(bill).amount, read(bill).reference, faults(bill)) == (None, "210000000003139471430009017", {})


def test_an_old_address_in_two_lines_is_read_and_reported() -> None:
    old = BILL
    for part, value in {"kind": "K", "number": "1000 Lausanne", "postcode": "", "town": ""}.items():
        old = changed(f"creditor.{part}", value, old)
    assert (read(old).city, faults(old)) == ("1000 Lausanne", {"address_combined": False})


@pytest.mark.parametrize(
    ("line", "value", "code", "fatal"),
    [
        ("version", "0100", "version_unknown", True),
        ("charset", "2", "charset_unknown", False),
        ("iban", "CH5380005000010283665", "iban_check_failed", True),
        ("iban", "DE89370400440532013000", "iban_country_unfit", True),
        ("iban", BY_QR, "reference_unfit", True),
        ("iban", "CH53 8000 5000 0102 8366 4", "iban_spaced", False),
        ("creditor.kind", "X", "address_kind_unknown", True),
        ("creditor.name", "", "address_part_missing", True),
        ("creditor.name", "A" * 71, "text_too_long", False),
        ("creditor.name", "आशा", "letters_unfit", False),
        ("creditor.town", "", "address_part_missing", False),
        ("creditor.country", "Suisse", "country_malformed", False),
        ("final.name", "Somebody", "final_not_used", False),
        ("amount", "12.5", "amount_malformed", True),
        ("amount", "12,50", "amount_malformed", True),
        ("amount", "0.00", "amount_zero", True),
        ("currency", "USD", "currency_unfit", True),
        ("debtor.name", "Mei", "address_kind_unknown", True),
        ("reference_kind", "XXX", "reference_kind_unknown", True),
        ("reference_kind", "NON", "reference_wrong", True),
        ("reference", "RF18539007547035", "reference_wrong", True),
        ("message", "A" * 141, "text_too_long", False),
        ("trailer", "", "trailer_missing", True),
        ("trailer", "EPD\r\n1\r\n2\r\n3\r\n4", "lines_too_many", False),
        ("trailer", f"EPD\r\n\r\n{'A' * 101}", "text_too_long", False),
        ("trailer", f"EPD\r\n{'é' * 500}", "too_long", False),
    ],
)
def test_what_is_wrong_is_reported(line: str, value: str, code: str, fatal: bool) -> None:
    assert faults(changed(line, value))[code] is fatal


def test_a_bill_without_a_creditor_and_a_torn_one_are_unsound() -> None:
    bare = BILL
    for part in ("kind", "name", "street", "number", "postcode", "town", "country"):
        bare = changed(f"creditor.{part}", "", bare)
    assert faults(bare) == {"party_missing": True}
    assert not read("SPC").sound
    assert [swiss.reads(text) for text in ("", "SPC0200", "BCD\n002")] == [None] * 3


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"iban": "CH5380005000010283665"}, "iban_check_failed"),
        ({"iban": "DE89370400440532013000"}, "iban_country_unfit"),
        ({"iban": BY_QR}, "reference_unfit"),
        ({"currency": "USD"}, "currency_unfit"),
        ({"amount": 0}, "amount_out_of_range"),
        ({"amount": 100_000_000_000}, "amount_out_of_range"),
        ({"reference": "RF18539007547035"}, "reference_wrong"),
        ({"reference": "INVOICE 7"}, "reference_wrong"),
        ({"message": "A\nB"}, "text_unfit"),
        ({"message": "A" * 100, "information": "A" * 41}, "text_too_long"),
        ({"creditor": swiss.Party("आशा", "1000", "Lausanne", "CH")}, "letters_unfit"),
        ({"creditor": swiss.Party("Asha", "", "Lausanne", "CH")}, "address_part_missing"),
        ({"debtor": swiss.Party("Mei", "1000", "Lausanne", "Suisse")}, "country_malformed"),
    ],
)
def test_what_must_not_be_written_is_refused(wrong: dict[str, Any], code: str) -> None:
    with pytest.raises(Unwritable) as refused:
        swiss.write(**{"iban": PLAIN, "creditor": ASHA, "currency": "CHF", **wrong})
    assert refused.value.code == code


@MANY
@given(
    name=st.text(st.sampled_from("Aäéôß žŁ'-&x"), min_size=1, max_size=60).map(str.strip).filter(bool),
    amount=st.none() | st.integers(1, 99_999_999_999),
    digits=st.none() | st.from_regex("[1-9][0-9]{25}", fullmatch=True),
    debtor=st.booleans(),
)
def test_the_qrbill_package_writes_the_same_bill(
    name: str, amount: int | None, digits: str | None, debtor: bool
) -> None:
    reference = digits + swiss.qr_check_digit(digits) if digits else ""
    account = BY_QR if digits else PLAIN
    payer = swiss.Party(name, "2501", "Biel", "CH", "Marktgasse", "28") if debtor else None
    ours = swiss.write(
        iban=account, creditor=ASHA, currency="CHF", amount=amount, debtor=payer, reference=reference, message="Pears"
    )
    theirs = QRBill(
        account=account,
        creditor=_address(ASHA),
        amount=f"{amount // 100}.{amount % 100:02d}" if amount else None,
        debtor=_address(payer) if payer else None,
        reference_number=reference or None,
        additional_information="Pears",
    ).qr_data()
    assert ours == theirs
    assert (read(theirs).amount, faults(theirs)) == (amount, {})


def _address(party: swiss.Party) -> dict[str, str]:
    return {
        "name": party.name,
        "street": party.street,
        "house_num": party.number,
        "pcode": party.postcode,
        "city": party.town,
        "country": party.country,
    }
