"""Merchant-presented payloads: read tolerantly, written strictly, guarded by their check sum."""

from __future__ import annotations

import pytest

from qr.payloads import amounts, emvco, tlv
from qr.payloads.base import Unwritable
from qr.payloads.emvco_fields import MANDATORY

# The one example that the standard itself prints (annex B.7).
PRINTED = (
    "00020101021229300012D156000000000510A93FO3230Q31280012D15600000001030812345678520441115802CN5914BEST TRANSPORT"
    "6007BEIJING64200002ZH0104最佳运输0202北京540523.7253031565502016233030412340603***0708A60086670902ME"
    "91320016A0112233449988770708123456786304A13A"
)
STALL: dict[str, tlv.Value] = {
    "00": "01",
    "01": "11",
    "26": {"00": "com.example", "01": "stall-7"},
    "52": "5499",
    "53": "404",
    "58": "KE",
    "59": "ASHA FRUIT",
    "60": "NAIROBI",
}


def faults(text: str) -> list[tuple[str, str, bool]]:
    return [(one.code, one.where, one.fatal) for one in emvco.read(text).violations]


def resealed(text: str) -> str:
    """The text with the check sum that fits it."""
    return text[:-4] + emvco.check_sum(text[:-4])


def test_the_standards_own_example_is_read() -> None:
    payload = emvco.read(PRINTED)
    assert (payload.violations, payload.crc_ok, payload.sound) == ((), True, True)
    assert payload.objects["59"] == "BEST TRANSPORT"
    assert payload.template("29") == {"00": "D15600000000", "05": "A93FO3230Q"}
    assert payload.template("64") == {"00": "ZH", "01": "最佳运输", "02": "北京"}
    assert payload.template("62") == {"03": "1234", "06": "***", "07": "A6008667", "09": "ME"}
    assert (payload.amount, payload.currency, payload.once) == (2372, "CNY", True)


def test_what_was_read_is_written_again_letter_for_letter() -> None:
    assert emvco.write(emvco.read(PRINTED).objects) == PRINTED


def test_the_check_sum_runs_over_bytes_and_keeps_its_zeros() -> None:
    assert emvco.check_sum("123456789") == "29B1"
    assert emvco.check_sum(PRINTED[:-4]) == "A13A"
    starting_with_zero = next(text for text in map(str, range(10_000)) if emvco.check_sum(text).startswith("00"))
    assert len(emvco.check_sum(starting_with_zero)) == 4


def test_reserved_and_unreserved_fields_are_kept_as_they_are() -> None:
    odd = {**STALL, "65": "é€", "79": "00", "80": {"00": "com.example.more", "07": "7"}, "17": "0002xx"}
    payload = emvco.read(emvco.write(odd))
    assert payload.objects["65"] == "é€"
    assert payload.objects["17"] == "0002xx"
    assert payload.violations == ()
    assert emvco.write(payload.objects) == payload.text


def test_an_id_from_02_to_25_is_never_taken_apart() -> None:
    """A card scheme's number may happen to look like objects, and broken ones."""
    for id_ in ("02", "15", "25"):
        payload = emvco.read(emvco.write({**STALL, id_: "0004hoge0199x"}))
        assert (payload.objects[id_], payload.violations) == ("0004hoge0199x", ())


