"""What all written forms of a statement share: their words, and the one reading of the book behind lines and sums.

A movement may become visible between two questions to the database. So a form that tells sums beside its lines takes
the sums from the lines that it has read, and they agree whatever was booked meanwhile.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from uuid import UUID

from babel.dates import format_date, format_skeleton
from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from merchants import ids, languages
from payments import chain, statement
from payments.ledger import Balance
from payments.models import Dispute, LedgerEntry, Payment, Refund, Seal
from payments.statement import Asked, Basis, Line, Summary, Total

Kind = LedgerEntry.Kind
_WORDS: dict[str, str] = {
    Kind.PAID: gettext_noop("Payment"),
    Kind.DUE: gettext_noop("Became available"),
    Kind.FEE: gettext_noop("Our fee"),
    Kind.REFUND_ASKED: gettext_noop("Refund"),
    Kind.REFUND_CONFIRMED: gettext_noop("Refund confirmed"),
    Kind.REFUND_FAILED: gettext_noop("Refund came back"),
    Kind.REFUND_REPORTED: gettext_noop("Refund made at the provider"),
    Kind.DISPUTE_HELD: gettext_noop("Contested: held"),
    Kind.DISPUTE_RELEASED: gettext_noop("Contested: yours again"),
    Kind.DISPUTE_LOST: gettext_noop("Contested: lost"),
    Kind.ADJUSTED: gettext_noop("Correction"),
    Kind.PROVIDER_FEE: gettext_noop("Fee of the network"),
    Kind.PAYOUT_ASKED: gettext_noop("Payout"),
    Kind.PAYOUT_PAID: gettext_noop("Payout arrived"),
    Kind.PAYOUT_FAILED: gettext_noop("Payout failed: yours again"),
    Kind.PAYOUT_RETURNED: gettext_noop("Payout came back"),
    Kind.REVERSED: gettext_noop("Taken back"),
}


class Telling:
    """One reading of the book: its lines, and when the last was read, what they add up to."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.opening = statement.opening(asked)
        self.count = 0
        self._moved = [0, 0, 0]  # The total, its pending part, its direct part.
        self._turned = [0, 0]  # In, out.
        self._counts: Counter[str] = Counter()
        self._changes: Counter[str] = Counter()
        self._number = 0

    def lines(self) -> Iterator[Line]:
        """The lines that are asked for, in order. Those that leave the total as it is are read for its parts only."""
        for line in statement.lines(replace(self.asked, everything=True), self.opening):
            self._add(line)
            if line.change or self.asked.everything:
                self.count += 1
                self._counts[line.kind] += 1
                yield line

    def summary(self) -> Summary:
        """What the lines add up to that were read until now."""
        total, pending, direct = self._moved
        return Summary(
            opening=self.opening,
            closing=Balance(
                currency=self.opening.currency,
                available=self.opening.available + total - pending,
                pending=self.opening.pending + pending,
                direct=self.opening.direct + direct,
            ),
            money_in=self._turned[0],
            money_out=self._turned[1],
            totals=[Total(kind, count, self._changes[kind]) for kind, count in sorted(self._counts.items())],
        )

    def seal(self) -> Seal | None:
        """The first seal of the chain that covers every movement that was read; None while there is none."""
        newest = chain.head()
        if newest is None or newest.last < self._number or not self._number:
            return None
        lasts = Seal.objects.values_list("last", flat=True)
        place = bisect_left(range(1, newest.number), self._number, key=lambda number: lasts.get(number=number))
        return Seal.objects.defer("leaves").get(number=place + 1)

    def _add(self, line: Line) -> None:
        for place, part in enumerate((line.change, line.pending, line.direct)):
            self._moved[place] += part
        self._turned[line.change < 0] += abs(line.change)
        self._changes[line.kind] += line.change
        self._number = max(self._number, line.number)


def words(kind: str) -> str:
    """A kind of movement as a bookkeeper reads it."""
    return _(_WORDS[kind]) if kind in _WORDS else kind.replace("_", " ").capitalize()


def name(asked: Asked, ending: str) -> str:
    """What the file is called."""
    return f"statement-{asked.period.name}.{ending}"


