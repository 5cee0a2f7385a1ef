"""Cambodia's KHQR (Bakong): codes of persons and of merchants, in riel or dollars, that Bakong answers for when asked.

The question is asked with the MD5 of the whole text. What Bakong's own verifier refuses is fatal here too.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from django.utils.translation import gettext as _

from qr.payloads import amounts, emvco, latin, tlv
from qr.payloads.base import Reading, Unwritable, Violation
from qr.payloads.emvco_fields import ADDITIONAL, AMOUNT, COUNTRY, LANGUAGE
from qr.payloads.emvco_fields import CURRENCY as CURRENCY_ID

NAME, TITLE = "khqr", "KHQR"
CURRENCIES = ("KHR", "USD")

_PERSON, _MERCHANT, _UNION_PAY, _TIMES = "29", "30", "15", "99"
_ACCOUNT, _NUMBER, _BANK = "00", "01", "02"
_CREATED, _EXPIRES = "00", "01"
_LONGEST = 32
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ACCOUNTS = re.compile(r"[!-?A-~]+@[!-?A-~]+")
_MILLISECONDS = re.compile(r"[0-9]{13}")
_ADDITIONAL = {"bill": "01", "mobile": "02", "store": "03", "terminal": "07", "purpose": "08"}
# In a riel code an amount has no decimals, though ISO 4217 gives the riel two.
_PLACES = {"KHR": 0, "USD": 2}
_REFUSED_BY_BAKONG = {"missing", "too_long", "empty", "malformed", "currency_unknown"}


def reads(payload: emvco.Payload) -> Reading | None:
    """What a KHQR code says; None when it is none. Whether it has expired is the caller's question (`expires_at`)."""
    id_ = next((id_ for id_ in (_PERSON, _MERCHANT) if "@" in payload.template(id_).get(_ACCOUNT, "")), "")
    if not id_:
        return None
    account, times = payload.template(id_), payload.template(_TIMES)
    additional = payload.template(ADDITIONAL)
    said = {
        "kind": "person" if id_ == _PERSON else "merchant",
        "account": account[_ACCOUNT],
        "account_information" if id_ == _PERSON else "merchant_id": account.get(_NUMBER, ""),
        "bank": account.get(_BANK, ""),
        **{name: additional.get(place, "") for name, place in _ADDITIONAL.items()},
        "union_pay": payload.objects.get(_UNION_PAY, ""),
        "local_name": payload.template(LANGUAGE).get("01", ""),
        "created": times.get(_CREATED, ""),
        "expires": times.get(_EXPIRES, ""),
        "md5": lookup_key(payload.text),
    }
    reading = emvco.reading(
        payload,
        profile=NAME,
        title=TITLE,
        confirmation="lookup",
        account=said["account"],
        reference=said["bill"],
        expires_at=_moment(said["expires"]),
        fields={name: value for name, value in said.items() if value},
        violations=[*emvco.currency_violations(payload, *CURRENCIES), *_faults(payload, id_, said)],
    )
    grave = (replace(one, fatal=True) if one.code in _REFUSED_BY_BAKONG else one for one in reading.violations)
    return replace(reading, violations=tuple(grave))


def write(
    *,
    account: str,
    name: str,
    city: str = "Phnom Penh",
    currency: str = "KHR",
    amount: int | None = None,
    created: datetime | None = None,
    expires: datetime | None = None,
    merchant_id: str = "",
    bank: str = "",
    account_information: str = "",
    bill: str = "",
    mobile: str = "",
    store: str = "",
    terminal: str = "",
    purpose: str = "",
    language: str = "",
    local_name: str = "",
    local_city: str = "",
    union_pay: str = "",
    category: str = "5999",
) -> str:
    """A merchant's code when there is a `merchant_id` (who also needs a `bank`), else a person's.

    `amount` in minor units of ISO 4217 (10000 is 100 riel); it needs `created` and `expires`. Raises Unwritable.
    """
    if currency not in CURRENCIES:
        raise Unwritable("currency_foreign", "currency", _("Bakong moves KHR and USD only."))
    if union_pay and currency != "KHR":
        raise Unwritable("currency_foreign", "union_pay", _("UnionPay is paid in riel only."))
    id_, holder = _holder(account, merchant_id, bank, account_information)
    objects: dict[str, tlv.Value] = {"00": "01", "01": emvco.AGAIN if amount is None else emvco.ONCE}
    if union_pay:
        objects[_UNION_PAY] = union_pay
    objects |= {id_: holder, "52": category, "53": amounts.currency_number(currency)}
    if amount is not None:
        objects[AMOUNT] = amounts.amount_text(amount, currency, _PLACES[currency])
    objects |= {COUNTRY: "KH", "59": latin.plain(name), "60": latin.plain(city)}
    told = {"bill": bill, "mobile": mobile, "store": store, "terminal": terminal, "purpose": purpose}
    additional: dict[str, tlv.Value] = {_ADDITIONAL[one]: latin.plain(text) for one, text in told.items() if text}
    if additional:
        objects[ADDITIONAL] = additional
    if language or local_name or local_city:
        local = {"00": language, "01": local_name, "02": local_city}
        objects[LANGUAGE] = {place: text for place, text in local.items() if text}
    if amount is not None:
        objects[_TIMES] = _times(created, expires)
    return emvco.write(objects)


