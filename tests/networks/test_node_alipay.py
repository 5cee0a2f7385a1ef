"""Alipay's module against `alipay-sdk`, its own software for Node: it signs what we verify, and judges what we sign.

A second opinion beside python-alipay-sdk, by Alipay itself. Where the two sides differ, a test says how. All of these
need `make peers`, and skip themselves else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import pytest
from django.utils import timezone
from hypothesis import example, given
from hypothesis import strategies as st

from merchants import ids
from payments import credentials
from payments.models import Payment, PaymentIntent, ProviderAccount, Refund
from payments.providers import alipay, alipay_gateway
from payments.providers.base import AMOUNT_MAX, Delivery, ProviderError, Ref, Visit
from tests.networks.alipay import FORM, Alipay, key_pair, sdk, signed_form
from tests.networks.node import KEYS, MANY, Peer, verdict
from tests.settlement_files import rows_of_day
from tests.test_alipay_gateway import NAMES, WORDS, certificate

pytestmark = pytest.mark.xdist_group("node")

TEXTS = st.text(st.characters(codec="utf-8"), max_size=40)


def intent_of(amount: int, description: str) -> PaymentIntent:
    now = timezone.now()
    life = {"created_at": now, "expires_at": now + timedelta(minutes=15)}
    return PaymentIntent(id=ids.new(), amount=amount, currency="CNY", description=description, **life)


# --- Notifications ---------------------------------------------------------------------------------------------------


@pytest.fixture
def alipays(db: None) -> ProviderAccount:
    return Alipay().account()


def form_of(raw: str | bytes) -> dict[str, str]:
    return dict(parse_qsl(raw if isinstance(raw, str) else raw.decode(), keep_blank_values=True))


def signed_by_node(peer: Peer, form: Mapping[str, str], key: str) -> str:
    """A notification with sign_type in the signed text, as those of the service market are."""
    told = {name: value for name, value in form.items() if name != "method"}
    about = {"method": form.get("method", "alipay.trade.status.sync"), "parameters": told}
    return str(peer.said("alipay", "sign", signs=key_pair(key)[0], proves=key_pair(key)[1], **about))


def node_takes(peer: Peer, form: Mapping[str, str], *keys: str, how: str = "check") -> bool:
    return any(peer.takes("alipay", how, proves=key_pair(key)[1], form=form) for key in keys or ("current", "previous"))


@MANY
@given(form=st.dictionaries(NAMES, WORDS, max_size=12), key=KEYS, by_node=st.booleans(), draws=st.data(), other=WORDS)
def test_we_and_the_package_agree_on_every_notification_of_alipay(
    peer: Peer,
    alipays: ProviderAccount,
    form: dict[str, str],
    key: Any,
    by_node: bool,
    draws: st.DataObject,
    other: str,
) -> None:
    good = signed_by_node(peer, form, key) if by_node else signed_form(form, key).decode()
    pairs = parse_qsl(good, keep_blank_values=True)
    values = [name for name, _value in pairs if name not in ("sign", "sign_type")]
    changed = draws.draw(st.sampled_from(values)) if values else "none"
    cases = {
        "as it is": good,
        "in another order": urlencode(draws.draw(st.permutations(pairs))),
        "written in another way": "&".join(f"{quote(name)}={quote(value, safe='')}" for name, value in pairs),
        "one value changed": urlencode([(n, other if n == changed else v) for n, v in pairs]),
        "decoded twice": urlencode([(n, form_of(f"x={v}").get("x", "") if n != "sign" else v) for n, v in pairs]),
        "trimmed": urlencode([(n, v.strip()) for n, v in pairs]),
        "one parameter more": urlencode([*pairs, ("zz_more", other)]),
        "empty values left out": urlencode([pair for pair in pairs if pair[1]]),
        "a changed signature": urlencode({**dict(pairs), "sign": dict(pairs)["sign"][::-1]}),
    }
    verdicts = {}
    for what, raw in cases.items():
        ours = verdict(alipays, Delivery(raw.encode()), timezone.now()) == "signed"
        assert ours == node_takes(peer, form_of(raw)), what
        verdicts[what] = ours
    right = key != "other"
    assert [verdicts[what] for what in ("as it is", "in another order", "written in another way")] == [right] * 3
    assert not verdicts["one parameter more"]
    assert not verdicts["a changed signature"]


@MANY
@given(
    fen=st.integers(1, AMOUNT_MAX - 1),
    back=st.integers(0, AMOUNT_MAX - 1),
    subject=WORDS,
    status=st.sampled_from(["WAIT_BUYER_PAY", "TRADE_SUCCESS", "TRADE_FINISHED"]),
    key=st.sampled_from(["current", "previous"]),
)
@example(fen=1, back=0, subject="100% 苹果", status="TRADE_SUCCESS", key="current")
def test_what_the_package_signs_as_alipay_is_read_to_the_fen(
    peer: Peer, alipays: ProviderAccount, fen: int, back: int, subject: str, status: str, key: str
) -> None:
    refunded = min(back, fen)
    told = {**FORM, "total_amount": yuan(fen), "subject": subject, "trade_status": status}
    if refunded and status != "WAIT_BUYER_PAY":
        told |= {"refund_fee": yuan(refunded), "gmt_refund": "2026-11-22 13:00:00.123", "out_biz_no": "rfd_01"}
    raw = signed_by_node(peer, told, key).encode()
    proved = alipay.verify(alipays, Delivery(raw), now=timezone.now())
    events = alipay.normalise(alipays, proved)
    kind = "payment.pending" if status == "WAIT_BUYER_PAY" else "payment.succeeded"
    assert [(one.kind, one.amount, one.reference) for one in events[:1]] == [(kind, fen, "int_01")]
    assert [one.refunded_total for one in events[1:]] == ([refunded] if "refund_fee" in told else [])


def yuan(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02d}"


@pytest.mark.parametrize("subject", ["100%", "50%25 off", "a%2Bb"])
def test_a_percent_sign_is_no_encoding(peer: Peer, alipays: ProviderAccount, subject: str) -> None:
    """The package's first check decodes what was decoded before, and its authors advise the second; so do we."""
    raw = signed_form({**FORM, "subject": subject})
    assert verdict(alipays, Delivery(raw), timezone.now()) == "signed"
    assert node_takes(peer, form_of(raw))
    assert not node_takes(peer, form_of(raw), how="check as before")


