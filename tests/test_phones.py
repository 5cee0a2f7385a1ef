"""Which phones may sign in, and how they are written."""

from __future__ import annotations

import pytest

from merchants import phones
from merchants.refusals import Refused


@pytest.mark.parametrize(
    ("typed", "e164", "country", "prefix"),
    [
        ("+8613800138000", "+8613800138000", "CN", "86-1380"),
        ("+86 138-0013-8000", "+8613800138000", "CN", "86-1380"),
        (" ＋８６ 138 0013 8000 ", "+8613800138000", "CN", "86-1380"),
        ("+٩٦٥ ٥٠٠١٢٣٤٥", "+96550012345", "KW", "965-5001"),
        ("+91 98765 43210", "+919876543210", "IN", "91-9876"),
        ("+5511961234567", "+5511961234567", "BR", "55-1196"),
        ("+254 712 123456", "+254712123456", "KE", "254-7121"),
        ("+1 201 555 0123", "+12015550123", "US", "1-2015"),
        ("+52 222 123 4567", "+522221234567", "MX", "52-2221"),
    ],
)
def test_a_mobile_number_is_kept_as_e164(typed: str, e164: str, country: str, prefix: str) -> None:
    assert phones.mobile(typed) == phones.Phone(e164, country, prefix)


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("", "phone_invalid"),
        ("13800138000", "phone_invalid"),
        ("0086 138 0013 8000", "phone_invalid"),
        ("+86 138 0013 800", "phone_invalid"),
        ("+999 1234567", "phone_invalid"),
        ("+8613800138000 ext. 5", "phone_invalid"),
        ("+86138001380001380013800013800138000138001380001", "phone_invalid"),
        ("not a phone", "phone_invalid"),
        ("+86 10 6552 9988", "phone_not_mobile"),
        ("+44 20 7946 0000", "phone_not_mobile"),
        ("+1 900 245 0123", "phone_not_mobile"),
        ("+44 844 222 2222", "phone_not_mobile"),
        ("+44 56 1234 5678", "phone_not_mobile"),
        ("+44 7640 123456", "phone_not_mobile"),
        ("+1 800 234 5678", "phone_not_mobile"),
    ],
    ids=lambda text: text or "nothing",
)
def test_what_cannot_receive_a_text_is_refused(typed: str, code: str) -> None:
    with pytest.raises(Refused) as refused:
        phones.mobile(typed)
    assert (refused.value.status_code, refused.value.code) == (400, code)


def test_digits_are_read_in_any_script() -> None:
    assert phones.digits("١٢٣ 456-７８９") == "123456789"
    assert phones.digits("²½x") == ""
