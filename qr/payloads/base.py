"""What every kind of payment code is read into, and how a text that must not be written is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

# Who tells a server that a code was paid: the provider that issued it; nobody unasked, but the network answers when it
# is asked (`lookup`); nobody at all. What is `unconfirmed` is never called paid (docs/codes.md).
Confirmation = Literal["provider", "lookup", "unconfirmed"]


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong with a payload: `code` for programs, `where` the field ("54", "26.01", "am"; "" for all of it),
    `detail` one plain sentence. A `fatal` one means: do not pay by it, it cannot be what it says it is."""

    code: str
    where: str
    detail: str
    fatal: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """What a scanned text says. Empty fields are not told by it.

    `profile` names the kind ("pix", "emvco", "pushcart", "unknown" …) and `title` says it to a person ("Pix"). `payee`
    is the name that the code claims, `account` what really receives (a key, an account, an address). `amount` is in
    minor units of `currency` (ISO 4217); None when the payer enters it. `once`: made for one payment.
    """

    profile: str
    title: str
    text: str
    confirmation: Confirmation
    payee: str = ""
    account: str = ""
    city: str = ""
    country: str = ""
    amount: int | None = None
    currency: str = ""
    reference: str = ""
    once: bool | None = None
    expires_at: datetime | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    violations: tuple[Violation, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether nothing is so wrong with it that nobody should pay by it."""
        return not any(violation.fatal for violation in self.violations)


class Unwritable(ValueError):
    """A payload that must not be written: `code` and `where` as in a Violation, `detail` one plain sentence."""

    def __init__(self, code: str, where: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.where, self.detail = code, where, detail
