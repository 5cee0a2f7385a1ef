"""The inbox: a proved notification is kept once, with its queue row, before anything is done with it.

`receive` is all that happens in a provider's request: prove the raw bytes, one INSERT for both rows, commit, ring.
`keep_all` is the same INSERT for those that arrived together (`payments.group_commit`).
`lease` and `settle` are the drain's side of the queue.
"""

from __future__ import annotations

import json
from collections import Counter as Count
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import psycopg
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import F
from prometheus_client import Counter

from merchants import bell, columns, ids, limits, prepared
from merchants.journal import journal
from merchants.refusals import Refused
from merchants.values import value
from payments import inquiries, providers, senders
from payments.models import Delivery as Told
from payments.models import ProviderAccount, QueuedEvent, WebhookEvent
from payments.providers.base import Delivery, UnableToVerify, Verified
from payments.senders import UnknownSender

_log = journal(__name__)

DRAIN = "payments.drain_inbox"
DELIVERY_ID_MAX = 120  # Of any provider we know, the longest is 64.

_received = Counter("pushcart_webhooks_received", "Notifications kept in the inbox", ["provider"])
_repeated = Counter("pushcart_webhooks_repeated", "Deliveries that were kept before", ["provider"])
_refused = Counter("pushcart_webhooks_refused", "Notifications refused, by reason; nothing was stored", ["reason"])


class UnableToReceive(Exception):
    """A notification that is not kept: `status` for HTTP, `code` for the counter and the answer."""

    def __init__(self, code: str, status: int) -> None:
        super().__init__(code)
        self.code, self.status = code, status


def too_large() -> UnableToReceive:
    """The refusal of a body that is not even read; counted like the others."""
    return counted(UnableToReceive("body_too_large", 413))


def unavailable() -> UnableToReceive:
    """The refusal when the database cannot be asked; the provider comes again."""
    return counted(UnableToReceive("unavailable", 503))


def counted(refusal: UnableToReceive) -> UnableToReceive:
    _refused.labels(refusal.code).inc()
    return refusal


@value
class Proved:
    """A notification that is proved by the credentials of the account as it was read, perhaps some time ago."""

    account: ProviderAccount
    verified: Verified
    now: datetime


Together = Callable[[Proved], bool | None]
_Kept = tuple[ProviderAccount, Verified, bool, bool]  # By which account, as what; whether it was new, and is counted.


def receive(
    *, provider: str, account: str, delivery: Delivery, now: datetime, together: Together | None = None
) -> bool:
    """Keeps one delivery; True when it was new. When this returns, it is committed.

    `together` keeps what is proved with what others have proved, if there are others (`payments.group_commit`).

    Raises UnableToReceive, with nothing stored: 413 body too large, 404 unknown account, 400 not proved, 429 too many
    that nobody signed but perhaps the shop itself, 503 not provable before the provider has been asked for its key (it
    is being asked).
    """
    try:
        if len(delivery.raw) > settings.WEBHOOK_BYTES_MAX:
            raise UnableToReceive("body_too_large", 413)
        told = (provider, account, delivery, now)
        found, verified, new, is_counted = _kept_as_seen(*told, together) or _kept(*told)
    except UnableToReceive as refusal:
        raise counted(refusal)
    if not new and verified.authority == "unsigned_hint":
        new = _hear_again(found, verified, now)
    if not is_counted:
        (_received if new else _repeated).labels(provider).inc()
    return new


def _kept_as_seen(
    provider: str, name: str, delivery: Delivery, now: datetime, together: Together | None
) -> _Kept | None:
    """By the account as it was read before; None when that proves nothing, or is no more what the database has."""
    account = senders.remembered(provider, name)
    if account is None:
        return None
    try:
        verified = _verified(account, delivery, now)
    except UnableToVerify:
        return None
    if together is None or verified.authority == "unsigned_hint":  # Which may still be counted as new.
        new = _keep(account, verified, now, sealed=bytes(account.sealed_credentials))
        return None if new is None else (account, verified, new, False)
    new = together(Proved(account, verified, now))
    return None if new is None else (account, verified, new, True)


def _kept(provider: str, name: str, delivery: Delivery, now: datetime) -> _Kept:
    """By the account as it is."""
    try:
        account = senders.read(provider, name)
    except UnknownSender as unknown:
        raise UnableToReceive(unknown.code, 404)
    try:
        verified = _verified(account, delivery, now)
    except UnableToVerify as refusal:
        if refusal.ask:
            _limit_unproved(account)
            inquiries.open_all([(account.id, refusal.ask)], now=now)
            raise UnableToReceive(refusal.code, 503)
        raise UnableToReceive(refusal.code, 400)
    return account, verified, keep(account=account, verified=verified, now=now), False


