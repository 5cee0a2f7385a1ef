"""Watches the codes of shops that sell: raises an alarm when one falls silent or is only looked at, and ends it.

One look is a few questions about all shops; only what may be an alarm is weighed by itself. A silence raises one alarm:
it ends when the code is paid again, or when somebody of the shop has looked and says what she found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection, transaction
from django.db.models import Count, Sum
from django.utils.translation import gettext as _

from merchants import codes, ids, notice_words, notify
from merchants.models import Code, CodeAlarm, CodeRhythm, ScanCount, Staff
from merchants.notify import Telling
from merchants.refusals import Refused
from payments import code_rhythms, swap_alarm
from payments.code_rhythms import SILENT, SOLD_WITHIN, UNPAID_SCANS
from payments.models import Payment
from payments.swap_alarm import Missed, Rhythm

OTHERS_MAX = 200  # Codes of other shops that an unpaid one is compared with.
_HOUR = timedelta(hours=1)


def look(*, now: datetime) -> int:
    """Ends the alarms of codes that were paid again, raises those that are due, and answers how many were raised."""
    _end_resumed(now)
    asked: dict[str, Any] = {
        "sold": ids.first_of(now - SOLD_WITHIN),
        "now": now,
        "scanned": now - _HOUR,
        "least": swap_alarm.SCANS_MIN,
    }
    with connection.cursor() as cursor:
        cursor.execute(_PAID_SQL, asked)
        cursor.execute(_QUIET_SQL, asked)
        quiet = [row[0] for row in cursor.fetchall()]
        cursor.execute(_SCANNED_SQL, asked)
        quiet += [row[0] for row in cursor.fetchall()]
    return sum(_weigh(rhythm_id, now) for rhythm_id in quiet)


def answer(*, alarm: CodeAlarm, ending: str, staff: Staff, now: datetime) -> CodeAlarm:
    """What the vendor found: `fine` (this was normal), or `swapped`, which pauses the code at once.

    Raises Refused 409 `alarm_ended` when it has ended in another way. The same answer again changes nothing.
    """
    with transaction.atomic():
        current = CodeAlarm.objects.select_for_update(no_key=True, of=("self",)).get(id=alarm.id, shop=staff.shop)
        if current.ended_at is not None and current.ending != ending:
            raise Refused(409, "alarm_ended", _("This alarm has ended already."))
        if current.ended_at is None:
            current.ended_at, current.ending, current.ended_by = now, ending, staff
            current.save(update_fields=["ended_at", "ending", "ended_by"])
            if ending == CodeAlarm.Ending.SWAPPED and current.code.state == Code.State.ACTIVE:
                codes.change(code=current.code, state=Code.State.SUSPENDED, now=now)
        return CodeAlarm.objects.select_related("code__item").get(id=current.id)


def sentence(alarm: CodeAlarm) -> str:
    """What the shop is told, in one sentence."""
    return notice_words.alarm(alarm.kind, _label(alarm.code), alarm.evidence["count"])


def called(code: Code) -> str:
    """The name by which the vendor knows a code."""
    return notice_words.called(_label(code))


def _label(code: Code) -> str:
    return code.label or (code.item.name if code.item else "")


def _end_resumed(now: datetime) -> None:
    """Ends every alarm whose code was paid after it was raised."""
    still_open = CodeAlarm.objects.filter(ended_at=None).order_by("id")
    for alarm_id, code_id, raised_at in still_open.values_list("id", "code_id", "raised_at"):
        if Payment.objects.filter(intent__code_id=code_id, recorded_at__gt=raised_at).exists():
            CodeAlarm.objects.filter(id=alarm_id, ended_at=None).update(ended_at=now, ending=CodeAlarm.Ending.RESUMED)


def _weigh(rhythm_id: int, now: datetime) -> bool:
    """Looks at one silence exactly, its row locked so that two looks raise one alarm; answers whether it did."""
    with transaction.atomic():
        locked = CodeRhythm.objects.select_for_update(of=("self",), no_key=True).select_related("shop", "code__item")
        row = locked.get(id=rhythm_id)
        if row.rhythm is None or row.quiet_since is None or _told_already(row):
            return False
        rhythm = code_rhythms.loaded(row.rhythm)
        missed = _missed_payments(row) if row.kind == SILENT else _unpaid_scans(row)
        if missed is None:
            return False
        if row.kind == UNPAID_SCANS:
            rhythm = replace(rhythm, recent=rhythm.recent * _held_back(row, now))
        if not rhythm.alarming(missed):
            return False
        _raise(row, _evidence(rhythm, missed, row.quiet_since), now)
        return True


def _raise(row: CodeRhythm, evidence: Mapping[str, Any], now: datetime) -> None:
    alarm = CodeAlarm.objects.create(
        id=ids.new(now), shop=row.shop, code=row.code, kind=row.kind, evidence=evidence, raised_at=now
    )
    data = {
        "alarm": ids.public(CodeAlarm.prefix, alarm.id),
        "code": ids.public(Code.prefix, row.code_id),
        "label": _label(row.code),
        "kind": alarm.kind,
        "count": evidence["count"],
    }
    notify.tell([Telling(row.shop_id, "code_alarm", data)], now=now)
    transaction.on_commit(lambda: notify.announce([row.shop_id]))


def _told_already(row: CodeRhythm) -> bool:
    """Whether this silence has raised its alarm."""
    return CodeAlarm.objects.filter(code=row.code, kind=row.kind, raised_at__gte=row.quiet_since).exists()


def _missed_payments(row: CodeRhythm) -> Missed | None:
    """The shop's payments since the code's last one; None when the code itself was paid in between after all."""
    assert row.quiet_since is not None
    sold = code_rhythms.sales(shop=row.shop, since=row.quiet_since, after=row.last_paid)
    own = [sale for sale in sold if sale.code == row.code_id]
    if own:  # Paid while nobody looked.
        CodeRhythm.objects.filter(code=row.code).update(last_paid=own[-1].payment, quiet_since=own[-1].recorded_at)
        return None
    return code_rhythms.missed(sold, ZoneInfo(row.shop.time_zone))


def _unpaid_scans(row: CodeRhythm) -> Missed | None:
    """The scans since the hour of the code's last payment; None when it was paid in between after all."""
    if _missed_payments(row) is None:
        return None
    return code_rhythms.unpaid(_scans_since(row), ZoneInfo(row.shop.time_zone))