@MANY
@given(subject=st.text(st.characters(codec="gbk"), max_size=30), fen=st.integers(1, 10**9))
def test_a_form_in_gbk_whose_text_the_package_has_signed_in_utf_8_is_proved(
    peer: Peer, alipays: ProviderAccount, subject: str, fen: int
) -> None:
    told = {**FORM, "charset": "GBK", "subject": subject, "total_amount": yuan(fen)}
    raw = urlencode(form_of(signed_by_node(peer, told, "current")), encoding="gbk").encode()
    proved = alipay.verify(alipays, Delivery(raw), now=timezone.now())
    assert [event.amount for event in alipay.normalise(alipays, proved)] == [fen]
    cheaper = raw.replace(f"total_amount={yuan(fen)}&".encode(), f"total_amount={yuan(fen + 1)}&".encode())
    assert verdict(alipays, Delivery(cheaper), timezone.now()) == "signature_wrong"


def test_what_the_package_takes_besides_we_refuse(peer: Peer, alipays: ProviderAccount) -> None:
    """A form without a type of signature, and base 64 with dirt in it; SHA-1 would be taken by its name."""
    form = form_of(signed_form(FORM))
    for changes, code in (
        ({"sign_type": ""}, "signature_wrong"),
        ({"sign": form["sign"][:9] + "\n" + form["sign"][9:]}, "signature_wrong"),
        ({"sign": form["sign"].replace("+", "-").replace("/", "_") + "."}, "signature_wrong"),
    ):
        assert node_takes(peer, {**form, **changes})
        assert verdict(alipays, Delivery(urlencode({**form, **changes}).encode()), timezone.now()) == code
    del form["sign_type"]
    assert node_takes(peer, form)
    assert verdict(alipays, Delivery(urlencode(form).encode()), timezone.now()) == "signature_missing"


@pytest.mark.parametrize("signed", [True, False])
def test_the_name_of_a_certificate_may_be_signed_or_not(peer: Peer, alipays: ProviderAccount, signed: bool) -> None:
    """The package leaves it in the signed text; software that takes it out signs without it."""
    theirs, fen = certificate("current", "Ant Financial Class 2 R1"), 250
    given = {**Alipay().credentials(), "alipay_public_key": "", "alipay_certificate": theirs}
    alipays.sealed_credentials = credentials.sealed(given)
    named_by = {"alipay_cert_sn": alipay_gateway.certificate_serial(theirs)}
    told = {**FORM, "total_amount": yuan(fen)}
    form = form_of(signed_by_node(peer, {**told, **(named_by if signed else {})}, "current")) | named_by
    assert node_takes(peer, form, "current") == signed
    assert verdict(alipays, Delivery(urlencode(form).encode()), timezone.now()) == "signed"
    for changes in ({"total_amount": "9.00"}, {"alipay_cert_sn": "0" * 32}):
        raw = urlencode({**form, **changes}).encode()
        assert verdict(alipays, Delivery(raw), timezone.now()) == "signature_wrong"


# --- What we ask -----------------------------------------------------------------------------------------------------


def assert_signed_as_the_package_signs(peer: Peer, form: Mapping[str, str]) -> None:
    """It proves ours by our public key; and from the same parameters it makes the same signature, byte for byte."""
    assert node_takes(peer, form, "app")
    assert not node_takes(peer, {**form, "biz_content": form["biz_content"] + " "}, "app")
    told = {name: value for name, value in form.items() if name not in ("sign", "method", "biz_content")}
    told["biz_content"] = json.loads(form["biz_content"])
    again = signed_by_node(peer, {**told, "method": form["method"]}, "app")
    assert form_of(again) == dict(form)


