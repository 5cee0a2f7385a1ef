"""Payment codes as EMVCo has merchants present them: a reader that reports what is wrong, a writer that refuses it.

Reading never raises. Writing holds to the standard's every format and limit, and to one rule more: letters beyond
Unicode's first plane are refused, because readers in JavaScript count each of them as two.
"""

from __future__ import annotations

import re
from binascii import crc_hqx
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from babel.lists import format_list
from django.utils.translation import gettext as _

from merchants import languages
from qr.payloads import amounts, emvco_fields, tlv
from qr.payloads.base import Confirmation, Reading, Unwritable, Violation
from qr.payloads.emvco_fields import ACCOUNT_TEMPLATES, AMOUNT, CITY, COUNTRY, CRC, CURRENCY, GUID, INITIATION, NAME

ONCE, AGAIN = "12", "11"
LONGEST = 512
# No QR code holds more, whatever is in it.
LONGEST_READ = 7089

_BEGINS = re.compile(r"0002[0-9]{4}|00[0-9]{2}(?:0006000001|00020101)")
_CRC = re.compile(r"[0-9A-Fa-f]{4}")


@dataclass(frozen=True)
class Payload:
    """What a text says as an EMVCo payload: its objects in their order (of an id that stands twice the first)."""

    text: str
    objects: Mapping[str, str]
    violations: tuple[Violation, ...] = ()
    crc_ok: bool = False
    _templates: dict[str, Mapping[str, str]] = field(default_factory=dict, repr=False, compare=False)

    def template(self, id_: str) -> Mapping[str, str]:
        """The objects inside a template as far as they can be read; {} when it is not there. `id_` may be a path:
        "38.01" is the template 01 inside of 38."""
        if id_ not in self._templates:
            parent, _, last = id_.rpartition(".")
            inside = self.template(parent) if parent else self.objects
            self._templates[id_] = tlv.read(inside.get(last, "")).objects
        return self._templates[id_]

    @property
    def sound(self) -> bool:
        return not any(violation.fatal for violation in self.violations)

    @property
    def currency(self) -> str:
        """Its ISO 4217 letters; "" when it names none that we know."""
        return amounts.currency_code(self.objects.get(CURRENCY, ""))

    @cached_property
    def amount(self) -> int | None:
        """In minor units; None when the payer enters it, or when what stands there is no amount (a violation)."""
        try:
            return amounts.minor_units(self.objects.get(AMOUNT, ""), self.currency) or None
        except ValueError:
            return None

    @property
    def once(self) -> bool | None:
        """Whether it is for one payment; None when it does not say."""
        return {ONCE: True, AGAIN: False}.get(self.objects.get(INITIATION, ""))

    def owned_by(self, guid: str) -> str:
        """The id of the first account template with that GUID, in large or small letters; "" when there is none."""
        for id_ in self.objects:
            if id_ in ACCOUNT_TEMPLATES and self.template(id_).get(GUID, "").lower() == guid.lower():
                return id_
        return ""


def looks_like(text: str) -> bool:
    """Whether a text begins as such a payload (or as a Thai transfer slip, which is made of the same objects)."""
    return _BEGINS.match(text.strip()) is not None


def read(text: str) -> Payload:
    """What a text says, and all that is wrong with it. Never raises."""
    trimmed = text.strip()
    violations = []
    if trimmed != text:
        violations.append(Violation("whitespace", "", _("There are spaces or lines before or after it.")))
    if len(trimmed) > LONGEST_READ:
        told = _("It has %(length)s characters; no QR code holds so many.") % {"length": len(trimmed)}
        return Payload(text, {}, (*violations, Violation("too_long", "", told, fatal=True)))
    if len(trimmed) > LONGEST:
        told = _("It has %(length)s characters; the standard allows %(longest)s.") % {
            "length": len(trimmed),
            "longest": LONGEST,
        }
        violations.append(Violation("too_long", "", told))
    found = tlv.read(trimmed)
    violations += found.violations
    crc_ok, faults = _check_sum(trimmed, found)
    violations += faults
    violations += emvco_fields.judged(found.objects)
    return Payload(text, found.objects, tuple(violations), crc_ok)


