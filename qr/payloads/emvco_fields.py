"""What EMVCo allows in each field of a merchant-presented code, as one table that reader and writer share.

Source: EMV QR Code Specification for Payment Systems, Merchant-Presented Mode 1.1, tables 3.6 to 3.8 and section 4.
Ids 02 to 25 are plain values; 26 to 51, 62, 64 and 80 to 99 are templates; 65 to 79 are reserved and kept as they are.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from qr.payloads import amounts, tlv
from qr.payloads.base import Violation

FORMAT, INITIATION, CATEGORY, CURRENCY, AMOUNT = "00", "01", "52", "53", "54"
TIP, FIXED_FEE, PERCENT_FEE = "55", "56", "57"
COUNTRY, NAME, CITY, POSTAL_CODE, ADDITIONAL, CRC, LANGUAGE = "58", "59", "60", "61", "62", "63", "64"
GUID = "00"

ACCOUNTS = frozenset(f"{number:02d}" for number in range(2, 52))
ACCOUNT_TEMPLATES = frozenset(f"{number:02d}" for number in range(26, 52))
UNRESERVED = frozenset(f"{number:02d}" for number in range(80, 100))
TEMPLATES = ACCOUNT_TEMPLATES | UNRESERVED | {ADDITIONAL, LANGUAGE}
MANDATORY = (CATEGORY, CURRENCY, COUNTRY, NAME, CITY)

# Templates of payment systems inside the additional data.
_SYSTEMS = frozenset(f"{number:02d}" for number in range(50, 100))
_ANS = re.compile(r"[\x20-\x7e]*")
# They turn a name around on the screen, so that it reads as another.
_TURNS_TEXT = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_WORDS = {
    INITIATION: "way of use",
    CATEGORY: "merchant category",
    CURRENCY: "currency",
    AMOUNT: "amount",
    COUNTRY: "country",
    NAME: "name",
    CITY: "city",
}


@dataclass(frozen=True, slots=True)
class _Form:
    """How long a value may be, how it must look, and the sentence for one that does not."""

    longest: int = tlv.LONGEST_VALUE
    pattern: str = ""
    detail: str = ""
    ans: bool = True


_FIELDS = {
    INITIATION: _Form(2, "11|12", "The way of use is neither 11 (used again and again) nor 12 (for one payment)."),
    CATEGORY: _Form(4, "[0-9]{4}", "The merchant category is not four digits."),
    CURRENCY: _Form(3, "[0-9]{3}", "The currency is not three digits."),
    AMOUNT: _Form(amounts.LONGEST_AMOUNT),
    TIP: _Form(2, "0[123]", "The rule for tips is none of 01, 02 and 03."),
    FIXED_FEE: _Form(amounts.LONGEST_AMOUNT, r"(?=.*[1-9])[0-9]+(\.[0-9]*)?", "The fixed fee is not an amount."),
    PERCENT_FEE: _Form(
        5, r"(?=.*[1-9])[0-9]{1,2}(\.[0-9]{0,2})?", "The fee in percent is not between 00.01 and 99.99."
    ),
    COUNTRY: _Form(2, "[A-Z]{2}", "The country is not two capital letters."),
    NAME: _Form(25),
    CITY: _Form(15),
    POSTAL_CODE: _Form(10),
    **{id_: _Form() for id_ in ACCOUNTS},
    **{id_: _Form(ans=False) for id_ in (ADDITIONAL, LANGUAGE, *UNRESERVED)},
    **{f"{number:02d}": _Form(ans=False) for number in range(65, 80)},
}
_ADDITIONAL = {
    **{f"{number:02d}": _Form(25) for number in range(1, 9)},
    "09": _Form(
        3, r"(?!.*(.).*\1)[AME]{1,3}", "What the payer is asked for is not made of A, M and E, each at most once."
    ),
}
_LANGUAGE = {
    "00": _Form(2, "[A-Za-z]{2}", "The language is not two letters."),
    "01": _Form(25, ans=False),
    "02": _Form(15, ans=False),
}
_GUID = _Form(32)


def judged(objects: Mapping[str, str], may_lack: Collection[str] = ()) -> Iterator[Violation]:
    """What is wrong with the fields of a payload, each by itself and together; of the check sum nothing.

    `may_lack` are mandatory ids that a network leaves out.
    """
    yield from _format(objects)
    for id_, value in objects.items():
        yield from _field(id_, value)
    for id_ in MANDATORY:
        if id_ not in objects and id_ not in may_lack:
            yield Violation("missing", id_, f"The {_WORDS[id_]} is missing.")
    if not any(id_ in ACCOUNTS for id_ in objects):
        yield Violation("account_missing", "", "It names no account that money could go to.", fatal=True)
    yield from _amount(objects)
    yield from _fees(objects)


def _format(objects: Mapping[str, str]) -> Iterator[Violation]:
    version = objects.get(FORMAT)
    if version is None:
        yield Violation("format_missing", FORMAT, "It does not say that it is an EMVCo code.", fatal=True)
    elif version != "01":
        # Malaysia's DuitNow writes 02, and its codes are paid every day.
        told = f"It says version {version!a} of the format; the standard has 01."
        yield Violation("format_unknown", FORMAT, told, fatal=version != "02")
    if version is not None and next(iter(objects)) != FORMAT:
        yield Violation("format_not_first", FORMAT, "The version of the format does not stand first.")


def _field(id_: str, value: str) -> Iterator[Violation]:
    if id_ in _FIELDS:
        yield from _value(id_, value, _FIELDS[id_])
    if id_ in TEMPLATES:
        yield from _template(id_, value)


def _value(where: str, value: str, form: _Form) -> Iterator[Violation]:
    if len(value) > form.longest:
        told = f"The {_named(where)} has {len(value)} characters; {form.longest} are allowed."
        yield Violation("too_long", where, told)
    elif form.pattern and value and not re.fullmatch(form.pattern, value):
        yield Violation("malformed", where, form.detail)
    if any(letter in _TURNS_TEXT or unicodedata.category(letter) in {"Cc", "Cs", "Zl", "Zp"} for letter in value):
        yield Violation("hidden_character", where, f"The {_named(where)} has characters that nobody sees.")
    elif form.ans and not _ANS.fullmatch(value):
        yield Violation("character", where, f"The {_named(where)} has characters other than plain Latin ones.")


def _named(where: str) -> str:
    return _WORDS.get(where, f"field {where}")


def _template(id_: str, value: str) -> Iterator[Violation]:
    found = tlv.read(value, id_)
    # Some networks put a bare text where the standard wants a template of theirs; nothing is paid by those.
    money_goes_by = id_ in ACCOUNT_TEMPLATES or id_ == ADDITIONAL
    for one in found.violations:
        broken = one.code == "tlv_broken"
        yield Violation(one.code, one.where, one.detail, fatal=money_goes_by if broken else one.fatal)
    if found.whole:
        yield from _INSIDE.get(id_, _payment_system)(id_, found.objects)


def _payment_system(where: str, objects: Mapping[str, str]) -> Iterator[Violation]:
    if not objects.get(GUID):
        yield Violation("guid_missing", f"{where}.{GUID}", f"The field {where} does not say whose it is.")
    else:
        yield from _value(f"{where}.{GUID}", objects[GUID], _GUID)


def _additional(where: str, objects: Mapping[str, str]) -> Iterator[Violation]:
    for id_, value in objects.items():
        if id_ in _ADDITIONAL:
            yield from _value(f"{where}.{id_}", value, _ADDITIONAL[id_])
        elif id_ in _SYSTEMS:
            found = tlv.read(value, f"{where}.{id_}")
            for one in found.violations:
                yield Violation(one.code, one.where, one.detail)
            if found.whole:
                yield from _payment_system(f"{where}.{id_}", found.objects)


def _language(where: str, objects: Mapping[str, str]) -> Iterator[Violation]:
    for id_, named in (("00", "language"), ("01", "name")):
        if id_ not in objects:
            yield Violation("missing", f"{where}.{id_}", f"The {named} is missing where the name is said again.")
    for id_, value in objects.items():
        if id_ in _LANGUAGE:
            yield from _value(f"{where}.{id_}", value, _LANGUAGE[id_])


_INSIDE: dict[str, Callable[[str, Mapping[str, str]], Iterator[Violation]]] = {
    ADDITIONAL: _additional,
    LANGUAGE: _language,
}


def _amount(objects: Mapping[str, str]) -> Iterator[Violation]:
    told = objects.get(AMOUNT)
    currency = amounts.currency_code(objects.get(CURRENCY, ""))
    if CURRENCY in objects and not currency:
        number = objects[CURRENCY]
        yield Violation("currency_unknown", CURRENCY, f"{number!a} is no currency's number.", fatal=bool(told))
    if not told:
        return
    if not amounts.is_amount(told):
        yield Violation("amount_malformed", AMOUNT, f"The amount {told!a} is not a number of money.", fatal=True)
    elif not told.strip("0."):
        yield Violation("amount_zero", AMOUNT, "The amount is zero; where the payer says it, none should stand there.")
    elif CURRENCY not in objects:
        yield Violation("currency_missing", CURRENCY, "It asks for an amount of no currency.", fatal=True)
    elif currency:
        try:
            amounts.minor_units(told, currency)
        except ValueError:
            lost = f"The amount {told} is finer than the smallest unit of {currency}."
            yield Violation("amount_decimals", AMOUNT, lost, fatal=True)


def _fees(objects: Mapping[str, str]) -> Iterator[Violation]:
    rule = objects.get(TIP)
    for id_, wanted_by, named in ((FIXED_FEE, "02", "A fixed fee"), (PERCENT_FEE, "03", "A fee in percent")):
        if id_ in objects and rule != wanted_by:
            yield Violation("fee_unexpected", id_, f"{named} stands there, and the rule for tips does not ask for it.")
        if rule == wanted_by and id_ not in objects:
            yield Violation("fee_missing", id_, f"{named} is announced and does not stand there.")
