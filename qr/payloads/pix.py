"""Brazil's Pix (BR Code): static codes that name a key, dynamic ones that name the address of a charge.

Of a static code without a txid no server is told; the bank answers for one with a txid when it is asked; a dynamic one
is a charge of the bank that issued it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from django.utils.translation import gettext as _

from qr.payloads import amounts, emvco, latin, tlv
from qr.payloads.base import Confirmation, Reading, Unwritable, Violation
from qr.payloads.emvco_fields import ADDITIONAL, AMOUNT, COUNTRY, GUID

NAME, TITLE = "pix", "Pix"
CURRENCY = "BRL"
NO_TXID = "***"

_GUID = "br.gov.bcb.pix"
_KEY, _INFO, _FSS, _URL = "01", "02", "03", "25"
_RECURRENCE = "80"
_TXID = "05"
_LONGEST_KEY = 77
_TXIDS = re.compile(r"[A-Za-z0-9]{1,25}")
_FSSS = re.compile(r"[0-9]{8}")
_URLS = re.compile(r"[A-Za-z0-9.-]+\.[A-Za-z]{2,}(?::[0-9]{1,5})?/[!-~]+")
_AMOUNTS = re.compile(r"[0-9]{1,10}\.[0-9]{2}")
_EMAILS = re.compile(r"[A-Za-z0-9.!#$&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_PHONES = re.compile(r"\+[1-9][0-9]{9,14}")
_RANDOM = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_CPFS = re.compile(r"[0-9]{11}")
# Companies registered since July 2026 have letters in the first twelve places.
_CNPJS = re.compile(r"[0-9A-Z]{12}[0-9]{2}")


def reads(payload: emvco.Payload) -> Reading | None:
    """What a Pix code says; None when it is none."""
    id_ = payload.owned_by(_GUID)
    if not id_:
        return None
    account = payload.template(id_)
    recurrence = payload.template(_RECURRENCE)
    reference = payload.template(ADDITIONAL).get(_TXID, "")
    key, url = account.get(_KEY, ""), account.get(_URL, "")
    said = {
        "kind": "static" if key else "dynamic" if url else "recurrence",
        "key": key,
        "key_kind": key_kind(key),
        "info": account.get(_INFO, ""),
        "cash_facilitator": account.get(_FSS, ""),
        "url": url,
        "recurrence_url": recurrence.get(_URL, "") if recurrence.get(GUID, "").lower() == _GUID else "",
        "txid": reference,
    }
    return emvco.reading(
        payload,
        profile=NAME,
        title=TITLE,
        confirmation=_confirmation(key, reference),
        account=key or url or said["recurrence_url"],
        reference="" if reference == NO_TXID else reference,
        fields={name: value for name, value in said.items() if value},
        violations=[
            *emvco.guid_violations(payload, id_, _GUID),
            *emvco.currency_violations(payload, CURRENCY),
            *_faults(payload, id_, said),
        ],
    )


def write(
    *,
    name: str,
    city: str,
    key: str = "",
    url: str = "",
    recurrence_url: str = "",
    amount: int | None = None,
    txid: str = "",
    info: str = "",
    cash_facilitator: str = "",
    postal_code: str = "",
    category: str = "0000",
    once: bool = False,
) -> str:
    """A static code (`key`), a dynamic one (`url`, of a charge that a bank has issued), either with the address of a
    recurring authorisation, or that address alone. `amount` in centavos, of a static code only. Raises Unwritable."""
    if bool(key) == bool(url) and (key or not recurrence_url):
        raise Unwritable("account_missing", "key", _("A Pix code names either a key or the address of a charge."))
    account: dict[str, tlv.Value] = {GUID: _GUID}
    if key:
        account[_KEY] = normal_key(key)
    if info:
        account[_INFO] = latin.plain(info)
    if cash_facilitator:
        _must(_FSSS, cash_facilitator, "cash_facilitator", _("The number of who hands out cash is not eight digits."))
        account[_FSS] = cash_facilitator
    if url:
        account[_URL] = _address(url, "url")
    if not key and (amount is not None or txid or info or cash_facilitator):
        raise Unwritable("unused", "amount", _("What a dynamic Pix asks for stands at its address, not in the code."))
    if txid:
        _must(_TXIDS, txid, "txid", _("The txid is not made of 1 to 25 letters and digits."))
    objects: dict[str, tlv.Value] = {"00": "01"}
    if once:
        objects["01"] = emvco.ONCE
    objects |= {"26": account, "52": category, "53": amounts.currency_number(CURRENCY)}
    if amount is not None:
        objects[AMOUNT] = amounts.amount_text(amount, CURRENCY)
    objects |= {COUNTRY: "BR", "59": latin.plain(name), "60": latin.plain(city)}
    if postal_code:
        objects["61"] = postal_code
    objects[ADDITIONAL] = {_TXID: txid or NO_TXID}
    if recurrence_url:
        objects[_RECURRENCE] = {GUID: _GUID, _URL: _address(recurrence_url, "recurrence_url")}
    return emvco.write(objects)


def key_kind(key: str) -> str:
    """Which of the five forms a key has: "cpf", "cnpj", "email", "phone", "random"; "" for none of them."""
    if len(key) > _LONGEST_KEY:
        return ""
    if _CPFS.fullmatch(key):
        return "cpf" if _check_digits_fit(key, longest_weight=11) else ""
    if _CNPJS.fullmatch(key):
        return "cnpj" if _check_digits_fit(key, longest_weight=9) else ""
    forms = (("random", _RANDOM), ("phone", _PHONES), ("email", _EMAILS))
    return next((kind for kind, form in forms if form.fullmatch(key)), "")


def normal_key(key: str) -> str:
    """The key as the network keeps it: numbers bare, addresses in small letters. Raises Unwritable."""
    trimmed = key.strip()
    bare = re.sub(r"[.\-/ ]", "", trimmed).upper()
    for form in (bare, re.sub(r"[()\-. ]", "", trimmed), trimmed.lower()):
        if key_kind(form):
            return form
    if _CPFS.fullmatch(bare):
        told = _("These eleven digits are no CPF; a telephone number begins with +55.")
    else:
        told = _("A key is a CPF or CNPJ, an e-mail address, a telephone number with +55, or a random key.")
    raise Unwritable("key_malformed", "key", told)


def _confirmation(key: str, reference: str) -> Confirmation:
    if not key:
        return "provider"
    return "unconfirmed" if reference in {"", NO_TXID} else "lookup"


def _faults(payload: emvco.Payload, id_: str, said: Mapping[str, str]) -> Iterator[Violation]:
    key, url, reference = said["key"], said["url"], said["txid"]
    if key and url:
        told = _("It names a key and the address of a charge: wallets may pay either.")
        yield Violation("account_twice", id_, told, fatal=True)
    elif not key and not url and not said["recurrence_url"]:
        yield Violation("account_missing", id_, _("It names neither a key nor the address of a charge."), fatal=True)
    if key and not said["key_kind"]:
        yield Violation(
            "key_malformed", f"{id_}.{_KEY}", _("The key has none of the forms that keys have."), fatal=True
        )
    for where, address in ((f"{id_}.{_URL}", url), (f"{_RECURRENCE}.{_URL}", said["recurrence_url"])):
        if address and not _URLS.fullmatch(address):
            yield Violation("url_malformed", where, _("The address is not a host and a path without https://."))
    if not reference:
        yield Violation("missing", f"{ADDITIONAL}.{_TXID}", _("The txid is missing; a code without one says ***."))
    elif reference != NO_TXID and not _TXIDS.fullmatch(reference):
        yield Violation("malformed", f"{ADDITIONAL}.{_TXID}", _("The txid is not made of 1 to 25 letters and digits."))
    if said["cash_facilitator"] and not _FSSS.fullmatch(said["cash_facilitator"]):
        told = _("The number of who hands out cash is not eight digits.")
        yield Violation("malformed", f"{id_}.{_FSS}", told)
    if payload.amount and not _AMOUNTS.fullmatch(payload.objects[AMOUNT]):
        yield Violation("malformed", AMOUNT, _("The amount is not written with two decimals."))
    if payload.objects.get(COUNTRY, "BR") != "BR":
        yield Violation("country_foreign", COUNTRY, _("Pix is Brazil's, and the code names another country."))


def _check_digits_fit(number: str, *, longest_weight: int) -> bool:
    """Modulo 11, twice: weights rise from 2, right to left, and begin again after the longest."""
    if len(set(number)) == 1:
        return False
    for end in (len(number) - 2, len(number) - 1):
        values = [ord(letter) - ord("0") for letter in reversed(number[:end])]
        total = sum(value * (2 + place % (longest_weight - 1)) for place, value in enumerate(values))
        if int(number[end]) != (0 if total % 11 < 2 else 11 - total % 11):
            return False
    return True


def _address(url: str, where: str) -> str:
    bare = re.sub(r"^[Hh][Tt][Tt][Pp][Ss]://", "", url.strip())
    _must(_URLS, bare, where, _("The address is not a host and a path."))
    return bare


def _must(form: re.Pattern[str], value: str, where: str, told: str) -> None:
    if not form.fullmatch(value):
        raise Unwritable("malformed", where, told)
