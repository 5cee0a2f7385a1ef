"""Whether what somebody typed can be a bank account: an IBAN by its check digits, others by their country's form. Pure.

IBAN: ISO 13616 (check digits by ISO 7064, mod 97-10), lengths by the SWIFT IBAN registry. The local forms only say
what a number looks like; none of them has a check that could prove it, so a person or the bank's own name check must:

- IN: the IFSC of the branch, four letters, a zero and six more (Reserve Bank of India), and 9 to 18 digits.
- BR: the bank's ISPB (8 digits) or COMPE (3) code, then branch and account with their check digits, which each bank
  computes in its own way.
- CN: the CNAPS code of the branch (12 digits), and 8 to 30 digits.
- GB: the sort code (6 digits), and 8 digits.
- US: the routing number, whose nine digits do have a sum (ABA), and up to 17.
- Others: the BIC of the bank (ISO 9362), and up to 34 letters and digits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

_BY_LENGTH = {
    15: "NO",
    16: "BE",
    18: "AX DK FI FK FO GL NL SD",
    19: "MK SI",
    20: "AT BA EE KZ LT LU MN XK",
    21: "CH HR LI LV",
    22: "BG BH CR DE GB GE GG IE IM JE ME RS VA",
    23: "AE GI IL IQ OM SO TL",
    24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "LY PT ST",
    26: "IS TR",
    27: "BI BL DJ FR GF GP GR IT MC MF MQ MR NC PF PM RE SM TF WF YT",
    28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
    29: "BR EG PS QA UA",
    30: "JO KW MU YE",
    31: "MT SC",
    32: "LC",
    33: "RU",
}
IBAN_LENGTHS = {country: length for length, countries in _BY_LENGTH.items() for country in countries.split()}

BIC = re.compile(r"[A-Z]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?")
_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")


@dataclass(frozen=True, slots=True)
class Form:
    """How a country writes bank and account, and the ISO 20022 code of the clearing system that knows the bank's."""

    bank_code: re.Pattern[str]
    number: re.Pattern[str]
    says: str
    clearing: str


FORMS = {
    "BR": Form(
        re.compile(r"[0-9]{8}|[0-9]{3}"),
        re.compile(r"[0-9]{4}[0-9X]?/?[0-9]{1,13}[0-9X]"),
        gettext_noop(
            "Of this country we need the bank's ISPB or COMPE code, and branch and account with their check digits."
        ),
        "BRSTN",
    ),
    "CN": Form(
        re.compile(r"[0-9]{12}"),
        re.compile(r"[0-9]{8,30}"),
        gettext_noop("Of this country we need a CNAPS code of 12 digits, and 8 to 30 digits."),
        "CNAPS",
    ),
    "GB": Form(
        re.compile(r"[0-9]{6}"),
        re.compile(r"[0-9]{8}"),
        gettext_noop("Of this country we need a sort code of 6 digits, and 8 digits."),
        "GBDSC",
    ),
    "IN": Form(
        re.compile(r"[A-Z]{4}0[A-Z0-9]{6}"),
        re.compile(r"[0-9]{9,18}"),
        gettext_noop("Of this country we need an IFSC, and 9 to 18 digits."),
        "INFSC",
    ),
    "US": Form(
        re.compile(r"[0-9]{9}"),
        re.compile(r"[0-9A-Z]{4,17}"),
        gettext_noop("Of this country we need a routing number of 9 digits, and 4 to 17."),
        "USABA",
    ),
}
OTHER = Form(
    BIC,
    re.compile(r"[0-9A-Z]{4,34}"),
    gettext_noop("Of this country we need the bank's BIC, and 4 to 34 letters and digits."),
    "",
)


class Wrong(ValueError):
    """What was typed is no bank account: `field`, a code for programs, a sentence for people. No value is repeated."""

    def __init__(self, field: str, code: str, detail: str) -> None:
        super().__init__(detail)
        self.field, self.code, self.detail = field, code, detail


@dataclass(frozen=True, slots=True)
class BankNumber:
    """An account as it is kept: capitals without spaces. `bank_code` may be empty (an IBAN names its bank)."""

    scheme: str
    country: str
    bank_code: str
    number: str


def iban(typed: str, bank_code: str = "") -> BankNumber:
    """The account behind an IBAN, and its bank's BIC when one was given. Raises Wrong."""
    number, code = _plain(typed), _plain(bank_code)
    if not _IBAN.fullmatch(number):
        raise Wrong(
            "number", "iban_malformed", _("This is no IBAN: two letters, two digits, and what its country adds.")
        )
    length = IBAN_LENGTHS.get(number[:2])
    if length is None:
        raise Wrong("number", "iban_country_unknown", _("The country of this IBAN has none."))
    if len(number) != length:
        raise Wrong(
            "number",
            "iban_length_wrong",
            _("An IBAN of %(number)s has %(length)s letters and digits.") % {"number": number[:2], "length": length},
        )
    if mod97(number) != 1:
        raise Wrong("number", "iban_check_failed", _("The check digits are not right: please compare it once more."))
    if code and not BIC.fullmatch(code):
        raise Wrong("bank_code", "bank_code_malformed", _("This is no BIC: 8 or 11 letters and digits."))
    return BankNumber("iban", number[:2], code, number)


def local(country: str, bank_code: str, typed: str) -> BankNumber:
    """An account by its country's own form. Raises Wrong."""
    form, code, number = FORMS.get(country, OTHER), _plain(bank_code), _plain(typed)
    if not form.bank_code.fullmatch(code):
        raise Wrong("bank_code", "bank_code_malformed", _(form.says))
    if country == "US" and not _routes(code):
        raise Wrong("bank_code", "bank_code_check_failed", _("The routing number's digits do not add up."))
    if not form.number.fullmatch(number):
        raise Wrong("number", "number_malformed", _(form.says))
    return BankNumber("local", country, code, number)


def mod97(number: str) -> int:
    """ISO 7064: the first four to the end, letters as two digits (A is 10), modulo 97."""
    turned = number[4:] + number[:4]
    return int("".join(str(int(letter, 36)) for letter in turned)) % 97


def _plain(typed: str) -> str:
    return "".join(typed.split()).replace("-", "").upper()


def _routes(code: str) -> bool:
    """The ABA's sum: weights 3, 7, 1, and a multiple of ten."""
    return sum(int(digit) * weight for digit, weight in zip(code, (3, 7, 1) * 3, strict=True)) % 10 == 0
