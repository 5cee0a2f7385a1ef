"""Codes of WeChat Pay and Alipay: what their servers gave for one payment, and people's own receive codes.

A code for one payment is told to whoever had it made. A receive code is not told to anybody's server.
"""

from __future__ import annotations

import re

from django.utils.translation import gettext as _

from qr.payloads import web
from qr.payloads.base import Reading, Unwritable, Violation

WECHAT_NATIVE, WECHAT_PERSONAL, WECHAT = "wechat_native", "wechat_personal", "wechat"
ALIPAY_PRECREATE, ALIPAY_PERSONAL, ALIPAY = "alipay_precreate", "alipay_personal", "alipay"

_NATIVE = re.compile(r"weixin://wxpay/bizpayurl(?:/up)?\?pr=(?P<token>[A-Za-z0-9_-]{1,64})(?:&[!-~]*)?")
_PRECREATE = re.compile(r"https://qr\.alipay\.com/(?P<token>bax[a-z0-9]{5,60})")
_RECEIVES = re.compile(r"(?i:wxp)://(?P<token>(?:wb)?f2f[A-Za-z0-9_-]{4,120})(?:[?#][!-~]*)?")
_TOKEN = re.compile(r"/(?P<token>[A-Za-z0-9_-]{4,80})/?")
_ALIPAY_HOST = "qr.alipay.com"


def wechat_native(code_url: str) -> str:
    """What is drawn for the `code_url` of an order (POST /v3/pay/transactions/native). Raises Unwritable."""
    if not _NATIVE.fullmatch(code_url):
        raise Unwritable("code_url_malformed", "", _("This is no code_url of WeChat Pay."))
    return code_url


def alipay_precreate(qr_code: str) -> str:
    """What is drawn for the `qr_code` of alipay.trade.precreate. Raises Unwritable."""
    if not _PRECREATE.fullmatch(qr_code):
        raise Unwritable("qr_code_malformed", "", _("This is no qr_code of Alipay."))
    return qr_code


def reads(text: str) -> Reading | None:
    """What a code of WeChat Pay or Alipay is; None for any other text. Neither says a name or an amount."""
    stripped = text.strip()
    if stripped.lower().startswith(("weixin:", "wxp:")):
        return _wechat(stripped, text)
    address = web.parts(text)
    if address is None or address.host != _ALIPAY_HOST:
        return None
    return _alipay(address, text)


def _wechat(stripped: str, text: str) -> Reading:
    native, receives = _NATIVE.fullmatch(stripped), _RECEIVES.fullmatch(stripped)
    if native:
        title = _("A WeChat Pay code for one payment")
        return _reading(WECHAT_NATIVE, title, text, native["token"], once=True)
    if receives:
        title = _("A WeChat receive code")
        return _reading(WECHAT_PERSONAL, title, text, receives["token"], once=False)
    unknown = Violation("kind_unknown", "", _("It opens WeChat, but not by a payment code that we know."))
    return _reading(WECHAT, "WeChat", text, "", violations=(unknown,))


def _alipay(address: web.Address, text: str) -> Reading:
    token = _TOKEN.fullmatch(address.path)
    found = []
    if address.scheme != "https" or address.user or address.port not in {"", "443"}:
        found.append(Violation("not_alipays_address", "", _("Alipay does not write its web like this."), True))
    # Printed in capitals such a link makes a smaller code, and Alipay takes it in either.
    kind = token["token"][:3].lower() if token else ""
    if token and kind == "bax":
        title = _("An Alipay code for one payment")
        return _reading(ALIPAY_PRECREATE, title, text, token["token"], once=True, violations=tuple(found))
    if token and kind == "fkx":
        title = _("An Alipay receive code")
        return _reading(ALIPAY_PERSONAL, title, text, token["token"], once=False, violations=tuple(found))
    found.append(Violation("kind_unknown", "", _("It opens Alipay, but not by a payment code that we know.")))
    return _reading(ALIPAY, "Alipay", text, token["token"] if token else "", violations=tuple(found))


def _reading(
    profile: str,
    title: str,
    text: str,
    account: str,
    *,
    once: bool | None = None,
    violations: tuple[Violation, ...] = (),
) -> Reading:
    return Reading(
        profile=profile,
        title=title,
        text=text,
        confirmation="provider" if profile in {WECHAT_NATIVE, ALIPAY_PRECREATE} else "unconfirmed",
        account=account,
        country="CN",
        currency="CNY",
        once=once,
        violations=violations,
    )
