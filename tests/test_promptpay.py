"""PromptPay: persons, wallets and billers; and slips, which are not to be paid."""

from __future__ import annotations

from typing import Any

import pytest

from qr.payloads import emvco, promptpay
from qr.payloads.base import Reading, Unwritable


def read(text: str) -> Reading:
    reading = promptpay.reads(emvco.read(text))
    assert reading is not None
    return reading


def faults(text: str) -> list[tuple[str, str, bool]]:
    return [(one.code, one.where, one.fatal) for one in read(text).violations]


def changed(text: str, before: str, after: str) -> str:
    assert before in text
    body = text.replace(before, after)[:-4]
    return body + emvco.check_sum(body)


@pytest.mark.parametrize("typed", ["0812345678", "+66 81 234 5678", "66812345678", "0066812345678", "081-234-5678"])
def test_a_mobile_number_is_written_as_the_network_has_it(typed: str) -> None:
    text = promptpay.write(mobile=typed)
    assert text == "00020101021129370016A0000006770101110113006681234567853037645802TH6304823E"
    reading = read(text)
    assert (reading.account, reading.amount, reading.currency, reading.once) == ("+66812345678", None, "THB", False)
    assert reading.fields == {"kind": "mobile", "mobile": "0066812345678"}
    assert (reading.confirmation, reading.violations) == ("unconfirmed", ())


def test_an_amount_makes_a_code_for_one_payment() -> None:
    reading = read(promptpay.write(mobile="0812345678", amount=2000))
    assert (reading.amount, reading.once) == (2000, True)


def test_numbers_of_persons_companies_and_wallets_keep_their_zeros() -> None:
    person = read(promptpay.write(national_id="1-2345-45678-78-1"))
    assert (person.account, person.fields["kind"], person.violations) == ("1234545678781", "national_id", ())
    wallet = read(promptpay.write(wallet="004999000288505"))
    assert (wallet.account, wallet.fields["kind"], wallet.violations) == ("004999000288505", "wallet", ())


def test_a_bill_has_a_biller_and_references() -> None:
    text = promptpay.write(
        biller="099400016550100", reference1="INV7", reference2="MAY", reference3="SCB", amount=364922
    )
    reading = read(text)
    assert (reading.title, reading.account, reading.reference) == ("PromptPay bill", "099400016550100", "INV7")
    assert (reading.amount, reading.confirmation, reading.violations) == (364922, "unconfirmed", ())
    assert reading.fields == {
        "kind": "bill", "biller": "099400016550100", "reference1": "INV7", "reference2": "MAY", "reference3": "SCB",
    }  # fmt: skip


def test_a_name_is_written_when_there_is_one_and_missed_by_nobody_when_not() -> None:
    named = read(promptpay.write(mobile="0812345678", name="Somchai Früits", city="Bangkok"))
    assert (named.payee, named.city, named.violations) == ("Somchai Fruits", "Bangkok", ())
    with pytest.raises(Unwritable):
        promptpay.write(mobile="0812345678", name="สมชาย")