def test_a_template_inside_a_template_is_reached_by_its_path() -> None:
    payload = emvco.read(emvco.write({**STALL, "38": {"00": "A000000727", "01": {"00": "970416", "01": "257678859"}}}))
    assert payload.template("38.01") == {"00": "970416", "01": "257678859"}
    assert payload.template("38.07") == payload.template("44") == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [("crc_missing", "63"), ("format_missing", "00"), ("account_missing", "")]),
        (PRINTED[:-8], [("crc_missing", "63")]),
        (PRINTED[:-6], [("tlv_broken", ""), ("crc_missing", "63")]),
        (PRINTED[:-4], [("tlv_broken", ""), ("crc_missing", "63")]),
        (PRINTED[:-1], [("tlv_broken", ""), ("crc_missing", "63")]),
        (PRINTED[:-4] + "XXXX", [("crc_wrong", "63")]),
        (PRINTED[:-1] + "ﬀ", [("crc_wrong", "63")]),
        (PRINTED + "5802TZ", [("duplicate_id", "58"), ("crc_not_last", "63")]),
        (PRINTED + "x", [("tlv_broken", ""), ("crc_not_last", "63")]),
        (resealed(PRINTED.replace("5802CN", "5802CN5802CN")), [("duplicate_id", "58")]),
        (resealed(PRINTED.replace("540523.72", "540523,72")), [("amount_malformed", "54")]),
        (resealed(PRINTED.replace("540523.72", "54053 705")), [("amount_malformed", "54")]),
        (resealed(PRINTED.replace("540523.72", "5406 23.72")), [("amount_malformed", "54")]),
        (resealed(PRINTED.replace("540523.72", "540623.725")), [("amount_decimals", "54")]),
        (resealed(PRINTED.replace("5303156", "5303000")), [("currency_unknown", "53")]),
        (resealed(PRINTED.replace("5303156", "")), [("currency_missing", "53")]),
        (resealed(PRINTED.replace("0012D15600000001", "0013D15600000001")), [("tlv_broken", "31")]),
        (resealed(PRINTED.replace("000201", "000203")), [("format_unknown", "00")]),
        ("0" * 7090, [("too_long", "")]),
    ],
)
def test_by_what_cannot_be_right_nobody_should_pay(text: str, expected: list[tuple[str, str]]) -> None:
    payload = emvco.read(text)
    assert [(one.code, one.where) for one in payload.violations if one.fatal] == expected
    assert not payload.sound


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (PRINTED[:-4] + "a13a", [("crc_lower_case", "63")]),
        (f" {PRINTED}\n", [("whitespace", "")]),
        (resealed(PRINTED[6:-8] + "000201" + "6304A13A"), [("format_not_first", "00")]),
        (resealed(PRINTED.replace("000201", "000202")), [("format_unknown", "00")]),
        (resealed(PRINTED.replace("010212", "010213")), [("malformed", "01")]),
        (resealed(PRINTED.replace("550201", "550204")), [("malformed", "55")]),
        (resealed(PRINTED.replace("540523.72", "54040.00")), [("amount_zero", "54")]),
        (resealed(PRINTED.replace("0902ME", "0902MM")), [("malformed", "62.09")]),
        (resealed(PRINTED.replace("14BEST TRANSPORT", "26BEST OF ALL THE TRANSPORTS")), [("too_long", "59")]),
        (resealed(PRINTED.replace("5914BEST", "5914BÉST")), [("character", "59")]),
        (resealed(PRINTED.replace("5914BEST", "5914BES\u202e")), [("hidden_character", "59")]),
        (resealed(PRINTED.replace("5802CN", "5802cn")), [("malformed", "58")]),
        (resealed(PRINTED.replace("6007BEIJING", "")), [("missing", "60")]),
        (resealed(PRINTED.replace("0016A011223344998877", "0416A011223344998877")), [("guid_missing", "91.00")]),
    ],
)  # fmt: skip
def test_what_real_codes_get_wrong_is_reported_and_read(text: str, expected: list[tuple[str, str]]) -> None:
    payload = emvco.read(text)
    assert [(one.code, one.where) for one in payload.violations] == expected
    assert payload.sound
    assert payload.objects["52"] == "4111"


def test_a_payload_of_more_than_512_characters_is_read_and_not_written() -> None:
    many: dict[str, tlv.Value] = {f"{id_}": {"00": "com.example", "01": "x" * 80} for id_ in range(26, 31)}
    assert faults(emvco.write(STALL | dict(list(many.items())[1:4]))) == []
    with pytest.raises(Unwritable) as refused:
        emvco.write(STALL | many)
    assert refused.value.code == "too_long"
    whole = emvco.write(STALL)[:-8]
    long = resealed(whole + "".join(f"{id_}980011com.example0179{'x' * 79}" for id_ in range(80, 85)) + "6304....")
    assert faults(long) == [("too_long", "", False)]


