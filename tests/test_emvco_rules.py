"""Each rule of the standard's tables, broken once: reported when read, refused when written."""

from __future__ import annotations

from typing import Any

import pytest

from qr.payloads import emvco, tlv
from qr.payloads.base import Unwritable

GOOD: dict[str, Any] = {
    "00": "01",
    "26": {"00": "com.example", "01": "stall-7"},
    "52": "5499",
    "53": "404",
    "54": "150.00",
    "58": "KE",
    "59": "ASHA FRUIT",
    "60": "NAIROBI",
    "61": "00100",
}
GUID = {"00": "com.example"}
BROKEN: list[tuple[dict[str, Any], str, str]] = [
    ({"00": "02"}, "format_unknown", "00"),
    ({"01": "13"}, "malformed", "01"),
    ({"01": "1"}, "malformed", "01"),
    ({"26": {"01": "stall-7"}}, "guid_missing", "26.00"),
    ({"26": {"00": "x" * 33}}, "too_long", "26.00"),
    ({"26": "0099com"}, "tlv_broken", "26"),
    ({"26": "0003com0003net"}, "duplicate_id", "26.00"),
    ({"51": "stall-7"}, "tlv_broken", "51"),
    ({"04": "4111é"}, "character", "04"),
    ({"52": "549"}, "malformed", "52"),
    ({"52": "54990"}, "too_long", "52"),
    ({"52": "５499"}, "malformed", "52"),
    ({"53": "KES"}, "malformed", "53"),
    ({"53": "999"}, "currency_unknown", "53"),
    ({"54": "0"}, "amount_zero", "54"),
    ({"54": "0.00"}, "amount_zero", "54"),
    ({"54": "1.2.3"}, "amount_malformed", "54"),
    ({"54": "98,73"}, "amount_malformed", "54"),
    ({"54": "98.735"}, "amount_decimals", "54"),
    ({"54": "12345678901.00"}, "too_long", "54"),
    ({"55": "00"}, "malformed", "55"),
    ({"55": "02"}, "fee_missing", "56"),
    ({"55": "03"}, "fee_missing", "57"),
    ({"56": "5.00"}, "fee_unexpected", "56"),
    ({"55": "01", "57": "5"}, "fee_unexpected", "57"),
    ({"55": "02", "56": "0"}, "malformed", "56"),
    ({"55": "02", "56": "5,00"}, "malformed", "56"),
    ({"55": "03", "57": "0.00"}, "malformed", "57"),
    ({"55": "03", "57": "100"}, "malformed", "57"),
    ({"55": "03", "57": "5%"}, "malformed", "57"),
    ({"58": "KEN"}, "too_long", "58"),
    ({"58": "ke"}, "malformed", "58"),
    ({"59": "x" * 26}, "too_long", "59"),
    ({"59": "ASHA\nFRUIT"}, "hidden_character", "59"),
    ({"59": "水果"}, "character", "59"),
    ({"60": "x" * 16}, "too_long", "60"),
    ({"61": "x" * 11}, "too_long", "61"),
    ({"62": "plain text"}, "tlv_broken", "62"),
    ({"62": {"05": "x" * 26}}, "too_long", "62.05"),
    ({"62": {"09": "X"}}, "malformed", "62.09"),
    ({"62": {"09": "AA"}}, "malformed", "62.09"),
    ({"62": {"09": "AMEA"}}, "too_long", "62.09"),
    ({"62": {"50": "plain text"}}, "tlv_broken", "62.50"),
    ({"62": {"50": {"01": "x"}}}, "guid_missing", "62.50.00"),
    ({"64": {"01": "آشا"}}, "missing", "64.00"),
    ({"64": {"00": "SW"}}, "missing", "64.01"),
    ({"64": {"00": "SWA", "01": "Asha"}}, "too_long", "64.00"),
    ({"64": {"00": "SW", "01": "Asha", "02": "x" * 16}}, "too_long", "64.02"),
    ({"64": {"00": "SW", "01": "Asha\u2028"}}, "hidden_character", "64.01"),
    ({"80": {"01": "x"}}, "guid_missing", "80.00"),
    ({"80": "plain text"}, "tlv_broken", "80"),
]  # fmt: skip


@pytest.mark.parametrize(("changed", "code", "where"), BROKEN)
def test_a_broken_rule_is_reported_and_refused(changed: dict[str, Any], code: str, where: str) -> None:
    body = tlv.write({**GOOD, **changed}) + "6304"
    assert (code, where) in {(one.code, one.where) for one in emvco.read(body + emvco.check_sum(body)).violations}
    with pytest.raises(Unwritable):
        emvco.write({**GOOD, **changed})


@pytest.mark.parametrize("without", ["52", "53", "58", "59", "60"])
def test_a_mandatory_field_that_is_missing_is_reported_and_refused(without: str) -> None:
    rest = {id_: value for id_, value in GOOD.items() if id_ not in {without, "54"}}
    body = tlv.write(rest) + "6304"
    assert [(one.code, one.where) for one in emvco.read(body + emvco.check_sum(body)).violations] == [
        ("missing", without)
    ]
    with pytest.raises(Unwritable) as refused:
        emvco.write(rest)
    assert (refused.value.code, refused.value.where) == ("missing", without)


def test_without_an_account_nothing_is_written() -> None:
    with pytest.raises(Unwritable) as refused:
        emvco.write({id_: value for id_, value in GOOD.items() if id_ != "26"})
    assert refused.value.code == "account_missing"


def test_the_version_must_stand_first() -> None:
    moved = {**{id_: value for id_, value in GOOD.items() if id_ != "00"}, "00": "01"}
    with pytest.raises(Unwritable) as refused:
        emvco.write(moved)
    assert refused.value.code == "format_not_first"


@pytest.mark.parametrize(
    "added",
    [
        {"55": "01"},
        {"55": "02", "56": "10"},
        {"55": "03", "57": "00.01"},
        {"55": "03", "57": "99.99"},
        {"55": "03", "57": "5"},
        {"54": "98."},
        {"54": "98"},
        {"54": "9999999999.99"},
        {"62": {f"{number:02d}": "***" for number in range(1, 9)}},
        {"62": {"01": "x" * 25, "09": "EMA"}},
        {"62": {"10": "kept", "50": {**GUID, "01": "x"}}},
        {"64": {"00": "ta", "01": "ஆஷா பழக்கடை", "02": "சென்னை"}},
        {"64": {"00": "ZH", "01": "果" * 25, "02": "城" * 15}},
        {"25": "x" * 99},
        {"51": GUID},
        {"80": GUID},
        {"65": "x" * 99},
    ],
)
def test_what_the_standard_allows_is_written_and_read_without_a_word(added: dict[str, Any]) -> None:
    payload = emvco.read(emvco.write({**GOOD, **added}))
    assert payload.violations == ()
    assert emvco.write(payload.objects) == payload.text
