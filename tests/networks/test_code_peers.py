"""Payment codes against packages of other authors for Node: what we write they read, and what they write we read.

Decoded data is compared, never text: two of them write the same payment in another order. They need `make peers`, and
skip themselves else; a few fixed outputs of theirs stand in `tests/test_pix_payload.py` and its neighbours.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from qr.payloads import emvco, khqr, pix, promptpay, tlv, vietqr
from qr.payloads.base import Reading, Unwritable
from tests import payload_samples as samples
from tests.networks.node import Peer, Refused


def written(profile: Any, text: str) -> Reading:
    reading: Reading | None = profile.reads(emvco.read(text))
    assert reading is not None, text
    return reading


def units(amount: int | None, places: int = 2) -> float | None:
    """As JavaScript counts: a number of whole units."""
    return None if amount is None else float(Decimal(amount).scaleb(-places))


def minor(told: float | str | None, places: int = 2) -> int | None:
    return None if told is None else round(Decimal(str(told)).scaleb(places))


# --- Any payload -----------------------------------------------------------------------------------------------------


@samples.MANY
@given(samples.MERCHANTS)
def test_promptparse_finds_the_same_objects(codes: Peer, objects: dict[str, Any]) -> None:
    """Where all of it is ASCII: its check sum runs over letters, the standard's over bytes."""
    text = emvco.write(objects)
    theirs = codes.said("promptparse", "objects", text=text)
    if not text.isascii():
        assert theirs is None
        return
    assert {one["id"]: one["value"] for one in theirs} == emvco.read(text).objects
    for one in theirs:
        if one["id"] in objects and not isinstance(objects[one["id"]], str):
            assert {sub["id"]: sub["value"] for sub in one["subTags"]} == emvco.read(text).template(one["id"])


# --- Pix -------------------------------------------------------------------------------------------------------------


@samples.MANY
@given(samples.PIX_STATIC)
def test_pix_utils_reads_our_static_codes(codes: Peer, asked: dict[str, Any]) -> None:
    theirs = codes.said("pix-utils", "read", text=pix.write(**asked))
    assert theirs["type"] == "STATIC"
    assert (theirs["merchantName"], theirs["merchantCity"]) == (asked["name"], asked["city"])
    assert (theirs["pixKey"], theirs["txid"]) == (asked["key"], asked.get("txid", "***"))
    assert theirs.get("transactionAmount") == (units(asked.get("amount")) or 0)
    assert theirs.get("infoAdicional") == asked.get("info")
    assert theirs.get("fss") == asked.get("cash_facilitator")


@samples.MANY
@given(samples.PIX_DYNAMIC | samples.PIX_RECURRENCE)
def test_pix_utils_reads_our_addresses_of_charges(codes: Peer, asked: dict[str, Any]) -> None:
    theirs = codes.said("pix-utils", "read", text=pix.write(**asked))
    assert theirs["type"] == ("DYNAMIC" if "url" in asked else "RECURRENCE")
    assert (theirs.get("url"), theirs.get("urlRec")) == (asked.get("url"), asked.get("recurrence_url"))


@samples.MANY
@given(samples.PIX_STATIC)
def test_we_read_the_static_codes_of_pix_utils(codes: Peer, asked: dict[str, Any]) -> None:
    fields = {
        "merchantName": asked["name"],
        "merchantCity": asked["city"],
        "pixKey": asked["key"],
        "txid": asked.get("txid"),
        "infoAdicional": asked.get("info"),
        "fss": asked.get("cash_facilitator"),
        "transactionAmount": units(asked.get("amount")) or 0,
        "oneTime": asked.get("once", False),
    }
    reading = written(pix, codes.said("pix-utils", "write static", fields=fields))
    assert reading.violations == ()
    assert (reading.payee, reading.city) == (asked["name"].upper(), asked["city"].upper())
    assert (reading.account, reading.amount) == (asked["key"], asked.get("amount"))
    assert (reading.reference, reading.once) == (asked.get("txid", ""), asked.get("once") or None)
    assert reading.fields.get("info") == asked.get("info")
    assert reading.fields.get("cash_facilitator") == asked.get("cash_facilitator")


