"""Alipay's module against a stand-in of its gateway, and against python-alipay-sdk as an independent peer."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from django.conf import LazySettings
from django.utils import timezone

from merchants import ids
from payments import checkout, credentials, inbox, providers
from payments.models import Payment, PaymentIntent, ProviderAccount, Refund
from payments.providers import alipay
from payments.providers.base import (
    Delivery,
    Event,
    ProviderError,
    Ref,
    UnableToRead,
    UnableToVerify,
    Visit,
)
from tests.cast import Person
from tests.networks.alipay import APP_ID, FORM, SELLER_ID, ZONE, Alipay, key_pair, sdk, signed_form, unsaved
from tests.till import assert_books_hold, drain, shop_code, total

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "300"))
NOON = datetime(2026, 11, 22, 4, tzinfo=UTC)  # In Shanghai.
OURS: dict[str, Any] = {"account": {"app_id": APP_ID, "seller_id": SELLER_ID}}
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


def refund_of(trade: str, amount: int, reason: str = "") -> Refund:
    payment = Payment(id=ids.new(), object_id=trade, currency="CNY", amount=amount)
    return Refund(id=ids.new(), payment=payment, amount=amount, currency="CNY", reason=reason)


def told(events: object) -> list[tuple[str, str, int, bool]]:
    assert isinstance(events, list)
    return [(event.kind, event.reference, event.amount, event.final) for event in events]


TRADE = FORM["trade_no"]


def read(**changes: str) -> list[Event]:
    form = {name: value for name, value in {**FORM, **changes}.items() if value != "absent"}
    raw = signed_form(form, charset="gbk" if form.get("charset") == "GBK" else "utf-8")
    proved = alipay.verify(unsaved(), Delivery(raw), now=NOON)
    return list(alipay.normalise(unsaved(), proved))


def code_of(raw: bytes) -> str:
    with pytest.raises(UnableToVerify) as refusal:
        alipay.verify(unsaved(), Delivery(raw), now=NOON)
    return refusal.value.code


@pytest.fixture
def no_old_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Accounts of these tests are in no database, so that thousands of examples need none."""
    monkeypatch.setattr(credentials, "_older", lambda rows: [])


# --- Proving ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_old_keys")
def test_a_proved_form_keeps_its_bytes_and_the_id_that_its_repeats_have_too() -> None:
    raw = signed_form(FORM)
    proved = alipay.verify(unsaved(), Delivery(raw), now=NOON)
    assert (proved.delivery_id, proved.raw, proved.authority) == (FORM["notify_id"], raw, "signed")
    assert proved.key_id.startswith("sha256:")
    nameless = alipay.verify(unsaved(), Delivery(signed_form({**FORM, "notify_id": "\0"})), now=NOON)
    assert nameless.delivery_id.startswith("signed:")


@pytest.mark.usefixtures("no_old_keys")
@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"sign": ""}, "signature_missing"),
        ({"sign": None}, "signature_missing"),
        ({"sign_type": None}, "signature_missing"),
        ({"sign": "no base 64!"}, "signature_wrong"),
        ({"sign": "AAAA"}, "signature_wrong"),
        ({"sign_type": "RSA"}, "signature_wrong"),
        ({"sign_type": "rsa2"}, "signature_wrong"),
        ({"alipay_cert_sn": "0" * 32}, "signature_wrong"),
        ({"total_amount": "2.01"}, "signature_wrong"),
    ],
)
def test_what_is_not_proved_is_refused_by_its_code(change: dict[str, str | None], code: str) -> None:
    form = {**dict(parse_qsl(signed_form(FORM).decode(), keep_blank_values=True)), **change}
    assert code_of(urlencode({name: value for name, value in form.items() if value is not None}).encode()) == code


@pytest.mark.usefixtures("no_old_keys")
def test_a_parameter_that_stands_twice_is_refused() -> None:
    raw = signed_form(FORM)
    assert code_of(raw + b"&total_amount=2.00") == "signature_wrong"
    assert code_of(b"&".join(b"a%d=" % number for number in range(1000))) == "signature_wrong"