def _verified(account: ProviderAccount, delivery: Delivery, now: datetime) -> Verified:
    """What is proved and may be kept. Raises UnableToVerify, or UnableToReceive for what is kept of nobody."""
    verified = providers.named(account.provider).verify(account, delivery, now=now)
    # What opens a shop's own account its owner has chosen: she can sign as much as she likes, for her own book.
    if verified.authority == "unsigned_hint" or account.funds == ProviderAccount.Funds.DIRECT:
        _limit_unproved(account)
    if len(verified.delivery_id) > DELIVERY_ID_MAX:
        raise UnableToReceive("delivery_id_too_long", 400)
    return verified


def _limit_unproved(account: ProviderAccount) -> None:
    """Each of what anybody can send costs a row and perhaps a question, so there are only so many in a time."""
    try:
        limits.spend_on_hint(account.id.hex)
    except Refused as refusal:
        raise UnableToReceive(refusal.code, 429)


def _hear_again(account: ProviderAccount, verified: Verified, now: datetime) -> bool:
    """A hint has no content that could be news, only its object: in the same words something else may have happened.

    One whose event has gone to an archive is kept anew, once a day, and is new.
    """
    told = Told.objects.filter(provider_account=account, delivery_id=verified.delivery_id)
    events = WebhookEvent.objects.filter(id__in=list(told.values_list("event_id", flat=True)))
    if not events.exists():
        again = f"{verified.delivery_id[: DELIVERY_ID_MAX - 11]}@{now:%Y-%m-%d}"
        return keep(account=account, verified=replace(verified, delivery_id=again), now=now)
    requeue(event_ids=list(events.filter(queued=None).values_list("id", flat=True)), now=now)
    return False


def keep(*, account: ProviderAccount, verified: Verified, now: datetime) -> bool:
    """Writes the delivery, its event and its queue row, once per (account, delivery id); rings after commit.

    One statement for all three: outside a transaction it is one by itself, with one round trip and one commit.
    """
    new = _keep(account, verified, now, sealed=None)
    assert new is not None, "no account is ever deleted"
    return new


def _keep(account: ProviderAccount, verified: Verified, now: datetime, *, sealed: bytes | None) -> bool | None:
    """The same; None, with nothing kept, when the account has other credentials than `sealed` now, or other funds."""
    with prepared.cursor() as cursor:
        cursor.execute(
            _KEEP_SQL,
            {
                "id": ids.new(now), "account": account.id, "sealed": sealed, "funds": account.funds,
                "delivery": verified.delivery_id, "raw": verified.raw, "headers": json.dumps(dict(verified.headers)),
                "key_id": verified.key_id, "authority": verified.authority, "now": now,
            },
        )  # fmt: skip
        known, new = cursor.fetchone()
    if new:
        transaction.on_commit(lambda: bell.ring(DRAIN))
    return bool(new) if known else None


async def keep_all(database: psycopg.AsyncConnection, proved: Sequence[Proved]) -> list[bool | None]:
    """Writes all of them with one statement, which is one commit; the caller rings.

    True: it was new; False: it was kept before; None: it is not kept, because the account is no more the one that
    proved it, or because this row cannot be written: `receive` says why. One such row never spoils its neighbours.
    """
    try:
        return await _keep_together(database, proved)
    except (psycopg.DataError, psycopg.IntegrityError) as failure:
        if len(proved) > 1:
            return [outcome for one in proved for outcome in await keep_all(database, [one])]
        _log.warning("webhook_not_writable", account=str(proved[0].account), failure=repr(failure))
        return [None]


