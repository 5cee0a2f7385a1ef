"""Ids that are prefixed, sortable and opaque: UUIDv7 in the database, `pay_01JD…` outside.

RFC 9562 §5.7 gives the bits; the text form is Crockford's base 32 (no I, L, O or U to misread over the phone).
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import groupby
from uuid import UUID

from django.utils import timezone

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_DIGITS = str.maketrans(_ALPHABET, "0123456789abcdefghijklmnopqrstuv")  # As Python writes base 32.
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_LETTERS = re.compile(f"[0-7][{_ALPHABET}]{{25}}")  # 128 bits, five a letter.

_lock = threading.Lock()
_last_ms = 0
_counter = 0


def new(at: datetime | None = None) -> UUID:
    """A UUIDv7 of the moment `at` (now, when left out); ids made in one process for one millisecond ascend."""
    return several(1, at or timezone.now())[0]


def several(count: int, at: datetime) -> list[UUID]:
    """So many UUIDv7 of one moment, ascending: a batch asks for the clock, the lock and chance once."""
    return [UUID(int=number) for number in _numbers(count, milliseconds(at))]


def texts(count: int, at: datetime) -> list[str]:
    """The same as 32 hexadecimal digits each, for rows that only the database will know."""
    return ["%032x" % number for number in _numbers(count, milliseconds(at))]  # noqa: UP031  Faster than an f-string.


def texts_of(moments: Iterable[datetime]) -> list[str]:
    """One such text for each of these moments, in their order."""
    together = [(ms, len(list(same))) for ms, same in groupby(map(milliseconds, moments))]
    return ["%032x" % number for ms, count in together for number in _numbers(count, ms)]  # noqa: UP031


def _numbers(count: int, ms: int) -> list[int]:
    global _last_ms, _counter
    with _lock:
        # Twenty bits behind the time count within the millisecond, so that a batch of up to a million keeps its order.
        first = _counter + 1 if ms == _last_ms else secrets.randbits(8)
        _counter, _last_ms = (first + count - 1) % 0x100000, ms
    # The version and the variant stand between the parts: twelve bits of the count come first, then its last eight.
    chance, head = secrets.token_bytes(7 * count), (ms << 80) | (0x7 << 76) | (0b10 << 62)
    made = []
    for n in range(count):
        high, low = divmod((first + n) % 0x100000, 0x100)
        tail = int.from_bytes(chance[7 * n : 7 * n + 7]) >> 2
        made.append(head | (high << 64) | (low << 54) | tail)
    return made


def endless(at: datetime) -> Iterator[UUID]:
    """UUIDv7 of one moment, ascending, for whoever does not know yet how many it needs: in growing portions."""
    count = 2
    while True:
        yield from several(count, at)
        count = min(2 * count, 128)


def first_of(moment: datetime) -> UUID:
    """The smallest id that a record of this millisecond can have: the bound for "at" and "since" queries."""
    return UUID(int=(milliseconds(moment) << 80) | (0x7 << 76) | (0b10 << 62))


def milliseconds(moment: datetime) -> int:
    return int((moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000)


def public(prefix: str, value: UUID) -> str:
    """The text a person or a program outside sees: `<prefix>_` and 26 letters.

    Two letters at a time, from parts that are no long numbers: a page of a list holds hundreds of these.
    """
    number, two = value.int, _PAIRS
    a, b, c = number >> 100, number >> 50 & 0x3FFFFFFFFFFFF, number & 0x3FFFFFFFFFFFF
    return (
        f"{prefix}_{two[a >> 20]}{two[a >> 10 & 1023]}{two[a & 1023]}"
        f"{two[b >> 40]}{two[b >> 30 & 1023]}{two[b >> 20 & 1023]}{two[b >> 10 & 1023]}{two[b & 1023]}"
        f"{two[c >> 40]}{two[c >> 30 & 1023]}{two[c >> 20 & 1023]}{two[c >> 10 & 1023]}{two[c & 1023]}"
    )


def parse(prefix: str, text: str) -> UUID:
    """The id behind a public text. Raises ValueError for anything that `public(prefix, …)` could not have made."""
    head, _, letters = text.partition("_")
    if head != prefix or not _LETTERS.fullmatch(letters):
        raise ValueError(f"not an id of the form {prefix}_…")
    return UUID(int=int(letters.translate(_DIGITS), 32))


def secret(length: int = 22) -> str:
    """An unguessable word of letters and digits; 22 of them carry 128 bits (the receipt), 12 carry 70 (a slug)."""
    alphabet = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    return "".join(secrets.choice(alphabet) for _ in range(length))