@pytest.mark.usefixtures("no_old_keys")
def test_notifications_of_other_kinds_are_signed_with_their_sign_type() -> None:
    form = {"app_id": APP_ID, "notify_type": "servicemarket_order_notify", "notify_time": "2019-03-08 10:20:23"}
    content = "&".join(f"{name}={value}" for name, value in sorted({**form, "sign_type": "RSA2"}.items()))
    sign = sdk("current", "app")._sign(content)
    proved = alipay.verify(
        unsaved(), Delivery(urlencode({**form, "sign_type": "RSA2", "sign": sign}).encode()), now=NOON
    )
    assert [(e.kind, e.decision) for e in alipay.normalise(unsaved(), proved)] == [("info", "ignore")]


def test_a_key_that_was_replaced_proves_until_it_is_accepted_no_longer(account: ProviderAccount) -> None:
    raw = signed_form(FORM, "other")
    now = timezone.now()
    older = {**credentials.of(account), "alipay_public_key": key_pair("other")[1]}
    account.old_credentials.create(
        sealed_credentials=credentials.sealed(older), replaced_at=now, accepted_until=now + timedelta(hours=1)
    )
    assert alipay.verify(account, Delivery(raw), now=now).authority == "signed"
    with pytest.raises(UnableToVerify):
        alipay.verify(account, Delivery(raw), now=now + timedelta(hours=2))


@pytest.mark.usefixtures("no_old_keys")
@pytest.mark.parametrize("key", ["current", "previous"])
def test_of_several_keys_any_proves(key: str) -> None:
    raw = signed_form(FORM, "current" if key == "current" else "previous")
    assert alipay.verify(unsaved(), Delivery(raw), now=NOON).authority == "signed"


# --- Understanding ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_old_keys")
@pytest.mark.parametrize("status", ["TRADE_SUCCESS", "TRADE_FINISHED"])
@pytest.mark.parametrize("charset", ["utf-8", "GBK"])
def test_money_is_told_of_by_both_words_for_it(status: str, charset: str) -> None:
    assert read(trade_status=status, charset=charset) == [
        Event("payment.succeeded", TRADE, 200, "CNY", NOON, reference="int_01", **OURS)
    ]


@pytest.mark.usefixtures("no_old_keys")
def test_a_trade_that_is_not_paid_is_no_money() -> None:
    at = NOON + timedelta(seconds=5)
    assert read(trade_status="WAIT_BUYER_PAY", gmt_payment="absent") == [
        Event("payment.pending", TRADE, 200, "CNY", at, reference="int_01", final=False, **OURS)
    ]
    assert read(trade_status="TRADE_CLOSED", gmt_payment="absent", gmt_close="2026-11-22 12:00:07") == [
        Event("payment.closed", TRADE, 200, "CNY", NOON + timedelta(seconds=7), reference="int_01", **OURS)
    ]


@pytest.mark.usefixtures("no_old_keys")
@pytest.mark.parametrize(("number", "reference"), [("rfd_01", "rfd_01"), ("HZ01", ""), ("absent", "")])
def test_a_part_given_back_is_told_as_all_that_was_ever_given_back(number: str, reference: str) -> None:
    refunded_at = datetime(2026, 11, 22, 4, 1, 2, 320_000, tzinfo=UTC)
    assert read(refund_fee="0.50", out_biz_no=number, gmt_refund="2026-11-22 12:01:02.320") == [
        Event("payment.succeeded", TRADE, 200, "CNY", NOON, reference="int_01", **OURS),
        Event(
            "refund.total",
            TRADE,
            50,
            "CNY",
            refunded_at,
            reference=reference,
            parent_object_id=TRADE,
            refunded_total=50,
            **OURS,
        ),
    ]


@pytest.mark.usefixtures("no_old_keys")
@pytest.mark.parametrize("fee", ["absent", "2.00"])
def test_a_paid_trade_that_is_closed_was_given_back_as_a_whole(fee: str) -> None:
    events = read(trade_status="TRADE_CLOSED", refund_fee=fee, gmt_refund="2026-11-22 12:03:00")
    assert [(e.kind, e.amount, e.refunded_total, e.decision) for e in events] == [
        ("payment.succeeded", 200, None, "apply"),
        ("refund.total", 200, 200, "apply"),
    ]


@pytest.mark.usefixtures("no_old_keys")
@pytest.mark.parametrize(
    ("change", "decisions"),
    [
        ({"refund_fee": "2.01"}, ["apply", "quarantine"]),
        ({"refund_fee": "1.00", "trade_status": "TRADE_CLOSED"}, ["apply", "quarantine"]),
        ({"trans_currency": "USD"}, ["quarantine"]),
        ({"subject": "x&total_amount=9.00&u=x"}, ["quarantine"]),
        ({"subject": "Salt & pepper = 2"}, ["apply"]),
        ({"refund_fee": "0.00"}, ["apply"]),
    ],
)
def test_what_contradicts_itself_waits_for_a_person(change: dict[str, str], decisions: list[str]) -> None:
    events = read(**change)
    assert [event.decision for event in events] == decisions
    assert all(bool(event.reason) == (event.decision == "quarantine") for event in events)


