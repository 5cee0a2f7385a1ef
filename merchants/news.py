"""What open streams ask of the database, gathered: those that are woken together share one question and its answer.

A commit of a batch of payments wakes the streams of many shops at once. Each asking for itself would cost two
statements and a connection; here all that ask while an earlier question is under way are the next one, whoever they
are. Each hears only of its own shop, and only while its token is good.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.utils import timezone
from django.utils.translation import override
from rest_framework.renderers import JSONRenderer

from merchants import devices
from merchants.models import Notice
from merchants.shapes import NoticeShape

PAGE = 200
TOGETHER_MAX = 100  # Streams in one question: were they all a page behind, it would still be answered in a second.

Events = list[tuple[int, bytes]]


@dataclass(frozen=True, slots=True)
class Look:
    """What one stream wants to know: the notices of a shop above a number, in its words, if its token is good."""

    shop_id: UUID
    digest: str
    after: int
    language: str


class Desk:
    """Asks `together` for whoever has come to `ask` meanwhile; `through` runs that question where it may wait."""

    def __init__(self, through: Callable[[Callable[[], list[Events | None]]], Awaitable[list[Events | None]]]) -> None:
        self._through = through
        self._waiting: list[tuple[Look, asyncio.Future[Events | None]]] = []
        self._asking: asyncio.Task[None] | None = None

    async def ask(self, look: Look) -> Events | None:
        """The next notices as (number, event), at most PAGE of them; None for a token that is of no use (any more).

        Raises whatever `through` raises.
        """
        answer: asyncio.Future[Events | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((look, answer))
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask_all())
        return await answer

    async def _ask_all(self) -> None:
        try:
            while self._waiting:
                asked, self._waiting = self._waiting[:TOGETHER_MAX], self._waiting[TOGETHER_MAX:]
                await self._ask(asked)
        finally:
            self._asking = None

    async def _ask(self, asked: list[tuple[Look, asyncio.Future[Events | None]]]) -> None:
        try:
            found = await self._through(lambda: together([look for look, _ in asked], now=timezone.now()))
        except Exception as failure:  # noqa: BLE001  It is raised where it was asked for, and the next are asked.
            for _, answer in asked:
                if not answer.done():
                    answer.set_exception(failure)
            return
        for (_, answer), events in zip(asked, found, strict=True):
            if not answer.done():  # Its stream has ended.
                answer.set_result(events)


def together(looks: Sequence[Look], *, now: datetime) -> list[Events | None]:
    """What each of these is told, in their order, by two statements however many they are.

    The token is asked for at every look: signing out wakes the streams of the shop, and no notice of later is told
    where that was lost.
    """
    good = devices.good({look.digest for look in looks}, now=now)
    news = _above({(look.shop_id, look.after) for look in looks if look.digest in good})
    worded: dict[tuple[str, UUID], bytes] = {}
    for language in {look.language for look in looks}:
        rows = {
            row.id: row
            for look in looks
            if look.language == language and look.digest in good
            for row in news[look.shop_id, look.after]
        }
        worded |= {(language, row_id): event for row_id, event in _worded(list(rows.values()), language)}
    return [
        [(row.number, worded[look.language, row.id]) for row in news[look.shop_id, look.after]]
        if look.digest in good
        else None
        for look in looks
    ]


def _above(wanted: set[tuple[UUID, int]]) -> dict[tuple[UUID, int], list[Notice]]:
    """The next notices of each shop above each number, in the order of their numbers."""
    found: dict[tuple[UUID, int], list[Notice]] = defaultdict(list)
    if wanted:
        shops, numbers = zip(*wanted, strict=True)
        for row in Notice.objects.raw(_ABOVE_SQL, [list(shops), list(numbers), PAGE]):
            found[row.shop_id, row.asked_above].append(row)  # type: ignore[attr-defined]
    return found


def _worded(rows: Sequence[Notice], language: str) -> list[tuple[UUID, bytes]]:
    """Each row as an event, as the API says it. One serializer words them all: making it costs more than wording."""
    render, shape = JSONRenderer().render, NoticeShape()
    with override(language):
        return [
            (
                row.id,
                b"id: %d\nevent: notice\ndata: %b\n\n" % (row.number, render(shape.to_representation(row))),
            )
            for row in rows
        ]


_ABOVE_SQL = """
SELECT notice.*, asked.above AS asked_above
  FROM unnest(%s::uuid[], %s::bigint[]) AS asked(shop_id, above)
 CROSS JOIN LATERAL (
     SELECT * FROM merchants_notice WHERE shop_id = asked.shop_id AND number > asked.above ORDER BY number LIMIT %s
 ) AS notice
 ORDER BY notice.shop_id, notice.number
"""