def write(objects: Mapping[str, tlv.Value], *, may_lack: Collection[str] = ()) -> str:
    """The payload of these objects, in their order, with its check sum (a 63 among them is left out).

    A template is given as its objects or as its text. `may_lack` are mandatory fields that a network leaves out.
    Raises Unwritable.
    """
    body = {id_: value for id_, value in objects.items() if id_ != CRC}
    text = tlv.write(body)
    if any(ord(letter) > 0xFFFF for letter in text):
        raise Unwritable("character", "", _("A letter in it is one that many readers count as two."))
    for violation in emvco_fields.judged(tlv.read(text).objects, may_lack):
        raise Unwritable(violation.code, violation.where, violation.detail)
    covered = f"{text}{CRC}04"
    if len(covered) + 4 > LONGEST:
        told = _("It would have %(length)s characters; %(longest)s are allowed.") % {
            "length": len(covered) + 4,
            "longest": LONGEST,
        }
        raise Unwritable("too_long", "", told)
    return covered + check_sum(covered)


def check_sum(covered: str) -> str:
    """CRC-16/CCITT-FALSE over the UTF-8 bytes of everything before it, its own id and length included."""
    return f"{crc_hqx(covered.encode('utf-8', 'surrogatepass'), 0xFFFF):04X}"


def needs_eci(text: str) -> bool:
    """Whether a QR code must say that its bytes are UTF-8 (ECI 26): when it holds more than plain Latin letters."""
    return not text.isascii()


def reading(
    payload: Payload,
    *,
    profile: str,
    title: str,
    confirmation: Confirmation,
    account: str = "",
    reference: str = "",
    expires_at: datetime | None = None,
    fields: Mapping[str, str] | None = None,
    may_lack: Collection[str] = (),
    violations: Iterable[Violation] = (),
) -> Reading:
    """A profile's reading of a payload: what every payload says, and what only that profile knows.

    `may_lack` are mandatory fields that this network leaves out: that they are missing is no violation then.
    """
    general = [one for one in payload.violations if one.code != "missing" or one.where not in may_lack]
    return Reading(
        profile=profile,
        title=title,
        text=payload.text,
        confirmation=confirmation,
        payee=payload.objects.get(NAME, ""),
        account=account,
        city=payload.objects.get(CITY, ""),
        country=payload.objects.get(COUNTRY, ""),
        amount=payload.amount,
        currency=payload.currency,
        reference=reference,
        once=payload.once,
        expires_at=expires_at,
        fields=dict(fields or {}),
        violations=(*general, *violations),
    )


def guid_violations(payload: Payload, id_: str, guid: str) -> list[Violation]:
    """That a network's name is written in other letters than it writes it itself."""
    written = payload.template(id_).get(GUID, "")
    if written == guid:
        return []
    return [
        Violation(
            "guid_case",
            f"{id_}.{GUID}",
            _("The network's name is written %(written)s instead of %(guid)s.")
            % {"written": f"{written!a}", "guid": f"{guid!a}"},
        )
    ]


def currency_violations(payload: Payload, *currencies: str) -> list[Violation]:
    """That a code asks for another money than its network moves."""
    if payload.currency in currencies or CURRENCY not in payload.objects:
        return []
    told = _("This network moves %(currencies)s only, and the code says another currency.") % {
        "currencies": _listed(currencies)
    }
    return [Violation("currency_foreign", CURRENCY, told, fatal=True)]


def _listed(names: Sequence[str]) -> str:
    return format_list(names, locale=languages.cldr())


def _check_sum(text: str, found: tlv.Found) -> tuple[bool, list[Violation]]:
    """Whether the check sum is right, and what is wrong with it or with where it stands."""
    last = next((item for item in found.items if item.id == CRC), None)
    if last is None:
        return False, [Violation("crc_missing", CRC, _("It has no check sum."), fatal=True)]
    faults = []
    if last is not found.items[-1] or not found.whole:
        told = _("More stands behind the check sum, which does not guard it.")
        faults.append(Violation("crc_not_last", CRC, told, fatal=True))
    right = check_sum(text[: last.at + 4])
    if not _CRC.fullmatch(last.value) or last.value.upper() != right:
        faults.append(
            Violation("crc_wrong", CRC, _("The check sum does not fit the text: a part was changed."), fatal=True)
        )
        return False, faults
    if last.value != right:
        faults.append(Violation("crc_lower_case", CRC, _("The check sum is written in small letters.")))
    return True, faults