@samples.MANY
@given(samples.PIX_DYNAMIC | samples.PIX_RECURRENCE)
def test_we_read_the_addresses_of_charges_of_pix_utils(codes: Peer, asked: dict[str, Any]) -> None:
    known = {"merchantName": asked["name"], "merchantCity": asked["city"]}
    addresses = {"url": asked.get("url"), "urlRec": asked.get("recurrence_url")}
    do = "write dynamic" if "url" in asked else "write recurrence"
    reading = written(pix, codes.said("pix-utils", do, fields=known | addresses))
    assert reading.violations == ()
    assert (reading.fields.get("url"), reading.fields.get("recurrence_url")) == tuple(addresses.values())
    assert reading.confirmation == "provider"


# --- PromptPay -------------------------------------------------------------------------------------------------------

PROXIES = {"mobile": "MSISDN", "national_id": "NATID", "wallet": "EWALLETID"}


@samples.MANY
@given(samples.PROMPTPAY_PERSON)
def test_promptparse_reads_our_codes_of_persons(codes: Peer, asked: dict[str, Any]) -> None:
    [kind] = PROXIES.keys() & asked.keys()
    expected = {"type": PROXIES[kind], "target": asked[kind]}
    if "amount" in asked:
        expected["amount"] = units(asked["amount"])
    assert codes.said("promptparse", "read person", text=promptpay.write(**asked)) == expected


@samples.MANY
@given(samples.PROMPTPAY_PERSON)
def test_we_read_codes_of_persons_of_two_packages(codes: Peer, asked: dict[str, Any]) -> None:
    [kind] = PROXIES.keys() & asked.keys()
    fields = {"type": PROXIES[kind], "target": asked[kind], "amount": units(asked.get("amount"))}
    first = written(promptpay, codes.said("promptparse", "write person", fields=fields))
    second = written(promptpay, codes.said("promptpay-qr", "write", target=asked[kind], amount=fields["amount"]))
    ours = written(promptpay, promptpay.write(**{kind: asked[kind], "amount": asked.get("amount")}))
    for theirs in (first, second):
        assert (theirs.account, theirs.amount, theirs.currency) == (ours.account, asked.get("amount"), "THB")
        assert (theirs.fields, theirs.once, theirs.violations) == (ours.fields, ours.once, ())


@samples.MANY
@given(samples.PROMPTPAY_BILL)
def test_bills_go_both_ways(codes: Peer, asked: dict[str, Any]) -> None:
    names = {"biller": "billerId", "reference1": "ref1", "reference2": "ref2", "reference3": "ref3"}
    fields = {theirs: asked[ours] for ours, theirs in names.items() if ours in asked}
    if "amount" in asked:
        fields["amount"] = units(asked["amount"])
    assert codes.said("promptparse", "read bill", text=promptpay.write(**asked)) == fields
    reading = written(promptpay, codes.said("promptparse", "write bill", fields=fields))
    assert (reading.amount, reading.violations) == (asked.get("amount"), ())
    assert {name: reading.fields.get(name) for name in names} == {name: asked.get(name) for name in names}


@samples.MANY
@given(samples.number(3), samples.text("0123456789ABCDEF", 25, 8))
def test_we_know_slips_from_codes_to_pay_by(codes: Peer, bank: str, number: str) -> None:
    text = codes.said("promptparse", "write slip", fields={"sendingBank": bank, "transRef": number})
    reading = written(promptpay, text)
    assert (reading.fields["sending_bank"], reading.reference) == (bank, number)
    assert [one.code for one in reading.violations] == ["slip"]


# --- VietQR ----------------------------------------------------------------------------------------------------------


