"""National networks that are read only: who is paid, how much, and what their codes have of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from typing import TypeAlias

import pytest

from qr.payloads import emvco, national, tlv
from qr.payloads.base import Reading

Profile: TypeAlias = Callable[[emvco.Payload], Reading | None]

EAST = timezone(timedelta(hours=8))
PAYNOW = {"00": "SG.PAYNOW", "01": "2", "02": "200002150HWCF", "03": "0"}
QRIS: dict[str, tlv.Value] = {
    "26": {"00": "ID.DANA.WWW", "01": "936009150000000017", "02": "000000017", "03": "UMI"},
    "51": {"00": "ID.CO.QRIS.WWW", "02": "ID0000000000017", "03": "UMI"},
}
DUITNOW = {"00": "A0000006150001", "01": "501664", "02": "123456789"}
FPS = {"00": "hk.com.hkicl", "02": "6000509"}
BHARAT: dict[str, tlv.Value] = {
    "02": "4392630000000085",
    "06": "6100590000000089",
    "08": "YESB0CMSNOC2223330048827001",
    "26": {"00": "A000000524", "01": "asha@icici", "02": "1.10"},
    "27": {"00": "A000000524", "01": "RZPGT8ildsF"},
}


def code(
    accounts: Mapping[str, tlv.Value], currency: str, country: str, *, version: str = "01", **more: tlv.Value
) -> str:
    """A payload with its check sum, written without the strict writer's rules."""
    objects: dict[str, tlv.Value] = {"00": version, "01": "11", **accounts, "52": "0000", "53": currency}
    objects |= {"58": country, "59": "ASHA FRUIT", "60": "TOWN"}
    objects |= {name.removeprefix("f"): value for name, value in more.items()}
    text = tlv.write(objects) + "6304"
    return text + emvco.check_sum(text)


def read(profile: Profile, text: str) -> Reading:
    reading = profile(emvco.read(text))
    assert reading is not None
    assert (reading.confirmation, reading.payee, reading.text) == ("unconfirmed", "ASHA FRUIT", text)
    return reading


def faults(reading: Reading) -> dict[str, bool]:
    return {one.code: one.fatal for one in reading.violations}


def test_paynow_pays_a_company_or_a_phone_until_the_end_of_a_day() -> None:
    reading = read(national.paynow, code({"26": PAYNOW}, "702", "SG", f54="100", f62={"01": "INV/1"}))
    assert (reading.profile, reading.account, reading.reference) == ("paynow", "200002150HWCF", "INV/1")
    assert (reading.amount, reading.currency, reading.violations) == (10_000, "SGD", ())
    assert reading.fields == {"account_kind": "UEN", "editable": "no"}
    phone = {"00": "sg.paynow", "01": "0", "02": "+6590901234", "03": "1", "04": "20261231"}
    reading = read(national.paynow, code({"26": phone}, "702", "SG"))
    assert (reading.account, reading.fields["editable"]) == ("+6590901234", "yes")
    assert reading.expires_at == datetime(2027, 1, 1, tzinfo=EAST)


def test_the_common_label_of_singapore_is_read_with_paynow_and_alone() -> None:
    label = {"00": "SG.SGQR", "01": "202012345X123", "02": "01.0001", "03": "828671"}
    reading = read(national.paynow, code({"26": PAYNOW, "51": label}, "702", "SG"))
    assert (reading.title, reading.account, reading.fields["sgqr"]) == ("PayNow", "200002150HWCF", "202012345X123")
    other = {"00": "SG.COM.NETS", "01": "1"}
    reading = read(national.paynow, code({"26": other, "51": label}, "702", "SG"))
    assert (reading.title, reading.account, reading.fields["postcode"]) == ("SGQR", "202012345X123", "828671")


def test_paynow_without_an_account_or_with_a_day_that_is_none_is_reported() -> None:
    broken = {"00": "SG.PAYNOW", "01": "7", "04": "20261331"}
    assert faults(read(national.paynow, code({"26": broken}, "702", "SG"))) == {
        "account_missing": True,
        "account_kind_unknown": False,
        "expiry_malformed": False,
    }


def test_qris_pays_a_national_merchant_id() -> None:
    reading = read(national.qris, code(QRIS, "360", "ID", f54="10000", f62={"05": "SP25", "07": "A01"}))
    assert (reading.profile, reading.account, reading.reference) == ("qris", "ID0000000000017", "SP25")
    assert (reading.amount, reading.currency, reading.violations) == (1_000_000, "IDR", ())
    assert reading.fields == {
        "acquirer": "ID.DANA.WWW", "acquirer_account": "936009150000000017", "size": "UMI", "terminal": "A01",
    }  # fmt: skip
    nameless: dict[str, tlv.Value] = {**QRIS, "51": {"00": "ID.CO.QRIS.WWW"}}
    assert faults(read(national.qris, code(nameless, "360", "ID"))) == {"account_missing": False}


