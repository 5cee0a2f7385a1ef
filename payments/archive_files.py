"""The files of archives: compressed lines of JSON, whose end counts them and says the hash of all before.

A file is written beside its name and brought to the disk before it gets that. Reading one proves it: whatever is not
what was written is found at its end at the latest.
"""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain as joined
from pathlib import Path
from typing import Any
from uuid import UUID

from payments.verify_chain import canonical

FORMAT = "pushcart-partition/1"


class Damaged(Exception):
    """A file that is not what was written: cut off, or changed."""


@dataclass(frozen=True, slots=True)
class Head:
    """The first line of a file."""

    table: str
    partition: str
    since: UUID | None
    until: UUID
    columns: dict[str, str]  # Names and types, in the table's order.

    def line(self) -> bytes:
        return canonical(
            {
                "archive": FORMAT,
                "table": self.table,
                "partition": self.partition,
                "since": self.since and str(self.since),
                "until": str(self.until),
                "columns": [[name, kind] for name, kind in self.columns.items()],
            }
        )


def write(file: Path, head: Head, rows: Iterable[bytes]) -> tuple[int, str]:
    """Writes beside its name, brings it to the disk, and gives it its name then; answers the rows and their hash."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial, count, digest = file.with_suffix(".partial"), 0, sha256()
    # Whoever reads it knows what every shop was paid: it is its owner's alone.
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as raw:
        with gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed:
            for count, line in enumerate(joined([head.line()], rows)):  # noqa: B007  The count is what is left of it.
                digest.update(line + b"\n")
                packed.write(line + b"\n")
            packed.write(canonical({"end": True, "rows": count, "sha256": digest.hexdigest()}) + b"\n")
        raw.flush()
        os.fsync(raw.fileno())
        os.posix_fadvise(raw.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)  # What is read back comes from the disk.
    partial.rename(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return count, digest.hexdigest()


def head_of(file: Path) -> Head:
    with _lines_of(file) as lines:
        told = _parsed(next(lines, b""), file)
    if told.get("archive") != FORMAT:
        raise Damaged(f"{file} does not begin as an archive")
    since = told.get("since")
    return Head(told["table"], told["partition"], since and UUID(since), UUID(told["until"]), dict(told["columns"]))


def read(file: Path, expected: str) -> Iterator[bytes]:
    """Its rows. Raises Damaged, at its end at the latest, for anything but what was written."""
    digest, count = sha256(), -1
    with _lines_of(file) as lines:
        for line in lines:
            if line.startswith(b'{"end":true'):
                told = _parsed(line, file)
                if (told["rows"], told["sha256"], expected) != (count, digest.hexdigest(), digest.hexdigest()):
                    raise Damaged(f"{file} was changed: its hash or its count is another")
                return
            digest.update(line + b"\n")
            count += 1
            if count:
                yield line
    raise Damaged(f"{file} has no end")


@contextmanager
def _lines_of(file: Path) -> Iterator[Iterator[bytes]]:
    """The lines of a compressed file; whatever cannot be unpacked is Damaged."""
    try:
        packed = gzip.GzipFile(file, "rb")
    except OSError as failure:
        raise Damaged(f"{file} cannot be read: {failure.strerror}") from failure
    with packed:
        yield _unpacked(packed, file)


def _unpacked(packed: gzip.GzipFile, file: Path) -> Iterator[bytes]:
    try:
        for line in packed:
            yield line.rstrip(b"\n")
    except (OSError, EOFError, zlib.error) as failure:
        raise Damaged(f"{file} cannot be unpacked: {failure}") from failure


def _parsed(line: bytes, file: Path) -> dict[str, Any]:
    try:
        told = json.loads(line)
    except ValueError as failure:
        raise Damaged(f"{file} has a line that is no JSON") from failure
    return told if isinstance(told, dict) else {}
