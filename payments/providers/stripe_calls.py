"""Calls to Stripe's API: form-encoded, authorised, in one version of it; its refusals told apart, its lists read whole.

Source: docs.stripe.com/api (errors, pagination, idempotent requests, versioning).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from django.conf import settings

from payments import credentials
from payments.models import ProviderAccount
from payments.providers import client
from payments.providers.base import ProviderError

# The version of the API in which requests and answers are written. What a webhook endpoint is told is in the version
# that was chosen when it was made; the fields that are read here are the same in all since 2022-11-15.
API_VERSION = "2026-10-28.endive"

Pairs = Sequence[tuple[str, str]]

_PAGE = 100  # Stripe gives no more at once.

# Errors to a refund that no later try will change.
_FINAL_REFUSALS = {
    "amount_too_large",
    "charge_already_refunded",
    "charge_disputed",
    "charge_not_refundable",
    "refund_disputed_payment",
}


def call(account: ProviderAccount, method: str, path: str, pairs: Pairs = (), *, key: str = "") -> dict[str, Any]:
    """One call. It may be made twice: a POST carries its idempotency key, or does what is done once only."""
    headers = {
        "Authorization": f"Bearer {credentials.of(account)['secret_key']}",
        "Stripe-Version": API_VERSION,
    }
    url, body = settings.STRIPE_URL + path, b""
    if method == "POST":
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        body = urlencode(pairs).encode()
        if key:
            headers["Idempotency-Key"] = key
    elif pairs:
        url = f"{url}?{urlencode(pairs)}"
    answer = client.send(account, method, url, body=body, headers=headers, safe=True)
    if answer.ok:
        return answer.object()
    refusal = answer.refusal()
    if answer.status == 404:
        raise Unknown(str(refusal), permanent=True)
    if answer.status in {400, 402, 409}:
        raise Refused(refusal, answer.status, _error_of(answer))
    raise refusal


def listed(account: ProviderAccount, path: str, wanted: Pairs, pages_max: int) -> Iterator[dict[str, Any]]:
    """Every object of a list, newest first. Raises ProviderError where it is longer than `pages_max` pages."""
    after: Pairs = []
    for _ in range(pages_max):
        page = call(account, "GET", path, [*wanted, ("limit", str(_PAGE)), *after])
        rows, more = page.get("data"), page.get("has_more")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows) or not isinstance(more, bool):
            raise ProviderError("a list has not the form we know", permanent=False)
        yield from rows
        if not more or not rows:
            return
        after = [("starting_after", str(rows[-1].get("id")))]
    raise ProviderError(f"a list is longer than {pages_max * _PAGE}", permanent=False)


def quoted(object_id: str) -> str:
    return quote(object_id, safe="")


class Unknown(ProviderError):
    """Stripe does not know what we speak of."""


class Refused(ProviderError):
    """Stripe understood the request and said no; `error` holds its own words for why."""

    def __init__(self, refusal: ProviderError, status: int, error: dict[str, Any]) -> None:
        # A conflict is another call under the same key that has not ended yet.
        super().__init__(str(refusal), permanent=refusal.permanent and status != 409)
        self.status, self.error = status, error

    @property
    def is_final_for_refund(self) -> bool:
        """Too large an amount comes with that code, or with none and the name of what is wrong."""
        told = {name: self.error.get(name) for name in ("code", "param")}
        return self.status in {400, 402} and (
            told["code"] in _FINAL_REFUSALS or (told["code"] is None and told["param"] == "amount")
        )


def _error_of(answer: client.Answer) -> dict[str, Any]:
    try:
        error = answer.object().get("error")
    except ProviderError:  # A refusal in another form, from something on the way, says nothing of why.
        return {}
    return error if isinstance(error, dict) else {}
