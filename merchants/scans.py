"""How often pay pages are opened: counted in Redis as they are shown, and kept in the database from minute to minute.

A scan is a pay page that a person's browser really got: no HEAD, no page fetched in advance, no program that names
itself as one, and the same payer's next load only after a while. Nobody's name is kept, and no money hangs on it: with
Redis down pages are shown and not counted, and what a crash loses is scans.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID

import redis
from django.db import connection, transaction

from merchants import bell
from merchants.journal import journal

FLUSH_TASK = "merchants.flush_scans"
AGAIN_AFTER_S = 30  # Within it the same payer's loads of a page are one scan: a reload, a way back, a price looked at.
REST_S = 30  # After Redis failed us no page waits for it for so long.

_KEY = "scans"
_HOUR = 3600
_log = journal(__name__)

# Whoever fetches a page to show what is behind a link, or to read the web, says so (WhatsApp's previews by its name and
# a number); Cubot makes phones. A hint only: a program that calls itself a browser is counted as one.
_PROGRAMS = re.compile(
    r"(?<!cu)bot\b|crawl|spider|slurp|preview|facebookexternalhit|facebookcatalog|^whatsapp/|embedly|vkshare|"
    r"curl/|wget/|python|okhttp|go-http|java/|headless|lighthouse|^$",
    re.IGNORECASE,
)
# One step for Redis: whoever was not counted a moment ago is, in the code's hour, with the moment.
_COUNT = """
if redis.call('SET', KEYS[1], 1, 'NX', 'EX', ARGV[1]) then
  redis.call('HINCRBY', KEYS[2], ARGV[2], 1)
  redis.call('HSET', KEYS[2], ARGV[2] .. ':at', ARGV[3])
  return 1
end
return 0
"""
_UPSERT = """
INSERT INTO merchants_scancount (code_id, hour, scans, last_at)
SELECT code.id, to_timestamp(told.hour), told.scans, to_timestamp(told.last)
FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[], %s::bigint[]) AS told (code, hour, scans, last)
JOIN merchants_code code ON code.id = told.code
ORDER BY code.id, told.hour
ON CONFLICT (code_id, hour) DO UPDATE
SET scans = merchants_scancount.scans + excluded.scans,
    last_at = greatest(merchants_scancount.last_at, excluded.last_at)
"""


def by_a_person(headers: Mapping[str, str]) -> bool:
    """Whether a request for a page looks like somebody's browser that shows it now (`headers` in any case)."""
    purposes = f"{headers.get('Sec-Purpose', '')} {headers.get('Purpose', '')} {headers.get('X-Moz', '')}".lower()
    return "prefetch" not in purposes and not _PROGRAMS.search(headers.get("User-Agent", ""))


class _Rest:
    """Until when this process leaves Redis alone (by the monotonic clock)."""

    until = 0.0


def count(*, code_id: UUID, payer: str, now: datetime) -> bool:
    """Counts that this payer was shown this code's page, unless she was a moment ago. Never raises."""
    if time.monotonic() < _Rest.until:
        return False
    second = int(now.timestamp())
    keys = [f"scanned:{code_id.hex}:{payer}", _KEY]
    arguments: list[int | str] = [AGAIN_AFTER_S, f"{code_id.hex}:{second - second % _HOUR}", second]
    try:
        return bool(bell.store().eval(_COUNT, len(keys), *keys, *arguments))
    except redis.RedisError as failure:
        _Rest.until = time.monotonic() + REST_S
        _log.warning("scan_not_counted", failure=str(failure))
        return False


def flush() -> int:
    """Moves what was counted into the database, and answers how many scans that were.

    They are taken from Redis in one step, so that none is counted twice; what is lost is what was taken when this
    process or the database ends before it has committed.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT 1")  # A database that is away is met before anything is taken.
        rows = _taken()
        if rows:
            cursor.execute(_UPSERT, [list(column) for column in zip(*rows, strict=True)])
    return sum(scans for _code, _hour, scans, _last in rows)


def _taken() -> list[tuple[UUID, int, int, int]]:
    """Code, hour, scans and the last of them, as seconds; Redis has forgotten them then."""
    both = bell.store().pipeline(transaction=True)
    both.hgetall(_KEY)
    both.delete(_KEY)
    found: dict[bytes, bytes] = both.execute()[0]
    rows = []
    for field, number in found.items():
        code, hour, *at = field.decode().split(":")
        if not at:
            rows.append((UUID(code), int(hour), int(number), int(found[field + b":at"])))
    return rows


def hour_of(moment: datetime) -> datetime:
    """The hour (UTC) that a scan of this moment is counted in."""
    second = int(moment.timestamp())
    return datetime.fromtimestamp(second - second % _HOUR, UTC)
