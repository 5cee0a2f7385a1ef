"""What a provider reads as our answer: its own words for "kept" and "not kept", or a problem document."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from payments import providers
from payments.providers.base import Reply

RETRY_AFTER_S = 5  # After trouble of ours: long enough for a database to restart, and no provider gives up so soon.


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; `headers` holds the type of the body and, for trouble of ours, when to come again."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


def kept(provider: str) -> Answer:
    reply = providers.named(provider).acknowledge()
    return Answer(reply.status, reply.body, {"Content-Type": reply.content_type})


def not_kept(provider: str, code: str, status: int) -> Answer:
    """The refusal in the provider's own form where it has one, else as a problem; 503 asks it to come again."""
    reply = providers.named(provider).acknowledge(code) if providers.enabled(provider) else Reply(400)
    again = {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else {}
    if reply.body:
        return Answer(status, reply.body, {"Content-Type": reply.content_type, **again})
    problem = {
        "type": f"urn:pushcart:problem:{code}",
        "title": "The notification was not accepted.",
        "status": status,
        "detail": "Come again later." if status == 503 else "Nothing was stored.",
        "code": code,
    }
    return Answer(status, json.dumps(problem).encode(), {"Content-Type": "application/problem+json", **again})
