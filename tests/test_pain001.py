"""The file for our bank: valid by the schema of ISO 20022, its sums right, its texts in the set that banks take."""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import cache
from importlib import resources
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import xmlschema
from hypothesis import given, settings
from hypothesis import strategies as st

from payments.payouts import pain001
from payments.payouts.pain001 import Payer, Transfer

RELEASED = datetime(2026, 12, 1, 9, 30, tzinfo=UTC)
OURS = Payer("Pushcart Ltd", "DE75512108001245126199", "SOGEDEFFXXX")
MEI = Transfer("pyo_01", 1234, "local", "CN", "102100099996", "陈梅 Mei", "6222021234567890128")
JOSE = Transfer("pyo_02", 99, "iban", "DE", "", "José Łukasz Groß & Söhne", "DE89370400440532013000")
ARJUN = Transfer("pyo_03", 1, "local", "IN", "HDFC0001234", "Arjun", "50100012345678")


@cache
def schema() -> Any:
    """As the package `sepaxml` ships it."""
    return xmlschema.XMLSchema(str(resources.files("sepaxml") / "schemas" / "pain.001.001.09.xsd"))


def written(transfers: list[Transfer], currency: str = "CNY", payer: Payer = OURS) -> bytes:
    return pain001.write(
        name="pob_1", made_at=RELEASED, execution_day=date(2026, 12, 2), currency=currency, payer=payer,
        transfers=transfers,
    )  # fmt: skip


def texts(raw: bytes, path: str) -> list[str]:
    names = {"": pain001.NAMESPACE}
    return [found.text or "" for found in ET.fromstring(raw).findall(f".//{path}", names)]


def test_a_batch_is_one_valid_file_with_its_counts_and_sums() -> None:
    raw = written([MEI, JOSE, ARJUN])
    schema().validate(raw.decode())
    assert texts(raw, "NbOfTxs") == ["3", "3"]
    assert texts(raw, "CtrlSum") == ["13.34", "13.34"]
    assert texts(raw, "InstdAmt") == ["12.34", "0.99", "0.01"]
    assert texts(raw, "EndToEndId") == ["pyo-01", "pyo-02", "pyo-03"]
    assert texts(raw, "Cdtr/Nm") == ["陈梅 Mei", "Jose Lukasz Gross + Sohne", "Arjun"]
    assert texts(raw, "ReqdExctnDt/Dt") == ["2026-12-02"]
    assert texts(raw, "CdtrAcct/Id/IBAN") == ["DE89370400440532013000"]
    assert texts(raw, "CdtrAcct/Id/Othr/Id") == ["6222021234567890128", "50100012345678"]
    assert texts(raw, "CdtrAgt/FinInstnId/ClrSysMmbId/ClrSysId/Cd") == ["CNAPS", "INFSC"]
    assert texts(raw, "CdtrAgt/FinInstnId/ClrSysMmbId/MmbId") == ["102100099996", "HDFC0001234"]


def test_the_same_batch_is_the_same_bytes() -> None:
    assert written([MEI, JOSE]) == written([MEI, JOSE])


@pytest.mark.parametrize(("currency", "shown"), [("JPY", "1234"), ("CNY", "12.34"), ("KWD", "1.234")])
def test_an_amount_has_the_decimals_of_its_currency(currency: str, shown: str) -> None:
    raw = written([MEI], currency)
    schema().validate(raw.decode())
    assert texts(raw, "InstdAmt") == texts(raw, "CtrlSum")[:1] == [shown]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("José Łukasz Groß & Söhne", "Jose Lukasz Gross + Sohne"),
        ("陈梅 Mei", ".. Mei"),
        ("A" * 100, "A" * 70),
        ("<b>\x07", ".b.."),
        ("", "."),
    ],
)
def test_a_name_is_written_in_the_latin_set(name: str, expected: str) -> None:
    assert pain001.latin(name) == expected


@pytest.mark.parametrize("code", ["SOGEDEFF", "12345678", ""])
def test_our_own_bank_is_named_by_its_bic_by_a_national_code_or_not_at_all(code: str) -> None:
    schema().validate(written([JOSE], payer=Payer("Pushcart", "123456789", code)).decode())


@settings(max_examples=50)
@given(holder=st.text(max_size=140), amount=st.integers(1, 10_000_000_000), scheme=st.sampled_from(["iban", "local"]))
def test_whatever_a_holder_is_called_the_file_is_valid(holder: str, amount: int, scheme: str) -> None:
    raw = written([Transfer("pyo_1", amount, scheme, "DE", "SOGEDEFF", holder, "DE89370400440532013000")])
    schema().validate(raw.decode())
