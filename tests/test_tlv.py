"""Ids, lengths in characters, and what stands wrong among them."""

from __future__ import annotations

import pytest

from qr.payloads import tlv
from qr.payloads.base import Unwritable


def codes(text: str, where: str = "") -> list[tuple[str, str, bool]]:
    return [(one.code, one.where, one.fatal) for one in tlv.read(text, where).violations]


def test_lengths_count_characters_not_bytes() -> None:
    assert tlv.read("0102北京0203abc").objects == {"01": "北京", "02": "abc"}
    assert tlv.write({"01": "北京", "02": "abc"}) == "0102北京0203abc"


def test_objects_keep_their_order_and_leading_zeros() -> None:
    assert list(tlv.read("630200010200").objects.items()) == [("63", "00"), ("01", "00")]


def test_a_template_is_given_as_its_objects_or_as_its_text() -> None:
    assert tlv.write({"38": {"00": "A1", "01": {"00": "97"}}}) == "38160002A101060002" + "97"
    assert tlv.write({"38": "0002A101060002" + "97"}) == "38160002A101060002" + "97"


@pytest.mark.parametrize(
    "header",
    ["AA03", "0103"[::-1] + "A", " 103", "+103", "01 3", "01+3", "０１03", "01０3", "0", "01", "010", "0x03", "1_03"],
)
def test_a_header_is_four_ascii_digits(header: str) -> None:
    """`isdigit` takes full-width digits, and `int` takes signs, spaces and underscores."""
    found = tlv.read(f"5802KE{header}")
    assert not found.whole
    assert (found.objects, [one.code for one in found.violations]) == ({"58": "KE"}, ["tlv_broken"])


def test_a_value_that_is_shorter_than_its_length_is_left_out() -> None:
    assert tlv.read("5802KE5910Asha").objects == {"58": "KE"}
    assert codes("5802KE5910Asha") == [("tlv_broken", "", True)]
    assert codes("0105Asha", "62") == [("tlv_broken", "62", True)]


def test_an_id_that_stands_twice_is_reported_and_its_first_value_holds() -> None:
    assert tlv.read("5802KE5802TZ").objects == {"58": "KE"}
    assert codes("5802KE5802TZ", "64") == [("duplicate_id", "64.58", True)]


def test_an_empty_field_is_reported_and_read() -> None:
    assert tlv.read("590058" + "02KE").objects == {"59": "", "58": "KE"}
    assert codes("590058" + "02KE") == [("empty", "59", False)]


@pytest.mark.parametrize(
    ("objects", "code", "where"),
    [
        ({"1": "x"}, "id_malformed", "1"),
        ({"０1": "x"}, "id_malformed", "０1"),
        ({"59": ""}, "empty", "59"),
        ({"62": {}}, "empty", "62"),
        ({"62": {"05": ""}}, "empty", "62.05"),
        ({"26": "x" * 100}, "too_long", "26"),
        ({"26": {"00": "x" * 60, "01": "y" * 36}}, "too_long", "26"),
    ],
)
def test_what_has_no_such_form_is_not_written(objects: dict[str, tlv.Value], code: str, where: str) -> None:
    with pytest.raises(Unwritable) as refused:
        tlv.write(objects)
    assert (refused.value.code, refused.value.where) == (code, where)


def test_a_value_of_99_characters_is_written() -> None:
    assert tlv.read(tlv.write({"26": "x" * 99})).objects == {"26": "x" * 99}