@MANY
@given(fen=st.integers(1, AMOUNT_MAX), description=TEXTS | WORDS)
def test_the_addresses_of_alipays_pages_are_signed_as_the_package_signs(
    peer: Peer, alipays: ProviderAccount, fen: int, description: str
) -> None:
    visit = Visit(return_url="https://shop.example/r/abc?a=1&b=%20", place="phone")
    address = alipay.start(alipays, intent_of(fen, description), visit).redirect_url
    assert_signed_as_the_package_signs(peer, form_of(urlsplit(address).query))


def test_the_calls_to_alipay_are_signed_as_the_package_signs(peer: Peer, db: None) -> None:
    with Alipay().set() as network:
        account, intent = network.account(), intent_of(250, '苹果 100% "好" \\')
        alipay.start(account, intent, Visit(return_url="https://shop.example/r/abc"))
        trade = network.pay(intent.reference)
        alipay.query(account, Ref(intent.reference))
        payment = Payment(id=ids.new(), object_id=trade, currency="CNY", amount=250)
        asked = Refund(id=ids.new(), payment=payment, amount=100, currency="CNY", reason="烂了 50%")
        alipay.refund(account, asked, trade)
        alipay.close(account, intent)
        assert len(list(rows_of_day(account, datetime.now(alipay_gateway.ZONE).date()))) == 2
        assert len(network.requests) == 7
        for form in network.requests:
            assert_signed_as_the_package_signs(peer, form)


def test_certificates_are_named_as_the_package_names_them(peer: Peer, alipays: ProviderAccount) -> None:
    ours, theirs = certificate("app", "App"), certificate("current", "Ant Financial Class 2 R1")
    roots = "\n".join(certificate("other", name) for name in ("Root R1", "Root R2"))
    given = {"appCertContent": ours, "alipayPublicCertContent": theirs, "alipayRootCertContent": roots}
    serials = peer.said("alipay", "serials", signs=key_pair("app")[0], certificates=given)
    serial = alipay_gateway.certificate_serial
    assert list(serials.values()) == [serial(ours), serial(theirs), serial(roots)]
    given = {**Alipay().credentials(), "app_certificate": ours, "alipay_root_certificates": roots}
    alipays.sealed_credentials = credentials.sealed(given)
    visit = Visit(return_url="https://shop.example/r/abc", place="phone")
    form = form_of(urlsplit(alipay.start(alipays, intent_of(250, "Apples"), visit).redirect_url).query)
    assert (form["app_cert_sn"], form["alipay_root_cert_sn"]) == (serials["appCertSn"], serials["alipayRootCertSn"])
    assert_signed_as_the_package_signs(peer, form)


@pytest.fixture
def gateway(db: None) -> Iterator[Alipay]:
    with Alipay().set() as running:
        yield running


@MANY
@given(
    said=st.dictionaries(NAMES, WORDS, max_size=5),
    key=KEYS,
    change=st.sampled_from(["none", "amount", "re-serialised", "spaces", "signature", "another method"]),
)
def test_we_and_the_package_agree_on_every_answer_of_alipay(
    peer: Peer, gateway: Alipay, said: dict[str, str], key: Any, change: str
) -> None:
    """But for the name of the method: the package looks for it elsewhere, and we where we look for the signature."""
    name = "alipay_trade_query_response"
    told = json.dumps({**said, "code": "10000", "out_trade_no": "int_01", "total_amount": "2.50"}, ensure_ascii=False)
    body = spoiled(f'{{"{name}":{told},"sign":"{sdk(key, "app")._sign(told)}"}}', change, name)
    gateway.tamper = lambda _body: body.encode()
    try:
        ours = bool(alipay.query(gateway.account(), Ref("int_01")))
    except ProviderError:
        ours = False
    asked = {"text": body, "name": name}
    theirs = any(
        peer.takes("alipay", "check answer", proves=key_pair(one)[1], **asked) for one in ("current", "previous")
    )
    assert ours == (theirs and change != "another method")
    assert ours == (key != "other" and change in ("none", "spaces"))


def spoiled(body: str, change: str, name: str) -> str:
    match change:
        case "amount":
            return body.replace('"2.50"', '"2.51"')
        case "re-serialised":
            return json.dumps(json.loads(body), separators=(",", ":"), ensure_ascii=True)
        case "spaces":
            return body.replace(f'"{name}":', f'"{name}" : ').replace(',"sign"', ' ,\n"sign"')
        case "signature":
            return body.replace('"sign":"', '"sign":"AAAA')
        case "another method":
            return body.replace("trade_query", "trade_precreate")
        case _:
            return body