@samples.MANY
@given(samples.VIETQR)
def test_transfers_go_both_ways(codes: Peer, asked: dict[str, Any]) -> None:
    text = vietqr.write(**asked)
    theirs = codes.said("vietnam-qr-pay", "read", text=text)
    target = asked.get("account") or asked.get("card")
    assert theirs["isValid"]
    assert theirs["provider"]["service"] == ("QRIBFTTA" if "account" in asked else "QRIBFTTC")
    assert theirs["consumer"] == {"bankBin": asked["bank"], "bankNumber": target}
    assert minor(theirs.get("amount"), 0) == asked.get("amount")
    assert theirs["additionalData"].get("purpose") == asked.get("purpose")
    assert theirs["additionalData"].get("reference") == asked.get("reference")
    assert (theirs["merchant"].get("name"), theirs.get("city")) == (asked.get("name"), asked.get("city"))
    fields = {
        "bankBin": asked["bank"],
        "bankNumber": target,
        "service": theirs["provider"]["service"],
        "amount": theirs.get("amount"),
        "purpose": asked.get("purpose"),
    }
    reading = written(vietqr, codes.said("vietnam-qr-pay", "write transfer", fields=fields))
    assert reading.violations == ()
    assert (reading.account, reading.amount, reading.currency) == (target, asked.get("amount"), "VND")
    assert (reading.fields["bank"], reading.fields.get("purpose")) == (asked["bank"], asked.get("purpose"))


@samples.MANY
@given(samples.number(10), samples.NAMES, samples.WORDS)
def test_we_read_vnpays_merchants(codes: Peer, merchant: str, name: str, terminal: str) -> None:
    fields = {"merchantId": merchant, "merchantName": name, "terminal": terminal, "store": terminal}
    reading = written(vietqr, codes.said("vietnam-qr-pay", "write merchant", fields=fields))
    assert (reading.profile, reading.account, reading.payee) == ("vnpay", merchant, name)
    assert (reading.fields["terminal"], reading.violations) == (terminal, ())


# --- KHQR ------------------------------------------------------------------------------------------------------------

ADDITIONAL = {"bill": "billNumber", "mobile": "mobileNumber", "store": "storeLabel", "terminal": "terminalLabel"}


def places(asked: dict[str, Any]) -> int:
    return 2 if asked.get("currency") == "USD" else 0


@samples.MANY
@given(samples.KHQR)
def test_bakongs_own_package_verifies_and_reads_our_codes(codes: Peer, asked: dict[str, Any]) -> None:
    now = timezone.now()
    text = khqr.write(**{**asked, "created": now, "expires": now + timedelta(days=1)})
    assert codes.said("bakong-khqr", "verify", text=text)
    theirs = codes.said("bakong-khqr", "read", text=text)
    assert theirs["bakongAccountID"] == asked["account"]
    assert (theirs["merchantName"], theirs["merchantCity"]) == (asked["name"], asked["city"])
    assert theirs["merchantType"] == ("30" if "merchant_id" in asked else "29")
    assert theirs.get("merchantID") == asked.get("merchant_id")
    assert theirs.get("accountInformation") == asked.get("account_information")
    assert theirs["acquiringBank"] == asked.get("bank")
    assert theirs["transactionCurrency"] == ("840" if asked.get("currency") == "USD" else "116")
    assert minor(theirs["transactionAmount"]) == asked.get("amount")
    assert {ours: theirs[name] for ours, name in ADDITIONAL.items()} == {name: asked.get(name) for name in ADDITIONAL}
    assert theirs["merchantNameAlternateLanguage"] == asked.get("local_name")


