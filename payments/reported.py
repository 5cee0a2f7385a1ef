"""The one writer of reported sales: what a shop notes as paid by a wallet code of its own, `unconfirmed` for ever.

No server has told us of any of it. So it is kept beside the book and never in it: nothing here writes a payment, an
entry or a notice, and nothing of money reads it (tests/laws/test_unconfirmed.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Count, QuerySet, Sum
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from rest_framework.exceptions import PermissionDenied

from merchants import ids
from merchants.models import Shop, Staff, WalletCode
from merchants.refusals import Refused
from payments import statement
from payments.models import ReportedSale
from payments.statement import Period

STATE = "unconfirmed"
SENTENCE = gettext_noop("Noted by you. No server has confirmed any of it, and it is in none of your totals.")


@dataclass(frozen=True, slots=True)
class Noted:
    """What was noted in one currency and not withdrawn: never to be added to money."""

    amount: int
    currency: str
    count: int


def report(
    *, staff: Staff, wallet_code_id: UUID, amount: int, currency: str, note: str = "", now: datetime
) -> ReportedSale:
    """Notes a sale by one of the shop's own wallet codes. `amount` in minor units.

    Raises Refused: 400 `wallet_code_unknown`, `amount_out_of_range`, `currency_mismatch`; 409 `wallet_code_retired`.
    """
    if not 1 <= amount <= settings.AMOUNT_MAX:
        raise Refused(400, "amount_out_of_range", _("The amount is too small or too large."))
    code = WalletCode.objects.select_related("shop").filter(shop_id=staff.shop_id, id=wallet_code_id).first()
    if code is None:
        raise Refused(400, "wallet_code_unknown", _("There is no such wallet code."))
    if currency != code.shop.currency:
        raise Refused(
            400, "currency_mismatch", _("This shop sells in %(currency)s.") % {"currency": code.shop.currency}
        )
    if code.state == WalletCode.State.RETIRED:
        raise Refused(409, "wallet_code_retired", _("This wallet code is retired: nobody should pay by it."))
    return ReportedSale.objects.create(
        id=ids.new(now),
        shop_id=staff.shop_id,
        wallet_code=code,
        staff=staff,
        amount=amount,
        currency=currency,
        note=note.strip(),
        reported_at=now,
    )


def withdraw(*, staff: Staff, sale_id: UUID, now: datetime) -> ReportedSale:
    """Takes a note back on the day it was made: its row stays and counts no more. Once more changes nothing.

    Raises ReportedSale.DoesNotExist for another shop's; PermissionDenied `role_too_low` for an assistant and a note
    of somebody else; Refused 409 `day_over` on a later day of the shop's time zone.
    """
    sale = ReportedSale.objects.select_related("shop").get(shop_id=staff.shop_id, id=sale_id)
    if staff.role == Staff.Role.ASSISTANT and sale.staff_id != staff.id:
        raise PermissionDenied(_("This was noted by somebody else."), code="role_too_low")
    if sale.withdrawn_at is None:
        if sale.reported_at < day(sale.shop, "", now=now).start:
            raise Refused(409, "day_over", _("This was noted on another day, which is over. It stays as it was noted."))
        ReportedSale.objects.filter(id=sale.id, withdrawn_at=None).update(withdrawn_at=now)
        sale.refresh_from_db()
    return sale


def day(shop: Shop, name: str, *, now: datetime) -> Period:
    """The named day ("2026-11-28") of the shop's time zone, today for "". Raises statement.PeriodWrong."""
    today = now.astimezone(ZoneInfo(shop.time_zone)).date().isoformat()
    return statement.period(day=name or today, month="", zone=shop.time_zone, known_at=now)


def of_day(shop: Shop, period: Period) -> QuerySet[ReportedSale]:
    """What was noted on that day, also what was withdrawn since."""
    first, following = ids.first_of(period.start), ids.first_of(period.end)
    return ReportedSale.objects.filter(shop=shop, id__gte=first, id__lt=following)


def sums(shop: Shop, period: Period) -> list[Noted]:
    """What was noted on that day and not withdrawn, one sum for each currency."""
    counted = of_day(shop, period).filter(withdrawn_at=None).order_by("currency").values("currency")
    rows = counted.annotate(amount_sum=Sum("amount"), count=Count("id"))
    return [Noted(row["amount_sum"], row["currency"], row["count"]) for row in rows]