def test_duitnow_has_a_version_and_a_digest_of_its_own() -> None:
    digest = "f879ac6266d8d6da081fc1c17160021119747b190615c21076b3fc0fce56c6eb"
    text = code({"26": DUITNOW}, "458", "MY", version="02", f54="10.00", f82=digest)
    reading = read(national.duitnow, text)
    assert (reading.profile, reading.account, reading.amount) == ("duitnow", "123456789", 1000)
    assert (reading.fields, reading.violations) == ({"acquirer": "501664", "digest": digest}, ())
    bare = {"00": "A0000006150001"}
    assert faults(read(national.duitnow, code({"26": bare}, "458", "MY"))) == {"account_missing": True}


@pytest.mark.parametrize(
    ("told", "account"),
    [({"02": "6000509"}, "6000509"), ({"03": "+852-67891234"}, "+852-67891234"), ({"04": "a@b.hk"}, "a@b.hk")],
)
def test_hong_kongs_fps_pays_an_identifier_a_phone_or_an_address(told: dict[str, str], account: str) -> None:
    text = code({"26": {"00": "HK.COM.HKICL", "01": "004", **told}}, "344", "HK", f54="100.5")
    reading = read(national.hkfps, text)
    assert (reading.profile, reading.account, reading.amount, reading.violations) == ("hkfps", account, 10_050, ())


def test_hong_kongs_fps_may_end_and_may_be_in_yuan() -> None:
    reading = read(national.hkfps, code({"26": {**FPS, "05": "20261128230500"}}, "156", "HK"))
    assert (reading.expires_at, reading.currency) == (datetime(2026, 11, 28, 23, 5, tzinfo=EAST), "CNY")
    assert faults(read(national.hkfps, code({"26": {"00": "hk.com.hkicl"}}, "344", "HK"))) == {"account_missing": True}


def test_mmqr_says_its_name_in_its_own_script_too() -> None:
    own = {"00": "com.mmqrpay.www", "01": "123456789012345"}
    text = code({"26": own}, "104", "MM", f64={"00": "MY", "01": "ကုမ္ပဏီ", "02": "ရန်ကုန်"})
    reading = read(national.mmqr, text)
    assert (reading.profile, reading.account, reading.violations) == ("mmqr", "123456789012345", ())
    assert reading.fields == {"name": "ကုမ္ပဏီ", "city": "ရန်ကုန်"}


def test_bharat_qr_pays_a_upi_address_beside_cards() -> None:
    reading = read(national.bharat, code(BHARAT, "356", "IN", f54="1.10"))
    assert (reading.profile, reading.account, reading.reference) == ("bharat", "asha@icici", "RZPGT8ildsF")
    assert (reading.amount, reading.violations) == (110, ())
    assert (reading.fields["cards"], reading.fields["minimum"]) == ("Visa, RuPay", "1.10")
    by_bank: dict[str, tlv.Value] = {**BHARAT, "26": {"00": "A000000524"}}
    assert read(national.bharat, code(by_bank, "356", "IN")).account == "YESB0CMSNOC2223330048827001"
    wrong: dict[str, tlv.Value] = {**BHARAT, "26": {"00": "A000000524", "01": "asha"}}
    assert faults(read(national.bharat, code(wrong, "356", "IN"))) == {"address_malformed": True}


def test_a_network_in_another_country_or_currency_is_reported() -> None:
    reading = read(national.hkfps, code({"26": FPS}, "840", "NA"))
    assert faults(reading) == {"country_foreign": False, "currency_foreign": True}


def test_a_network_that_nobody_knows_is_told_by_the_names_it_gives_itself() -> None:
    two: dict[str, tlv.Value] = {
        "04": "5404610000000000",
        "26": {"00": "com.example", "01": "7"},
        "30": {"00": "D156000000"},
    }
    reading = read(national.generic, code(two, "404", "KE", f54="20", f62={"05": "R1"}))
    assert (reading.profile, reading.account, reading.reference) == ("emvco", "com.example, D156000000", "R1")
    assert (reading.amount, reading.currency, reading.fields["cards"]) == (2000, "KES", "Mastercard")
    assert read(national.generic, code({"04": "54046100"}, "404", "KE")).account == "Mastercard"
    assert read(national.generic, code({"17": "12345"}, "404", "KE")).account == "12345"


def test_a_changed_letter_is_found_by_the_check_sum() -> None:
    text = code({"26": FPS}, "344", "HK")
    assert faults(read(national.hkfps, text.replace("6000509", "6000508"))) == {"crc_wrong": True}


@pytest.mark.parametrize(
    "profile", [national.paynow, national.qris, national.duitnow, national.hkfps, national.mmqr, national.bharat]
)
def test_no_network_claims_what_is_anothers(profile: Profile) -> None:
    own: dict[Profile, Mapping[str, tlv.Value]] = {
        national.paynow: {"26": PAYNOW}, national.qris: QRIS, national.duitnow: {"26": DUITNOW},
        national.hkfps: {"26": FPS}, national.mmqr: {"26": {"00": "com.mmqrpay.www"}}, national.bharat: BHARAT,
    }  # fmt: skip
    claimed = [other for other, accounts in own.items() if profile(emvco.read(code(accounts, "344", "HK"))) is not None]
    assert claimed == [profile]
    assert [profile(emvco.read(text)) for text in ("", "upi://pay?pa=a@b", "000201", "hk.com.hkicl")] == [None] * 4
