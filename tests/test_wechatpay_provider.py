"""WeChat Pay's module against the stand-in: starting in each place, closing, refunding, asking, and its keys."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from django.conf import LazySettings
from django.test import Client
from django.utils import timezone

from merchants.models import Item
from payments import credentials, inbox, reconcile, refunds
from payments.models import Payment, PaymentIntent, ProviderAccount, Refund, WebhookEvent
from payments.providers import named, opened_in, wechatpay
from payments.providers.base import Event, ProviderError, Ref, Verified, Visit
from tests.cast import Person
from tests.networks.wechatpay import WeChatPay
from tests.till import drain, expect

BACK = "https://shop.example/r/secret?x=1"


@pytest.fixture
def network(db: None) -> Iterator[WeChatPay]:
    with WeChatPay().set() as running:
        yield running


@pytest.fixture
def account(network: WeChatPay) -> ProviderAccount:
    return network.account()


@pytest.fixture
def intent(account: ProviderAccount, apples: Item) -> PaymentIntent:
    """Started at a computer, as a code to be scanned."""
    started = expect(apples.codes.get())
    assert started.startable, started.start_failure
    return started


@pytest.fixture
def fresh(account: ProviderAccount, apples: Item, settings: LazySettings) -> PaymentIntent:
    """An intent that the provider has not heard of."""
    settings.WECHATPAY_URL, there = "http://127.0.0.1:9", settings.WECHATPAY_URL
    settings.OUTWARD_AGAIN_S = ()
    made = expect(apples.codes.get())
    settings.WECHATPAY_URL = there
    assert "cannot be reached" in made.start_failure
    return made


def meant(account: ProviderAccount, verified: Verified) -> list[Event]:
    return list(wechatpay.normalise(account, verified))


def paid(network: WeChatPay, intent: PaymentIntent) -> Payment:
    """Paid at the network, and booked here by asking."""
    network.pay(intent.reference)
    take(intent.provider_account, wechatpay.query(intent.provider_account, Ref(intent.reference)))
    return Payment.objects.select_related("provider_account").get(intent=intent)


def take(account: ProviderAccount, verified: Verified) -> None:
    inbox.keep(account=account, verified=verified, now=timezone.now())
    reconcile.drain(clock=timezone.now)


def asked_back(mei: Person, payment: Payment, amount: int) -> Refund:
    return refunds.request(staff=mei.staff, payment=payment, amount=amount, reason="", now=timezone.now())


# --- Facts -----------------------------------------------------------------------------------------------------------


def test_it_is_known_by_its_own_browser_and_not_by_that_for_companies(settings: LazySettings) -> None:
    phone = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148"
    assert named("wechatpay").TITLE == "WeChat Pay"
    assert opened_in(f"{phone} MicroMessenger/8.0.40(0x18002831) NetType/WIFI Language/zh_CN") == "wechatpay"
    assert opened_in(f"{phone} wxwork/4.1.10 MicroMessenger/7.0.1 Language/zh") == ""
    assert opened_in(f"{phone} MicroMessenger/7.0.1 wxwork/4.1.10") == ""
    assert opened_in(phone) == ""


def test_what_is_no_secret_names_us_and_no_secret_is_shown() -> None:
    shown = credentials.identity("wechatpay", WeChatPay(public_key_mode=True).credentials())
    assert set(shown) == {"mchid", "appid", "merchant_serial", "public_key_id", "public_key", "h5"}
    assert {field.name for field in wechatpay.FIELDS if field.names_us} == {"mchid", "appid"}


def test_its_reply_is_empty_for_kept_and_an_object_for_not() -> None:
    assert (wechatpay.acknowledge().status, wechatpay.acknowledge().body) == (204, b"")
    refusal = wechatpay.acknowledge("signature_wrong")
    assert json.loads(refusal.body) == {"code": "FAIL", "message": "signature_wrong"}
    assert (refusal.status, refusal.content_type) == (400, "application/json")


# --- Starting --------------------------------------------------------------------------------------------------------


def test_at_a_computer_a_code_is_scanned_and_asking_again_changes_nothing(
    network: WeChatPay, account: ProviderAccount, fresh: PaymentIntent, settings: LazySettings
) -> None:
    first, again = (wechatpay.start(account, fresh, Visit(BACK)) for _ in range(2))
    assert first == again
    assert (first.object_id, first.redirect_url, first.bridge) == (fresh.reference, "", {})
    assert first.qr.startswith("weixin://wxpay/bizpayurl?pr=")
    assert network.orders[fresh.reference].body == {
        "mchid": network.mchid,
        "appid": network.appid,
        "description": "Apples",
        "out_trade_no": fresh.reference,
        "time_expire": fresh.expires_at.astimezone(wechatpay._SHANGHAI).strftime("%Y-%m-%dT%H:%M:%S+08:00"),
        "notify_url": f"{settings.PUBLIC_URL}/webhooks/wechatpay/test-wechatpay",
        "amount": {"total": 200, "currency": "CNY"},
    }


def test_on_a_phone_the_browser_is_sent_to_wechat_and_back_again(
    network: WeChatPay, account: ProviderAccount, fresh: PaymentIntent
) -> None:
    started = wechatpay.start(account, fresh, Visit(BACK, "phone", address="203.0.113.7"))
    assert started.redirect_url.startswith("https://wx.tenpay.com/cgi-bin/mmpayweb-bin/checkmweb?prepay_id=wx")
    assert parse_qs(urlsplit(started.redirect_url).query)["redirect_url"] == [BACK]
    assert network.orders[fresh.reference].body["scene_info"] == {
        "payer_client_ip": "203.0.113.7",
        "h5_info": {"type": "Wap"},
    }


@pytest.mark.parametrize(("h5", "address"), [("", "203.0.113.7"), ("1", "")])
def test_on_a_phone_without_the_right_or_the_address_there_is_the_code(
    network: WeChatPay, account: ProviderAccount, fresh: PaymentIntent, h5: str, address: str
) -> None:
    account.sealed_credentials = credentials.sealed({**network.credentials(), "h5": h5})
    started = wechatpay.start(account, fresh, Visit(BACK, "phone", address=address))
    assert (started.qr[:9], started.redirect_url) == ("weixin://", "")


def test_in_wechat_the_payer_says_who_she_is_and_then_pays_by_its_own_call(
    network: WeChatPay, account: ProviderAccount, fresh: PaymentIntent
) -> None:
    visit = Visit(BACK, "own_app", identify_url="https://shop.example/r/secret/payer")
    asked = wechatpay.start(account, fresh, visit)
    page = urlsplit(asked.redirect_url)
    assert (f"{page.scheme}://{page.netloc}{page.path}", page.fragment) == (
        f"{network.url}/connect/oauth2/authorize",
        "wechat_redirect",
    )
    assert parse_qsl(page.query) == [
        ("appid", network.appid),
        ("redirect_uri", "https://shop.example/r/secret/payer"),
        ("response_type", "code"),
        ("scope", "snsapi_base"),
        ("state", fresh.id.hex),
    ]
    assert (asked.object_id, asked.bridge, network.orders) == ("", {}, {})

    network.grants["grant-1"] = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"
    started = wechatpay.start(account, fresh, Visit(BACK, "own_app", identify_url=BACK, grant="grant-1"))
    order = network.orders[fresh.reference]
    assert (order.way, order.body["payer"]) == ("jsapi", {"openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"})
    assert started.bridge["call"] == "getBrandWCPayRequest"
    assert started.bridge["arguments"]["package"] == f"prepay_id={order.prepay_id}"
    assert (started.object_id, started.redirect_url, started.qr) == (fresh.reference, "", "")


def test_in_wechat_without_the_apps_secret_there_is_the_code(
    network: WeChatPay, account: ProviderAccount, fresh: PaymentIntent
) -> None:
    account.sealed_credentials = credentials.sealed({**network.credentials(), "app_secret": ""})
    assert wechatpay.start(account, fresh, Visit(BACK, "own_app")).qr.startswith("weixin://")


def test_a_grant_that_is_not_taken_starts_nothing_and_tells_no_secret(
    network: WeChatPay, account: ProviderAccount, fresh: PaymentIntent, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.INFO, logger="urllib3")  # Below that it writes down every address.
    with pytest.raises(ProviderError, match="grant was not taken: 40029") as failure:
        wechatpay.start(account, fresh, Visit(BACK, "own_app", grant="made up"))
    assert (failure.value.permanent, network.orders) == (True, {})
    assert network.app_secret in network.requests[-1].target
    for told in (str(failure.value), repr(failure.value), caplog.text):
        assert network.app_secret not in told


def test_an_order_that_was_paid_or_closed_is_not_started_anew(
    network: WeChatPay, account: ProviderAccount, intent: PaymentIntent
) -> None:
    network.pay(intent.reference)
    with pytest.raises(ProviderError, match="ORDERPAID") as failure:
        wechatpay.start(account, intent, Visit(BACK))
    assert failure.value.permanent is True


# --- Closing and asking ----------------------------------------------------------------------------------------------


def test_an_order_is_closed_again_and_again_with_one_answer(
    network: WeChatPay, account: ProviderAccount, intent: PaymentIntent
) -> None:
    first, again = wechatpay.close(account, intent), wechatpay.close(account, intent)
    assert first.delivery_id == again.delivery_id
    [event] = meant(account, first)
    assert (event.kind, event.reference, event.final) == ("payment.closed", intent.reference, True)
    assert network.orders[intent.reference].state == "CLOSED"


@pytest.mark.parametrize("code", ["ORDER_CLOSED", "ORDERCLOSED", "ORDER_NOT_EXIST", "RESOURCE_NOT_EXISTS"])
def test_an_order_that_is_closed_already_or_was_never_placed_is_closed(
    network: WeChatPay, account: ProviderAccount, fresh: PaymentIntent, code: str
) -> None:
    assert [event.kind for event in meant(account, wechatpay.close(account, fresh))] == ["payment.closed"]
    network.fail_next = (404, code)
    assert [event.kind for event in meant(account, wechatpay.close(account, fresh))] == ["payment.closed"]


def test_closing_an_order_that_was_paid_tells_of_the_payment(
    network: WeChatPay, account: ProviderAccount, intent: PaymentIntent
) -> None:
    object_id = network.pay(intent.reference)
    [event] = meant(account, wechatpay.close(account, intent))
    assert (event.kind, event.object_id, event.amount) == ("payment.succeeded", object_id, 200)


def test_an_order_that_is_being_paid_is_not_closed_yet(
    network: WeChatPay, account: ProviderAccount, intent: PaymentIntent
) -> None:
    network.fail_next = (202, "USER_PAYING")
    with pytest.raises(ProviderError) as failure:
        wechatpay.close(account, intent)
    assert failure.value.permanent is False


def test_an_order_is_asked_about_in_every_state(
    network: WeChatPay, account: ProviderAccount, intent: PaymentIntent
) -> None:
    def told(ref: Ref) -> list[tuple[str, int, bool]]:
        return [(e.kind, e.amount, e.final) for e in meant(account, wechatpay.query(account, ref))]

    ref = Ref(intent.reference, intent.reference, intent.created_at)
    assert told(ref) == [("payment.pending", 0, False)]
    assert wechatpay.query(account, ref).delivery_id == wechatpay.query(account, ref).delivery_id
    object_id = network.pay(intent.reference)
    assert told(ref) == told(Ref(object_id=object_id)) == [("payment.succeeded", 200, True)]
    assert told(Ref("int_nobody")) == told(Ref(object_id="4200/..?x")) == []


# --- Money back ------------------------------------------------------------------------------------------------------


def test_a_refund_is_asked_for_once_and_told_as_it_stands(
    network: WeChatPay, account: ProviderAccount, intent: PaymentIntent, mei: Person
) -> None:
    payment = paid(network, intent)
    refund = asked_back(mei, payment, 80)
    network.refund_state = "PROCESSING"
    [pending] = meant(account, wechatpay.refund(account, refund, payment.object_id))
    assert (pending.kind, pending.amount, pending.reference) == ("refund.pending", 80, refund.reference)
    network.finish_refund(refund.reference, "SUCCESS")
    [done] = meant(account, wechatpay.refund(account, refund, payment.object_id))
    assert (done.kind, done.object_id, done.parent_object_id) == (
        "refund.succeeded",
        pending.object_id,
        payment.object_id,
    )
    assert [one["amount"] for one in network.orders[intent.reference].refunds] == [80]


def test_a_balance_that_is_too_small_may_be_filled_and_is_no_last_word(
    network: WeChatPay, account: ProviderAccount, intent: PaymentIntent, mei: Person
) -> None:
    payment = paid(network, intent)
    refund = asked_back(mei, payment, 80)
    network.fail_next = (403, "NOT_ENOUGH")
    with pytest.raises(ProviderError) as failure:
        wechatpay.refund(account, refund, payment.object_id)
    assert (type(failure.value), failure.value.permanent) == (ProviderError, False)
    assert [e.kind for e in meant(account, wechatpay.refund(account, refund, payment.object_id))] == [
        "refund.succeeded"
    ]


def test_the_last_no_to_a_refund_is_an_answer_and_settles_it(
    network: WeChatPay, account: ProviderAccount, intent: PaymentIntent, mei: Person
) -> None:
    payment = paid(network, intent)
    network.refund_at_desk(payment.object_id, 150)
    refund = asked_back(mei, payment, 80)
    answer = wechatpay.refund(account, refund, payment.object_id)
    [event] = meant(account, answer)
    assert (event.kind, event.object_id, event.reference, event.amount) == ("refund.failed", "", refund.reference, 80)
    take(account, answer)
    refund.refresh_from_db()
    assert refund.state == "failed"


def test_a_no_to_the_second_asking_does_not_hide_that_the_first_was_done(
    network: WeChatPay, account: ProviderAccount, intent: PaymentIntent, mei: Person
) -> None:
    payment = paid(network, intent)
    refund = asked_back(mei, payment, 200)
    wechatpay.refund(account, refund, payment.object_id)
    network.fail_next = (400, "INVALID_REQUEST")
    assert [e.kind for e in meant(account, wechatpay.refund(account, refund, payment.object_id))] == [
        "refund.succeeded"
    ]


def test_without_any_notification_asking_brings_the_payment_and_our_refunds(
    network: WeChatPay, account: ProviderAccount, intent: PaymentIntent, mei: Person
) -> None:
    payment = paid(network, intent)
    first, second = asked_back(mei, payment, 80), asked_back(mei, payment, 50)
    for refund in (first, second):
        wechatpay.refund(account, refund, payment.object_id)
    events = meant(account, wechatpay.query(account, Ref(intent.reference)))
    assert [(e.kind, e.amount, e.reference) for e in events] == [
        ("payment.succeeded", 200, intent.reference),
        ("refund.succeeded", 80, first.reference),
        ("refund.succeeded", 50, second.reference),
    ]


def test_everything_it_sends_is_taken_in_any_number_and_booked_once(
    network: WeChatPay, account: ProviderAccount, intent: PaymentIntent, mei: Person
) -> None:
    object_id = network.pay(intent.reference)
    network.refund_at_desk(object_id, 30)
    path = f"/webhooks/wechatpay/{account.name}"
    for _ in range(2):
        for sent in reversed(network.sent(object_id)):
            headers = dict(sent.delivery.headers)
            reply = Client().post(path, sent.delivery.raw, content_type="application/json", headers=headers)
            assert (reply.status_code, reply.content) == (204, b"")
    drain()
    reconcile.drain(clock=lambda: timezone.now() + timedelta(minutes=1))  # The refund had come before its payment.
    payment = Payment.objects.get()
    assert (payment.object_id, payment.amount, payment.match) == (object_id, 200, "exact")
    assert [(r.amount, r.state, r.origin) for r in payment.refunds.all()] == [(30, "succeeded", "provider")]
    assert WebhookEvent.objects.count() == 3
