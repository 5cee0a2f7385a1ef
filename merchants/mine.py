"""What a scanned sticker is to the vendor's shop ("Is this mine?"), in a word for programs and a sentence for her."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from merchants import batches, codes, links
from merchants.models import Code, Shop

YOURS, NOT_ACTIVE, REPLACED = "yours", "yours_not_active", "yours_replaced"
ANOTHERS, BLANK, NOT_OURS = "another_shops", "blank", "not_ours"
ANSWERS = (YOURS, NOT_ACTIVE, REPLACED, ANOTHERS, BLANK, NOT_OURS)


@dataclass(frozen=True, slots=True)
class Answer:
    """`code` is told only to the shop it belongs to, and so is what replaced it, where something did."""

    answer: str
    sentence: str
    code: Code | None = None
    replaced_by: Code | None = None


def tell(*, text: str, shop: Shop, now: datetime) -> Answer:
    """What the scanned text is to this shop. Of another shop and its code nothing is told but that they are others."""
    slug = links.slug_of(text)
    if slug is None:
        return Answer(NOT_OURS, _("This is not one of our codes. Nobody pays you by it."))
    code = codes.find(slug)
    if code is None:
        return _without_a_shop(slug)
    if code.shop_id != shop.id:
        return Answer(
            ANOTHERS, _("This code belongs to another shop. If it hangs at your stall, take it off: it pays them.")
        )
    return _hers(code, now)


def _without_a_shop(slug: str) -> Answer:
    blank = batches.blank_of(slug)
    if blank is None:
        return Answer(NOT_OURS, _("We have never printed this code. Nobody pays you by it."))
    if blank.batch.voided_at is not None:
        return Answer(NOT_OURS, _("This blank code was withdrawn. Nobody can use it: throw it away."))
    return Answer(BLANK, _("This is a blank code of ours, and nobody's yet. You can make it yours."))


def _hers(code: Code, now: datetime) -> Answer:
    if code.replaced_by_id is not None:
        # The one that stands there today, however often it was replaced since.
        new = codes.latest(code)
        forwards = _("It is yours, but it was replaced. Whoever scans it is led on to the new one.")
        explains = _("It is yours, but it was replaced and takes no payments: put the new one in its place.")
        return Answer(REPLACED, forwards if code.forwards else explains, code, new)
    if code.state == Code.State.RETIRED:
        return Answer(NOT_ACTIVE, _("It is yours, but it was retired and takes no payments. Take it off."), code)
    if code.held:
        return Answer(NOT_ACTIVE, _("It is yours, but we have suspended it. Please ask us."), code)
    if code.state == Code.State.SUSPENDED:
        return Answer(NOT_ACTIVE, _("It is yours, but it is suspended and takes no payments now."), code)
    if code.expires_at is not None and code.expires_at <= now:
        return Answer(NOT_ACTIVE, _("It is yours, but it has expired."), code)
    if code.item is not None and not code.item.active:
        return Answer(NOT_ACTIVE, _("It is yours, but what it sells is not on sale now."), code)
    if code.kind == Code.Kind.ONE_TIME:
        return Answer(YOURS, _("It is yours, for one payment."), code)
    return Answer(YOURS, _("It is yours, and takes payments."), code)
