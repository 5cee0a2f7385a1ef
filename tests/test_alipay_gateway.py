"""Alipay's signatures against python-alipay-sdk as an independent peer, and against anything at all that may come."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote, urlencode

import pytest
from alipay import DCAliPay
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from merchants import ids
from payments import credentials
from payments.models import PaymentIntent, ProviderAccount
from payments.providers import alipay, alipay_gateway
from payments.providers.base import (
    Delivery,
    ProviderError,
    Ref,
    UnableToRead,
    UnableToVerify,
    Unauthorised,
    Verified,
    Visit,
)
from tests.networks.alipay import FORM, Alipay, key_pair, sdk, signed_form, unsaved

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "300"))
NOON = datetime(2026, 11, 22, 4, tzinfo=UTC)
PAGE = Visit(return_url="https://shop.example/r/abc")


@pytest.fixture
def network(db: None) -> Iterator[Alipay]:
    with Alipay().set() as running:
        yield running


@pytest.fixture
def account(network: Alipay) -> ProviderAccount:
    return network.account()


def intent_of(amount: int = 200, description: str = "Apples") -> PaymentIntent:
    now = timezone.now()
    return PaymentIntent(
        id=ids.new(),
        amount=amount,
        currency="CNY",
        description=description,
        created_at=now,
        expires_at=now + timedelta(minutes=15),
    )


def paid(network: Alipay, account: ProviderAccount, amount: int = 200) -> tuple[PaymentIntent, str]:
    intent = intent_of(amount)
    alipay.start(account, intent, PAGE)
    return intent, network.pay(intent.reference)


@pytest.fixture
def no_old_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Accounts of these tests are in no database, so that thousands of examples need none."""
    monkeypatch.setattr(credentials, "_older", lambda rows: [])


# --- Forms -----------------------------------------------------------------------------------------------------------


def sdk_accepts(raw: bytes) -> bool:
    """What the SDK says of it, handed over as its users do."""
    form = dict(parse_qsl(raw.decode(), keep_blank_values=True))
    sign = form.pop("sign")
    try:
        return bool(sdk("app", "current").verify(form, sign))
    except ValueError:  # A signature that is no base 64.
        return False


def we_accept(raw: bytes) -> bool:
    try:
        alipay.verify(unsaved(), Delivery(raw), now=NOON)
    except UnableToVerify:
        return False
    return True


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=30) | st.sampled_from(
    ["", " ", "100%", "%25 off", "a%2Bb+c", "=", "苹果 & 梨", "\t", "\u3000", "😀", "a\nb"]
)
NAMES = st.from_regex(r"[a-z][a-z_0-9]{0,12}", fullmatch=True).filter(
    lambda name: name not in ("sign", "sign_type", "alipay_cert_sn", "charset")
)


@pytest.mark.usefixtures("no_old_keys")
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(form=st.dictionaries(NAMES, WORDS, max_size=12), change=st.data())
def test_we_and_the_sdk_agree_on_every_form(form: dict[str, str], change: st.DataObject) -> None:
    good = signed_form(form)
    assert (we_accept(good), sdk_accepts(good)) == (True, True)
    pairs = parse_qsl(good.decode(), keep_blank_values=True)
    shuffled = change.draw(st.permutations(pairs))
    changed = {
        "in another order": urlencode(shuffled),
        "written in another way": "&".join(f"{quote(name)}={quote(value, safe='')}" for name, value in pairs),
        "one value changed": urlencode([(n, f"{v}x" if n != "sign_type" and n != "sign" else v) for n, v in pairs]),
        "one parameter more": urlencode([*pairs, ("zz_more", change.draw(WORDS))]),
        "empty values left out": urlencode([pair for pair in pairs if pair[1]]),
        "a changed signature": urlencode({**dict(pairs), "sign": dict(pairs)["sign"][::-1]}),
        "another's signature": signed_form(form, "other").decode(),
    }
    for what, text in changed.items():
        assert we_accept(text.encode()) == sdk_accepts(text.encode()), what
    assert we_accept(changed["in another order"].encode())
    assert we_accept(changed["written in another way"].encode())
    assert not we_accept(changed["one parameter more"].encode())
    assert not we_accept(changed["another's signature"].encode())


