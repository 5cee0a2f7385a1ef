"""What EMVCo allows in each field of a merchant-presented code, as one table that reader and writer share.

Source: EMV QR Code Specification for Payment Systems, Merchant-Presented Mode 1.1, tables 3.6 to 3.8 and section 4.
Ids 02 to 25 are plain values; 26 to 51, 62, 64 and 80 to 99 are templates; 65 to 79 are reserved and kept as they are.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

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
# They turn a name around on the screen, so that it reads as another.
_TURNS_TEXT = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_WORDS = {
    INITIATION: gettext_noop("way of use"),
    CATEGORY: gettext_noop("merchant category"),
    CURRENCY: gettext_noop("currency"),
    AMOUNT: gettext_noop("amount"),
    COUNTRY: gettext_noop("country"),
    NAME: gettext_noop("name"),
    CITY: gettext_noop("city"),
}


@dataclass(frozen=True, slots=True)
class _Form:
    """How long a value may be, how it must look, and the sentence (in English) for one that does not."""

    longest: int = tlv.LONGEST_VALUE
    pattern: str = ""
    detail: str = ""
    ans: bool = True


_FIELDS = {
    INITIATION: _Form(
        2, "11|12", gettext_noop("The way of use is neither 11 (used again and again) nor 12 (for one payment).")
    ),
    CATEGORY: _Form(4, "[0-9]{4}", gettext_noop("The merchant category is not four digits.")),
    CURRENCY: _Form(3, "[0-9]{3}", gettext_noop("The currency is not three digits.")),
    AMOUNT: _Form(amounts.LONGEST_AMOUNT),
    TIP: _Form(2, "0[123]", gettext_noop("The rule for tips is none of 01, 02 and 03.")),
    FIXED_FEE: _Form(
        amounts.LONGEST_AMOUNT, r"(?=.*[1-9])[0-9]+(\.[0-9]*)?", gettext_noop("The fixed fee is not an amount.")
    ),
    PERCENT_FEE: _Form(
        5, r"(?=.*[1-9])[0-9]{1,2}(\.[0-9]{0,2})?", gettext_noop("The fee in percent is not between 00.01 and 99.99.")
    ),
    COUNTRY: _Form(2, "[A-Z]{2}", gettext_noop("The country is not two capital letters.")),
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
        3,
        r"(?!.*(.).*\1)[AME]{1,3}",
        gettext_noop("What the payer is asked for is not made of A, M and E, each at most once."),
    ),
}
_LANGUAGE = {
    "00": _Form(2, "[A-Za-z]{2}", gettext_noop("The language is not two letters.")),
    "01": _Form(25, ans=False),
    "02": _Form(15, ans=False),
}
_GUID = _Form(32)
_NAMED_AGAIN = {
    "00": gettext_noop("The language is missing where the name is said again."),
    "01": gettext_noop("The name is missing where the name is said again."),
}
# By the fee's field: the rule for tips that asks for it; the sentences for one that nothing asks for, and for none.
_FEES = {
    FIXED_FEE: (
        "02",
        gettext_noop("A fixed fee stands there, and the rule for tips does not ask for it."),
        gettext_noop("A fixed fee is announced and does not stand there."),
    ),
    PERCENT_FEE: (
        "03",
        gettext_noop("A fee in percent stands there, and the rule for tips does not ask for it."),
        gettext_noop("A fee in percent is announced and does not stand there."),
    ),
}


def judged(objects: Mapping[str, str], may_lack: Collection[str] = ()) -> Iterator[Violation]:
    """What is wrong with the fields of a payload, each by itself and together; of the check sum nothing.

    `may_lack` are mandatory ids that a network leaves out.
    """
    yield from _format(objects)
    for id_, value in objects.items():
        yield from _field(id_, value)
    for id_ in MANDATORY:
        if id_ not in objects and id_ not in may_lack:
            yield Violation("missing", id_, _("The %(part)s is missing.") % {"part": _named(id_)})
    if not any(id_ in ACCOUNTS for id_ in objects):
        yield Violation("account_missing", "", _("It names no account that money could go to."), fatal=True)
    yield from _amount(objects)
    yield from _fees(objects)


def _format(objects: Mapping[str, str]) -> Iterator[Violation]:
    version = objects.get(FORMAT)
    if version is None:
        yield Violation("format_missing", FORMAT, _("It does not say that it is an EMVCo code."), fatal=True)
    elif version != "01":
        # Malaysia's DuitNow writes 02, and its codes are paid every day.
        told = _("It says version %(version)s of the format; the standard has 01.") % {"version": f"{version!a}"}
        yield Violation("format_unknown", FORMAT, told, fatal=version != "02")
    if version is not None and next(iter(objects)) != FORMAT:
        yield Violation("format_not_first", FORMAT, _("The version of the format does not stand first."))


def _field(id_: str, value: str) -> Iterator[Violation]:
    if id_ in _FIELDS:
        yield from _value(id_, value, _FIELDS[id_])
    if id_ in TEMPLATES:
        yield from _template(id_, value)


def _value(where: str, value: str, form: _Form) -> Iterator[Violation]:
    if len(value) > form.longest:
        told = _("The %(part)s has %(length)s characters; %(longest)s are allowed.") % {
            "part": _named(where),
            "length": len(value),
            "longest": form.longest,
        }
        yield Violation("too_long", where, told)
    elif form.pattern and value and not re.fullmatch(form.pattern, value):
        yield Violation("malformed", where, _(form.detail))
    if value.isascii() and value.isprintable():
        return
    if any(letter in _TURNS_TEXT or unicodedata.category(letter) in {"Cc", "Cs", "Zl", "Zp"} for letter in value):
        yield Violation(
            "hidden_character", where, _("The %(part)s has characters that nobody sees.") % {"part": _named(where)}
        )
    elif form.ans:
        yield Violation(
            "character",
            where,
            _("The %(part)s has characters other than plain Latin ones.") % {"part": _named(where)},
        )


def _named(where: str) -> str:
    return _(_WORDS[where]) if where in _WORDS else _("field %(field)s") % {"field": where}


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
        yield Violation(
            "guid_missing", f"{where}.{GUID}", _("The field %(where)s does not say whose it is.") % {"where": where}
        )
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
    for id_ in ("00", "01"):
        if id_ not in objects:
            yield Violation("missing", f"{where}.{id_}", _(_NAMED_AGAIN[id_]))
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
        yield Violation(
            "currency_unknown",
            CURRENCY,
            _("%(number)s is no currency's number.") % {"number": f"{number!a}"},
            fatal=bool(told),
        )
    if not told:
        return
    if not amounts.is_amount(told):
        yield Violation(
            "amount_malformed",
            AMOUNT,
            _("The amount %(told)s is not a number of money.") % {"told": f"{told!a}"},
            fatal=True,
        )
    elif not told.strip("0."):
        yield Violation(
            "amount_zero", AMOUNT, _("The amount is zero; where the payer says it, none should stand there.")
        )
    elif CURRENCY not in objects:
        yield Violation("currency_missing", CURRENCY, _("It asks for an amount of no currency."), fatal=True)
    elif currency:
        try:
            amounts.minor_units(told, currency)
        except ValueError:
            lost = _("The amount %(told)s is finer than the smallest unit of %(currency)s.") % {
                "told": told,
                "currency": currency,
            }
            yield Violation("amount_decimals", AMOUNT, lost, fatal=True)


def _fees(objects: Mapping[str, str]) -> Iterator[Violation]:
    rule = objects.get(TIP)
    for id_, (wanted_by, unexpected, missing) in _FEES.items():
        if id_ in objects and rule != wanted_by:
            yield Violation("fee_unexpected", id_, _(unexpected))
        if rule == wanted_by and id_ not in objects:
            yield Violation("fee_missing", id_, _(missing))
