"""What a phone's service worker may say without a token: that a push was heard, and where it is pushed to from now on.

Each is signed by us for that one purpose, and travels inside an encrypted push or the answer to the phone itself.
"""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from django.core import signing

_HEARD, _RENEWAL = "pushcart push heard", "pushcart push renewal"
# A push is delivered within the hour in which its payment is news; clocks and slow networks get as much again.
_HEARD_LIFE = timedelta(hours=2)


class Wrong(ValueError):
    """Not signed by us for this, or too old."""


class Heard(NamedTuple):
    """Which notice, and who heard it in which shop."""

    shop_id: UUID
    user_id: UUID
    number: int


def of_heard(heard: Heard) -> str:
    """Goes with a push: whoever has read it can say so, and nothing else."""
    return signing.dumps([heard.shop_id.hex, heard.user_id.hex, heard.number], salt=_HEARD)


def read_heard(proof: str) -> Heard:
    """Raises Wrong."""
    try:
        shop, user, number = signing.loads(proof, salt=_HEARD, max_age=_HEARD_LIFE)
    except signing.BadSignature as wrong:
        raise Wrong from wrong
    return Heard(UUID(shop), UUID(user), number)


def of_renewal(subscription_id: UUID) -> str:
    """Goes to the phone that subscribed: good for as long as the subscription is there."""
    return signing.dumps(subscription_id.hex, salt=_RENEWAL)


def read_renewal(proof: str) -> UUID:
    """The subscription's id. Raises Wrong."""
    try:
        return UUID(signing.loads(proof, salt=_RENEWAL))
    except signing.BadSignature as wrong:
        raise Wrong from wrong
