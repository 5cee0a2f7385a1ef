"""Takes the plain, proved notification before Django does: the same proof, the same row, without a request's ceremony.

Everything else is handed on to Django untouched, with its body: whatever is unknown, unproved, too large, of a shop's
own account, or in any way out of the ordinary, and every other address. `payments.views.webhook` answers that.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.db import Error, connection
from django.utils import timezone

from payments import group_commit, inbox, providers, webhook_answers
from payments.inbox import Proved, UnableToReceive
from payments.models import ProviderAccount
from payments.providers.base import Delivery, UnableToVerify
from payments.webhook_answers import Answer

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

# Names of accounts are slugs; behind them stands what some providers add to the address that we give them.
_ADDRESS = re.compile(r"/webhooks/([a-z]+)/([-a-zA-Z0-9_]+)(?:/[-a-zA-Z0-9_]+)?")
_ACCOUNTS_MAX = 10_000  # Some kilobytes each; beyond that they are read again.

# Accounts as they were read, by provider and name. One that has changed since proves what it should not, or does not
# prove what it should: the first is refused by the INSERT, which compares, and both make us read it again.
_accounts: dict[tuple[str, str], ProviderAccount] = {}


def before(django: Application) -> Application:
    """The application that answers proved notifications itself and hands everything else on to `django`."""

    def application(request: Environ, start_response: StartResponse) -> Iterable[bytes]:
        address = _ADDRESS.fullmatch(request["PATH_INFO"]) if request["REQUEST_METHOD"] == "POST" else None
        if address is None or request["QUERY_STRING"]:
            return django(request, start_response)
        answer = _taken(request, address[1], address[2])
        if answer is None:
            return django(request, start_response)
        start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", list(answer.headers.items()))
        return [answer.body]

    return application


def _taken(request: Environ, provider: str, name: str) -> Answer | None:
    """The answer to a notification; None when it is Django's, with a body that can be read from its beginning."""
    try:
        proved = _proved(request, provider, name)
        if proved is None:
            return None
        new = group_commit.keep(proved)
    except UnableToReceive as refusal:
        inbox.counted(refusal)
        return webhook_answers.not_kept(provider, refusal.code, refusal.status)
    if new is None:
        _accounts.pop((provider, name), None)
        return None
    return webhook_answers.kept(provider)


def _proved(request: Environ, provider: str, name: str) -> Proved | None:
    """What is signed by the credentials of an account that is the platform's own; None for anything else."""
    try:
        length = int(request.get("CONTENT_LENGTH") or -1)
        account = _account(provider, name)
        if account is None or not 0 <= length <= settings.WEBHOOK_BYTES_MAX:
            return None
        raw = request["wsgi.input"].read(length)
        request["wsgi.input"] = io.BytesIO(raw)
        now = timezone.now()
        verified = providers.named(provider).verify(account, Delivery(raw, _Headers(request)), now=now)
    except (ValueError, UnableToVerify, UnableToReceive, Error):
        _accounts.pop((provider, name), None)
        return None
    finally:
        connection.close_if_unusable_or_obsolete()  # As Django does after each request: it goes back to the pool.
    if verified.authority != "signed" or len(verified.delivery_id) > inbox.DELIVERY_ID_MAX:
        return None
    return Proved(account, verified, now)


def _account(provider: str, name: str) -> ProviderAccount | None:
    """The account, unless a shop has chosen its secrets: then she has a budget, which Django's view keeps."""
    found = _accounts.get((provider, name))
    if found is None or not providers.enabled(provider):
        found = inbox.account_named(provider, name)
        if len(_accounts) >= _ACCOUNTS_MAX:
            _accounts.clear()
        _accounts[provider, name] = found
    return found if found.funds == ProviderAccount.Funds.HELD else None


class _Headers(Mapping[str, str]):
    """The request's headers by their names in lower case, read only where somebody asks for one."""

    def __init__(self, request: Environ) -> None:
        self._environ = request

    def __getitem__(self, name: str) -> str:
        return str(self._environ[_variable(name)])

    def __iter__(self) -> Iterator[str]:
        names = (name for name in self._environ if name.startswith("HTTP_") or name in _WITHOUT_PREFIX)
        return (name.removeprefix("HTTP_").replace("_", "-").lower() for name in names)

    def __len__(self) -> int:
        return sum(1 for _ in self)


_WITHOUT_PREFIX = ("CONTENT_TYPE", "CONTENT_LENGTH")


def _variable(name: str) -> str:
    variable = name.upper().replace("-", "_")
    return variable if variable in _WITHOUT_PREFIX else f"HTTP_{variable}"