@pytest.mark.usefixtures("no_old_keys")
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(subject=st.text(st.characters(codec="gbk"), max_size=30))
def test_a_form_in_gbk_is_proved_by_its_own_bytes_or_by_those_of_utf_8(subject: str) -> None:
    form = {**FORM, "charset": "GBK", "subject": subject}
    by_its_own = signed_form(form, charset="gbk")
    assert we_accept(by_its_own)
    by_the_sdk = dict(parse_qsl(signed_form(form).decode(), keep_blank_values=True))
    assert we_accept(urlencode(by_the_sdk, encoding="gbk").encode())
    assert not we_accept(by_its_own.replace(b"total_amount=2.00", b"total_amount=9.00"))


@pytest.mark.usefixtures("no_old_keys")
def test_keys_are_also_read_in_the_bare_form_of_alipays_own_tool() -> None:
    bare = "".join(key_pair("current")[1].splitlines()[1:-1])
    assert alipay.verify(unsaved(alipay_public_key=bare), Delivery(signed_form(FORM)), now=NOON)
    with pytest.raises(UnableToVerify):
        alipay.verify(unsaved(alipay_public_key="not a key"), Delivery(signed_form(FORM)), now=NOON)


@pytest.mark.usefixtures("no_old_keys")
def test_a_signed_text_that_was_cut_at_other_places_is_never_booked() -> None:
    """The signature covers the joined text only: whoever chooses a subject chooses where it can be cut."""
    genuine = {**FORM, "subject": "x&total_amount=9000.00&trade_a=x"}
    sign = dict(parse_qsl(signed_form(genuine).decode()))["sign"]
    cut = {**FORM, "subject": "x", "total_amount": "9000.00", "trade_a": "x&total_amount=2.00"}
    raw = urlencode({**cut, "sign_type": "RSA2", "sign": sign}).encode()
    assert sdk_accepts(raw)
    proved = alipay.verify(unsaved(), Delivery(raw), now=NOON)
    assert [(e.amount, e.decision) for e in alipay.normalise(unsaved(), proved)] == [(900_000, "quarantine")]


@pytest.mark.usefixtures("no_old_keys")
def test_a_signed_text_whose_rest_is_cut_into_a_name_is_refused() -> None:
    """A name is signed as it stands as well: one with "&" and "=" in it could hide what was really paid."""
    genuine = {**FORM, "subject": "x&total_amount=9000.00&trade_no=2&trade_status=TRADE_SUCCESS&zz="}
    told = dict(parse_qsl(signed_form(genuine).decode()))
    signed = "&".join(f"{name}={told[name]}" for name in sorted(told) if name not in ("sign", "sign_type"))
    begin = signed.index("&zz=") + 1
    hidden, _, last = signed[begin:].rpartition("=")
    cut = {
        **{name: value for name, value in FORM.items() if name < "subject"},
        "subject": "x",
        "total_amount": "9000.00",
        "trade_no": "2",
        "trade_status": "TRADE_SUCCESS",
        hidden: last,
    }
    raw = urlencode({**cut, "sign_type": "RSA2", "sign": told["sign"]}).encode()
    assert sdk_accepts(raw)
    with pytest.raises(UnableToVerify):
        alipay.verify(unsaved(), Delivery(raw), now=NOON)


# --- Answers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["PKCS1", "PKCS8"])
def test_our_own_key_may_be_bare(network: Alipay, form: str) -> None:
    key = serialization.load_pem_private_key(key_pair("app")[0].encode(), None)
    shape = serialization.PrivateFormat.TraditionalOpenSSL if form == "PKCS1" else serialization.PrivateFormat.PKCS8
    pem = key.private_bytes(serialization.Encoding.PEM, shape, serialization.NoEncryption()).decode()
    account = network.account()
    account.sealed_credentials = credentials.sealed(
        {**network.credentials(), "private_key": "".join(pem.splitlines()[1:-1])}
    )
    assert alipay.start(account, intent_of(), PAGE).qr
    account.sealed_credentials = credentials.sealed({**network.credentials(), "private_key": "AAAA"})
    with pytest.raises(Unauthorised, match="our own key"):
        alipay.start(account, intent_of(), PAGE)