def _scans_since(row: CodeRhythm) -> dict[datetime, int]:
    later = ScanCount.objects.filter(code=row.code, hour__gt=row.quiet_since)
    return dict(later.values_list("hour", "scans"))


def _held_back(row: CodeRhythm, now: datetime) -> float:
    """How other shops of the same currency are paid in those hours, as part of what is usual for them."""
    hours = sorted(_scans_since(row))
    found = (
        ScanCount.objects.filter(hour__gte=hours[0], hour__lte=hours[-1], code__shop__currency=row.shop.currency)
        .exclude(code__shop=row.shop)
        .values("code_id")
        .annotate(total=Sum("scans"))
        .order_by("code_id")[:OTHERS_MAX]
    )
    scans: dict[UUID, int] = {each["code_id"]: each["total"] for each in found}
    came = (
        Payment.objects.filter(intent__code_id__in=scans, occurred_at__gte=hours[0], occurred_at__lt=hours[-1] + _HOUR)
        .values("intent__code_id")
        .annotate(count=Count("id"))
    )
    paid = {each["intent__code_id"]: float(each["count"]) for each in came}
    usual = CodeRhythm.objects.filter(code_id__in=scans, kind=UNPAID_SCANS, rhythm__isnull=False)
    pairs = []
    for code_id, kept in usual.values_list("code_id", "rhythm"):
        share = code_rhythms.loaded(kept or {}).shares[0]
        pairs.append((scans[code_id] * share[0] / share[1], paid.get(code_id, 0.0)))
    return swap_alarm.held_back(pairs)


def _evidence(rhythm: Rhythm, missed: Missed, since: datetime) -> dict[str, Any]:
    """The figures on which it was raised."""
    paid, count = (sum(share[place] for share in rhythm.shares.values()) for place in (0, 1))
    return {
        "since": since.isoformat(),
        "count": sum(sum(blocks.values()) for blocks in missed.values()),
        "days": len(missed),
        "usual_percent": round(100 * paid / count),
        "surprise": round(rhythm.surprise(missed), 1),
        "bar": round(rhythm.bar, 1),
        "by_days": round(rhythm.by_days(missed), 1),
        "bar_by_days": round(rhythm.bar_by_days, 1),
    }


# What was paid since the last looks.
_PAID_SQL = """
UPDATE merchants_coderhythm rhythm SET last_paid = newest.id, quiet_since = newest.recorded_at
  FROM (SELECT DISTINCT ON (intent.code_id) intent.code_id, payment.id, payment.recorded_at
          FROM payments_payment payment JOIN payments_paymentintent intent ON intent.id = payment.intent_id
         WHERE payment.id >= %(sold)s
         ORDER BY intent.code_id, payment.id DESC) AS newest
 WHERE rhythm.code_id = newest.code_id AND rhythm.last_paid < newest.id
"""

_CAN_BE_PAID = """
  JOIN merchants_shop shop ON shop.id = rhythm.shop_id AND shop.state = 'active'
  JOIN merchants_code code ON code.id = rhythm.code_id AND code.state = 'active'
       AND (code.expires_at IS NULL OR code.expires_at > %(now)s)
  LEFT JOIN merchants_item item ON item.id = code.item_id
 WHERE rhythm.least IS NOT NULL AND (code.item_id IS NULL OR (item.active AND item.deleted_at IS NULL))
   AND NOT EXISTS (SELECT FROM merchants_codealarm alarm
                    WHERE alarm.code_id = rhythm.code_id AND alarm.kind = rhythm.kind
                      AND (alarm.ended_at IS NULL OR alarm.raised_at >= rhythm.quiet_since))
"""

# Codes of shops that have just sold, past which as many payments have gone as an alarm needs at least.
_QUIET_SQL = f"""
SELECT rhythm.id
  FROM (SELECT DISTINCT shop_id FROM payments_payment WHERE id >= %(sold)s AND shop_id IS NOT NULL) AS sold
  JOIN merchants_coderhythm rhythm ON rhythm.shop_id = sold.shop_id AND rhythm.kind = 'silent'
{_CAN_BE_PAID}
   AND EXISTS (SELECT FROM payments_payment other
                WHERE other.shop_id = rhythm.shop_id AND other.id > rhythm.last_paid
                ORDER BY other.id DESC OFFSET rhythm.least - 1 LIMIT 1)
 ORDER BY rhythm.id
"""  # noqa: S608  All of it stands here.

# Codes that were scanned in this hour or the last, as often since their last payment as an alarm needs at least.
_SCANNED_SQL = f"""
SELECT DISTINCT rhythm.id
  FROM merchants_scancount recent
  JOIN merchants_coderhythm rhythm ON rhythm.code_id = recent.code_id AND rhythm.kind = 'unpaid_scans'
{_CAN_BE_PAID}
   AND recent.hour >= %(scanned)s
   AND (SELECT sum(scans) FROM merchants_scancount each
         WHERE each.code_id = rhythm.code_id AND each.hour > rhythm.quiet_since) >= greatest(rhythm.least, %(least)s)
 ORDER BY rhythm.id
"""  # noqa: S608  All of it stands here.
