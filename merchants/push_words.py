"""What a push says of a payment: the amount as its reader's language writes it, short enough for a lock screen."""

from __future__ import annotations

import json
from typing import Any

from merchants import money
from merchants.models import Notice

RECEIVED = "payment_received"  # The one kind that is pushed: booked for the shop, so goods may be handed over.
_DESCRIPTION_MAX = 80

_RECEIVED = {
    "en": "Received {amount}",
    "zh": "收款 {amount}",
    "hi": "{amount} मिले",
    "pt": "Recebido: {amount}",
    "vi": "Đã nhận {amount}",
    "ar": "استلمت {amount}",
}
# Where several wait to be seen: the phone fills in how many there are and their sum.
_SEVERAL = {
    "en": "Payments: {number} · {amount}",
    "zh": "收款 {number} 笔 · {amount}",
    "hi": "भुगतान: {number} · {amount}",
    "pt": "Pagamentos: {number} · {amount}",
    "vi": "Thanh toán: {number} · {amount}",
    "ar": "الدفعات: {number} · {amount}",
}
_TEST = {
    "en": "This is how you are told of a payment",
    "zh": "有人付款时，您会这样收到通知",
    "hi": "भुगतान आने पर आपको ऐसे बताया जाएगा",
    "pt": "É assim que você é avisado de um pagamento",
    "vi": "Bạn sẽ được báo như thế này khi có thanh toán",
    "ar": "هكذا يصلك إشعار بكل دفعة",
}
LANGUAGES = tuple(_RECEIVED)


def said(notice: Notice, *, language: str, big: bool, proof: str) -> bytes:
    """The text of the push as JSON: `title` and `body` to be shown, the rest for a program.

    `proof` is what the phone says that it heard by.
    `tag` is the notice's own, so that a push that a service delivers twice replaces itself.
    """
    amount, currency = notice.data["amount"]["amount"], notice.data["amount"]["currency"]
    shown = money.shown(amount, currency, language)
    said: dict[str, Any] = {
        "title": _RECEIVED[language].format(amount=shown),
        "body": str(notice.data.get("description", ""))[:_DESCRIPTION_MAX],
        "lang": language,
        "tag": f"notice-{notice.number}",
        "number": notice.number,
        "kind": notice.kind,
        "amount": {"amount": amount, "currency": currency},
        "big": big,
        "at": notice.created_at.isoformat(),
        "several": _SEVERAL[language],
        "places": money.exponent(currency),
        "proof": proof,
    }
    return _written(said)


def test(language: str) -> bytes:
    """A push that tells of no payment."""
    return _written({"title": _TEST[language], "body": "", "lang": language, "tag": "test", "kind": "test"})


def _written(said: dict[str, Any]) -> bytes:
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