@pytest.mark.parametrize(
    ("fault", "kind", "permanent"),
    [
        (("40002", "isv.invalid-app-id"), Unauthorised, True),
        (("40002", "isv.invalid-signature"), Unauthorised, True),
        (("40001", "isv.missing-signature"), Unauthorised, True),
        (("40006", "isv.insufficient-isv-permissions"), Unauthorised, True),
        (("20000", "isp.unknow-error"), ProviderError, False),
        (("40005", "isv.app-call-limited"), ProviderError, False),
        (("40004", "ACQ.SYSTEM_ERROR"), ProviderError, False),
        (("40004", "ACQ.INVALID_PARAMETER"), ProviderError, True),
        (("40002", "isv.invalid-parameter"), ProviderError, True),
    ],
)
def test_a_refused_call_says_whether_asking_again_helps(
    network: Alipay, account: ProviderAccount, fault: tuple[str, str], kind: type[ProviderError], permanent: bool
) -> None:
    network.faults["alipay.trade.query"] = fault
    with pytest.raises(ProviderError, match=fault[1]) as failure:
        alipay.query(account, Ref("int_01"))
    assert (type(failure.value), failure.value.permanent) == (kind, permanent)


@pytest.mark.parametrize(
    "change",
    [
        (b'"total_amount": "2.00"', b'"total_amount": "1.00"'),
        (b'"sign":"', b'"sign":"AAAA'),
        (b'"sign":"', b'"other":"'),
        (b"}", b""),
        (b"alipay_trade_query_response", b"alipay_trade_close_response"),
        (b'{"alipay', b'{"sign":"","alipay'),
        (b'"code": "10000"', b'"code": "10000" '),
    ],
)
def test_an_answer_that_was_changed_on_its_way_is_no_answer(
    network: Alipay, account: ProviderAccount, change: tuple[bytes, bytes]
) -> None:
    intent, _ = paid(network, account)
    network.tamper = lambda body: body.replace(*change, 1)
    with pytest.raises(ProviderError) as failure:
        alipay.query(account, Ref(intent.reference))
    assert not failure.value.permanent


def test_a_business_refusal_is_only_believed_when_it_is_signed(network: Alipay, account: ProviderAccount) -> None:
    network.tamper = lambda body: body.split(b',"sign"')[0] + b"}"
    with pytest.raises(ProviderError, match="not signed"):
        alipay.query(account, Ref("int_01"))
    network.faults["alipay.trade.query"] = ("40002", "isv.invalid-app-id")
    with pytest.raises(Unauthorised):
        alipay.query(account, Ref("int_01"))


def test_an_answer_about_another_trade_is_no_answer(network: Alipay, account: ProviderAccount) -> None:
    intent, _ = paid(network, account)
    network.trades[intent.reference].reference = "int_other"
    network._trade = lambda content: network.trades[intent.reference]  # type: ignore[method-assign]
    with pytest.raises(ProviderError, match="about another out_trade_no"):
        alipay.query(account, Ref(intent.reference))


def test_answers_are_proved_by_any_of_our_keys_and_by_no_other(network: Alipay, account: ProviderAccount) -> None:
    intent, _ = paid(network, account)
    network.key = "previous"
    assert alipay.query(account, Ref(intent.reference)).authority == "queried"
    network.key = "other"
    with pytest.raises(ProviderError, match="not signed by Alipay"):
        alipay.query(account, Ref(intent.reference))


def test_a_key_of_ours_that_alipay_does_not_know_is_said_to_be_refused(network: Alipay) -> None:
    account = network.account()
    account.sealed_credentials = credentials.sealed({**network.credentials(), "private_key": key_pair("other")[0]})
    with pytest.raises(Unauthorised):
        alipay.query(account, Ref("int_01"))
    assert network.problems == ["alipay.trade.query: sign"]
    network.problems.clear()


