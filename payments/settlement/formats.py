"""Which settlement files there are, by their source: the files of a provider's account, or our bank's statements."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import IO, Any, Protocol

from payments import providers
from payments.models import BankAccount, ProviderAccount
from payments.providers.base import ProviderError, RawLine, StatementRow
from payments.settlement import bank_csv, camt053

Source = ProviderAccount | BankAccount
Read = Callable[[Mapping[str, Any]], StatementRow | None]

OF_A_BANK = {"camt053": "camt.053 (ISO 20022, version 02 or 08)", "bank_csv": "CSV in our own layout"}


class _Reader(Protocol):
    def lines(self, account: BankAccount, file: IO[bytes]) -> Iterator[RawLine]: ...
    def meaning(self, raw: Mapping[str, Any]) -> StatementRow | None: ...


_BANK: Mapping[str, _Reader] = {"camt053": camt053, "bank_csv": bank_csv}


def of(source: Source) -> Mapping[str, str]:
    """The formats of a source: name and what it is; the first is the one that is fetched, where any is."""
    return OF_A_BANK if isinstance(source, BankAccount) else providers.named(source.provider).FORMATS


def lines(source: Source, form: str, file: IO[bytes]) -> Iterator[RawLine]:
    """The rows of a file, given only when all of it adds up. Raises ProviderError, which names the line."""
    if form not in of(source):
        raise ProviderError(f"{source} has no files of the format {form[:24]!r}", permanent=True)
    if isinstance(source, BankAccount):
        return _BANK[form].lines(source, file)
    return providers.named(source.provider).lines(source, form, file)


def reader(source: Source, form: str) -> Read:
    """Which reads a row: what it says in our words, None when it moves no money. It raises UnableToRead only."""
    if isinstance(source, BankAccount):
        return _BANK[form].meaning
    return partial(providers.named(source.provider).meaning, source, form)
