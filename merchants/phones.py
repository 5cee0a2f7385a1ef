"""Phone numbers: what a person typed becomes E.164, and only numbers that can receive a text are taken.

Parsing and numbering plans come from Google's libphonenumber (phonenumberslite). Numbers must be written
internationally ("+86 138 0013 8000"): a server cannot know which country a bare number is of.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

import phonenumbers
from django.utils.translation import gettext as _
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from merchants.refusals import Refused

# Some plans (the United States, Mexico) do not tell mobile numbers from fixed ones.
_CAN_RECEIVE_TEXTS = {PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE}
_PREFIX_DIGITS = 4  # Operators hand out numbers to resellers in blocks; these digits behind the country name one.
_LONGEST = 40


@dataclass(frozen=True, slots=True)
class Phone:
    """A mobile number: `e164` ("+8613800138000"), `country` (ISO 3166, "CN"), `prefix` ("86-1380")."""

    e164: str
    country: str
    prefix: str


def mobile(text: str) -> Phone:
    """The mobile number that was typed, in digits of any script.

    Raises Refused 400: `phone_invalid` for what is no number in use, `phone_not_mobile` for landlines, premium and
    shared-cost numbers, pagers, VoIP and whatever else cannot be a person's phone.
    """
    try:
        number = phonenumbers.parse(text if len(text) <= _LONGEST else "", None)
    except phonenumbers.NumberParseException:
        number = None
    if number is None or not phonenumbers.is_valid_number(number) or number.extension:
        raise Refused(400, "phone_invalid", _("This is not a phone number. Write it with + and the country's code."))
    if phonenumbers.number_type(number) not in _CAN_RECEIVE_TEXTS:
        raise Refused(400, "phone_not_mobile", _("Codes are sent to mobile phones only."))
    national = phonenumbers.national_significant_number(number)
    return Phone(
        e164=phonenumbers.format_number(number, PhoneNumberFormat.E164),
        country=phonenumbers.region_code_for_number(number) or "",
        prefix=f"{number.country_code}-{national[:_PREFIX_DIGITS]}",
    )


def digits(text: str) -> str:
    """The decimal digits in the text, whatever script they were typed in, as 0-9; everything else is left out."""
    return "".join(str(unicodedata.decimal(letter)) for letter in text if letter.isdecimal())
