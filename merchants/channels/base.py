"""What a channel for text messages is, and how it says that a message did not leave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class ChannelError(Exception):
    """The other side did not take the message. `permanent`: asking again cannot help (a wrong number)."""

    def __init__(self, reason: str, *, permanent: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.permanent = permanent


class Channel(Protocol):
    """Sends one text message; returns when the other side has taken it."""

    def send(self, *, phone: str, text: str, code: str, figures: Mapping[str, str] | None = None) -> None:
        """`phone` in E.164; `text` is the whole message, `code` the digits in it, for services with templates.

        `figures` (`amount`, `count`) are in a text about payments, and in no other.

        Raises ChannelError. Ends within settings.OUTWARD_TIMEOUT_S.
        """
        ...