@pytest.mark.parametrize(
    ("asked", "code", "where"),
    [
        ({}, "account_missing", "account"),
        ({"mobile": "0812345678", "wallet": "004999000288505"}, "account_missing", "account"),
        ({"mobile": "812345678"}, "malformed", "mobile"),
        ({"mobile": "08123456789"}, "malformed", "mobile"),
        ({"mobile": "+55812345678"}, "malformed", "mobile"),
        ({"national_id": "1234545678782"}, "malformed", "national_id"),
        ({"national_id": "123454567878"}, "malformed", "national_id"),
        ({"wallet": "14000081234567"}, "malformed", "wallet"),
        ({"biller": "0994000165501", "reference1": "A"}, "malformed", "biller"),
        ({"biller": "099400016550100"}, "malformed", "reference1"),
        ({"biller": "099400016550100", "reference1": "x" * 21}, "malformed", "reference1"),
        ({"biller": "099400016550100", "reference1": "A", "reference2": "a b"}, "malformed", "reference2"),
        ({"biller": "099400016550100", "reference1": "A", "reference3": "x" * 26}, "too_long", "62.07"),
        ({"mobile": "0812345678", "reference1": "A"}, "unused", "reference1"),
        ({"mobile": "0812345678", "amount": 0}, "amount_zero", "54"),
        ({"mobile": "0812345678", "name": "x" * 26}, "too_long", "59"),
    ],
)
def test_what_no_code_says_is_not_written(asked: dict[str, Any], code: str, where: str) -> None:
    with pytest.raises(Unwritable) as refused:
        promptpay.write(**asked)
    assert (refused.value.code, refused.value.where) == (code, where)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("A000000677010111", "a000000677010111", [("guid_case", "29.00", False)]),
        ("01130066812345678", "01130166812345678", [("account_malformed", "29.01", True)]),
        ("01130066812345678", "02131111111111111", [("check_digit", "29.02", False)]),
        ("01130066812345678", "05130066812345678", [("account_missing", "29", True)]),
        ("5303764", "5303840", [("currency_foreign", "53", True)]),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_code_is_reported(before: str, after: str, expected: list[tuple[str, str, bool]]) -> None:
    assert faults(changed(promptpay.write(mobile="0812345678"), before, after)) == expected


def test_two_accounts_in_one_code_are_fatal() -> None:
    both = {"00": "A000000677010111", "01": "0066812345678", "03": "004999000288505"}
    text = emvco.write({"00": "01", "29": both, "53": "764", "58": "TH"}, may_lack=promptpay.MAY_LACK)
    assert faults(text) == [("account_twice", "29", True)]


def test_a_bill_without_what_it_needs_is_reported() -> None:
    text = promptpay.write(biller="099400016550100", reference1="INV7")
    assert faults(changed(text, "0204INV7", "0204IN 7")) == [("malformed", "30.02", False)]
    assert faults(changed(text, "0204INV7", "0904INV7")) == [("missing", "30.02", False)]
    assert ("account_missing", "30", True) in faults(changed(text, "0115099400", "0915099400"))


def test_a_transfer_slip_is_told_from_a_code_to_pay_by() -> None:
    reading = read("004100060000010103014022000111222233344ABCD125102TH910417DF")
    assert (reading.profile, reading.title) == ("promptpay_slip", "Transfer slip (Thailand)")
    assert (reading.fields["sending_bank"], reading.reference) == ("014", "00111222233344ABCD12")
    assert [(one.code, one.fatal) for one in reading.violations] == [("slip", True)]
    assert not reading.sound


def test_a_slip_that_was_changed_is_reported() -> None:
    reading = read("004100060000010103014022000111222233344ABCD135102TH910417DF")
    assert [one.code for one in reading.violations] == ["slip", "crc_wrong"]


def test_a_wallets_slip_is_a_slip_too() -> None:
    """As promptparse 1.6.0 writes TrueMoney's."""
    reading = read("00470002010102010203P2P0312tm1234567890040825012024910407ab")
    assert (reading.fields["kind"], reading.reference) == ("wallet_slip", "tm1234567890")
    assert [one.code for one in reading.violations] == ["slip"]


def test_what_other_software_writes_is_read_whatever_its_order() -> None:
    """promptpay-qr 0.5.0 writes the country before the currency, promptparse 1.6.0 after it."""
    first = read("00020101021229370016A000000677010111011300668123456785802TH5303764540520.00630428E3")
    second = read("00020101021229370016A0000006770101110113006681234567853037645802TH540520.006304A9C8")
    assert (first.account, first.amount, first.violations) == ("+66812345678", 2000, ())
    assert (second.account, second.amount, second.violations) == ("+66812345678", 2000, ())


def test_another_networks_code_is_none_of_ours() -> None:
    assert promptpay.reads(emvco.read("https://example.com")) is None
    assert promptpay.reads(emvco.read("000201" + "9104ABCD")) is None
