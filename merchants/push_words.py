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
LANGUAGES = tuple(_RECEIVED)


def said(notice: Notice, *, language: str, big: bool) -> bytes:
    """The text of the push as JSON: `title` and `body` to be shown, the rest for a program.

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
    }
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