def test_a_check_sum_among_the_objects_is_made_anew() -> None:
    assert emvco.write({**STALL, "63": "0000"}) == emvco.write(STALL)


def test_a_letter_that_readers_count_as_two_is_not_written() -> None:
    with pytest.raises(Unwritable) as refused:
        emvco.write({**STALL, "64": {"00": "EN", "01": "Asha 🍎"}})
    assert refused.value.code == "character"


def test_a_network_may_leave_mandatory_fields_out() -> None:
    bare = {id_: value for id_, value in STALL.items() if id_ not in MANDATORY}
    assert emvco.read(emvco.write(bare, may_lack=MANDATORY)).sound
    with pytest.raises(Unwritable) as refused:
        emvco.write(bare)
    assert (refused.value.code, refused.value.where) == ("missing", "52")


@pytest.mark.parametrize("text", ["\x00", "0002\ud800", "００020101", "63046304", "0" * 3, "\n", "0002" + "9" * 4000])
def test_reading_never_raises(text: str) -> None:
    assert not emvco.read(text).sound


def test_a_payload_is_known_by_how_it_begins() -> None:
    assert emvco.looks_like(PRINTED)
    assert emvco.looks_like("\n" + PRINTED)
    assert not any(
        map(emvco.looks_like, ["", "https://example.com", "00123456789", "０００201010212", "upi://pay?pa=a@b"])
    )


def test_only_plain_latin_letters_need_no_word_about_their_bytes() -> None:
    assert emvco.needs_eci(PRINTED)
    assert not emvco.needs_eci(emvco.write(STALL))


@pytest.mark.parametrize(
    ("amount", "currency", "written"),
    [(1, "CNY", "0.01"), (200, "CNY", "2.00"), (98, "JPY", "98"), (1500, "KWD", "1.500"), (10000, "VND", "10000")],
)
def test_amounts_have_the_decimals_of_their_currency(amount: int, currency: str, written: str) -> None:
    assert amounts.amount_text(amount, currency) == written
    assert amounts.minor_units(written, currency) == amount


def test_amounts_are_read_as_real_codes_write_them() -> None:
    assert [amounts.minor_units(text, "CNY") for text in ("98.73", "98", "98.", "0098.70", "98.7000")] == [
        9873, 9800, 9800, 9870, 9870,
    ]  # fmt: skip
    assert amounts.minor_units("100.00", "JPY") == 100
    for text in ("98,73", "3 705", "", ".5", "1.2.3", "-1", "+1", "１", "1e3", "98.731", "1_0"):
        with pytest.raises(ValueError, match=r"point|decimal"):
            amounts.minor_units(text, "CNY")


@pytest.mark.parametrize(
    ("amount", "currency", "places", "code"),
    [(0, "CNY", None, "amount_zero"), (-5, "CNY", None, "amount_zero"), (150, "KHR", 0, "amount_decimals"),
     (10**12, "CNY", None, "too_long")],
)  # fmt: skip
def test_an_amount_that_a_code_cannot_say_is_refused(amount: int, currency: str, places: int | None, code: str) -> None:
    with pytest.raises(Unwritable) as refused:
        amounts.amount_text(amount, currency, places)
    assert (refused.value.code, refused.value.where) == (code, "54")


def test_the_longest_amount_has_thirteen_characters() -> None:
    assert amounts.amount_text(10**12 - 1, "CNY") == "9999999999.99"


def test_currencies_go_by_their_numbers() -> None:
    assert [amounts.currency_code(number) for number in ("986", "036", "36", "999", "")] == ["BRL", "AUD", "", "", ""]
    assert amounts.currency_number("AUD") == "036"
    with pytest.raises(Unwritable):
        amounts.currency_number("XXX")
