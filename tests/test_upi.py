"""UPI links: what wallets accept is read, what could mislead one is reported, and a signed link stays as it is."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qr.payloads import upi
from qr.payloads.base import Reading, Unwritable

SHOP = "upi://pay?pa=shop@ybl&pn=Asha"
SIGNED = "upi://pay?pa=merchant%40okaxis&pn=Shop&mc=5812&tr=REF123&mode=02&orgid=000000&sign=c2lnbg==&am=10&cu=INR"
MANY = settings(max_examples=int(os.environ.get("CODE_EXAMPLES", "100")), deadline=None)


def read(text: str) -> Reading:
    reading = upi.reads(text)
    assert reading is not None
    return reading


def faults(text: str) -> dict[str, bool]:
    """The code of each violation, and whether it is fatal."""
    return {one.code: one.fatal for one in read(text).violations}


def test_a_full_link_is_read() -> None:
    reading = read("upi://pay?pa=qmart@hdfcbank&pn=Fruit%20Stall&tr=RZP1&tn=Apples&am=100.5&cu=INR&mc=5411&mode=22")
    assert (reading.profile, reading.confirmation, reading.violations) == ("upi", "unconfirmed", ())
    assert (reading.payee, reading.account, reading.reference) == ("Fruit Stall", "qmart@hdfcbank", "RZP1")
    assert (reading.amount, reading.currency, reading.country, reading.once) == (10_050, "INR", "IN", True)
    assert reading.fields["tn"] == "Apples"


@pytest.mark.parametrize(
    ("text", "account", "payee"),
    [
        ("UPI://PAY?pa=shop@ybl&pn=Asha", "shop@ybl", "Asha"),
        ("upi://pay/?PA=shop%40ybl&PN=Asha+Fruit", "shop@ybl", "Asha Fruit"),
        ("upi:pay?pa=shop@ybl&pn=Asha Fruit", "shop@ybl", "Asha Fruit"),
        ("  upi://pay?pa=shop@ybl&pn=%E0%A4%86%E0%A4%B6%E0%A4%BE\n", "shop@ybl", "आशा"),
    ],
)
def test_it_is_read_however_it_is_written(text: str, account: str, payee: str) -> None:
    assert (read(text).account, read(text).payee, faults(text)) == (account, payee, {})


def test_an_empty_amount_and_an_empty_signature_say_nothing() -> None:
    reading = read("upi://pay?ver=01&pa=store@okbank&pn=Store&tn=%20&am=&mode=00&purpose=00&orgid=000000&sign=")
    assert (reading.amount, reading.once, reading.violations) == (None, None, ())
    assert read(f"{SHOP}&am=0.00").amount is None


def test_a_broken_percent_sign_stands_for_itself() -> None:
    assert read(f"{SHOP}&tn=100%").fields["tn"] == "100%"


def test_a_separator_escaped_for_html_is_read_and_reported() -> None:
    text = "upi://pay?ver=01&amp;mode=19&pa=shop@ybl&pn=Asha"
    assert (read(text).fields["mode"], read(text).once, faults(text)) == ("19", False, {"html_escaped": False})


@pytest.mark.parametrize(
    ("text", "code", "fatal"),
    [
        ("upi://mandate?pa=a@ybl&pn=A", "not_a_payment", True),
        ("upi://pay", "address_missing", True),
        ("upi://pay?pn=Shop", "address_missing", True),
        ("upi://pay?pa=not-a-vpa&pn=A", "address_malformed", True),
        ("upi://pay?pa=shop@уbl&pn=A", "address_malformed", True),  # A Cyrillic у.
        ("upi://pay?pa=shop@ybl", "payee_missing", False),
        (f"{SHOP}&pa=thief@ybl", "stated_twice", True),
        (f"{SHOP}&am=1&AM=100", "stated_twice", True),
        (f"{SHOP}&am=1,50", "amount_malformed", True),
        (f"{SHOP}&am=-5", "amount_malformed", True),
        (f"{SHOP}&am=1.005", "amount_malformed", True),
        (f"{SHOP}&am=१०", "amount_malformed", True),
        (f"{SHOP}&am=0", "amount_zero", False),
        (f"{SHOP}&am=5&mam=6", "minimum_above_amount", False),
        (f"{SHOP}&cu=USD", "currency_not_inr", True),
        (f"{SHOP}&mc=5411", "reference_missing", False),
        (f"{SHOP}&mode=15", "reference_missing", False),
        (f"{SHOP}&tr={'A' * 36}", "reference_too_long", False),
        (f"{SHOP}&mode=77", "mode_unknown", False),
        (f"{SHOP}&mode=02", "signature_missing", False),
    ],
)
def test_what_is_wrong_is_reported(text: str, code: str, fatal: bool) -> None:
    assert faults(text)[code] is fatal


@pytest.mark.parametrize("text", ["", "https://example.com/?pa=a@b", "upis://pay?pa=a@b", "pay?pa=a@b", "upi"])
def test_other_texts_are_no_upi_links(text: str) -> None:
    assert upi.reads(text) is None


def test_an_end_is_read_with_its_offset_and_never_without() -> None:
    assert read(f"{SHOP}&QRexpire=2026-11-28T23:00:00+05:30").expires_at == datetime(2026, 11, 28, 17, 30, tzinfo=UTC)
    assert read(f"{SHOP}&QRexpire=2026-11-28T23:00:00").expires_at is None
    assert read(f"{SHOP}&QRexpire=2026-99-28").expires_at is None


def test_a_link_is_written_with_its_parameters_in_one_order() -> None:
    assert upi.write(address="shop@ybl", payee="Asha Fruit") == "upi://pay?pa=shop@ybl&pn=Asha%20Fruit&cu=INR"
    written = upi.write(
        address="q.m-art@hdfcbank", payee="A&B=C", amount=10_050, minimum=100, reference="R1", note="5% off?",
        category="5411", mode="15", purpose="00", url="https://shop.example/b?1",
    )  # fmt: skip
    assert written == (
        "upi://pay?pa=q.m-art@hdfcbank&pn=A%26B%3DC&mc=5411&tr=R1&tn=5%25%20off%3F&am=100.50&mam=1.00&cu=INR&mode=15"
        "&purpose=00&url=https%3A%2F%2Fshop.example%2Fb%3F1"
    )
    assert faults(written) == {}


@pytest.mark.parametrize(
    ("wrong", "code", "where"),
    [
        ({"address": "shop"}, "address_malformed", "pa"),
        ({"address": "shop@ybl&am=1"}, "address_malformed", "pa"),
        ({"payee": " "}, "payee_missing", "pn"),
        ({"payee": "A" * 100}, "text_unfit", "pn"),
        ({"payee": "A\nB"}, "text_unfit", "pn"),
        ({"note": "A" * 51}, "text_unfit", "tn"),
        ({"note": "A\u202eB"}, "text_unfit", "tn"),
        ({"amount": 0}, "amount_out_of_range", "am"),
        ({"amount": -5}, "amount_out_of_range", "am"),
        ({"amount": 5, "minimum": 6}, "minimum_above_amount", "mam"),
        ({"category": "54"}, "category_malformed", "mc"),
        ({"category": "5411"}, "reference_missing", "tr"),
        ({"mode": "22"}, "reference_missing", "tr"),
        ({"mode": "02"}, "mode_unknown", "mode"),
        ({"mode": "99"}, "mode_unknown", "mode"),
        ({"purpose": "x"}, "purpose_malformed", "purpose"),
        ({"reference": "A" * 36}, "reference_malformed", "tr"),
        ({"reference": "A B"}, "reference_malformed", "tr"),
        ({"url": "http://shop.example"}, "url_malformed", "url"),
    ],
)
def test_what_must_not_be_written_is_refused(wrong: dict[str, Any], code: str, where: str) -> None:
    with pytest.raises(Unwritable) as refused:
        upi.write(**{"address": "shop@ybl", "payee": "Asha", **wrong})
    assert (refused.value.code, refused.value.where) == (code, where)


@MANY
@given(
    name=st.text(st.characters(codec="utf-8", categories=["L", "M", "N", "P", "S"]), min_size=1, max_size=99),
    amount=st.none() | st.integers(1, 10**13),
    reference=st.from_regex(r"[A-Za-z0-9]{1,35}", fullmatch=True),
)
def test_what_is_written_is_read_again(name: str, amount: int | None, reference: str) -> None:
    reading = read(upi.write(address="shop@ybl", payee=name, amount=amount, reference=reference, category="5411"))
    assert (reading.payee, reading.amount, reading.reference, reading.violations) == (name, amount, reference, ())


def test_an_amount_is_put_into_a_link_that_stays_as_it_is_otherwise() -> None:
    sticker = "UPI://pay?pn=Asha%20+Fruit&pa=shop%40ybl&am=&tn=100%"
    assert upi.priced(sticker, 250) == "UPI://pay?pn=Asha%20+Fruit&pa=shop%40ybl&tn=100%&am=2.50&cu=INR"
    assert read(upi.priced(sticker, 250)).amount == 250


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (SIGNED, "signed"),
        (SIGNED.replace("&am=10", ""), "signed"),
        (f"{SHOP}&am=5", "amount_present"),
        ("upi://mandate?pa=shop@ybl&pn=A", "not_payable"),
        ("https://pay.example", "not_payable"),
    ],
)
def test_a_signed_link_and_one_with_an_amount_are_never_changed(text: str, code: str) -> None:
    with pytest.raises(Unwritable) as refused:
        upi.priced(text, 250)
    assert refused.value.code == code


def test_a_signed_link_is_read_and_kept_letter_for_letter() -> None:
    reading = read(SIGNED)
    assert (reading.text, reading.fields["sign"], reading.amount) == (SIGNED, "c2lnbg==", 1000)
    assert reading.violations == ()


def test_what_two_packages_for_node_write_is_read() -> None:
    """Outputs of `upi-link` 1.0.1 and `upiqr` 1.3.22 as they stand; the first escapes nothing but spaces."""
    reading = read(
        "upi://pay?pa=asha@okaxis&pn=Asha%20Fruit&am=20.50&cu=INR&mc=5411&tid=T1&tr=R1&tn=Apples&mam=1"
        "&url=https://shop.example/b?1"
    )
    assert (reading.payee, reading.amount, reading.fields["mam"], reading.violations) == ("Asha Fruit", 2050, "1", ())
    assert reading.fields["url"] == "https://shop.example/b?1"
    reading = read(
        "upi://pay?pa=asha%40okaxis&pn=Asha+%26+Fruit&am=20.50&mam=1&cu=INR&mc=5411&tr=R1&tn=%C3%84pfel+5%25"
    )
    assert (reading.payee, reading.account, reading.amount) == ("Asha & Fruit", "asha@okaxis", 2050)
    assert (reading.fields["tn"], reading.violations) == ("Äpfel 5%", ())
