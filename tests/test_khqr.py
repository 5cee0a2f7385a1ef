"""KHQR: Bakong's codes of persons and merchants, in riel and dollars, with their lives and their lookup key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from qr.payloads import emvco, khqr
from qr.payloads.base import Reading, Unwritable

NOON = datetime(2026, 11, 28, 12, 0, 0, 336000, tzinfo=UTC)
LIFE: dict[str, Any] = {"created": NOON, "expires": NOON + timedelta(minutes=15)}
STALL: dict[str, Any] = {"account": "dara_fruit@devb", "name": "Dara Fruit"}
PRICED: dict[str, Any] = {**STALL, **LIFE, "amount": 1000000}
MERCHANT: dict[str, Any] = {"merchant_id": "123456", "bank": "Dev Bank"}


def read(text: str) -> Reading:
    reading = khqr.reads(emvco.read(text))
    assert reading is not None
    return reading


def faults(text: str) -> list[tuple[str, str, bool]]:
    return [(one.code, one.where, one.fatal) for one in read(text).violations]


def changed(text: str, before: str, after: str) -> str:
    assert before in text
    body = text.replace(before, after)[:-4]
    return body + emvco.check_sum(body)


def test_a_person_is_paid_in_riel_without_decimals() -> None:
    text = khqr.write(**PRICED, bill="INV-7", store="Stall 7")
    assert text == (
        "00020101021229190015dara_fruit@devb5204599953031165405100005802KH5910Dara Fruit6010Phnom Penh62200105INV-7"
        "0307Stall 7993400131795867200336011317958681003366304CCC9"
    )
    reading = read(text)
    assert (reading.profile, reading.payee, reading.account) == ("khqr", "Dara Fruit", "dara_fruit@devb")
    assert (reading.amount, reading.currency, reading.reference) == (1000000, "KHR", "INV-7")
    assert (reading.once, reading.expires_at, reading.confirmation) == (True, NOON + timedelta(minutes=15), "lookup")
    assert reading.violations == ()


def test_the_network_is_asked_by_the_md5_of_the_whole_text() -> None:
    text = (
        "00020101021229420013ishinvin@devb01090123456780208Dev Bank5204599953031165405100005802KH5909Ishin Vin6010"
        "Phnom Penh62680114INV-2022-12-250211855123456780310Ishin Shop07060123450807Payment64180002ZH0102文山0202金边"
        "99340013175507623233601131755076292336630416C4"
    )
    reading = read(text)
    assert (reading.fields["md5"], reading.violations) == ("922a409e0f8784858f644bf912c132b0", ())
    assert khqr.lookup_key(f"{text}\n") == reading.fields["md5"]
    assert reading.expires_at == datetime(2025, 8, 13, 9, 11, 32, 336000, tzinfo=UTC)
    assert (reading.fields["bank"], reading.fields["local_name"]) == ("Dev Bank", "文山")


def test_a_merchant_is_paid_in_dollars_with_two_decimals() -> None:
    text = khqr.write(**{**PRICED, **MERCHANT, "currency": "USD", "amount": 550})
    reading = read(text)
    assert "54045.50" in text
    assert (reading.amount, reading.currency, reading.fields["kind"]) == (550, "USD", "merchant")
    assert (reading.fields["merchant_id"], reading.fields["bank"], reading.violations) == ("123456", "Dev Bank", ())


def test_a_code_without_an_amount_never_expires() -> None:
    reading = read(khqr.write(**STALL, local_name="ផ្លែឈើ ដារ៉ា", language="km"))
    assert (reading.amount, reading.once, reading.expires_at, reading.violations) == (None, False, None, ())
    assert reading.fields["local_name"] == "ផ្លែឈើ ដារ៉ា"


def test_unionpay_stands_beside_bakong() -> None:
    reading = read(khqr.write(**STALL, union_pay="37210116372101160123456789ABCDE"))
    assert (reading.fields["union_pay"], reading.violations) == ("37210116372101160123456789ABCDE", ())


@pytest.mark.parametrize(
    ("asked", "code", "where"),
    [
        ({"account": "jonhsmith00123456789012345678912345@devb"}, "too_long", "account"),
        ({"account": "jonhsmithnbcq"}, "malformed", "account"),
        ({"account": ""}, "malformed", "account"),
        ({"account": "a b@devb"}, "malformed", "account"),
        ({"account": "a@b@devb"}, "malformed", "account"),
        ({"name": "012345678901234567890123456789"}, "too_long", "59"),
        ({"name": ""}, "empty", "59"),
        ({"city": "Siem Reappppppppppp"}, "too_long", "60"),
        ({"amount": 10**15}, "too_long", "54"),
        ({"amount": -100000}, "amount_zero", "54"),
        ({"amount": 0}, "amount_zero", "54"),
        ({"amount": 110}, "amount_decimals", "54"),
        ({"amount": 123456789012345, "currency": "USD"}, "too_long", "54"),
        ({"amount": 99999999999999, "currency": "USD"}, "too_long", "54"),
        ({"currency": "THB"}, "currency_foreign", "currency"),
        ({"currency": "USD", "amount": 100, "union_pay": "1"}, "currency_foreign", "union_pay"),
        ({"bill": "x" * 26}, "too_long", "62.01"),
        ({"mobile": "8" * 26}, "too_long", "62.02"),
        ({"store": "x" * 26}, "too_long", "62.03"),
        ({"terminal": "x" * 26}, "too_long", "62.07"),
        ({"purpose": "x" * 26}, "too_long", "62.08"),
        ({"bank": "x" * 33}, "too_long", "bank"),
        ({"account_information": "0" * 33}, "too_long", "account_information"),
        ({"merchant_id": "x" * 33, "bank": "B"}, "too_long", "merchant_id"),
        ({"merchant_id": "123456"}, "missing", "bank"),
        ({"language": "km"}, "missing", "64.01"),
        ({"local_name": "ដារ៉ា"}, "missing", "64.00"),
        ({"language": "khm", "local_name": "ដារ៉ា"}, "too_long", "64.00"),
        ({"language": "km", "local_name": "ដ" * 26}, "too_long", "64.01"),
        ({"category": "59"}, "malformed", "52"),
        ({"expires": None}, "expiry_missing", "expires"),
        ({"created": None}, "expiry_missing", "expires"),
        ({"expires": NOON - timedelta(seconds=1)}, "expiry_wrong", "expires"),
        ({"expires": NOON + timedelta(days=366 * 300)}, "malformed", "expires"),
    ],
)
def test_what_bakong_would_not_write_is_not_written(asked: dict[str, Any], code: str, where: str) -> None:
    with pytest.raises(Unwritable) as refused:
        khqr.write(**{**PRICED, **asked})
    assert (refused.value.code, refused.value.where) == (code, where)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("dara_fruit@devb", "dara fruit@devb", [("account_malformed", "29.00", True)]),
        ("010212", "010211", []),
        ("540510000", "", [("amount_missing", "54", True)]),
        ("540510000", "540510.50", [("amount_decimals", "54", True)]),
        ("540510000", "540510.00", [("amount_decimals", "54", False)]),
        ("99340013", "98340013", [("expiry_missing", "99.01", True)]),
        ("01131795868100", "0113179586810x", [("expiry_malformed", "99.01", True)]),
        ("01131795868100", "01131795767100", [("expiry_wrong", "99.01", True)]),
        ("5303116", "5303764", [("currency_foreign", "53", True)]),
        ("5802KH", "5802TH", [("country_foreign", "58", False)]),
        ("5910Dara Fruit", "", [("missing", "59", True)]),
        ("5910Dara Fruit", "5926" + "Dara" * 6 + "xx", [("too_long", "59", True)]),
        ("6010Phnom Penh", "6000", [("empty", "60", True)]),
        ("5303116", "5303849", [("currency_unknown", "53", True), ("currency_foreign", "53", True)]),
    ],
)
def test_what_is_wrong_with_a_code_is_reported(before: str, after: str, expected: list[tuple[str, str, bool]]) -> None:
    assert faults(changed(khqr.write(**PRICED), before, after)) == expected


def test_a_merchants_code_without_its_merchant_is_fatal() -> None:
    text = khqr.write(**STALL, **MERCHANT)
    assert faults(changed(text, "0106123456", "0906123456")) == [("missing", "30.01", True)]
    assert ("account_twice", "30", True) in faults(changed(text, "52045999", "29120008dara@dev52045999"))


def test_another_networks_code_is_none_of_ours() -> None:
    assert khqr.reads(emvco.read("00020101021129370016A000000677010111011300668012345675802TH530376463046197")) is None
    assert khqr.reads(emvco.read("")) is None
