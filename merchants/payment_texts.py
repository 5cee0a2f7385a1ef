"""The text of last resort: a person who asked for it is told by SMS what no phone of hers has heard within a minute.

Nothing is written when money is posted: the notice is the message and her row is the queue, as with pushes. Under that
row's lock it is decided what is texted, and `judged` moves on in the transaction that queues the text: of each payment
one text is asked for, whoever is killed, and whatever her phones say at the same moment.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from datetime import time as clock
from itertools import takewhile
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext as _

from merchants import channels, limits, money, phones, push_words, texts
from merchants.models import Notice, NoticeCounter, PaymentTexts, Staff, Token
from merchants.push_proofs import Heard
from merchants.pushing import NEWS_FOR
from merchants.quiet_hours import is_quiet
from merchants.refusals import Refused

TELL_TASK = "merchants.text_payments"
HEARD_WITHIN = timedelta(seconds=60)  # A phone in a pocket answers a push in seconds.
TEXT_LIFE = timedelta(minutes=15)  # Goods are handed over by then, or not at all.
ROUND_S = 15.0
_LOOKED_AT = 200  # Notices of a shop in one look.

# One payment, several, and what the last text of a day adds. No name and no word of the shop's own is in them: phones
# make links of what looks like an address.
_SAYS = {
    "en": (
        "Received {amount}. None of your phones has heard of it yet.",
        "Received {amount} in {count} payments. None of your phones has heard of them yet.",
        " This is today's last text.",
    ),
    "zh": (
        "收款 {amount}。您的手机都还没有收到通知。",
        "收款 {count} 笔，共 {amount}。您的手机都还没有收到通知。",
        "这是今天的最后一条短信。",
    ),
    "hi": (
        "{amount} मिले। आपके किसी फ़ोन को अभी तक इसकी सूचना नहीं मिली।",
        "{count} भुगतानों में {amount} मिले। आपके किसी फ़ोन को अभी तक इनकी सूचना नहीं मिली।",
        " यह आज का आख़िरी संदेश है।",
    ),
    "pt": (
        "Recebido: {amount}. Nenhum dos seus telefones foi avisado ainda.",
        "Recebido: {amount} em {count} pagamentos. Nenhum dos seus telefones foi avisado ainda.",
        " Este é o último SMS de hoje.",
    ),
    "vi": (
        "Đã nhận {amount}. Chưa điện thoại nào của bạn nhận được thông báo.",
        "Đã nhận {amount} từ {count} khoản thanh toán. Chưa điện thoại nào của bạn nhận được thông báo.",
        " Đây là tin nhắn cuối cùng của hôm nay.",
    ),
    "ar": (
        "استلمت {amount}. لم يصل الإشعار إلى أي من هواتفك بعد.",
        "استلمت {amount} (عدد الدفعات: {count}). لم يصل الإشعار إلى أي من هواتفك بعد.",
        " هذه آخر رسالة اليوم.",
    ),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """When a person wants a text: for payments from an amount on, so many a day at most, not in quiet hours."""

    language: str
    from_amount: int
    a_day: int
    quiet_from: clock | None
    quiet_until: clock | None


def is_offered() -> bool:
    return settings.PAYMENT_TEXTS_A_DAY_MAX > 0 and channels.can_tell_payments()


def of(staff: Staff) -> PaymentTexts | None:
    return PaymentTexts.objects.filter(staff=staff).first()


def ask(*, staff: Staff, asked: Asked, now: datetime) -> PaymentTexts:
    """Texts her of what is not heard, from the next payment on; asked again, it changes what she asked for.

    Raises Refused: 409 `texts_unavailable`, 400 `country_not_served`.
    """
    if not is_offered():
        raise Refused(409, "texts_unavailable", _("Texts about payments are not sent here."))
    if phones.mobile(staff.user.phone).country not in settings.SMS_COUNTRIES:
        raise Refused(400, "country_not_served", _("Texts are not sent to phones of this country yet."))
    wanted = {
        "language": asked.language,
        "from_amount": asked.from_amount,
        "a_day": min(asked.a_day, settings.PAYMENT_TEXTS_A_DAY_MAX),
        "quiet_from": asked.quiet_from,
        "quiet_until": asked.quiet_until,
    }
    begun = {"judged": NoticeCounter.objects.get(shop_id=staff.shop_id).last, "created_at": now}
    row, _is_new = PaymentTexts.objects.update_or_create(
        staff=staff, defaults=wanted, create_defaults={**wanted, **begun}
    )
    return row


def end(*, staff: Staff) -> None:
    """Texts her no more. Ending twice changes nothing."""
    PaymentTexts.objects.filter(staff=staff).delete()


def heard_up_to(*, token: Token, number: int) -> None:
    """A page of hers was told every notice up to this number. What is still to come cannot be heard before."""
    number = min(number, NoticeCounter.objects.get(shop_id=token.shop_id).last)
    rows = PaymentTexts.objects.filter(staff__user_id=token.user_id, staff__shop_id=token.shop_id)
    rows.filter(heard__lt=number).update(heard=number)


def heard_one(heard: Heard) -> None:
    """A phone of hers showed this one notice."""
    with connection.cursor() as cursor:
        cursor.execute(_HEARD_ONE_SQL, [heard.number, heard.shop_id, heard.user_id, heard.number, heard.number])


def has_due(*, now: datetime) -> bool:
    return is_offered() and _due(now).exists()


def tell_due(*, now: datetime) -> int:
    """Decides about what has had its minute, person by person; answers how many texts were queued."""
    if not is_offered():
        return 0
    began = time.monotonic()
    queued = 0
    looked: list[UUID] = []
    while time.monotonic() - began < ROUND_S:
        with transaction.atomic():
            due = _due(now).exclude(pk__in=looked).select_related("staff__shop", "staff__user").order_by("pk")
            row = due.select_for_update(of=("self",), skip_locked=True).first()
            if row is None:
                break
            looked.append(row.pk)
            queued += _judge(row, now)
    return queued


def _due(now: datetime) -> QuerySet[PaymentTexts]:
    """Who has notices above the last judged that have had their minute. Asked every few seconds over all of them."""
    shop = OuterRef("staff__shop_id")
    more = NoticeCounter.objects.filter(shop_id=shop, last__gt=OuterRef("judged"))
    late = Notice.objects.filter(shop_id=shop, number__gt=OuterRef("judged"), created_at__lte=now - HEARD_WITHIN)
    return PaymentTexts.objects.filter(Exists(more), Exists(late))


def _judge(row: PaymentTexts, now: datetime) -> bool:
    """Texts what she is to be told, all in one, and passes over the rest for good. Its row is locked."""
    above = Notice.objects.filter(shop_id=row.staff.shop_id, number__gt=row.judged).order_by("number")[:_LOOKED_AT]
    late = list(takewhile(lambda notice: notice.created_at <= now - HEARD_WITHIN, above))
    if not late:
        return False
    wanted = [notice for notice in late if _wanted(row, notice, now)]
    today = now.astimezone(ZoneInfo(row.staff.shop.time_zone)).date()
    sent = row.sent if row.day == today else 0
    allowed = min(row.a_day, settings.PAYMENT_TEXTS_A_DAY_MAX) - sent
    tells = bool(wanted) and allowed > 0 and _belongs(row, now) and limits.may_text(row.staff.user.phone)
    changed: dict[str, Any] = {"day": today, "sent": sent + 1} if tells else {}
    if tells:
        _queue(row, wanted, is_last=allowed == 1, now=now)
    judged = late[-1].number
    apart = [number for number in row.heard_apart if number > max(judged, row.heard)]
    PaymentTexts.objects.filter(pk=row.pk).update(judged=judged, heard_apart=apart, **changed)
    return tells


def _wanted(row: PaymentTexts, notice: Notice, now: datetime) -> bool:
    if notice.kind != push_words.RECEIVED or notice.created_at + NEWS_FOR <= now:
        return False
    if notice.number <= row.heard or notice.number in row.heard_apart:
        return False
    amount = notice.data["amount"]
    shop = row.staff.shop
    if amount["currency"] != shop.currency or amount["amount"] < row.from_amount:
        return False
    return not is_quiet(begin=row.quiet_from, end=row.quiet_until, zone=shop.time_zone, now=now)


def _belongs(row: PaymentTexts, now: datetime) -> bool:
    """Whether she is signed in on any phone: a number that has gone to somebody else learns nothing."""
    tokens = Token.objects.filter(user_id=row.staff.user_id, shop_id=row.staff.shop_id)
    return row.staff.user.is_active and tokens.filter(Q(expiry=None) | Q(expiry__gt=now)).exists()


def _queue(row: PaymentTexts, notices: Sequence[Notice], *, is_last: bool, now: datetime) -> None:
    total = sum(notice.data["amount"]["amount"] for notice in notices)
    amount = money.shown(total, row.staff.shop.currency, row.language)
    one, several, last = _SAYS[row.language]
    said = (one if len(notices) == 1 else several).format(amount=amount, count=len(notices))
    texts.queue(
        phone=row.staff.user.phone,
        text=f"Pushcart: {said}{last if is_last else ''}",
        code="",
        figures={"amount": amount, "count": str(len(notices))},
        now=now,
        expires_at=now + TEXT_LIFE,
    )


_HEARD_ONE_SQL = """
UPDATE merchants_paymenttexts AS texts SET heard_apart = array_append(heard_apart, %s::bigint)
FROM merchants_staff AS staff
WHERE staff.id = texts.staff_id AND staff.shop_id = %s AND staff.user_id = %s
AND %s > GREATEST(texts.heard, texts.judged) AND NOT texts.heard_apart @> ARRAY[%s::bigint]
"""