# --- Certificates ----------------------------------------------------------------------------------------------------


def certificate(of: str, name: str) -> str:
    """A certificate in the manner of Alipay's, issued by itself."""
    names = [
        x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Ant Financial"),
        x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Certification Authority"),
        x509.NameAttribute(NameOID.COMMON_NAME, name),
    ]
    key = serialization.load_pem_private_key(key_pair(of)[0].encode(), None)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(names))
        .issuer_name(x509.Name(names))
        .public_key(key.public_key())  # type: ignore[arg-type]
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOON)
        .not_valid_after(NOON + timedelta(days=1825))
        .sign(key, hashes.SHA256())  # type: ignore[arg-type]
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


def test_a_certificate_is_named_as_the_sdk_names_it() -> None:
    first, second = certificate("app", "Ant Financial Class 1"), certificate("other", "Root R1")
    assert alipay_gateway.certificate_serial(first) == DCAliPay.get_cert_sn(first)
    assert alipay_gateway.certificate_serial(f"{first}\n{second}") == DCAliPay.get_root_cert_sn(f"{first}\n{second}")


def test_in_certificate_mode_requests_name_ours_and_answers_are_proved_by_theirs(network: Alipay) -> None:
    ours, theirs, roots = certificate("app", "App"), certificate("current", "Alipay"), certificate("other", "Root")
    account = network.account()
    given = {**network.credentials(), "alipay_public_key": "", "app_certificate": ours, "alipay_certificate": theirs}
    account.sealed_credentials = credentials.sealed({**given, "alipay_root_certificates": roots})
    serial = DCAliPay.get_cert_sn(theirs)
    network.tamper = lambda body: body[:-1] + f',"alipay_cert_sn":"{serial}"}}'.encode()
    assert alipay.start(account, intent_of(), PAGE).qr
    assert network.requests[-1]["app_cert_sn"] == DCAliPay.get_cert_sn(ours)
    assert network.requests[-1]["alipay_root_cert_sn"] == DCAliPay.get_root_cert_sn(roots)
    serial = "0" * 32
    with pytest.raises(ProviderError, match="not signed by Alipay"):
        alipay.start(account, intent_of(), PAGE)


@pytest.mark.usefixtures("no_old_keys")
def test_a_form_that_names_a_certificate_is_proved_by_that_one_only() -> None:
    theirs = certificate("current", "Alipay")
    account = unsaved(alipay_public_key=key_pair("previous")[1], alipay_certificate=theirs)

    def proves(form: bytes, serial: str) -> bool:
        raw = form + f"&alipay_cert_sn={serial}".encode()
        try:
            return alipay.verify(account, Delivery(raw), now=NOON).authority == "signed"
        except UnableToVerify:
            return False

    by_certificate, by_key = signed_form(FORM), signed_form(FORM, "previous")
    named = DCAliPay.get_cert_sn(theirs)
    assert (proves(by_certificate, named), proves(by_key, named)) == (True, False)
    assert (proves(by_certificate, "0" * 32), proves(by_key, "")) == (False, True)


@pytest.mark.usefixtures("no_old_keys")
def test_the_name_of_a_certificate_may_be_in_the_signed_text() -> None:
    """Alipay's own SDKs leave it there, this one too; and then it can not be another one's."""
    theirs = certificate("current", "Alipay")
    account = unsaved(alipay_public_key="", alipay_certificate=theirs)
    raw = signed_form({**FORM, "alipay_cert_sn": DCAliPay.get_cert_sn(theirs)})
    assert sdk_accepts(raw)
    [event] = alipay.normalise(account, alipay.verify(account, Delivery(raw), now=NOON))
    assert (event.kind, event.amount) == ("payment.succeeded", 200)
    for forged in (raw.replace(b"total_amount=2.00", b"total_amount=9.00"), raw.replace(b"&alipay_cert_sn=", b"&sn=")):
        assert forged != raw
        with pytest.raises(UnableToVerify, match="signature_wrong"):
            alipay.verify(account, Delivery(forged), now=NOON)


