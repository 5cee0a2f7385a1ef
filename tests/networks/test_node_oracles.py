"""WeChat Pay, Stripe and Razorpay against the networks' software for Node: who signs, seals and judges independently.

A second opinion beside the packages for Python, from other authors; Alipay's stands in `test_node_alipay`. Where the
two sides differ, a test says how. All of these need `make peers`, and skip themselves else.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from merchants import ids
from payments import credentials
from payments.models import OldCredentials, Payment, PaymentIntent, ProviderAccount, Refund
from payments.providers import stripe, wechatpay
from payments.providers import wechatpay_signing as signing
from payments.providers.base import AMOUNT_MAX, Delivery, Ref, UnableToRead, Visit
from tests.networks.node import KEYS, MANY, Peer, Refused, verdict
from tests.networks.razorpay import SECRETS, Razorpay
from tests.networks.stripe import Stripe
from tests.networks.wechatpay import MERCHANT_SERIAL, SHANGHAI, Order, WeChatPay, pem, public_pem
from tests.settlement_files import rows_of_day

pytestmark = pytest.mark.xdist_group("node")

# Seconds since it was signed; none so near to the five minutes that the two clocks could disagree.
AGES = st.sampled_from([0, 0, 0, 1, 240, 310, 9000, -10, -240, -310, -9000])
TEXTS = st.text(st.characters(codec="utf-8"), max_size=40)
BACK = "https://shop.example/r/abc"


# --- WeChat Pay: notifications ---------------------------------------------------------------------------------------


@pytest.fixture
def wechat(db: None) -> Iterator[WeChatPay]:
    with WeChatPay().set() as running:
        yield running


@pytest.fixture
def account(wechat: WeChatPay) -> ProviderAccount:
    return wechat.account()


def sealed_by_node(peer: Peer, text: str, key: str, bound: str) -> dict[str, str]:
    nonce = secrets.token_hex(6)
    ciphertext = peer.said("wechatpay", "seal", text=text, key=key, nonce=nonce, bound=bound)
    told = {"algorithm": "AEAD_AES_256_GCM", "nonce": nonce, "ciphertext": ciphertext}
    return {**told, "associated_data": bound, "original_type": "transaction"}


def opened_by_node(peer: Peer, resource: dict[str, str], key: str) -> str:
    """What it holds. Raises Refused."""
    named = {name: resource[name] for name in ("ciphertext", "nonce")}
    return str(peer.said("wechatpay", "open", **named, bound=resource["associated_data"], key=key))


def signed_by_node(peer: Peer, body: str, serial: str, key: RSAPrivateKey, at: datetime) -> Delivery:
    timestamp, nonce = str(int(at.timestamp())), secrets.token_hex(16)
    about = {"timestamp": timestamp, "nonce": nonce}
    signature = peer.said("wechatpay", "sign notification", key=pem(key), body=body, **about)
    told = {**about, "serial": serial, "signature": signature}
    return Delivery(body.encode(), {f"wechatpay-{name}": value for name, value in told.items()})


def node_takes(peer: Peer, wechat: WeChatPay, delivery: Delivery) -> bool:
    keys = {one.serial: public_pem(one.key) for one in (wechat.current, wechat.previous)}
    about = {"headers": dict(delivery.headers), "body": delivery.raw.decode()}
    return peer.takes("wechatpay", "check", keys=keys, **about)


def notified(peer: Peer, wechat: WeChatPay, total: int, attach: str, key: str, bound: str = "transaction") -> str:
    """The body of a notification of a payment, sealed by the package under that APIv3 key."""
    now = datetime.now(SHANGHAI).isoformat(timespec="seconds")
    order = Order("native", {"out_trade_no": "int_01"}, "", "SUCCESS", "4200000000000000000000000001", total, now)
    held = json.dumps({**wechat.transaction(order), "attach": attach}, ensure_ascii=False)
    resource = sealed_by_node(peer, held, key, bound)
    body = {"id": f"EV-{secrets.token_hex(8)}", "create_time": now, "event_type": "TRANSACTION.SUCCESS"}
    return json.dumps({**body, "summary": attach, "resource": resource}, ensure_ascii=False)


CHANGES = (
    "none", "none", "body", "re-serialised", "cut", "signature", "no signature", "timestamp", "nonce", "other serial",
    "serial of nobody",
)  # fmt: skip


def changed(wechat: WeChatPay, delivery: Delivery, change: str, at: int) -> Delivery:
    headers, raw = dict(delivery.headers), delivery.raw.decode()
    place = at % len(raw)
    match change:
        case "body":
            raw = raw[:place] + ("y" if raw[place] == "x" else "x") + raw[place + 1 :]
        case "re-serialised":
            raw = json.dumps(json.loads(raw), separators=(",", ":"))
        case "cut":
            raw = raw[:place]
        case "signature":
            value = headers["wechatpay-signature"]
            place = at % (len(value) - 3)  # The last sign before the padding has bits that mean nothing.
            letter = "A" if value[place] != "A" else "B"
            headers["wechatpay-signature"] = value[:place] + letter + value[place + 1 :]
        case "no signature":
            del headers["wechatpay-signature"]
        case "timestamp":
            headers["wechatpay-timestamp"] = str(int(headers["wechatpay-timestamp"]) + 1)
        case "nonce":
            headers["wechatpay-nonce"] = headers["wechatpay-nonce"][::-1]
        case "other serial":
            held = wechat.previous if headers["wechatpay-serial"] == wechat.current.serial else wechat.current
            headers["wechatpay-serial"] = held.serial
        case "serial of nobody":
            headers["wechatpay-serial"] = "0123456789ABCDEF"
    return Delivery(raw.encode(), headers)


@MANY
@given(
    total=st.integers(1, AMOUNT_MAX),
    attach=TEXTS,
    bound=st.sampled_from(["transaction", ""]) | TEXTS,
    key=KEYS,
    age_s=AGES,
    change=st.sampled_from(CHANGES),
    at=st.integers(0, 10**6),
)
def test_we_and_the_package_agree_on_every_notification_of_wechat_pay(
    peer: Peer,
    wechat: WeChatPay,
    account: ProviderAccount,
    total: int,
    attach: str,
    bound: str,
    key: str,
    age_s: int,
    change: str,
    at: int,
) -> None:
    now, held = timezone.now(), wechat.previous if key == "previous" else wechat.current
    body = notified(peer, wechat, total, attach, wechat.apiv3_key, bound)
    signer = wechat.other if key == "other" else held.key
    genuine = signed_by_node(peer, body, held.serial, signer, now - timedelta(seconds=age_s))
    delivery = changed(wechat, genuine, change, at)
    ours = verdict(account, delivery, now)
    assert (ours == "signed") == node_takes(peer, wechat, delivery)
    if ours == "signed":
        [event] = wechatpay.normalise(account, wechatpay.verify(account, delivery, now=now))
        assert (event.kind, event.amount, event.reference) == ("payment.succeeded", total, "int_01")
    if change == "none":
        stale = abs(age_s) > 300
        assert ours == ("timestamp_stale" if stale else "signature_wrong" if key == "other" else "signed")


@MANY
@given(
    text=TEXTS,
    bound=st.sampled_from(["transaction", ""]) | TEXTS,
    part=st.sampled_from(["none", "none", "ciphertext", "nonce", "associated_data", "key", "cut", "empty"]),
    at=st.integers(0, 10**6),
)
def test_what_the_package_seals_we_open_and_what_it_opens_no_more_neither_do_we(
    peer: Peer, text: str, bound: str, part: str, at: int
) -> None:
    key = secrets.token_hex(16)
    resource = sealed_by_node(peer, text, key, bound)
    match part:
        case "ciphertext" | "nonce":
            value = resource[part]
            place = at % (len(value) - 3)
            resource[part] = value[:place] + ("A" if value[place] != "A" else "B") + value[place + 1 :]
        case "associated_data":
            resource[part] += "x"
        case "key":
            key = secrets.token_hex(16)
        case "cut":
            resource["ciphertext"] = resource["ciphertext"][: at % (len(resource["ciphertext"]) // 4) * 4]
        case "empty":
            resource["ciphertext"] = ""
    try:
        ours = signing.decrypted(resource, [key]).decode()
    except ValueError:
        ours = None
    try:
        theirs = opened_by_node(peer, resource, key)
    except Refused:
        theirs = None
    assert ours == (text if part == "none" else None)
    # Of what is too short for a whole tag, the package takes four or more bytes of one for enough.
    assert ours == theirs or (part == "cut" and len(resource["ciphertext"]) < 24)


def test_what_was_sealed_under_an_older_apiv3_key_is_still_read(
    peer: Peer, wechat: WeChatPay, account: ProviderAccount
) -> None:
    now, before, never = timezone.now(), secrets.token_hex(16), secrets.token_hex(16)
    OldCredentials.objects.create(
        provider_account=account,
        sealed_credentials=credentials.sealed({**wechat.credentials(), "apiv3_key": before}),
        replaced_at=now - timedelta(days=30),
        accepted_until=now - timedelta(days=23),
    )

    def read(key: str) -> list[int]:
        body = notified(peer, wechat, 250, "", key)
        delivery = signed_by_node(peer, body, wechat.current.serial, wechat.current.key, now)
        return [one.amount for one in wechatpay.normalise(account, wechatpay.verify(account, delivery, now=now))]

    assert (read(wechat.apiv3_key), read(before)) == ([250], [250])
    with pytest.raises(UnableToRead):
        read(never)


# --- WeChat Pay: what we ask -----------------------------------------------------------------------------------------

PARTS = re.compile(r'(\w+)="([^"]*)"')


def assert_signed_as_the_package_signs(
    peer: Peer, wechat: WeChatPay, method: str, target: str, body: str, authorization: str
) -> None:
    """RSASSA-PKCS1-v1_5 has no chance in it: the same request at the same time has one signature."""
    parts = dict(PARTS.findall(authorization))
    told = {"timestamp": parts["timestamp"], "nonce": parts["nonce_str"]}
    about = {"key": pem(wechat.merchant), "method": method, "target": target, "body": body}
    signature = peer.said("wechatpay", "sign request", **told, **about)
    named = {"mchid": wechat.mchid, "serial": MERCHANT_SERIAL, "signature": signature}
    theirs = peer.said("wechatpay", "authorization", **told, **named)
    assert theirs.split(" ")[0] == authorization.split(" ")[0]
    assert sorted(PARTS.findall(theirs)) == sorted(PARTS.findall(authorization))


@MANY
@given(method=st.sampled_from(["GET", "POST"]), target=TEXTS.map("/v3/pay?".__add__), body=TEXTS)
def test_any_request_to_wechat_pay_is_signed_as_the_package_signs(
    peer: Peer, wechat: WeChatPay, method: str, target: str, body: str
) -> None:
    ours = signing.authorization(wechat.credentials(), method, target, body.encode(), now=timezone.now())
    assert_signed_as_the_package_signs(peer, wechat, method, target, body, ours)


def intent_of(amount: int, description: str) -> PaymentIntent:
    now = timezone.now()
    life = {"created_at": now, "expires_at": now + timedelta(minutes=15)}
    return PaymentIntent(id=ids.new(), amount=amount, currency="CNY", description=description, **life)


def test_the_calls_to_wechat_pay_are_signed_as_the_package_signs(
    peer: Peer, wechat: WeChatPay, account: ProviderAccount
) -> None:
    intent = intent_of(250, '苹果 100% "好" 😀')
    wechatpay.start(account, intent, Visit(BACK))
    transaction = wechat.pay(intent.reference)
    payment = Payment(id=ids.new(), object_id=transaction, currency="CNY", amount=250)
    asked = Refund(id=ids.new(), payment=payment, amount=100, currency="CNY", reason="烂了")
    wechatpay.refund(account, asked, transaction)
    wechatpay.query(account, Ref(intent.reference))
    wechatpay.close(account, intent_of(100, "Pears"))
    wechatpay.start(account, intent_of(100, "Plums"), Visit(BACK, place="phone", address="203.0.113.7"))
    assert len(list(rows_of_day(account, datetime.now(SHANGHAI).date()))) == 2
    assert len(wechat.requests) >= 8
    for request in wechat.requests:
        assert_signed_as_the_package_signs(
            peer, wechat, request.method, request.target, request.body.decode(), request.headers["authorization"]
        )


def test_the_call_of_wechats_own_browser_is_signed_as_the_package_signs(peer: Peer, wechat: WeChatPay) -> None:
    told = signing.bridge_arguments(wechat.credentials(), "wx201410272009395522657a690389285100", now=timezone.now())
    lines = [told[name] for name in ("appId", "timeStamp", "nonceStr", "package")]
    assert told["paySign"] == peer.said("wechatpay", "sign lines", key=pem(wechat.merchant), lines=lines)
    assert told["signType"] == "RSA"


NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"], exclude_characters="`"), max_size=20
)


@settings(MANY, max_examples=25)
@given(sold=st.lists(st.tuples(st.integers(2, 10**9), NAMES), min_size=1, max_size=3))
def test_the_bill_is_read_as_the_package_reads_it(
    peer: Peer, wechat: WeChatPay, account: ProviderAccount, sold: list[tuple[int, str]]
) -> None:
    wechat.orders.clear()
    wechat._bills.clear()
    for total, name in sold:
        intent = intent_of(total, name)
        wechatpay.start(account, intent, Visit(BACK))
        wechat.refund_at_desk(wechat.pay(intent.reference), total // 2)
    ours = list(rows_of_day(account, datetime.now(SHANGHAI).date()))
    [raw] = wechat._bills.values()
    theirs = peer.said("wechatpay", "read bill", body=raw.hex())["rows"]
    assert [(row.object_id, row.reference, fen(row.amount)) for row in ours] == [
        (row["微信订单号"], row["商户订单号"], row["订单金额"])
        if row["交易状态"] == "SUCCESS"
        else (row["微信退款单号"], row["商户退款单号"], f"-{row['申请退款金额']}")
        for row in theirs
    ]
    assert len(theirs) == 2 * len(sold)


def fen(amount: int) -> str:
    return f"{'-' if amount < 0 else ''}{abs(amount) // 100}.{abs(amount) % 100:02d}"


# --- Stripe ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def cards(db: None) -> Stripe:
    return Stripe()


def stripe_takes(peer: Peer, cards: Stripe, delivery: Delivery, now: datetime) -> str:
    """The id of the event that the package reads, by one of our two secrets; "" when it throws."""
    about = {"body": delivery.raw.hex(), "header": delivery.headers["stripe-signature"], "now": now.timestamp()}
    for key in ("current", "previous"):
        try:
            return str(peer.said("stripe", "check", secret=cards.secrets[key], **about))
        except Refused:
            continue
    return ""


@MANY
@given(key=KEYS, age_s=AGES, draws=st.data())
def test_we_take_what_stripes_package_takes_but_for_the_future(
    peer: Peer, cards: Stripe, key: str, age_s: int, draws: st.DataObject
) -> None:
    account, now, raw = cards.account(), timezone.now(), cards.sample()
    moment = int(now.timestamp()) - age_s
    about = {"payload": raw.decode(), "secret": cards.secrets[key], "timestamp": moment}
    header = peer.said("stripe", "sign", **about)
    time, good = header.split(",")[0], header.split("v1=")[1]
    pieces = [
        f"v1={good}",
        f"v1={good.upper()}",
        f"v1={'0' * 64}",
        f"v0={good}",
        f" v1={good}",
        f"v1={good}=",
        "v0",
        "",
    ]
    usual = st.just([time, f"v1={good}"])
    chosen = draws.draw(usual | usual | st.lists(st.sampled_from(pieces), max_size=4).flatmap(with_time(time)))
    compact = json.dumps(json.loads(raw), separators=(",", ":")).encode()
    thin = raw.replace(b'"object": "event"', b'"object": "v2.core.event"')
    body = draws.draw(
        st.sampled_from([raw, raw, raw, compact, thin, raw + b" ", raw[:-1], raw.replace(b"700", b"900")])
    )
    delivery = Delivery(body, {"stripe-signature": draws.draw(st.sampled_from([",", ",", ", "])).join(chosen)})
    theirs, ours = stripe_takes(peer, cards, delivery, now), verdict(account, delivery, now)
    in_future = age_s < -300  # Only who holds the secret can sign it; the window is meant both ways.
    assert (ours == "signed") == (bool(theirs) and not in_future)
    if ours == "signed":
        assert stripe.verify(account, delivery, now=now).delivery_id == theirs


def with_time(time: str) -> Any:
    """The time at any place, or at none."""
    return lambda pieces: st.permutations([time, *pieces]) | st.just(pieces)


def test_where_stripes_packages_differ_we_side_with_the_one_for_python(peer: Peer, cards: Stripe) -> None:
    """Of two times the one for Node takes the last; and an empty signature makes it refuse the right one beside it."""
    account, now, raw = cards.account(), timezone.now(), cards.sample()
    good = cards.sign(raw, at=now).headers["stripe-signature"]
    for header, theirs, ours in (
        (f"t=1,{good}", True, "signature_wrong"),
        (f"{good},t=1", False, "signed"),
        (f"{good},v1=", False, "signed"),
    ):
        delivery = replace(Delivery(raw), headers={"stripe-signature": header})
        assert bool(stripe_takes(peer, cards, delivery, now)) == theirs
        assert verdict(account, delivery, now) == ours


# --- Razorpay --------------------------------------------------------------------------------------------------------


@MANY
@given(
    key=KEYS,
    told=st.dictionaries(TEXTS, TEXTS, max_size=5),
    change=st.sampled_from(["none", "none", "body", "re-serialised", "upper case", "cut", "longer", "empty"]),
    at=st.integers(0, 10**6),
)
def test_we_and_razorpays_package_agree_on_every_signature(
    peer: Peer, db: None, key: Any, told: dict[str, str], change: str, at: int
) -> None:
    network, now = Razorpay(), timezone.now()
    raw = json.dumps({"event": "order.paid", **told}, ensure_ascii=False).encode()
    signature = network.sign(raw, at=now, key=key).headers["x-razorpay-signature"]
    body, place = raw.decode(), at % len(raw.decode())
    match change:
        case "body":
            body = body[:place] + ("y" if body[place] == "x" else "x") + body[place + 1 :]
        case "re-serialised":
            body = json.dumps(json.loads(raw), separators=(",", ":"))
        case "upper case":
            signature = signature.upper()
        case "cut":
            signature = signature[: at % len(signature)]
        case "longer":
            signature += signature[0]
        case "empty":
            signature = ""
    theirs = any(
        peer.takes("razorpay", "check", body=body, signature=signature, secret=SECRETS[one])
        for one in ("current", "previous")
    )
    delivery = Delivery(body.encode(), {"x-razorpay-signature": signature})
    ours = verdict(network.account(), delivery, now)
    assert (ours == "signed") == theirs
    if change == "none":
        assert theirs == (key != "other")
