"""Text messages on the screen of whoever develops: printed by the worker, and kept for ten minutes for /dev/outbox."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from django.utils import timezone
from redis.exceptions import RedisError

from merchants.bell import store
from merchants.channels.base import ChannelError

_OUTBOX = "outbox"
_KEPT = 50
_KEPT_S = 600


class ConsoleChannel:
    """Prints "SMS <phone> <text>" on the real standard output: Celery's own would mask it as a line of the journal."""

    def send(self, *, phone: str, text: str, code: str, figures: Mapping[str, str] | None = None) -> None:
        entry = {"phone": phone, "text": text, "code": code, "sent_at": timezone.now().isoformat()}
        try:
            pipeline = store().pipeline()
            pipeline.lpush(_OUTBOX, json.dumps(entry))
            pipeline.ltrim(_OUTBOX, 0, _KEPT - 1)
            pipeline.expire(_OUTBOX, _KEPT_S)
            pipeline.execute()
        except RedisError as down:
            raise ChannelError(f"the outbox cannot be written: {down}", permanent=False) from down
        print(f"SMS {phone} {text}", file=sys.__stdout__, flush=True)


def outbox() -> list[dict[str, Any]]:
    """The last messages, newest first: [{"phone", "text", "code", "sent_at"}]. Raises RedisError."""
    return [json.loads(entry) for entry in store().lrange(_OUTBOX, 0, _KEPT - 1)]
