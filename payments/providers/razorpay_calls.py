"""Calls to Razorpay: how they are authenticated, how collections are read, and what its refusals mean.

Every call carries the key's id and secret by HTTP Basic authentication. A refusal is a 400 for almost everything, and
only its description tells an unknown id from a wrong key (https://razorpay.com/docs/api/, errors of each call).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from django.conf import settings

from payments import credentials
from payments.models import ProviderAccount
from payments.providers import client
from payments.providers.base import ProviderError, Unauthorised

_KEYS_REFUSED = ("api key", "api secret", "{key/secret}", "authentication failed")
_UNKNOWN = ("does not exist", "is not a valid id")
# A refund waits until payments of the day have filled the balance: the one refusal that time alone may lift.
_PASSING = ("enough balance",)


class Refused(ProviderError):
    """It understood the request and said no; `description` is its own sentence."""

    def __init__(self, message: str, description: str, *, permanent: bool = True) -> None:
        super().__init__(message, permanent=permanent)
        self.description = description


class Unknown(Refused):
    """It knows nothing by that id."""


def get(account: ProviderAccount, path: str, query: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """One thing, or one page of a collection."""
    target = f"{path}?{urlencode(query)}" if query else path
    return _send(account, "GET", target, safe=True)


def post(account: ProviderAccount, path: str, body: Mapping[str, Any], *, refund_key: str = "") -> dict[str, Any]:
    """Makes something there. Only a refund has an idempotency key, and only with it the call is made again by itself.

    https://razorpay.com/docs/api/refunds/normal-refunds-idempotent: at least ten letters, digits, `-` and `_`.
    """
    headers = {"X-Refund-Idempotency": refund_key} if refund_key else {}
    return _send(account, "POST", path, body=json.dumps(body).encode(), headers=headers, safe=bool(refund_key))


def every(
    account: ProviderAccount, path: str, query: Mapping[str, Any] | None = None, *, size: int = 100, pages_max: int = 20
) -> list[dict[str, Any]]:
    """All of a collection. Raises ProviderError when it is longer than any that we would ask for."""
    found: list[dict[str, Any]] = []
    for items in pages(account, path, query or {}, size=size, pages_max=pages_max):
        found += items
    if len(found) >= pages_max * size:
        raise ProviderError(f"{len(found)} entries and more: too many to look through", permanent=False)
    return found


def pages(
    account: ProviderAccount, path: str, query: Mapping[str, Any], *, size: int, pages_max: int
) -> Iterator[list[dict[str, Any]]]:
    """A collection page by page, until it ends or `pages_max` of them were asked for."""
    for page in range(pages_max):
        items = items_of(get(account, path, {**query, "count": size, "skip": page * size}))
        yield items
        if len(items) < size:
            return


def items_of(collection: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The entries of one page, which must be as many as the page itself says."""
    items = collection.get("items")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ProviderError("the collection has not the form we know", permanent=False)
    if collection.get("count") != len(items):
        told = str(collection.get("count"))[:20]
        raise ProviderError(f"a page says that it holds {told} entries and holds {len(items)}", permanent=False)
    return items


def _send(
    account: ProviderAccount,
    method: str,
    target: str,
    *,
    safe: bool,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    given = credentials.of(account)
    pair = base64.b64encode(f"{given['key_id']}:{given['key_secret']}".encode()).decode()
    sent = {"Authorization": f"Basic {pair}", "Content-Type": "application/json", **(headers or {})}
    answer = client.send(account, method, settings.RAZORPAY_URL + target, body=body, headers=sent, safe=safe)
    if answer.ok:
        return answer.object()
    raise _refusal(answer)


def _refusal(answer: client.Answer) -> ProviderError:
    told = answer.refusal()
    if answer.status == 409:  # The same refund is being worked on at this moment.
        return ProviderError(str(told), permanent=False)
    if answer.status not in (400, 404):
        return told
    description = _description(answer)
    plain = description.lower()
    if any(words in plain for words in _KEYS_REFUSED):
        return Unauthorised(str(told))
    if any(words in plain for words in _UNKNOWN):
        return Unknown(str(told), description)
    return Refused(str(told), description, permanent=not any(words in plain for words in _PASSING))


def _description(answer: client.Answer) -> str:
    """Its sentence in `{"error": {"description": …}}`, or "" where the answer is of another form."""
    try:
        error = answer.object().get("error")
    except ProviderError:
        return ""
    description = error.get("description") if isinstance(error, dict) else None
    return description[:200] if isinstance(description, str) else ""
