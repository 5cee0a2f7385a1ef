"""Text messages on their way out: the row is the queue, and it is the only place where an unsent code can be read.

A row is leased by moving its `due_at` ahead, committed, and only then sent, so no lock is held while a provider thinks
and a killed worker delays a message by its lease. What is sent, refused or too old is wiped at once.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet

from merchants import bell, channels, ids, seals
from merchants.channels import Channel, ChannelError
from merchants.journal import journal
from merchants.models import TextMessage

SEND_TASK = "merchants.send_texts"
# Longer than one call to a provider can take, much shorter than the life of a code.
LEASE = timedelta(seconds=30)
# A message that failed is tried again this long after each failure, while it is of use: a code is of none much later
# than the first four, a warning to an owner for a day.
RETRY_AFTER = [timedelta(seconds=s) for s in (2, 5, 15, 45, 300, 1800, 7200, 21_600)]
ROUND_S = 15.0  # A round ends before Celery's soft limit would cut it; the sweep begins the next one.

_log = journal(__name__)


def queue(
    *,
    phone: str,
    text: str,
    code: str,
    now: datetime,
    expires_at: datetime,
    figures: Mapping[str, str] | None = None,
) -> TextMessage:
    """Keeps a message to be sent before `expires_at`, sealed; call it in the transaction of what it tells of.

    `figures` are the amounts in a text about payments, for services that send templates only.
    """
    message = TextMessage.objects.create(
        id=ids.new(now),
        phone=phone,
        sealed_body=seals.seal(json.dumps({"text": text, "code": code} | ({"figures": figures} if figures else {}))),
        due_at=now,
        expires_at=expires_at,
        created_at=now,
    )
    transaction.on_commit(lambda: bell.ring(SEND_TASK))
    return message


def has_due(*, now: datetime) -> bool:
    return TextMessage.objects.filter(state=TextMessage.State.QUEUED, due_at__lte=now).exists()


def send_due(*, now: datetime) -> int:
    """Sends what is due, one message after another, and answers how many left. Several processes share the rows."""
    began = time.monotonic()

    def moment() -> datetime:
        return now + timedelta(seconds=time.monotonic() - began)

    _end_expired(now)
    way_out = channels.channel()
    sent = 0
    while time.monotonic() - began < ROUND_S:
        message = _lease(moment())
        if message is None:
            break
        sent += _send(message, way_out, moment)
    return sent


def _end_expired(now: datetime) -> None:
    """Ends what came too late for anybody. Rows that another process holds are its own to end."""
    with transaction.atomic():
        late = TextMessage.objects.filter(state=TextMessage.State.QUEUED, expires_at__lte=now)
        ended = list(late.select_for_update(skip_locked=True).values_list("id", flat=True))
        TextMessage.objects.filter(id__in=ended).update(state=TextMessage.State.EXPIRED, sealed_body=b"")


def _lease(now: datetime) -> TextMessage | None:
    """Takes the longest waiting message that is still of use, for ourselves alone."""
    with transaction.atomic():
        due = TextMessage.objects.filter(state=TextMessage.State.QUEUED, due_at__lte=now, expires_at__gt=now)
        message = due.select_for_update(skip_locked=True).order_by("due_at").first()
        if message is not None:
            message.attempts += 1
            message.due_at = now + LEASE
            message.save(update_fields=["attempts", "due_at"])
        return message


def _send(message: TextMessage, way_out: Channel, moment: Callable[[], datetime]) -> bool:
    try:
        body = json.loads(seals.unseal(bytes(message.sealed_body)))
        way_out.send(phone=message.phone, text=body["text"], code=body["code"], figures=body.get("figures"))
    except seals.Unreadable as broken:
        _give_up(message, f"unreadable: {broken}")
        return False
    except ChannelError as refusal:
        _log.warning("text_not_sent", text=str(message.id), attempt=message.attempts, reason=refusal.reason)
        again = None if refusal.permanent else _next_try(message, moment())
        if again is None:
            _give_up(message, refusal.reason)
        else:
            _ours(message).update(due_at=again, failure=refusal.reason[:200])
        return False
    _ours(message).update(state=TextMessage.State.SENT, sent_at=moment(), sealed_body=b"", failure="")
    return True


def _next_try(message: TextMessage, now: datetime) -> datetime | None:
    if message.attempts > len(RETRY_AFTER):
        return None
    again = now + RETRY_AFTER[message.attempts - 1]
    return again if again < message.expires_at else None


def _give_up(message: TextMessage, reason: str) -> None:
    _ours(message).update(state=TextMessage.State.FAILED, sealed_body=b"", failure=reason[:200])
    _log.error("text_given_up", text=str(message.id), attempts=message.attempts, reason=reason)


def _ours(message: TextMessage) -> QuerySet[TextMessage]:
    """The row while our lease holds: a process that was slower than its lease must not undo what another did."""
    return TextMessage.objects.filter(id=message.id, state=TextMessage.State.QUEUED, attempts=message.attempts)