async def _keep_together(database: psycopg.AsyncConnection, proved: Sequence[Proved]) -> list[bool | None]:
    accounts = list({id(one.account): one.account for one in proved}.values())
    number = {id(account): number for number, account in enumerate(accounts)}
    told = [one.verified for one in proved]
    event_ids = ids.texts_of(one.now for one in proved)
    answer = await database.execute(
        _KEEP_ALL_SQL,
        {
            "ids": columns.literal(event_ids),
            "numbers": columns.literal([number[id(one.account)] for one in proved]),
            "deliveries": columns.literal([one.delivery_id for one in told]),
            "raws": [one.raw for one in told],
            "headers": json.dumps([dict(one.headers) for one in told]),
            "key_ids": columns.literal([one.key_id for one in told]),
            "authorities": columns.literal([one.authority for one in told]),
            "times": columns.literal([one.now for one in proved]),
            "accounts": [account.id for account in accounts],
            "sealed": [bytes(account.sealed_credentials) for account in accounts],
            "funds": columns.literal([account.funds for account in accounts]),
        },
        binary=True,
    )
    row = await answer.fetchone()
    assert row is not None
    new, known = set(row[0] or ()), set(row[1] or ())
    outcomes = [
        event_id in new if number[id(one.account)] in known else None
        for event_id, one in zip(event_ids, proved, strict=True)
    ]
    tally = Count(zip((one.account.provider for one in proved), outcomes, strict=True))
    for (provider, outcome), count in tally.items():
        if outcome is not None:
            (_received if outcome else _repeated).labels(provider).inc(count)
    return outcomes


@value
class Leased:
    """A queued event that is ours until its lease ends; `attempts` counts this one."""

    event_id: UUID
    attempts: int


def lease(*, limit: int, now: datetime) -> list[Leased]:
    """Takes due events for settings.DRAIN_LEASE and commits that before any work: oldest first, none held by others."""
    return _lease(_LEASE_BATCH_SQL, limit, now)


def lease_suspect(*, now: datetime) -> list[Leased]:
    """Takes one event whose earlier attempt never came to an end: it may have killed its worker, so it goes alone.

    One that has had its last attempt so is dead: nothing else would ever end it.
    """
    over = QueuedEvent.objects.filter(state="queued", attempts__gt=len(settings.RETRY_AFTER), due_at__lte=now)
    over.update(state=QueuedEvent.State.DEAD, reason="no attempt ever came to an end: its worker was killed each time")
    return _lease(_LEASE_SUSPECT_SQL, 1, now)


def settle(event_ids: Sequence[UUID]) -> None:
    """Takes applied events off the queue, in the transaction that applied them."""
    with columns.cursor() as cursor:
        cursor.execute(_SETTLE_SQL, [columns.literal(event_ids)])


def give_back(leased: Sequence[Leased], *, now: datetime) -> None:
    """Ends leases early, without counting the attempt: the trouble was ours. With the database gone they run out."""
    try:
        QueuedEvent.objects.filter(
            event_id__in=[one.event_id for one in leased], state=QueuedEvent.State.QUEUED
        ).update(attempts=F("attempts") - 1, due_at=now + settings.DRAIN_AGAIN)
    except DatabaseError as failure:
        _log.warning("lease_not_given_back", events=len(leased), failure=str(failure))


def park(*, event_id: UUID, attempts: int, reason: str, now: datetime) -> None:
    """Puts an event that could not be applied aside until its next retry, or for good when it has had its last."""
    left = settings.RETRY_AFTER[attempts - 1 : attempts]
    QueuedEvent.objects.filter(event_id=event_id).update(
        state=QueuedEvent.State.PARKED if left else QueuedEvent.State.DEAD,
        due_at=now + (left[0] if left else timedelta(0)),
        reason=reason[:300],
    )


def quarantine(*, event_id: UUID, reason: str) -> None:
    """Keeps an event out of the book until a person has looked at it."""
    QueuedEvent.objects.filter(event_id=event_id).update(state=QueuedEvent.State.QUARANTINED, reason=reason[:300])


