"""Settlement lists that come page by page, kept as one file: a JSON object on each line, and last how many there are.

What a provider gives as an API's list is written down as it was given, so that it can be read again later, as any
settlement file can; the last line, `{"lines": 2}`, is ours, and by it a file that was cut short is known.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import IO, Any

from payments.providers.base import ProviderError, RawLine, StatementRow

_LINE_MAX = 1_048_576  # Bytes; an object with its whole history is far smaller.
_FOOTER = "lines"

Rows = Callable[[Any], Iterable[StatementRow]]


def write(items: Iterable[Mapping[str, Any]], into: IO[bytes]) -> int:
    """Writes the file; answers how many lines it has beside the last one."""
    count = 0
    for item in items:
        into.write(json.dumps(item, separators=(",", ":")).encode() + b"\n")
        count += 1
    into.write(json.dumps({_FOOTER: count}).encode() + b"\n")
    return count


def read(file: IO[bytes], check: Callable[[Mapping[str, Any]], object] = lambda raw: None) -> Iterator[RawLine]:
    """The objects, once all of them were counted and `check` has raised no ValueError, TypeError or KeyError for any.

    Raises ProviderError, which names the line, before the first is given.
    """
    for line in _lines(file):
        try:
            check(line.raw)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as failure:
            told = f"line {line.number} has not the form we know: {failure!r}"
            raise ProviderError(told[:250], permanent=False) from failure
    yield from _lines(file)


def parts(items: Iterable[Mapping[str, Any]], rows: Rows) -> Iterator[Mapping[str, Any]]:
    """For lists of payments that show beside each what became of it: the payment as it was given, and after it a line
    for each further row, which names its part of that payment."""
    for item in items:
        yield item
        yield from ({"part": _part(row), "of": item} for row in rows(item) if row.kind != "payment")


def row_of(raw: Mapping[str, Any], rows: Rows) -> StatementRow | None:
    """What such a line says; None for a payment that brought no money."""
    if "part" in raw:
        return next((row for row in rows(raw["of"]) if _part(row) == raw["part"]), None)
    return next((row for row in rows(raw) if row.kind == "payment"), None)


def _part(row: StatementRow) -> str:
    return f"{row.kind}/{row.object_id}"


def _lines(file: IO[bytes]) -> Iterator[RawLine]:
    """Every object by its line. Raises ProviderError at the end where there are not as many as the file says."""
    file.seek(0)
    number, told = 0, None
    while line := file.readline(_LINE_MAX + 1):
        number += 1
        if told is not None:
            raise ProviderError(f"line {number} does not add up: it stands after the count of lines", permanent=False)
        raw = _object(line, number)
        if set(raw) == {_FOOTER}:
            told = raw[_FOOTER]
        else:
            yield RawLine(number, raw)
    if told != number - 1:
        raise ProviderError(f"line {number} does not add up: {told} lines told, {number - 1} found", permanent=False)


def _object(line: bytes, number: int) -> dict[str, Any]:
    if len(line) > _LINE_MAX:
        raise ProviderError(f"line {number} is longer than any we know", permanent=True)
    try:
        read = json.loads(line)
    except (ValueError, RecursionError):
        read = None
    if not isinstance(read, dict):
        raise ProviderError(f"line {number} is no JSON object", permanent=False)
    return read
