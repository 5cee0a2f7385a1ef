"""VietQR transfers, and VNPAY's merchants."""

from __future__ import annotations

from typing import Any

import pytest

from qr.payloads import emvco, vietqr
from qr.payloads.base import Reading, Unwritable

CARD = "9704000000000018"


def read(text: str) -> Reading:
    reading = vietqr.reads(emvco.read(text))
    assert reading is not None
    return reading


def faults(text: str) -> list[tuple[str, str, bool]]:
    return [(one.code, one.where, one.fatal) for one in read(text).violations]


def changed(text: str, before: str, after: str) -> str:
    assert before in text
    body = text.replace(before, after)[:-4]
    return body + emvco.check_sum(body)


def test_a_transfer_names_a_bank_and_an_account() -> None:
    text = vietqr.write(bank="970416", account="257678859", amount=10000, purpose="Chuyển tiền")
    assert text == (
        "00020101021238530010A0000007270123000697041601092576788590208QRIBFTTA53037045405100005802VN"
        "62150811Chuyen tien630453E6"
    )
    reading = read(text)
    assert (reading.profile, reading.account, reading.amount, reading.currency) == ("vietqr", "257678859", 10000, "VND")
    assert (reading.reference, reading.once, reading.confirmation) == ("Chuyen tien", True, "unconfirmed")
    assert reading.fields == {
        "kind": "account", "service": "QRIBFTTA", "bank": "970416", "account": "257678859", "purpose": "Chuyen tien",
    }  # fmt: skip
    assert reading.violations == ()


def test_without_an_amount_the_payer_says_it_again_and_again() -> None:
    reading = read(vietqr.write(bank="970422", account="0352350917"))
    assert (reading.amount, reading.once, reading.violations) == (None, False, ())


def test_a_transfer_may_go_to_a_card() -> None:
    reading = read(vietqr.write(bank="970400", card=CARD, reference="MOMOW2W12345678", name="Lê Thị Đào"))
    assert (reading.account, reading.fields["kind"], reading.payee) == (CARD, "card", "Le Thi Dao")
    assert (reading.reference, reading.violations) == ("MOMOW2W12345678", ())


@pytest.mark.parametrize(
    ("asked", "code", "where"),
    [
        ({}, "account_missing", "account"),
        ({"account": "1", "card": CARD}, "account_missing", "account"),
        ({"account": "1", "bank": "97041"}, "malformed", "bank"),
        ({"account": "1", "bank": "９70416"}, "malformed", "bank"),
        ({"account": "12 34"}, "malformed", "account"),
        ({"account": "1" * 20}, "malformed", "account"),
        ({"card": "9704000000000017"}, "malformed", "card"),
        ({"card": "970400000000"}, "malformed", "card"),
        ({"account": "1", "amount": -1}, "amount_zero", "54"),
        ({"account": "1", "purpose": "x" * 26}, "too_long", "62.08"),
        ({"account": "1", "purpose": "水果"}, "character", "62.08"),
        ({"account": "1", "name": "x" * 26}, "too_long", "59"),
    ],
)
def test_what_no_code_says_is_not_written(asked: dict[str, Any], code: str, where: str) -> None:
    with pytest.raises(Unwritable) as refused:
        vietqr.write(**{"bank": "970416", **asked})
    assert (refused.value.code, refused.value.where) == (code, where)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("A000000727", "a000000727", ("guid_case", "38.00", False)),
        ("0006970416", "000697041X", ("bank_malformed", "38.01.00", True)),
        ("0109257678859", "010925767-859", ("account_malformed", "38.01.01", True)),
        ("0109257678859", "0909257678859", ("account_missing", "38.01.01", True)),
        ("QRIBFTTA", "QRPUSHXX", ("service_unknown", "38.02", False)),
        ("QRIBFTTA", "QRIBFTTC", ("check_digit", "38.01.01", False)),
        ("540510000", "54051000.", ("malformed", "54", False)),
        ("540510000", "5405100.5", ("amount_decimals", "54", True)),
        ("5303704", "5303840", ("currency_foreign", "53", True)),
    ],
)
def test_what_is_wrong_with_a_code_is_reported(before: str, after: str, expected: tuple[str, str, bool]) -> None:
    text = vietqr.write(bank="970416", account="257678859", amount=10000)
    assert faults(changed(text, before, after)) == [expected]


def test_what_other_software_writes_is_read() -> None:
    """By a bank, with its check sum in small letters; and VNPAY's, as vietnam-qr-pay 1.5.1 has it."""
    bank = "00020101021138540010A00000072701240006970422011003523509170208QRIBFTTA53037045802VN630479db"
    assert faults(bank) == [("crc_lower_case", "63", False)]
    merchant = read(
        "00020101021126280010A000000775011001087990425204597753037045802VN5909MYPHAMHER6005HANOI62260311MY PHAM HER"
        "0707MPHER0163041C50"
    )
    assert (merchant.profile, merchant.title, merchant.confirmation) == ("vnpay", "VNPAY-QR", "provider")
    assert (merchant.account, merchant.payee, merchant.city) == ("0108799042", "MYPHAMHER", "HANOI")
    assert (merchant.fields["store"], merchant.fields["terminal"], merchant.violations) == (
        "MY PHAM HER", "MPHER01", (),
    )  # fmt: skip


def test_a_merchant_that_is_not_named_is_fatal() -> None:
    text = "00020101021126280010A000000775091001087990425303704" + "5802VN6304"
    assert faults(text + emvco.check_sum(text)) == [("account_missing", "26.01", True)]


def test_another_networks_code_is_none_of_ours() -> None:
    assert (
        vietqr.reads(emvco.read("00020101021129370016A000000677010111011300668012345675802TH530376463046197")) is None
    )