def test_keys_that_cannot_be_read_prove_nothing() -> None:
    broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"
    assert list(alipay_gateway.keys({"alipay_public_key": broken, "alipay_certificate": broken})) == []
    assert list(alipay_gateway.keys({})) == []


def test_a_key_too_short_for_rsa2_proves_nothing() -> None:
    short = rsa.generate_private_key(65537, 1024).public_key()
    pem = short.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    assert list(alipay_gateway.keys({"alipay_public_key": pem})) == []
    assert len(list(alipay_gateway.keys({"alipay_public_key": pem + key_pair("current")[1]}))) == 1


# --- Anything at all -------------------------------------------------------------------------------------------------

VALUES = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["", "0.01", "2.00", "1e9", "-1", "NaN", "9" * 13, "GBK", "rfd_01", "a&total_amount=1", "\0"]),
    st.sampled_from(["2026-11-22 12:00:00", "9999-12-31 23:59:59", "0001-01-01 00:00:00"]),
    st.sampled_from(["TRADE_CLOSED", "TRADE_SUCCESS", "WAIT_BUYER_PAY"]),
)
FIELDS = sorted({*FORM, "refund_fee", "gmt_refund", "gmt_close", "out_biz_no", "trans_currency", "sign_type", "sign"})
FORMS = st.dictionaries(st.one_of(st.sampled_from(FIELDS), st.text(max_size=8)), VALUES, max_size=6)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS) | VALUES, inner, max_size=4),
    max_leaves=8,
)
EXAMPLE = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


def written(form: dict[str, str]) -> bytes:
    return urlencode({**FORM, **form}, errors="replace").encode()


def understood(verified: Verified) -> None:
    """Either it is not read, or every event is one that could be booked."""
    try:
        events = alipay.normalise(unsaved(), verified)
    except UnableToRead:
        return
    for event in events:
        assert event.occurred_at.tzinfo is not None
        assert (0 < event.amount <= 10**15 and len(event.object_id) <= 80) or event.kind == "info"
        assert "\0" not in f"{event.object_id}{event.reference}{event.parent_object_id}{event.reason}{event.account}"


@pytest.mark.usefixtures("no_old_keys")
@EXAMPLE
@given(
    raw=st.binary(max_size=300) | FORMS.map(written),
    cut=st.integers(0, 900),
    put=st.binary(max_size=8),
    width=st.integers(0, 8),
)
def test_nothing_but_a_signed_form_is_ever_proved(raw: bytes, cut: int, put: bytes, width: int) -> None:
    good = signed_form(FORM)
    damaged = good[:cut] + put + good[cut + width :]
    for body in (raw, raw + b"&" + good, damaged):
        try:
            proved = alipay.verify(unsaved(), Delivery(body), now=NOON)
        except UnableToVerify as refusal:
            assert (refusal.code, refusal.ask) in {("signature_missing", ""), ("signature_wrong", "")}
        else:  # Written in another way at most: it says what was signed, and nothing else.
            assert alipay.normalise(unsaved(), proved) == alipay.normalise(unsaved(), Verified("", good, "signed"))


@pytest.mark.usefixtures("no_old_keys")
@EXAMPLE
@given(form=FORMS, raw=st.binary(max_size=200), answer=JSON, told_of=JSON)
def test_whatever_is_signed_is_understood_or_not_read(
    form: dict[str, str], raw: bytes, answer: object, told_of: object
) -> None:
    understood(Verified("", written(form), "signed"))
    understood(Verified("", raw, "signed"))
    understood(Verified("", raw, "queried"))
    understood(Verified("", json.dumps(answer).encode(), "queried"))
    trade = {**FORM, **(told_of if isinstance(told_of, dict) else {"trade_no": told_of})}
    at, terms = "2026-11-22T12:00:00+00:00", {"reference": "rfd_01", "payment": "1", "amount": 5}
    for name in ("trade", "refund", "refused", "closed", "refund_under_way"):
        message = {name: json.dumps(trade), "at": at, **terms}
        understood(Verified("", json.dumps(message).encode(), "queried"))
        understood(Verified("", json.dumps({**message, **trade}).encode(), "queried"))
