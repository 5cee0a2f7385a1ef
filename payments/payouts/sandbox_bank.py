"""The client of the pretend wallet's bank: payouts under our reference, how they stand, and who holds an account.

It speaks to that program over HTTP only, as `payments.providers.sandbox` does.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar, cast

from django.conf import settings

from payments import credentials
from payments.models import Payout, PayoutAccount, ProviderAccount
from payments.payouts.channels import NameCheck, State, Told
from payments.providers import client
from payments.providers.base import ProviderError

T = TypeVar("T")

_STATES: dict[str, State] = {"pending": "pending", "paid": "paid", "failed": "failed", "returned": "returned"}
_NAMES = {"match", "close", "no_match", "unknown"}


def pay(account: ProviderAccount, payout: Payout, number: str) -> Told:
    payee = payout.account
    body = {
        "reference": payout.reference,
        "amount": payout.amount,
        "currency": payout.currency,
        "account_number": number,
        "bank_code": payee.bank_code,
        "holder": payee.holder,
    }
    answer = _send(account, "POST", "/v1/payouts", key=payout.reference, body=body)
    if not answer.ok:
        raise answer.refusal()
    return _read(answer, _told, payout)


def ask(account: ProviderAccount, payout: Payout) -> Told:
    answer = _send(account, "GET", f"/v1/payouts/{payout.reference}")
    if not answer.ok:
        raise answer.refusal()
    return _read(answer, _told, payout)


def check_name(account: ProviderAccount, payee: PayoutAccount, number: str) -> NameCheck:
    body = {"account_number": number, "bank_code": payee.bank_code, "holder": payee.holder}
    answer = _send(account, "POST", "/v1/payees/check", key=f"check-{payee}", body=body)
    if not answer.ok:
        raise answer.refusal()
    return _read(answer, _match, payee)


def _told(message: dict[str, Any], payout: Payout) -> Told:
    if (message["reference"], message["amount"], message["currency"]) != (
        payout.reference,
        payout.amount,
        payout.currency,
    ):
        raise ValueError("it speaks of another payout")
    at = datetime.fromisoformat(message["settled_at"] or message["created_at"])
    return Told(_STATES[message["state"]], str(message["id"])[:80], at, str(message["failure"])[:200])


def _match(message: dict[str, Any], payee: PayoutAccount) -> NameCheck:
    if message["match"] not in _NAMES:
        raise ValueError("an answer that we do not know")
    return cast(NameCheck, message["match"])


def _read(answer: client.Answer, reading: Callable[[dict[str, Any], Any], T], about: Any) -> T:
    try:
        return reading(answer.object(), about)
    except (KeyError, TypeError, ValueError) as failure:
        raise ProviderError(f"the bank's answer has not the form we know: {failure!r}", permanent=False) from failure


def _send(
    account: ProviderAccount, method: str, path: str, *, key: str = "", body: dict[str, Any] | None = None
) -> client.Answer:
    """One call; a POST carries its idempotency key, so that every call may be made twice."""
    headers = {"Authorization": f"Bearer {credentials.of(account)['api_key']}", "Content-Type": "application/json"}
    if key:
        headers["Idempotency-Key"] = key
    raw = json.dumps(body).encode() if body is not None else b""
    return client.send(account, method, settings.SANDBOX_URL + path, body=raw, headers=headers, safe=True)
