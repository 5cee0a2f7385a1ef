"""Codes of WeChat Pay and Alipay: those of one payment, told to whoever had them made, and receive codes."""

from __future__ import annotations

import pytest

from qr.payloads import wallets
from qr.payloads.base import Reading, Unwritable

NATIVE = "weixin://wxpay/bizpayurl?pr=abcdefghi"
PRECREATE = "https://qr.alipay.com/bax03431ljhokirwl38f00a7"


def read(text: str) -> Reading:
    reading = wallets.reads(text)
    assert reading is not None
    return reading


@pytest.mark.parametrize(
    ("text", "profile", "confirmation", "account", "once"),
    [
        (NATIVE, "wechat_native", "provider", "abcdefghi", True),
        ("weixin://wxpay/bizpayurl/up?pr=NwY5Mz9&groupid=00", "wechat_native", "provider", "NwY5Mz9", True),
        (PRECREATE, "alipay_precreate", "provider", "bax03431ljhokirwl38f00a7", True),
        ("wxp://f2f0abc-DEF_123456", "wechat_personal", "unconfirmed", "f2f0abc-DEF_123456", False),
        ("wxp://wbf2f0abcdef", "wechat_personal", "unconfirmed", "wbf2f0abcdef", False),
        ("WXP://f2f0abcdef\n", "wechat_personal", "unconfirmed", "f2f0abcdef", False),
        ("https://qr.alipay.com/fkx1234567abc", "alipay_personal", "unconfirmed", "fkx1234567abc", False),
        ("HTTPS://QR.ALIPAY.COM/FKX1234567ABC", "alipay_personal", "unconfirmed", "FKX1234567ABC", False),
        ("https://qr.alipay.com/fkx1234567abc?t=1", "alipay_personal", "unconfirmed", "fkx1234567abc", False),
    ],
)
def test_a_code_is_known_by_its_form(text: str, profile: str, confirmation: str, account: str, once: bool) -> None:
    reading = read(text)
    assert (reading.profile, reading.confirmation, reading.account) == (profile, confirmation, account)
    assert (reading.once, reading.amount, reading.currency, reading.violations) == (once, None, "CNY", ())


@pytest.mark.parametrize(
    ("text", "profile", "code"),
    [
        ("weixin://dl/business/?t=x", "wechat", "kind_unknown"),
        ("weixin://wxpay/bizpayurl?pr=a b", "wechat", "kind_unknown"),
        ("wxp://x2x0abcdef", "wechat", "kind_unknown"),
        ("https://qr.alipay.com/tsx0abcdef", "alipay", "kind_unknown"),
        ("https://qr.alipay.com/", "alipay", "kind_unknown"),
        ("http://qr.alipay.com/fkx1234567", "alipay_personal", "not_alipays_address"),
        ("https://a@qr.alipay.com/fkx1234567", "alipay_personal", "not_alipays_address"),
        ("https://qr.alipay.com:8443/bax1234567", "alipay_precreate", "not_alipays_address"),
    ],
)
def test_what_only_opens_the_wallet_is_said_to(text: str, profile: str, code: str) -> None:
    reading = read(text)
    assert (reading.profile, [one.code for one in reading.violations]) == (profile, [code])


@pytest.mark.parametrize(
    "text",
    ["", "https://qr.alipay.com.evil.test/bax1234567", "https://qr.alipay.com@evil.test/fkx12345", "weixin", "wx://x"],
)
def test_other_texts_are_no_wallet_codes(text: str) -> None:
    assert wallets.reads(text) is None


def test_what_a_provider_gave_is_drawn_as_it_is() -> None:
    assert wallets.wechat_native(NATIVE) == NATIVE
    assert wallets.alipay_precreate(PRECREATE) == PRECREATE


@pytest.mark.parametrize("text", ["", f"{NATIVE}\n", "weixin://wxpay/bizpayurl?pr=", "wxp://f2f0abcdef", PRECREATE])
def test_nothing_else_is_drawn_for_wechat(text: str) -> None:
    with pytest.raises(Unwritable):
        wallets.wechat_native(text)


@pytest.mark.parametrize("text", ["", PRECREATE.upper(), "https://qr.alipay.com/fkx1234567", f"{PRECREATE}?x", NATIVE])
def test_nothing_else_is_drawn_for_alipay(text: str) -> None:
    with pytest.raises(Unwritable):
        wallets.alipay_precreate(text)