@pytest.mark.usefixtures("no_old_keys")
def test_a_state_that_we_do_not_know_is_said_to_be_unknown() -> None:
    assert [(e.kind, e.object_id) for e in read(trade_status="TRADE_PENDING")] == [("unknown", TRADE)]


@pytest.mark.usefixtures("no_old_keys")
@pytest.mark.parametrize(
    "change",
    [
        {"total_amount": amount}
        for amount in ["", "absent", "2.001", "-2.00", "0.00", "1e3", "２.00", " 2.00", "2,00", "9" * 16, "2.", "NaN"]
    ]
    + [
        {"gmt_payment": at}
        for at in ["2026-11-22", "2026-13-22 12:00:00", "2026-11-22T12:00:00", "0001-01-01 00:00:00"]
    ]
    + [{"trade_no": name} for name in ["", "absent", "a\0b", "x" * 65, "ä"]]
    + [{"trade_status": "absent"}, {"refund_fee": "x"}, {"app_id": "\0"}],
)
def test_what_has_not_the_form_we_know_is_not_read(change: dict[str, str]) -> None:
    with pytest.raises(UnableToRead):
        read(**change)


@pytest.mark.usefixtures("no_old_keys")
def test_money_under_a_strange_number_is_money_all_the_same() -> None:
    assert told(read(out_trade_no="\0 ?")) == [("payment.succeeded", "", 200, True)]


# --- Starting and closing --------------------------------------------------------------------------------------------


def test_at_a_computer_a_code_is_shown_and_the_same_order_stands_behind_it(
    network: Alipay, account: ProviderAccount
) -> None:
    intent = intent_of(description="Salt & pepper = 2/3")
    first, again = alipay.start(account, intent, PAGE), alipay.start(account, intent, PAGE)
    assert first == again
    assert (first.object_id, first.redirect_url) == (intent.reference, "")
    assert first.qr == f"https://qr.alipay.com/bax{intent.reference[-20:]}"
    assert list(network.trades) == [intent.reference]
    content = json.loads(network.requests[0]["biz_content"])
    assert content["total_amount"] == "2.00"
    assert content["subject"] == "Salt   pepper   2 3"
    assert content["time_expire"] == intent.expires_at.astimezone(ZONE).strftime("%Y-%m-%d %H:%M:%S")
    assert network.requests[0]["notify_url"].endswith("/webhooks/alipay/test-alipay")


@pytest.mark.parametrize("place", ["phone", "own_app"])
def test_on_a_phone_the_browser_is_sent_to_a_page_that_we_signed(
    network: Alipay, account: ProviderAccount, place: str
) -> None:
    intent = intent_of()
    visit = replace(PAGE, place="phone" if place == "phone" else "own_app")
    started = alipay.start(account, intent, visit)
    assert (network.requests, started.qr) == ([], "")
    assert started.redirect_url.startswith(f"{network.url}/gateway.do?")
    address = urlsplit(started.redirect_url)
    parameters = dict(parse_qsl(address.query, keep_blank_values=True))
    assert (parameters["method"], parameters["return_url"]) == ("alipay.trade.wap.pay", PAGE.return_url)
    assert json.loads(parameters["biz_content"])["quit_url"] == PAGE.return_url
    # The SDK, given the same parameters, signs them with the same signature.
    signed = {name: value for name, value in parameters.items() if name != "sign"}
    assert parameters["sign"] == dict(parse_qsl(sdk("app", "current").sign_data(signed)))["sign"]


def test_an_order_is_closed_in_every_state(network: Alipay, account: ProviderAccount) -> None:
    def closed(intent: PaymentIntent) -> list[tuple[str, str, int, bool]]:
        return told(alipay.normalise(account, alipay.close(account, intent)))

    unscanned, waiting = intent_of(), intent_of(300)
    for intent in (unscanned, waiting):
        alipay.start(account, intent, PAGE)
    network.scan(waiting.reference)
    assert closed(unscanned) == [("payment.closed", unscanned.reference, 200, True)]
    assert closed(waiting) == [("payment.closed", waiting.reference, 300, True)]
    assert network.trades[waiting.reference].closed
    assert closed(waiting) == [("payment.closed", waiting.reference, 300, True)]
    intent, _ = paid(network, account)
    assert closed(intent) == [("payment.succeeded", intent.reference, 200, True)]
    assert not network.trades[intent.reference].closed