def lookup_key(text: str) -> str:
    """What Bakong is asked with about a payment."""
    return hashlib.md5(text.strip().encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()


def _holder(account: str, merchant_id: str, bank: str, information: str) -> tuple[str, dict[str, tlv.Value]]:
    if len(account) > _LONGEST:
        raise Unwritable(
            "too_long", "account", _("An account of Bakong has at most %(longest)s characters.") % {"longest": _LONGEST}
        )
    if not _ACCOUNTS.fullmatch(account):
        raise Unwritable("malformed", "account", _("An account of Bakong has the form name@bank."))
    if merchant_id and (not bank or information):
        raise Unwritable("missing", "bank", _("A merchant's code names the bank, and no other account."))
    for where, text in (("merchant_id", merchant_id), ("bank", bank), ("account_information", information)):
        if len(text) > _LONGEST:
            raise Unwritable("too_long", where, _("There is room for %(longest)s characters.") % {"longest": _LONGEST})
    holder: dict[str, tlv.Value] = {_ACCOUNT: account}
    number = merchant_id or information
    holder |= {place: text for place, text in ((_NUMBER, number), (_BANK, bank)) if text}
    return (_MERCHANT if merchant_id else _PERSON), holder


def _times(created: datetime | None, expires: datetime | None) -> dict[str, tlv.Value]:
    if created is None or expires is None:
        raise Unwritable("expiry_missing", "expires", _("A code with an amount says when it was made and until when."))
    if expires <= created:
        raise Unwritable("expiry_wrong", "expires", _("It would expire before it is made."))
    written: dict[str, tlv.Value] = {}
    for place, moment in ((_CREATED, created), (_EXPIRES, expires)):
        text = str((moment - _EPOCH) // timedelta(milliseconds=1))
        if not _MILLISECONDS.fullmatch(text):
            raise Unwritable("malformed", "expires", _("The time is not one that the code can say."))
        written[place] = text
    return written


def _moment(milliseconds: str) -> datetime | None:
    if not _MILLISECONDS.fullmatch(milliseconds):
        return None
    return _EPOCH + timedelta(milliseconds=int(milliseconds))


def _faults(payload: emvco.Payload, id_: str, said: Mapping[str, str]) -> Iterator[Violation]:
    if not _ACCOUNTS.fullmatch(said["account"]):
        told = _("An account of Bakong has the form name@bank; this one has not.")
        yield Violation("account_malformed", f"{id_}.{_ACCOUNT}", told, fatal=True)
    if _PERSON in payload.objects and _MERCHANT in payload.objects:
        yield Violation("account_twice", _MERCHANT, _("It names two accounts: wallets may pay either."), fatal=True)
    if id_ == _MERCHANT and not (said["merchant_id"] and said["bank"]):
        yield Violation(
            "missing", f"{id_}.{_NUMBER}", _("A merchant's code names the merchant and the bank."), fatal=True
        )
    if payload.objects.get(COUNTRY, "KH") != "KH":
        yield Violation("country_foreign", COUNTRY, _("KHQR is Cambodia's, and the code names another country."))
    if payload.amount and payload.currency == "KHR" and "." in payload.objects[AMOUNT]:
        grave = payload.amount % 100 != 0
        yield Violation("amount_decimals", AMOUNT, _("In riel an amount has no decimals; this one has."), fatal=grave)
    if said["union_pay"] and payload.currency == "USD":
        yield Violation("currency_foreign", CURRENCY_ID, _("UnionPay is paid in riel only."))
    yield from _time_faults(payload, said)


def _time_faults(payload: emvco.Payload, said: Mapping[str, str]) -> Iterator[Violation]:
    if payload.once and AMOUNT not in payload.objects:
        yield Violation("amount_missing", AMOUNT, _("It is for one payment, and names no amount."), fatal=True)
    if (AMOUNT in payload.objects or payload.once) and not said["expires"]:
        yield Violation(
            "expiry_missing", f"{_TIMES}.{_EXPIRES}", _("It does not say until when it is good."), fatal=True
        )
    for place, name in ((_CREATED, "created"), (_EXPIRES, "expires")):
        if said[name] and _moment(said[name]) is None:
            told = _("The time is not thirteen digits of milliseconds.")
            yield Violation("expiry_malformed", f"{_TIMES}.{place}", told, fatal=True)
    created, expires = _moment(said["created"]), _moment(said["expires"])
    if created and expires and expires < created:
        told = _("It expires before it was made.")
        yield Violation("expiry_wrong", f"{_TIMES}.{_EXPIRES}", told, fatal=True)
