"""Id, length and value as EMVCo writes them: two digits, two digits, and that many characters.

Lengths count characters, not bytes, and say 01 to 99. What cannot be read further is left where it stands: reading
never raises.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from django.utils.translation import gettext as _

from qr.payloads.base import Unwritable, Violation

LONGEST_VALUE = 99

# A text, or the objects of a template (which may hold templates again).
Value: TypeAlias = str | Mapping[str, "Value"]

# `isdigit` and `int` also take full-width digits, signs and spaces.
_HEADER = re.compile(r"[0-9]{4}")
_ID = re.compile(r"[0-9]{2}")


@dataclass(frozen=True, slots=True)
class Item:
    """One object, and at which character of the text its id begins."""

    id: str
    value: str
    at: int


@dataclass(frozen=True, slots=True)
class Found:
    """The objects that could be read, in their order, and what was wrong with them."""

    items: Sequence[Item]
    violations: Sequence[Violation]
    whole: bool

    @property
    def objects(self) -> dict[str, str]:
        """By id; of an id that stands twice the first."""
        by_id: dict[str, str] = {}
        for item in self.items:
            by_id.setdefault(item.id, item.value)
        return by_id


def read(text: str, where: str = "") -> Found:
    """The objects of a text. `where` is the path of the template that it is the value of ("" at the top)."""
    items: list[Item] = []
    violations: list[Violation] = []
    seen: set[str] = set()
    at = 0
    while at < len(text):
        header = text[at : at + 4]
        if not _HEADER.fullmatch(header):
            told = _("Where an id and a length should stand (character %(place)s) there is %(header)s.") % {
                "place": at + 1,
                "header": f"{header!a}",
            }
            return Found(items, [*violations, Violation("tlv_broken", where, told, fatal=True)], whole=False)
        id_, length = header[:2], int(header[2:])
        value = text[at + 4 : at + 4 + length]
        if len(value) < length:
            told = _("The field %(id)s says that it has %(length)s characters; %(left)s are left.") % {
                "id": id_,
                "length": length,
                "left": len(value),
            }
            return Found(items, [*violations, Violation("tlv_broken", where, told, fatal=True)], whole=False)
        if not value:
            violations.append(
                Violation("empty", path(where, id_), _("The field %(id)s is there, but empty.") % {"id": id_})
            )
        if id_ in seen:
            told = _("The field %(id)s stands there twice.") % {"id": id_}
            violations.append(Violation("duplicate_id", path(where, id_), told, fatal=True))
        seen.add(id_)
        items.append(Item(id_, value, at))
        at += 4 + length
    return Found(items, violations, whole=True)


def write(objects: Mapping[str, Value], where: str = "") -> str:
    """The text of these objects, in their order. Raises Unwritable."""
    written = []
    for id_, value in objects.items():
        place = path(where, id_)
        if not isinstance(id_, str) or not _ID.fullmatch(id_):
            raise Unwritable("id_malformed", place, _("The id %(id)s is not two digits.") % {"id": f"{id_!r}"})
        text = value if isinstance(value, str) else write(value, place)
        if not text:
            raise Unwritable("empty", place, _("The field %(place)s has nothing in it.") % {"place": place})
        if len(text) > LONGEST_VALUE:
            told = _("The field %(place)s would have %(length)s characters; %(longest_value)s are allowed.") % {
                "place": place,
                "length": len(text),
                "longest_value": LONGEST_VALUE,
            }
            raise Unwritable("too_long", place, told)
        written.append(f"{id_}{len(text):02d}{text}")
    return "".join(written)


def path(where: str, id_: str) -> str:
    """The name of a field inside a template: "62.05"."""
    return f"{where}.{id_}" if where else str(id_)
