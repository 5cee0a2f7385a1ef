"""From which moment on the ledger's entries are in the database: what needs older ones is refused, and none is booked.

Entries of before are in archives (`payments.retiring`). Balances of that moment and later need none of them: they go on
from the snapshots that were taken there.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
from time import monotonic
from zoneinfo import ZoneInfo

from babel.dates import format_date
from django.db import connection
from django.utils.translation import gettext as _

from merchants import languages
from merchants.models import Shop
from merchants.refusals import Refused
from payments import partitions
from payments.models import Archive, BalanceSnapshot, LedgerEntry

_LOOK_EVERY_S = 300.0  # A month is closed for longer than this before it leaves the database.


def since() -> datetime | None:
    """The boundary: entries from this moment on are here, all of them. None while nothing has been closed.

    Remembered for some minutes: until then, what was closed meanwhile is still in its place.
    """
    return _remembered.value()


def require(moment: datetime, *, shop: Shop, early: timedelta = timedelta(0)) -> None:
    """Raises Refused (410 `archived`) when an answer needs entries from `moment` on, less `early`, and they are not all
    here. It names the first whole day of the shop that can be asked for."""
    boundary = since()
    if boundary is not None and moment - early < boundary:
        raise refusal(boundary + early, shop)


def refusal(boundary: datetime, shop: Shop) -> Refused:
    """What is said to whoever asks for something older."""
    local = boundary.astimezone(ZoneInfo(shop.time_zone))
    day = local.date() if local.time() == time() else local.date() + timedelta(days=1)
    return Refused(
        410,
        "archived",
        _("Only what was booked from %(day)s on can be read here. Ask us for what is older.")
        % {"day": format_date(day, "long", locale=languages.cldr())},
        since=day.isoformat(),
    )


def has_older(shop: Shop, boundary: datetime) -> bool:
    """Whether the shop may have entries from before."""
    kept = BalanceSnapshot.objects.filter(account__shop=shop, moment__lte=boundary)
    return shop.created_at < boundary or kept.exists()


def lifted(moment: datetime) -> datetime:
    """The moment at which something is booked: never one before the boundary, however wrong a machine's clock is.

    The database's own clock is asked then. Besides, the database refuses an entry of a month that is gone.
    """
    boundary = since()
    if boundary is None or moment >= boundary:
        return moment
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        told: datetime = cursor.fetchone()[0]
    return max(boundary, told)


def forget() -> None:
    """Looks again next time: for whoever has just moved the boundary."""
    _remembered.until = 0.0


def remember(boundary: datetime | None) -> None:
    """Takes this for the boundary until it is time to look again."""
    _remembered.seen, _remembered.until = boundary, monotonic() + _LOOK_EVERY_S


class _Remembered:
    """The boundary as this process saw it last."""

    def __init__(self) -> None:
        self.seen: datetime | None = None
        self.until = 0.0

    def value(self) -> datetime | None:
        if monotonic() >= self.until:
            remember(_look())
        return self.seen


_remembered = _Remembered()


def _look() -> datetime | None:
    closed = Archive.objects.filter(table=LedgerEntry._meta.db_table, closed_at__isnull=False)
    until = closed.order_by("-until").values_list("until", flat=True).first()
    return None if until is None else partitions.datetime_of(until)
