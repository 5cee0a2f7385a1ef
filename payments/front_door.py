"""Takes the plain, proved notification before Django does: the same proof, the same row, without a request's ceremony.

It works in the server's loop, and asks a thread only where the database must be asked. Everything else is handed on to
Django untouched, with its body: whatever is unknown, unproved, too large, of a shop's own account, or in any way out of
the ordinary, and every other address. `payments.views.webhook` answers that.
"""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from django.conf import settings
from django.core.exceptions import SynchronousOnlyOperation
from django.db import Error, connection
from django.utils import timezone

from merchants import in_threads
from merchants.in_threads import Application, Message, Receive, Scope, Send
from payments import group_commit, inbox, providers, senders, webhook_answers
from payments.inbox import Proved, UnableToReceive
from payments.models import ProviderAccount
from payments.providers.base import Delivery, UnableToVerify
from payments.senders import UnknownSender
from payments.webhook_answers import Answer

# Names of accounts are slugs; behind them stands what some providers add to the address that we give them.
_ADDRESS = re.compile(r"/webhooks/([a-z]+)/([-a-zA-Z0-9_]+)(?:/[-a-zA-Z0-9_]+)?")

Key = tuple[str, str]

# For proofs that want the database: the pages' threads may all be busy, and the pages need some of its connections.
_threads = ThreadPoolExecutor(4, "proof")


def before(pages: Application, webhooks: Application) -> Application:
    """The application that answers proved notifications itself; others go to `webhooks`, and all else to `pages`.

    Both are Django. Of notifications that Django must judge there are many: with threads of their own they do not take
    the pages' threads. They wait for the same commit as those that are kept here.
    """

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        address = _ADDRESS.fullmatch(scope["path"]) if scope["method"] == "POST" else None
        if address is None:
            return await pages(scope, receive, send)
        if scope["query_string"]:
            return await webhooks(scope, receive, send)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        length = int(headers.get("content-length", -1))
        if len(headers) != len(scope["headers"]) or not 0 <= length <= settings.WEBHOOK_BYTES_MAX:
            return await webhooks(scope, receive, send)
        try:
            raw = await in_threads.body_of(receive, length)
        except in_threads.Gone:
            return None
        except in_threads.TooSlow:
            return await in_threads.say_too_slow(send)
        key = (address[1], address[2])
        answer = await _taken(key, Delivery(raw, headers))
        if answer is None:
            return await webhooks(scope, _again(raw, receive), send)
        for message in answer:
            await send(message)
        return None

    return application


def _again(raw: bytes, receive: Receive) -> Receive:
    """A body that has been read, for somebody else to read, and then whatever comes."""
    first: list[Message] = [{"type": "http.request", "body": raw, "more_body": False}]

    async def again() -> Message:
        return first.pop() if first else await receive()

    return again


async def _taken(key: Key, delivery: Delivery) -> tuple[Message, Message] | None:
    """The answer to a notification, as messages to the server; None when it is Django's."""
    try:
        proved = await _proved(key, delivery)
        if proved is None:
            return None
        new = await group_commit.keep(proved)
    except UnableToReceive as refusal:
        inbox.counted(refusal)
        return _messages(webhook_answers.not_kept(key[0], refusal.code, refusal.status))
    if new is None:
        senders.forget(*key)
        return None
    return _kept(key[0])


async def _proved(key: Key, delivery: Delivery) -> Proved | None:
    """What is signed by the credentials of an account that is the platform's own; None for anything else."""
    account = senders.remembered(*key)
    if account is not None:
        try:
            return _proved_by(account, delivery)
        except SynchronousOnlyOperation:
            # Django lets nobody ask the database in a loop. Some proofs want a key that the provider has given us, or
            # credentials that were replaced.
            pass
        except (ValueError, UnableToVerify):
            senders.forget(*key)
            return None
    return await asyncio.get_running_loop().run_in_executor(_threads, _proved_in_thread, key, delivery)


def _proved_in_thread(key: Key, delivery: Delivery) -> Proved | None:
    try:
        return _proved_by(senders.remembered(*key) or senders.read(*key), delivery)
    except (ValueError, UnableToVerify, UnknownSender, Error):
        senders.forget(*key)
        return None
    finally:
        connection.close_if_unusable_or_obsolete()  # As Django does after each request: it goes back to the pool.


def _proved_by(account: ProviderAccount, delivery: Delivery) -> Proved | None:
    # A shop that has chosen its secrets has a budget, which Django's view keeps.
    if account.funds != ProviderAccount.Funds.HELD:
        return None
    now = timezone.now()
    verified = providers.named(account.provider).verify(account, delivery, now=now)
    if verified.authority != "signed" or len(verified.delivery_id) > inbox.DELIVERY_ID_MAX:
        return None
    return Proved(account, verified, now)


@cache
def _kept(provider: str) -> tuple[Message, Message]:
    """Made once: most answers are this one."""
    return _messages(webhook_answers.kept(provider))


def _messages(answer: Answer) -> tuple[Message, Message]:
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items()]
    return (
        {"type": "http.response.start", "status": answer.status, "headers": headers},
        {"type": "http.response.body", "body": answer.body, "more_body": False},
    )