@samples.MANY
@given(samples.KHQR)
def test_we_read_the_codes_of_bakongs_own_package(codes: Peer, asked: dict[str, Any]) -> None:
    expires = int(timezone.now().timestamp() * 1000) + 86_400_000
    optional = {name: asked[ours] for ours, name in ADDITIONAL.items() if ours in asked}
    optional |= {"currency": 840 if asked.get("currency") == "USD" else 116, "expirationTimestamp": expires}
    optional |= {"languagePreference": asked.get("language"), "merchantNameAlternateLanguage": asked.get("local_name")}
    if "amount" in asked:
        optional["amount"] = units(asked["amount"])
    known = {"account": asked["account"], "name": asked["name"], "city": asked["city"]}
    if "merchant_id" in asked:
        about = known | {"number": asked["merchant_id"], "bank": asked["bank"], "optional": optional}
        theirs = codes.said("bakong-khqr", "write merchant", **about)
    else:
        optional |= {"acquiringBank": asked.get("bank"), "accountInformation": asked.get("account_information")}
        theirs = codes.said("bakong-khqr", "write person", **known, optional=optional)
    reading = written(khqr, theirs["qr"])
    assert reading.violations == ()
    assert reading.fields["md5"] == theirs["md5"]
    assert (reading.account, reading.payee, reading.city) == (asked["account"], asked["name"], asked["city"])
    assert (reading.amount, reading.currency) == (asked.get("amount"), asked.get("currency", "KHR"))
    for name in (*ADDITIONAL, "merchant_id", "bank", "account_information", "local_name"):
        assert reading.fields.get(name) == asked.get(name)


def test_an_expired_code_is_one_that_bakong_refuses_and_we_date(codes: Peer) -> None:
    """Whether the hour has come is the caller's question: `reads` knows no time."""
    now = timezone.now()
    known: dict[str, Any] = {"account": "dara@devb", "name": "Dara", "amount": 100000}
    text = khqr.write(**known, created=now - timedelta(hours=2), expires=now - timedelta(hours=1))
    assert not codes.said("bakong-khqr", "verify", text=text)
    reading = written(khqr, text)
    assert reading.expires_at is not None
    assert reading.expires_at < now


FORGERIES: list[dict[str, str]] = [
    *({id_: ""} for id_ in ("00", "52", "53", "58", "59", "60", "99")),
    *({id_: value} for id_, value in (("00", "011"), ("01", "122"), ("52", "59999"), ("53", "764"), ("58", "KHMX"))),
    {"59": "x" * 26}, {"60": "x" * 16}, {"01": "12", "54": ""}, {"01": "12", "54": "100", "99": ""},
    {"01": "12", "54": "100", "99": "00131795867200336" + "01131795767100336"}, {"54": "12345678901234"},
]  # fmt: skip


@samples.MANY
@given(samples.KHQR, st.sampled_from(FORGERIES))
def test_we_trust_no_code_that_bakong_refuses(codes: Peer, asked: dict[str, Any], forgery: dict[str, str]) -> None:
    """Changed, and with a check sum that fits again, as whoever forges one would do. Whole fields only: on lengths that
    do not fit, the package's verifier never ends (bakong-khqr 1.0.20)."""
    now = timezone.now()
    text = khqr.write(**{**asked, "created": now, "expires": now + timedelta(days=1)})
    objects = {**emvco.read(text).objects, **forgery}
    body = tlv.write({id_: value for id_, value in objects.items() if value and id_ != "63"}) + "6304"
    forged = body + emvco.check_sum(body)
    if not codes.takes("bakong-khqr", "verify", text=forged):
        assert not written(khqr, forged).sound


def test_what_bakongs_package_refuses_to_write_we_refuse_too(codes: Peer) -> None:
    good: dict[str, Any] = {"account": "dara@devb", "name": "Dara", "city": "Phnom Penh", "optional": {}}
    assert codes.said("bakong-khqr", "write person", **good)["qr"]
    for wrong in ({"account": "dara"}, {"account": "d" * 30 + "@devb"}, {"name": "x" * 26}, {"city": "x" * 16}):
        with pytest.raises(Refused):
            codes.said("bakong-khqr", "write person", **{**good, **wrong})
        asked: dict[str, Any] = {name: text for name, text in {**good, **wrong}.items() if name != "optional"}
        with pytest.raises(Unwritable):
            khqr.write(**asked)
