"""Whether it is between the two hours of a shop's day in which somebody wants to be left alone."""

from __future__ import annotations

from datetime import datetime, time
from zoneinfo import ZoneInfo


def is_quiet(*, begin: time | None, end: time | None, zone: str, now: datetime) -> bool:
    """The hours may lie on both sides of midnight; without them it is never quiet."""
    if begin is None or end is None:
        return False
    there = now.astimezone(ZoneInfo(zone)).time()
    if begin < end:
        return begin <= there < end
    return there >= begin or there < end
