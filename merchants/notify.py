"""What a shop is told: numbered in order in the posting transaction, announced to streams and phones after commit."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import redis
from django.db import transaction

from merchants import bell, columns, ids
from merchants.journal import journal
from merchants.values import value

PUSH_TASK = "merchants.send_pushes"  # Sends what subscriptions of push have not been told.

_log = journal(__name__)
_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@value
class Telling:
    """One thing to tell a shop: `kind` is a word of the API, `data` what the phone needs to say and show it.

    `about` is the id of the payment it tells of, so that a proof can be made that each was told once.
    """

    shop_id: UUID
    kind: str
    data: Mapping[str, Any]
    about: UUID | None = None


def tell(tellings: Sequence[Telling], *, now: datetime) -> None:
    """Writes the notices, each with its shop's next number. Must run in the transaction of what it tells of.

    The counter rows are locked in shop order until that transaction ends, so numbers become visible in order and a
    reader who has seen number n has seen all below it. The only writer of notices.
    """
    assert transaction.get_connection().in_atomic_block, "a notice is written with the money it tells of"
    told: dict[int, list[Telling]] = {}  # By the number of the id: hashing a UUID is a call of Python's.
    for telling in tellings:
        told.setdefault(telling.shop_id.int, []).append(telling)
    groups = [(told[number][0].shop_id, told[number]) for number in sorted(told)]
    if not groups:
        return
    new_id = iter(ids.texts(len(tellings), now))
    rows = [
        (next(new_id), shop, place, len(group) - told_before - 1, telling.kind, _json(telling.data), telling.about)
        for place, (shop, group) in enumerate(groups, start=1)
        for told_before, telling in enumerate(group)
    ]
    counted = columns.literals((shop, len(group)) for shop, group in groups)
    with columns.cursor() as cursor:
        cursor.execute(_TELL_SQL, [*counted, now, *columns.literals(rows)])


def announce(shop_ids: Iterable[UUID]) -> None:
    """Wakes the open streams of these shops and of their receipts, after commit, and whoever pushes to their phones.

    A lost announcement costs a stream its polling interval, and a push the sweep's.
    """
    shops = list(set(shop_ids))
    if not shops:
        return
    try:  # Who looks at a page right now hears first.
        bell.store().eval(_ANNOUNCE, 0, *map(channel, shops))
    except redis.RedisError as failure:
        _log.warning("announcement_lost", shops=len(shops), failure=str(failure))
    if _any_phone(shops):
        bell.ring(PUSH_TASK)


def channel(shop_id: UUID) -> str:
    """The Redis channel on which it is said that there is something to look for in this shop."""
    return f"notices:{shop_id.hex}"


def _any_phone(shops: Sequence[UUID]) -> bool:
    with columns.cursor() as cursor:
        cursor.execute(_ANY_PHONE_SQL, [columns.literal(shops)])
        return bool(cursor.fetchone()[0])


# Each counter moves ahead by as much as its shop is told; `behind` says how far a notice is from the last of them. The
# new last numbers stand in an array, in the order of the shops, because the drain allows no join but a loop.
_TELL_SQL = """
WITH counted AS (
    INSERT INTO merchants_noticecounter AS counter (shop_id, last)
    SELECT * FROM unnest(%s::uuid[], %s::bigint[])
    ON CONFLICT (shop_id) DO UPDATE SET last = counter.last + EXCLUDED.last
    RETURNING shop_id, last
), numbers AS (
    SELECT array_agg(last ORDER BY shop_id) AS last FROM counted
)
INSERT INTO merchants_notice (created_at, id, shop_id, number, kind, data, about)
SELECT %s, id, shop_id, (SELECT last FROM numbers)[place] - behind, kind, data, about
  FROM unnest(%s::uuid[], %s::uuid[], %s::int[], %s::int[], %s::text[], %s::jsonb[], %s::uuid[])
    AS told(id, shop_id, place, behind, kind, data, about)
"""

_ANY_PHONE_SQL = """
SELECT EXISTS (SELECT FROM merchants_pushsubscription WHERE shop_id = ANY(%s::uuid[]) AND ended_at IS NULL)
"""

# One command for all of a batch's shops. What it says is not believed: a listener looks into the database.
_ANNOUNCE = "for n = 1, #ARGV do redis.call('PUBLISH', ARGV[n], 'look') end"