def test_an_order_that_is_neither_closed_nor_paid_is_an_error(network: Alipay, account: ProviderAccount) -> None:
    intent = intent_of()
    alipay.start(account, intent, PAGE)
    network.scan(intent.reference)
    network.faults["alipay.trade.close"] = ("40004", "ACQ.REASON_ILLEGAL_STATUS")
    with pytest.raises(ProviderError, match="REASON_ILLEGAL_STATUS"):
        alipay.close(account, intent)


# --- Asking ----------------------------------------------------------------------------------------------------------


def test_a_trade_is_asked_about_in_every_state(network: Alipay, account: ProviderAccount) -> None:
    intent = intent_of()
    alipay.start(account, intent, PAGE)
    ref = Ref(intent.reference, intent.reference, intent.created_at)

    def asked() -> list[tuple[str, str, int, bool]]:
        answer = alipay.query(account, ref)
        assert answer.authority == "queried"
        assert alipay.query(account, ref).delivery_id == answer.delivery_id or network.trades[intent.reference].closed
        return told(alipay.normalise(account, answer))

    assert asked() == []
    network.scan(intent.reference)
    assert asked() == [("payment.pending", intent.reference, 200, False)]
    trade = network.pay(intent.reference)
    assert asked() == [("payment.succeeded", intent.reference, 200, True)]
    assert told(alipay.normalise(account, alipay.query(account, Ref(object_id=trade)))) == asked()
    network.refund_at_desk(trade, 200)
    events = alipay.normalise(account, alipay.query(account, ref))
    assert [(e.kind, e.object_id, e.amount, e.refunded_total) for e in events] == [
        ("payment.succeeded", trade, 200, None),
        ("refund.total", trade, 200, 200),
    ]


# --- Refunds ---------------------------------------------------------------------------------------------------------


def test_a_refund_is_told_by_its_own_number_however_often_it_is_asked_for(
    network: Alipay, account: ProviderAccount
) -> None:
    intent, trade = paid(network, account)
    first, second = refund_of(trade, 50, "bruised"), refund_of(trade, 150)
    for _ in range(2):
        [event] = alipay.normalise(account, alipay.refund(account, first, trade))
        at = network.trades[intent.reference].refunds[0].at
        expected = Event(
            "refund.succeeded", first.reference, 50, "CNY", at, reference=first.reference, parent_object_id=trade
        )
        assert event == expected
    assert told(alipay.normalise(account, alipay.refund(account, second, trade))) == [
        ("refund.succeeded", second.reference, 150, True)
    ]
    assert [refund.amount for refund in network.trades[intent.reference].refunds] == [50, 150]
    assert json.loads(network.requests[-2]["biz_content"]).get("refund_reason") is None


def test_a_refund_beyond_what_is_left_failed_for_good(network: Alipay, account: ProviderAccount) -> None:
    _, trade = paid(network, account)
    network.refund_at_desk(trade, 100)
    refund = refund_of(trade, 101)
    [event] = alipay.normalise(account, alipay.refund(account, refund, trade))
    assert (event.kind, event.object_id, event.parent_object_id) == ("refund.failed", "", trade)
    assert (event.amount, event.reference, event.final) == (101, refund.reference, True)


@pytest.mark.parametrize("sub_code", ["ACQ.TRADE_HAS_FINISHED", "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL"])
def test_a_no_to_a_refund_that_was_made_before_does_not_unmake_it(
    network: Alipay, account: ProviderAccount, sub_code: str
) -> None:
    _, trade = paid(network, account)
    refund = refund_of(trade, 200)
    alipay.refund(account, refund, trade)
    network.faults["alipay.trade.refund"] = ("40004", sub_code)
    assert told(alipay.normalise(account, alipay.refund(account, refund, trade)))[0][0] == "refund.succeeded"
    other = refund_of(trade, 10)
    assert told(alipay.normalise(account, alipay.refund(account, other, trade)))[0][0] == "refund.failed"


