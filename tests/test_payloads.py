"""Any text is read into something, and never into an error; what every kind of payment code is read into."""

from __future__ import annotations

import os

import pytest
from django.conf import LazySettings
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qr import payloads
from qr.payloads.base import Reading, Unwritable, Violation
from qr.payloads.words import plain


def test_one_fatal_violation_makes_a_reading_unsound() -> None:
    small = Violation("name_too_long", "59", "The name has 31 characters; 25 are allowed.")
    wrong = Violation("crc_wrong", "63", "The check sum does not fit the text.", fatal=True)
    assert Reading("pix", "Pix", "…", "unconfirmed", violations=(small,)).sound
    assert not Reading("pix", "Pix", "…", "unconfirmed", violations=(small, wrong)).sound


def test_what_must_not_be_written_says_why() -> None:
    refusal = Unwritable("key_too_long", "key", "The key has 90 characters; 77 are allowed.")
    assert (refusal.code, refusal.where, str(refusal)) == ("key_too_long", "key", refusal.detail)


# One text of each kind that is read.
SAMPLES = {
    "upi": "upi://pay?pa=shop@ybl&pn=Asha&am=20&cu=INR",
    "wechat_native": "weixin://wxpay/bizpayurl?pr=abcdefghi",
    "wechat_personal": "wxp://f2f0abcdefgh",
    "alipay_precreate": "https://qr.alipay.com/bax03431ljhokirwl38f00a7",
    "alipay_personal": "HTTPS://QR.ALIPAY.COM/FKX1234567",
    "pushcart": "https://pay.example/s/7kQm2xWp9RtB",
    "look_alike": "https://pay.example.evil.test/s/7kQm2xWp9RtB",
    "link": "https://shop.test/menu",
    "epc": "BCD\n002\n1\nSCT\n\nAsha\nDE89370400440532013000\nEUR12.5",
    "swiss": "SPC\n0200\n1\nCH5380005000010283664\nS\nAsha\n\n\n1000\nLausanne\nCH" + "\n" * 9 + "CHF"
    + "\n" * 8 + "NON\n\n\nEPD",
    "hkfps": "00020101021126230012hk.com.hkicl0203123520400005303344540510.505802HK5902NA6002HK6304CAFE",
    "emvco": "00020101021126150011com.example520400005303404540510.505802KE5904ASHA6002NB6304806B",
    "unknown": "WIFI:S:market;;",
}  # fmt: skip
MANY = settings(max_examples=int(os.environ.get("CODE_EXAMPLES", "200")), deadline=None)


@pytest.fixture(autouse=True)
def site(settings: LazySettings) -> None:
    settings.PUBLIC_URL = "https://pay.example"


@pytest.mark.parametrize("profile", SAMPLES)
def test_every_kind_is_told_from_the_others(profile: str) -> None:
    reading = payloads.read(SAMPLES[profile])
    assert (reading.profile, reading.text) == (profile, SAMPLES[profile])
    assert reading.sound is (profile != "look_alike")
    by = {"wechat_native": "provider", "alipay_precreate": "provider", "pushcart": "provider"}
    assert reading.confirmation == by.get(profile, "unconfirmed")


@MANY
@given(
    sample=st.sampled_from(list(SAMPLES.values())), at=st.integers(0, 200), cut=st.integers(0, 5),
    put=st.text(max_size=6) | st.text(st.sampled_from("=&?/:.@%\\\n0159"), max_size=6),
)  # fmt: skip
@example(sample="", at=0, cut=0, put="https://[")
@example(sample="", at=0, cut=0, put="https://xn--\ud800.test")
@example(sample="", at=0, cut=0, put="BCD\n\ud800")
@example(sample="", at=0, cut=0, put="SPC\n\x00")
@example(sample="", at=0, cut=0, put="upi://pay?am=" + "9" * 4000)
def test_no_text_is_an_error(sample: str, at: int, cut: int, put: str) -> None:
    reading = payloads.read(sample[:at] + put + sample[at + cut :])
    assert reading.payee == plain(reading.payee)
    assert all(one.detail and one.code for one in reading.violations)


def test_a_name_that_hides_marks_is_shown_without_them_and_reported() -> None:
    reading = payloads.read("upi://pay?pa=shop@ybl&pn=Asha%E2%80%AEtiurF%00%0A")
    assert reading.payee == "AshatiurF "
    assert [one.code for one in reading.violations] == ["hidden_marks"]
    hindi = payloads.read("upi://pay?pa=shop@ybl&pn=%E0%A4%95%E0%A5%8D%E2%80%8D%E0%A4%B7")
    assert (hindi.payee, hindi.violations) == ("क्\u200dष", ())


def test_a_text_is_read_only_as_far_as_a_code_reaches() -> None:
    reading = payloads.read(SAMPLES["upi"] + "&tn=" + "x" * 5000)
    assert (len(reading.text), reading.profile, reading.sound) == (4000, "upi", False)
    assert [one.code for one in reading.violations] == ["too_long"]
