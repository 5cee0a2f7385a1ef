"""Reads an export of the ledger, with nothing but Python's own library, and names the first row that is not as sealed.

    python -m payments.verify_chain EXPORT [--head HASH]… [--heads FILE]

This one file can be copied to any machine: it asks no database and reads no settings. An export is lines of JSON: each
seal follows the entries that it covers. Whoever may rewrite everything in the database can write seals anew, too; that
is found by a head that has left the database before, which is what `--head` and `--heads` are for.

A seal holds for each of its entries, in order, the entry's id and the SHA-256 of its line (48 bytes together). Its own
hash is the SHA-256 of its fields, with the SHA-256 of those bytes and the hash of the seal before it among them.

Exit: 0 everything is as sealed, 1 something is not, 2 the file is no export that can be read.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

NOTHING_BEFORE = "0" * 64  # What the first seal says of the one before it.
EXPORT = "pushcart ledger, form 1"  # The first line of an export says so,
EXPORT_FROM = "pushcart ledger, form 2"  # or so, when it leaves out what is in archives.
LEAF_BYTES = 48


class Broken(Exception):
    """Something is not as it was sealed; the sentence names the first row."""


class Unreadable(Exception):
    """The file is no export, or not a whole one; the sentence says where that shows."""


@dataclass(frozen=True, slots=True)
class Seal:
    """One link of the chain over `entries` entries, numbered from `first` to `last`; `total` counts from the start."""

    seal: int
    previous: str
    first: int
    last: int
    entries: int
    total: int
    sealed_at: str
    leaves: bytes

    @property
    def hash(self) -> str:
        fields = {name: getattr(self, name) for name in self.__slots__ if name != "leaves"}
        return sha256(canonical({**fields, "leaves": sha256(self.leaves).hexdigest()})).hexdigest()

    def line(self, stored_hash: str) -> bytes:
        """The seal in an export, with the hash that stands beside it in the database."""
        fields = {name: getattr(self, name) for name in self.__slots__ if name != "leaves"}
        return canonical({**fields, "leaves": base64.b64encode(self.leaves).decode(), "hash": stored_hash})


@dataclass(frozen=True, slots=True)
class Head:
    """A head of the chain that was published: the hash, and of which seal and when, where that is known."""

    hash: str
    seal: int | None = None
    at: str = ""


@dataclass(slots=True)
class Proof:
    """What was read and holds: `unsealed` of the entries stand behind the newest seal, and nothing proves those yet.

    `archived` entries are sealed with ids before `since`, and the export leaves them out.
    """

    entries: int = 0
    archived: int = 0
    since: UUID | None = None
    seals: int = 0
    unsealed: int = 0
    head: str = NOTHING_BEFORE
    last: int = 0


def canonical(fields: Mapping[str, object]) -> bytes:
    """The one form of a record: JSON in ASCII, names sorted, no spaces; what is empty is left out.

    So a column that is added one day leaves the entries from before it as they were sealed.
    """
    told = {name: value for name, value in fields.items() if value is not None}
    return json.dumps(told, sort_keys=True, separators=(",", ":")).encode()


def leaf(entry_id: UUID, line: bytes) -> bytes:
    """What a seal keeps of an entry, whose canonical line this is."""
    return entry_id.bytes + sha256(line).digest()


def verify(path: Path, heads: Sequence[Head] = ()) -> Proof:
    """Reads a whole export. Raises Broken with the first row that is not as sealed, Unreadable for what is no export.

    Memory holds the entries of one seal, 48 bytes for each.
    """
    reading = _Reading(path, heads)
    with path.open("rb") as lines:
        opening = _object(next(lines, b""), 1)
        if opening.get("export") not in (EXPORT, EXPORT_FROM):
            raise Unreadable(f"line 1 does not say “{EXPORT}”")
        if opening["export"] == EXPORT_FROM:
            reading.proof.since = _id(opening, "since", 1)
        for line_number, line in enumerate(lines, 2):
            if reading.ended:
                raise Unreadable(f"line {line_number} follows the end")
            reading.take(line.removesuffix(b"\n"), line_number)
    return reading.finish()


def heads_in(path: Path) -> list[Head]:
    """The heads of a file as Pushcart publishes it: a JSON object a line with `hash`, `seal` and `at`."""
    found = []
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            told = _object(line, number)
            found.append(Head(_text(told, "hash", number), _whole(told, "seal", number), _text(told, "at", number)))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="verify_chain", description="Verifies an export of Pushcart's ledger.")
    parser.add_argument("export", type=Path, metavar="EXPORT")
    parser.add_argument("--head", action="append", default=[], metavar="HASH", help="a hash that was published")
    parser.add_argument("--heads", type=Path, metavar="FILE", help="a kept copy of the file of published heads")
    asked = parser.parse_args(arguments)
    try:
        heads = [Head(text.strip().lower()) for text in asked.head] + (heads_in(asked.heads) if asked.heads else [])
        proof = verify(asked.export, heads)
    except Broken as broken:
        sys.stdout.write(f"BROKEN  {broken}\n")
        return 1
    except (Unreadable, OSError) as failure:
        sys.stderr.write(f"not readable as an export: {failure}\n")
        return 2
    sys.stdout.write(
        f"holds   {proof.entries - proof.unsealed} entries in {proof.seals} seals, up to number {proof.last}\n"
        f"head    {proof.head}\n"
        f"found   {len(heads)} published heads in this chain\n"
        f"beyond  {proof.unsealed} entries are newer than the newest seal and not proved yet\n"
    )
    if proof.since:
        sys.stdout.write(
            f"apart   {proof.archived} sealed entries from before {_moment_of(proof.since)} are in archives\n"
        )
    if not heads:
        sys.stdout.write(
            "note    without a published head nobody can tell whether the seals themselves are the first\n"
        )
    return 0


# --- Reading ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Reading:
    """Where the reading of an export stands: the chain so far, and the entries since its newest seal."""

    path: Path
    heads: Sequence[Head]
    proof: Proof = field(default_factory=Proof)
    leaves: bytearray = field(default_factory=bytearray)
    begins_at: int = 2  # The line of the first entry since the newest seal.
    newest_number: int = 0
    too_late_at: int = 0  # The first line whose number is not above the one before it.
    found: set[str] = field(default_factory=set)  # The published heads that are in this chain,
    proved_up_to: int = 0  # and the last entry that the newest of them proves.
    ended: bool = False

    def take(self, line: bytes, line_number: int) -> None:
        told = _object(line, line_number)
        if "seal" in told:
            self._take_seal(told, line_number)
        elif "id" in told:
            self._take_entry(told, line, line_number)
        elif "end" in told:
            self._compare_end(told, line_number)
        else:
            raise Unreadable(f"line {line_number} is neither an entry nor a seal")

    def finish(self) -> Proof:
        if not self.ended:
            raise Unreadable("the file stops before its end")
        if self.too_late_at:
            raise Broken(f"{self._entry_at(self.too_late_at)} stands behind an entry with a higher number")
        self.proof.unsealed = len(self.leaves) // LEAF_BYTES
        for head in self.heads:
            if head.hash not in self.found:
                raise Broken(f"{_shown(head)} is not in this chain, which ends with seal {self.proof.seals}")
        return self.proof

    def _take_entry(self, told: dict[str, Any], line: bytes, line_number: int) -> None:
        entry_id = _id(told, "id", line_number)
        if self.proof.since and entry_id < self.proof.since:
            raise Unreadable(f"line {line_number} has an entry that the export says it leaves out")
        if not self.leaves:
            self.begins_at = line_number
        number = _whole(told, "number", line_number)
        if number <= self.newest_number:
            self.too_late_at = self.too_late_at or line_number
        self.newest_number = number
        self.leaves += leaf(entry_id, line)
        self.proof.entries += 1

    def _take_seal(self, told: dict[str, Any], line_number: int) -> None:
        seal = _seal(told, line_number)
        name = f"seal {seal.seal} (line {line_number})"
        if seal.seal != self.proof.seals + 1:
            raise Broken(f"{name} stands where seal {self.proof.seals + 1} belongs")
        if seal.hash != _text(told, "hash", line_number):
            raise Broken(f"{name} was changed: its hash is not that of what it says")
        if seal.previous != self.proof.head:
            raise Broken(
                f"seal {self.proof.seals} was rewritten: {name} was made upon another one with the hash {seal.previous}"
                if self.proof.seals
                else f"{name} says that another came before it"
            )
        expected = self._left_in(seal.leaves)
        if self.leaves != expected:
            raise Broken(self._first_difference(seal, expected))
        for head in self.heads:
            if head.seal == seal.seal and head.hash != seal.hash:
                raise Broken(
                    f"{name} is not the one of {_shown(head)}: from behind entry number {self.proved_up_to} on, "
                    "entries were rewritten together with their seals"
                )
        self.proof.seals, self.proof.head, self.proof.last = seal.seal, seal.hash, seal.last
        if any(head.hash == seal.hash for head in self.heads):
            self.found.add(seal.hash)
            self.proved_up_to = seal.last
        self.leaves.clear()
        self.begins_at = line_number + 1

    def _compare_end(self, told: dict[str, Any], line_number: int) -> None:
        self.ended = True
        for name, counted in (("entries", self.proof.entries), ("seals", self.proof.seals)):
            if told.get(name) != counted:
                raise Unreadable(f"line {line_number} speaks of {told.get(name)} {name}, and {counted} stand here")

    def _left_in(self, leaves: bytes) -> bytes:
        """Those of the leaves whose entries the export holds; the others are counted."""
        since = self.proof.since
        if since is None:
            return leaves
        starts = range(0, len(leaves), LEAF_BYTES)
        here = b"".join(leaves[at : at + LEAF_BYTES] for at in starts if leaves[at : at + 16] >= since.bytes)
        self.proof.archived += (len(leaves) - len(here)) // LEAF_BYTES
        return here

    def _first_difference(self, seal: Seal, expected: bytes) -> str:
        """Names the first row in which the entries found differ from those of the sealed that should be here."""
        sealed, found = _leaves(expected), _leaves(bytes(self.leaves))
        place = next((n for n, pair in enumerate(zip(sealed, found, strict=False)) if pair[0] != pair[1]), None)
        place = min(len(sealed), len(found)) if place is None else place
        there = self._entry_at(self.begins_at + place)
        if place == len(sealed):
            return f"{there} was added to what seal {seal.seal} covers"
        missing = sealed[place][0]
        if place == len(found):
            return f"entry {missing} was removed from the end of what seal {seal.seal} covers"
        here = found[place][0]
        if here == missing:
            return f"{there} was changed after seal {seal.seal} was set"
        was_sealed = here in {entry_id for entry_id, _digest in sealed}
        is_found = missing in {entry_id for entry_id, _digest in found}
        if was_sealed and is_found:
            return f"{there} was moved: seal {seal.seal} has entry {missing} there"
        if was_sealed:
            return f"entry {missing} was removed: seal {seal.seal} has it before {there}"
        if is_found:
            return f"{there} was added to what seal {seal.seal} covers"
        return f"{there} was put in the place of entry {missing}, which seal {seal.seal} covers"

    def _entry_at(self, line_number: int) -> str:
        """The entry of that line as a person can look it up."""
        with self.path.open("rb") as lines:
            told = _object(next(islice(lines, line_number - 1, None), b""), line_number)
        return f"entry {told.get('id')} (number {told.get('number')}, key {told.get('key')}, line {line_number})"


def _leaves(joined: bytes) -> list[tuple[UUID, bytes]]:
    starts = range(0, len(joined), LEAF_BYTES)
    return [(UUID(bytes=joined[at : at + 16]), joined[at + 16 : at + LEAF_BYTES]) for at in starts]


def _seal(told: dict[str, Any], line_number: int) -> Seal:
    try:
        leaves = base64.b64decode(_text(told, "leaves", line_number), validate=True)
    except binascii.Error:
        leaves = b"?"
    if len(leaves) % LEAF_BYTES:
        raise Unreadable(f"line {line_number} has no leaves that can be read")
    seal, first, last, entries, total = (
        _whole(told, name, line_number) for name in ("seal", "first", "last", "entries", "total")
    )
    previous, sealed_at = (_text(told, name, line_number) for name in ("previous", "sealed_at"))
    return Seal(seal, previous, first, last, entries, total, sealed_at, leaves)


def _shown(head: Head) -> str:
    return f"the head {head.hash}" + (f" that was published at {head.at} for seal {head.seal}" if head.at else "")


def _object(line: bytes, line_number: int) -> dict[str, Any]:
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise Unreadable(f"line {line_number} is not a JSON object")
    return told


def _text(told: dict[str, Any], name: str, line_number: int) -> str:
    if not isinstance(told.get(name), str):
        raise Unreadable(f"line {line_number} has no text “{name}”")
    return str(told[name])


def _id(told: dict[str, Any], name: str, line_number: int) -> UUID:
    try:
        return UUID(_text(told, name, line_number))
    except ValueError:
        raise Unreadable(f"line {line_number} has no {name} that can be read") from None


def _moment_of(entry_id: UUID) -> str:
    return datetime.fromtimestamp((entry_id.int >> 80) / 1000, UTC).isoformat()


def _whole(told: dict[str, Any], name: str, line_number: int) -> int:
    if type(told.get(name)) is not int:
        raise Unreadable(f"line {line_number} has no whole number “{name}”")
    return int(told[name])


if __name__ == "__main__":
    sys.exit(main())
