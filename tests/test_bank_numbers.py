"""Bank accounts: the registry's examples are taken, one wrong digit is not, and nothing typed is repeated."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.payouts.bank_numbers import BankNumber, Wrong, iban, local

# The examples of the SWIFT IBAN registry.
EXAMPLES = [
    "AE070331234567890123456", "BR1800360305000010009795493C1", "DE89370400440532013000", "FR1420041010050500013M02606",
    "GB29NWBK60161331926819", "KW81CBKU0000000000001234560101", "MT84MALT011000012345MTLCAST001S", "NO9386011117947",
    "SA0380000000608010167519", "LC55HEMM000100010012001200023015",
]  # fmt: skip


@pytest.mark.parametrize("number", EXAMPLES)
def test_an_iban_is_taken_with_and_without_spaces_and_in_any_case(number: str) -> None:
    spaced = " ".join(number[place : place + 4] for place in range(0, len(number), 4)).lower()
    assert iban(spaced, "nwbk gb 2l") == BankNumber("iban", number[:2], "NWBKGB2L", number)


@given(number=st.sampled_from(EXAMPLES), place=st.integers(2, 33), digit=st.sampled_from("0123456789"))
def test_one_wrong_digit_is_found(number: str, place: int, digit: str) -> None:
    place = min(place, len(number) - 1)
    changed = number[:place] + digit + number[place + 1 :]
    if changed != number and number[place].isdigit():
        with pytest.raises(Wrong) as refusal:
            iban(changed)
        assert refusal.value.code == "iban_check_failed"


@pytest.mark.parametrize(
    ("typed", "bank_code", "field", "code"),
    [
        ("", "", "number", "iban_malformed"),
        ("DE89 3704 0044 0532 0130 0é", "", "number", "iban_malformed"),
        ("DE٨٩370400440532013000", "", "number", "iban_malformed"),
        ("ZZ89370400440532013000", "", "number", "iban_country_unknown"),
        ("DE8937040044053201300", "", "number", "iban_length_wrong"),
        ("DE88370400440532013000", "", "number", "iban_check_failed"),
        ("DE89370400440532013000", "NOBIC", "bank_code", "bank_code_malformed"),
    ],
)
def test_what_is_no_iban_is_refused_with_its_reason(typed: str, bank_code: str, field: str, code: str) -> None:
    with pytest.raises(Wrong) as refusal:
        iban(typed, bank_code)
    assert (refusal.value.field, refusal.value.code) == (field, code)
    assert not typed or typed not in str(refusal.value)


@pytest.mark.parametrize(
    ("country", "bank_code", "number"),
    [
        ("CN", "102100099996", "6222021234567890128"),
        ("IN", "hdfc0001234", "50100012345678"),
        ("BR", "00360305", "0001/123456X"),
        ("BR", "341", "1234 567890"),
        ("GB", "60-16-13", "31926819"),
        ("US", "021000021", "123456789"),
        ("VN", "BFTVVNVX", "0071001234567"),
    ],
)
def test_a_local_number_is_taken_by_the_form_of_its_country(country: str, bank_code: str, number: str) -> None:
    kept = local(country, bank_code, number)
    assert (kept.scheme, kept.country) == ("local", country)
    assert " " not in kept.number + kept.bank_code
    assert kept.bank_code == kept.bank_code.upper()


@pytest.mark.parametrize(
    ("country", "bank_code", "number", "code"),
    [
        ("CN", "1021", "6222021234567890128", "bank_code_malformed"),
        ("CN", "102100099996", "622", "number_malformed"),
        ("IN", "HDFC1001234", "50100012345678", "bank_code_malformed"),
        ("US", "021000022", "123456789", "bank_code_check_failed"),
        ("GB", "601613", "3192681", "number_malformed"),
        ("VN", "", "0071001234567", "bank_code_malformed"),
    ],
)
def test_a_local_number_of_another_form_is_refused(country: str, bank_code: str, number: str, code: str) -> None:
    with pytest.raises(Wrong) as refusal:
        local(country, bank_code, number)
    assert refusal.value.code == code