@pytest.mark.parametrize(
    ("sub_code", "permanent"),
    [
        ("ACQ.SELLER_BALANCE_NOT_ENOUGH", True),
        ("ACQ.REASON_TRADE_BEEN_FREEZEN", True),
        ("ACQ.DISCORDANT_REPEAT_REQUEST", True),
        ("ACQ.SYSTEM_ERROR", False),
    ],
)
def test_a_no_that_may_change_is_an_error_and_no_word_on_the_refund(
    network: Alipay, account: ProviderAccount, sub_code: str, permanent: bool
) -> None:
    intent, trade = paid(network, account)
    network.faults["alipay.trade.refund"] = ("40004", sub_code)
    with pytest.raises(ProviderError, match=sub_code) as failure:
        alipay.refund(account, refund_of(trade, 10), trade)
    assert failure.value.permanent == permanent
    assert network.trades[intent.reference].refunds == []


def test_a_refund_that_is_not_seen_yet_is_under_way(network: Alipay, account: ProviderAccount) -> None:
    _, trade = paid(network, account)
    refund = refund_of(trade, 10)
    network._refund_shown = lambda trade, content: {}  # type: ignore[method-assign]
    events = alipay.normalise(account, alipay.refund(account, refund, trade))
    assert told(events) == [("refund.pending", refund.reference, 10, False)]


# --- What it sends, and what we answer -------------------------------------------------------------------------------


def test_everything_that_is_sent_of_a_payment_is_understood(network: Alipay, account: ProviderAccount) -> None:
    intent, trade = paid(network, account)
    refund = refund_of(trade, 50)
    alipay.refund(account, refund, trade)
    network.refund_at_desk(trade, 150)
    deliveries = [sent.delivery for sent in network.sent(trade)]
    proved = [alipay.verify(account, delivery, now=NOON) for delivery in deliveries]
    assert len({verified.delivery_id for verified in proved}) == 5
    assert [[(e.kind, e.amount, e.reference) for e in alipay.normalise(account, one)] for one in proved] == [
        [("payment.pending", 200, intent.reference)],
        [("payment.succeeded", 200, intent.reference)],
        [("payment.succeeded", 200, intent.reference)],
        [("payment.succeeded", 200, intent.reference), ("refund.total", 50, refund.reference)],
        [("payment.succeeded", 200, intent.reference), ("refund.total", 200, "")],
    ]


def test_the_reply_is_the_one_word_that_alipay_reads() -> None:
    assert (alipay.acknowledge().status, alipay.acknowledge().body) == (200, b"success")
    assert alipay.acknowledge("signature_wrong").body == b"failure"
    assert alipay.acknowledge().content_type == "text/plain"


def test_it_is_offered_for_yuan_and_known_by_its_own_app(settings: LazySettings) -> None:
    settings.ALIPAY_URL = "https://openapi.alipay.com"
    assert providers.enabled("alipay")
    assert frozenset({"CNY"}) == alipay.CURRENCIES
    assert providers.opened_in("Mozilla/5.0 (Linux; Android 14) AliApp(AP/10.5) AlipayClient/10.5") == "alipay"
    assert providers.opened_in("Mozilla/5.0 (iPhone) AliApp(DingTalk/7.0) com.laiwang.DingTalk") == ""


# --- Into the book ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["as it was sent", "backwards", "every second one first"])
def test_in_any_order_and_twice_it_is_the_same_book(
    network: Alipay, account: ProviderAccount, mei: Person, order: str
) -> None:
    intent = checkout.start(
        code=shop_code(mei.shop),
        amount=200,
        quantity=1,
        page=uuid.uuid4(),
        payer="somebody",
        now=timezone.now(),
        wallet="alipay",
    )
    trade = network.pay(intent.reference)
    network.refund_at_desk(trade, 50)
    network.refund_at_desk(trade, 30)
    sent = [one.delivery for one in network.sent(trade)]
    ordered = {"as it was sent": sent, "backwards": sent[::-1], "every second one first": sent[1::2] + sent[::2]}[order]
    for delivery in ordered + ordered:
        inbox.receive(provider="alipay", account=account.name, delivery=delivery, now=timezone.now())
        drain()
    payment = Payment.objects.get(object_id=trade)
    assert (payment.amount, payment.match, payment.intent_id) == (200, "exact", intent.id)
    assert sum(refund.amount for refund in payment.refunds.all()) == 80
    assert (total("shop_pending", shop=mei.shop), total("provider_receivable", account=account)) == (120, -120)
    assert_books_hold()
