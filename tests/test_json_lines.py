"""Lists of a provider kept as a file: a line for each thing, and last how many there are."""

from __future__ import annotations

import io

import pytest

from payments.providers import json_lines
from payments.providers.base import ProviderError


def kept(*items: dict[str, object]) -> bytes:
    file = io.BytesIO()
    assert json_lines.write(items, file) == len(items)
    return file.getvalue()


def test_what_is_written_is_read() -> None:
    content = kept({"id": "a", "amount": 1}, {"id": "\ud800 \0"})
    assert content == b'{"id":"a","amount":1}\n{"id":"\\ud800 \\u0000"}\n{"lines": 2}\n'
    assert [(line.number, line.raw) for line in json_lines.read(io.BytesIO(content))] == [
        (1, {"id": "a", "amount": 1}),
        (2, {"id": "\ud800 \0"}),
    ]
    assert list(json_lines.read(io.BytesIO(kept()))) == []


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "line 0 does not add up: None lines told, -1 found"),
        (b'{"id":"a"}\n', "line 1 does not add up: None lines told"),
        (b'{"id":"a"}\n{"lines": 2}\n', "line 2 does not add up: 2 lines told, 1 found"),
        (b'{"lines": 0}\n{"id":"a"}\n', "line 2 does not add up: it stands after the count"),
        (b'{"id":"a"\n{"lines": 1}\n', "line 1 is no JSON object"),
        (b'["a"]\n{"lines": 1}\n', "line 1 is no JSON object"),
        (b"[" * 100_000 + b"\n", "line 1 is no JSON object"),
        (b'"' + b"a" * 1_048_577, "line 1 is longer than any we know"),
    ],
)
def test_a_file_that_was_cut_or_changed_gives_no_line(content: bytes, told: str) -> None:
    with pytest.raises(ProviderError) as failure:
        next(json_lines.read(io.BytesIO(content)))
    assert told in str(failure.value)


def test_the_line_that_a_check_does_not_let_through_is_named() -> None:
    def check(raw: object) -> None:
        raise KeyError("amount")

    with pytest.raises(ProviderError, match="line 1 has not the form we know"):
        next(json_lines.read(io.BytesIO(kept({"id": "a"})), check))
