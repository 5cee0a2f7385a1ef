"""How the payer gets from the receipt page to her wallet: what of a started intent may be shown to whoever looks.

A code to scan, its text, or an app's address only let somebody pay this intent: whoever has the receipt's address may
see them, and may pay for a friend. A redirect, a form or a call of the wallet's own browser was made for one person
(it may carry her name or her account there): they are shown to the browser that began the payment, and to no other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from payments import checkout, providers
from payments.models import PaymentIntent
from qr.receipts import Receipt
from qr.symbol import LONGEST_TEXT

# What a provider's answer may make a browser do, whatever else it says: never run something, never open a file.
PAGES = {"https", "http"}
APPS = {"https", "upi", "alipays", "weixin"}
BRIDGE_CALL = "getBrandWCPayRequest"
# A page must not run away from under a finger that copies a text or saves a picture; eyes alone need less time, and so
# does a wallet's browser to bring its bridge.
HANDS_S, EYES_S = 15, 5


@dataclass(frozen=True)
class Handover:
    """What the page offers, each empty where there is none. `title`: the wallet as people call it.

    `link`: an address to go to; `form` is posted to `form_action`; `scan`: there is a code to scan; `copy`: its text;
    `app_url` opens the wallet on this phone; `bridge`: the arguments of BRIDGE_CALL.
    """

    title: str
    on_phone: bool
    link: str = ""
    form_action: str = ""
    form: Mapping[str, str] = field(default_factory=dict)
    scan: bool = False
    copy: str = ""
    app_url: str = ""
    bridge: Mapping[str, Any] = field(default_factory=dict)

    @property
    def leads_away(self) -> bool:
        """Whether a tap leads to the wallet, so that a code to scan is only the other way."""
        return bool(self.link or self.form or self.app_url or self.bridge)

    @property
    def in_hands(self) -> bool:
        """Whether the payer does something on the page itself."""
        return bool(self.scan or self.copy)


def offered(intent: PaymentIntent, *, payer: str, user_agent: str, now: datetime) -> Handover | None:
    """What this browser is offered, or None when nothing is waited for. `payer` is the hash of its cookie."""
    if not (checkout.payable(intent, now) and intent.startable):
        return None
    parts: dict[str, Any] = intent.handover
    on_phone = checkout.on_phone(user_agent)
    everybody = Handover(
        title=_(providers.named(intent.provider_account.provider).WALLET),
        on_phone=on_phone,
        scan=bool(code(intent, now=now)),
        copy=str(parts.get("copy", "")),
        app_url=_app_url(parts, on_phone),
    )
    if not payer or payer != intent.payer:
        return everybody
    address = intent.redirect_url if urlsplit(intent.redirect_url).scheme in PAGES else ""
    form = parts.get("form", {}) if address else {}
    bridge = parts.get("bridge", {})
    return replace(
        everybody,
        link="" if form else address,
        form_action=address if form else "",
        form=form,
        bridge=bridge["arguments"] if bridge.get("call") == BRIDGE_CALL else {},
    )


def code(intent: PaymentIntent, *, now: datetime) -> str:
    """The content of the code that the wallet scans; "" when nothing is waited for, or there is none to be drawn."""
    content = str(intent.handover.get("qr", "")) if checkout.payable(intent, now) else ""
    return content if len(content.encode()) <= LONGEST_TEXT else ""


def patient(receipt: Receipt, handover: Handover) -> Receipt:
    """The receipt, looking again no sooner than whoever uses this handover is done with it."""
    if receipt.refresh_s is None or not (handover.in_hands or handover.bridge):
        return receipt
    least = HANDS_S if handover.in_hands and (handover.copy or handover.on_phone) else EYES_S
    return replace(receipt, refresh_s=max(receipt.refresh_s, least))


def form_origins(intent: PaymentIntent, handover: Handover) -> list[str]:
    """Where the page's form leads, and may be redirected to from there."""
    if not handover.form:
        return []
    origins = [*checkout.origins([intent.provider_account]), checkout.origin(handover.form_action)]
    return list(dict.fromkeys(origins))


def bridge_data(receipt: Receipt, handover: Handover) -> dict[str, Any]:
    """What the page's script reads: the arguments of its call, and when it looks again without one."""
    return {"arguments": handover.bridge, "wait_s": receipt.refresh_s or HANDS_S}


def _app_url(parts: Mapping[str, Any], on_phone: bool) -> str:
    """An app is opened on the phone that holds it; at a computer only where there is no other way."""
    url = str(parts.get("app_url", ""))
    if urlsplit(url).scheme not in APPS or not (on_phone or set(parts) == {"app_url"}):
        return ""
    return url
