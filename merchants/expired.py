"""What we must not keep for ever: old codes, dead tokens, remembered replies, the traces of texts and ended pushes."""

from __future__ import annotations

from datetime import datetime, timedelta

from merchants.models import IdempotentReply, OneTimeCode, PushSubscription, TextMessage, Token

# A client that repeats a request does so within hours; a week covers a phone that was off over a holiday.
REPLY_LIFE = timedelta(days=7)
TEXT_LIFE = timedelta(days=1)  # Long enough to answer "I never got my code".

ENDED_PUSH_LIFE = timedelta(days=7)  # Long enough for its phone to see that it must subscribe again.


def forget(*, now: datetime) -> dict[str, int]:
    """Deletes what has expired and answers how many rows of each kind."""
    waiting = TextMessage.State.QUEUED
    rows = {
        "codes": OneTimeCode.objects.filter(expires_at__lt=now),
        "tokens": Token.objects.filter(expiry__lt=now),
        "replies": IdempotentReply.objects.filter(created_at__lt=now - REPLY_LIFE),
        "texts": TextMessage.objects.exclude(state=waiting).filter(created_at__lt=now - TEXT_LIFE),
        "pushes": PushSubscription.objects.filter(ended_at__lt=now - ENDED_PUSH_LIFE),
    }
    return {kind: old.delete()[0] for kind, old in rows.items()}
