"""What a scanned code says, in plain sentences: what it is, whose, how much, who is told of a payment, what is wrong.

Names come from whoever made the code. They are quoted, cut short and freed of marks that could turn a line around.
"""

from __future__ import annotations

import unicodedata
from datetime import datetime

from django.utils.formats import date_format
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from merchants import money
from qr.payloads import promptpay, web
from qr.payloads.base import Reading

LONGEST_QUOTED = 100
# Of the marks without a shape, those that scripts need to join and part letters, and to say which way a word runs.
_HARMLESS = {"\u200c", "\u200d", "\u200e", "\u200f", "\u061c"}
_SAYS_NOTHING = {"unknown", promptpay.SLIP_NAME}
_NO_PAYMENT = {web.LINK, web.LOOK_ALIKE, *_SAYS_NOTHING}


def sentences(reading: Reading, *, now: datetime) -> list[str]:
    """What it says, without what is wrong with it."""
    said = [*_whose(reading)]
    if reading.profile not in _NO_PAYMENT:
        said += _how_much(reading)
        if reading.reference:
            said.append(_("Its reference is “%s”.") % quoted(reading.reference))
        said += _how_long(reading, now)
        said.append(_who_is_told(reading))
    return said


def wrong(reading: Reading) -> list[str]:
    """What is wrong with it, the worst first; before all of it that nobody should pay by it, where nobody should."""
    ordered = sorted(reading.violations, key=lambda violation: not violation.fatal)
    warning = [] if reading.sound else [_("Do not pay by this code.")]
    return [*warning, *(violation.detail for violation in ordered)]


def plain(text: str) -> str:
    """The text without what cannot be seen: line breaks and other controls become spaces, marks disappear."""
    letters = []
    for letter in text:
        kind = unicodedata.category(letter)
        if kind in {"Cc", "Zl", "Zp"}:
            letters.append(" ")
        elif kind == "Cs":
            letters.append("\ufffd")
        elif kind != "Cf" or letter in _HARMLESS:
            letters.append(letter)
    return "".join(letters)


def quoted(text: str) -> str:
    """A name as it can stand within a sentence."""
    seen = " ".join(plain(text).split())
    return seen if len(seen) <= LONGEST_QUOTED else seen[: LONGEST_QUOTED - 1] + "…"


def _whose(reading: Reading) -> list[str]:
    name, account = quoted(reading.payee), quoted(reading.account)
    if reading.profile == web.PROFILE:
        return [_("It opens a pay page of this service.")]
    if reading.profile in {web.LINK, web.LOOK_ALIKE}:
        return [_("It opens a page of “%s”.") % account]
    if reading.profile in _SAYS_NOTHING:
        return []
    if name and account:
        return [_("It says that it pays “%(name)s”, to “%(account)s”.") % {"name": name, "account": account}]
    if name:
        return [_("It says that it pays “%s”.") % name]
    if reading.country == "CN" and account:
        return [_("Whose it is, only the wallet shows.")]
    return [_("It pays to “%s”, and says no name.") % account] if account else [_("It does not say who is paid.")]


def _how_much(reading: Reading) -> list[str]:
    if reading.profile == web.PROFILE:
        return []
    if reading.amount is None:
        asks = reading.confirmation == "provider"
        return [_("The amount is not in it.") if asks else _("The payer enters the amount.")]
    if not money.is_currency(reading.currency):
        return []
    return [_("It asks for %s.") % money.shown(reading.amount, reading.currency, get_language() or "en")]


def _how_long(reading: Reading, now: datetime) -> list[str]:
    said = [_("It is made for one payment.")] if reading.once else []
    if reading.expires_at is not None:
        # In the time that the code itself is written in: a reader may be anywhere.
        until = f"{date_format(reading.expires_at, 'j F Y, H:i')} ({reading.expires_at.tzname()})"
        over = reading.expires_at <= now
        said.append((_("It expired on %s.") if over else _("It is good until %s.")) % until)
    return said


def _who_is_told(reading: Reading) -> str:
    if reading.profile == web.PROFILE:
        return _("This service is told when it is paid.")
    if reading.confirmation == "provider":
        return _("Whoever had it made is told by the provider when it is paid.")
    if reading.confirmation == "lookup":
        return _("Its network answers whether it was paid, when it is asked.")
    return _("No server tells us when this code is paid: look into your own wallet.")