def title(asked: Asked) -> str:
    """The period in words: "November 2026", "Sunday, 22 November 2026"."""
    if len(asked.period.name) == len("2026-11"):
        month = date.fromisoformat(f"{asked.period.name}-01")
        return str(format_skeleton("yMMMM", month, locale=languages.cldr()))
    return format_date(date.fromisoformat(asked.period.name), "full", locale=languages.cldr())


def heading(asked: Asked) -> str:
    """What the document is called."""
    return _("Statement %(period)s of %(shop)s") % {"period": asked.period.name, "shop": asked.shop.name}


def about(asked: Asked) -> str:
    """In what it is written, to a person."""
    return _("Amounts in %(currency)s · times of %(zone)s") % {
        "currency": asked.shop.currency,
        "zone": asked.period.zone.key,
    }


def as_of(asked: Asked) -> datetime:
    """The moment whose book is told. The same question has the same one for ever, once its answer is final."""
    return asked.until if asked.basis is Basis.RECORDED else asked.known_at


def finality(asked: Asked, now: datetime) -> str:
    """Whether this can still change, to a person."""
    if asked.final(now):
        return _("Final: the same question has this answer for ever.")
    return _("Not final yet: movements may still be added.")


def counted(telling: Telling) -> str:
    """What was told, to whoever compares two files of one period."""
    asked = telling.asked
    if asked.basis is Basis.RECORDED:
        said = ngettext(
            "%(count)s movement of %(period)s, recorded, as of %(moment)s. "
            "Opening + changes = closing, to the minor unit.",
            "%(count)s movements of %(period)s, recorded, as of %(moment)s. "
            "Opening + changes = closing, to the minor unit.",
            telling.count,
        )
    else:
        said = ngettext(
            "%(count)s movement of %(period)s, effective, as of %(moment)s. "
            "Opening + changes = closing, to the minor unit.",
            "%(count)s movements of %(period)s, effective, as of %(moment)s. "
            "Opening + changes = closing, to the minor unit.",
            telling.count,
        )
    return said % {"count": f"{telling.count:,}", "period": asked.period.name, "moment": local(asked, as_of(asked))}


def parts(available: str, pending: str, direct: str) -> str:
    """What the closing balance is made of, to a person; the amounts as they are shown."""
    return _(
        "Of the closing balance, %(available)s is available and %(pending)s still on its way. "
        "%(direct)s has reached the shop directly."
    ) % {"available": available, "pending": pending, "direct": direct}


def when(asked: Asked) -> str:
    """What the column of times is called."""
    return _("Recorded") if asked.basis is Basis.RECORDED else _("Happened")


def sealed(seal: Seal) -> str:
    """By which link of the ledger's chain it can be verified, to whoever has a published head."""
    return _("Sealed in the ledger's chain by link %(number)s: %(hash)s") % {"number": seal.number, "hash": seal.hash}


def moment(asked: Asked, line: Line) -> datetime:
    """The time by which a movement belongs to the period."""
    return line.recorded_at if asked.basis is Basis.RECORDED else line.occurred_at


def basis(asked: Asked) -> str:
    """What makes a movement belong to the period, to a person."""
    if asked.basis is Basis.RECORDED:
        return _("Movements by the time at which our book learned of them.")
    return _("Movements by the time at which they happened.")


def local(asked: Asked, moment: datetime) -> str:
    """The shop's own clock with its offset: 2026-11-22T20:00:00+08:00."""
    return moment.astimezone(asked.period.zone).isoformat(timespec="seconds")


def receipt(line: Line) -> str:
    """The address of the receipt that a movement belongs to, or an empty text."""
    return f"{settings.PUBLIC_URL}/r/{line.receipt}" if line.receipt else ""


def public(model: type[Payment | Refund | Dispute | LedgerEntry], value: UUID | None) -> str:
    """An id as the API writes it, or an empty text."""
    return ids.public(model.prefix, value) if value else ""


def reference(line: Line) -> str:
    """What a movement is traced by: its refund, its dispute, its payment, or itself."""
    return (
        public(Refund, line.refund_id)
        or public(Dispute, line.dispute_id)
        or public(Payment, line.payment_id)
        or public(LedgerEntry, line.entry_id)
    )
