"""Whose notification it is: provider accounts by the address that we gave them, remembered as they were read.

One that has changed since proves what it should not, or does not prove what it should. The first is refused by the
INSERT, which compares (`payments.inbox`); after both the account is read again.
"""

from __future__ import annotations

from payments import providers
from payments.models import ProviderAccount

_REMEMBERED_MAX = 10_000  # Some kilobytes each; beyond that they are read again.

_remembered: dict[tuple[str, str], ProviderAccount] = {}


class UnknownSender(Exception):
    """No such account: `code` says what is unknown."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def remembered(provider: str, name: str) -> ProviderAccount | None:
    """The account as it was read before, without asking the database; None when it was not."""
    return _remembered.get((provider, name)) if providers.enabled(provider) else None


def read(provider: str, name: str) -> ProviderAccount:
    """The account as it is, which is remembered. Raises UnknownSender."""
    if not providers.enabled(provider):
        raise UnknownSender("unknown_provider")
    if not name.isprintable():  # PostgreSQL takes no NUL, not even to say that there is no such name.
        raise UnknownSender("unknown_account")
    # Written out, because every first notification pays for it, and the ORM's words cost more than the answer.
    found = next(iter(ProviderAccount.objects.raw(_SQL, [provider, name])), None)
    if found is None:
        raise UnknownSender("unknown_account")
    if len(_remembered) >= _REMEMBERED_MAX:
        _remembered.clear()
    _remembered[provider, name] = found
    return found


def forget(provider: str, name: str) -> None:
    """What was remembered proves nothing any more."""
    _remembered.pop((provider, name), None)


_SQL = "SELECT * FROM payments_provideraccount WHERE provider = %s AND name = %s"