def requeue(*, event_ids: Sequence[UUID], now: datetime) -> int:
    """Gives events a fresh start, whether they wait, are dead, or were applied before (a replay); rings."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_REQUEUE_SQL, {"ids": list(event_ids), "now": now})
        count = int(cursor.rowcount)
        transaction.on_commit(lambda: bell.ring(DRAIN))
    return count


def has_due(*, now: datetime) -> bool:
    return QueuedEvent.objects.filter(state__in=["queued", "parked"], due_at__lte=now).exists()


def _lease(statement: str, limit: int, now: datetime) -> list[Leased]:
    """One statement, and so a transaction by itself."""
    with connection.cursor() as cursor:
        cursor.execute(statement, {"now": now, "until": now + settings.DRAIN_LEASE, "limit": limit})
        return sorted((Leased(*row) for row in cursor.fetchall()), key=lambda leased: leased.event_id.int)


_KEEP_SQL = """
WITH known AS (
    SELECT id FROM payments_provideraccount
     WHERE id = %(account)s AND (%(sealed)s::bytea IS NULL OR (sealed_credentials, funds) = (%(sealed)s, %(funds)s))
), told AS (
    INSERT INTO payments_delivery (provider_account_id, delivery_id, event_id)
    SELECT id, %(delivery)s, %(id)s FROM known
    ON CONFLICT (provider_account_id, delivery_id) DO NOTHING RETURNING provider_account_id, delivery_id, event_id
), kept AS (
    INSERT INTO payments_webhookevent
        (id, provider_account_id, delivery_id, raw, headers, key_id, authority, received_at)
    SELECT event_id, provider_account_id, delivery_id, %(raw)s, %(headers)s, %(key_id)s, %(authority)s, %(now)s
      FROM told
    RETURNING id, received_at
), queued AS (
    INSERT INTO payments_queuedevent (event_id, state, attempts, due_at, reason, received_at)
    SELECT id, 'queued', 0, received_at, '', received_at FROM kept
)
SELECT EXISTS (SELECT FROM known), EXISTS (SELECT FROM kept)
"""

# The rows are ordered, so that two processes with the same deliveries wait for each other in one order.
_KEEP_ALL_SQL = """
WITH known AS MATERIALIZED (
    SELECT seen.number, account.id
      FROM payments_provideraccount AS account
      JOIN unnest(%(accounts)b::uuid[], %(sealed)b::bytea[], %(funds)s::text[])
           WITH ORDINALITY AS seen (id, sealed, funds, number)
        ON account.id = seen.id AND account.sealed_credentials = seen.sealed AND account.funds = seen.funds
), given AS MATERIALIZED (
    SELECT given.*, known.id AS account_id
      FROM ROWS FROM (
               unnest(%(ids)s::uuid[]), unnest(%(numbers)s::int[]), unnest(%(deliveries)s::text[]),
               unnest(%(raws)b::bytea[]), jsonb_array_elements(%(headers)s::jsonb), unnest(%(key_ids)s::text[]),
               unnest(%(authorities)s::text[]), unnest(%(times)s::timestamptz[])
           ) AS given (id, number, delivery_id, raw, headers, key_id, authority, received_at)
      JOIN known ON known.number = given.number + 1
), told AS (
    INSERT INTO payments_delivery (provider_account_id, delivery_id, event_id)
    SELECT account_id, delivery_id, id FROM given ORDER BY account_id, delivery_id
    ON CONFLICT (provider_account_id, delivery_id) DO NOTHING
    RETURNING event_id
), kept AS (
    INSERT INTO payments_webhookevent
        (id, provider_account_id, delivery_id, raw, headers, key_id, authority, received_at)
    SELECT id, account_id, delivery_id, raw, headers, key_id, authority, received_at
      FROM given JOIN told ON told.event_id = given.id
    RETURNING id, received_at
), queued AS (
    INSERT INTO payments_queuedevent (event_id, state, attempts, due_at, reason, received_at)
    SELECT id, 'queued', 0, received_at, '', received_at FROM kept
)
SELECT (SELECT array_agg(encode(uuid_send(id), 'hex')) FROM kept), (SELECT array_agg(number::int - 1) FROM known)
"""

# Taking an event makes it `queued` again: one that is `queued` and was tried before never came to its end.
# The choice is MATERIALIZED, made once: as a subquery a plan may make it again for every row, and pass the limit.
_LEASE_SQL = """
WITH chosen AS MATERIALIZED (
    SELECT event_id FROM payments_queuedevent
     WHERE state IN ('queued', 'parked') AND due_at <= %(now)s AND <which>
     ORDER BY event_id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
UPDATE payments_queuedevent AS queued SET state = 'queued', attempts = attempts + 1, due_at = %(until)s
  FROM chosen WHERE queued.event_id = chosen.event_id
RETURNING queued.event_id, queued.attempts
"""
_LEASE_BATCH_SQL = _LEASE_SQL.replace("<which>", "(attempts = 0 OR state = 'parked')")
_LEASE_SUSPECT_SQL = _LEASE_SQL.replace("<which>", "attempts > 0 AND state = 'queued'")

_SETTLE_SQL = "DELETE FROM payments_queuedevent WHERE event_id = ANY(%s::uuid[])"

_REQUEUE_SQL = """
INSERT INTO payments_queuedevent (event_id, state, attempts, due_at, reason, received_at)
SELECT id, 'queued', 0, %(now)s, '', received_at FROM payments_webhookevent WHERE id = ANY(%(ids)s)
ON CONFLICT (event_id) DO UPDATE SET state = 'queued', attempts = 0, due_at = %(now)s, reason = ''
"""
