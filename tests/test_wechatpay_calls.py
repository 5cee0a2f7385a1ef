"""Calls to WeChat Pay: whose keys prove its answers, what its refusals mean, and no secret in any failure."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from django.conf import LazySettings
from django.test import Client
from django.utils import timezone

from merchants.models import Item
from payments import asking, circuit, credentials, inbox
from payments.models import Inquiry, Payment, PaymentIntent, ProviderAccount, WebhookEvent
from payments.providers import wechatpay
from payments.providers.base import Delivery, ProviderError, Ref, UnableToVerify, Unauthorised, Visit
from tests.networks.wechatpay import PUBLIC_KEY_ID, WeChatPay, certificate, pem, private_key
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


# --- Keys ------------------------------------------------------------------------------------------------------------


def test_an_unknown_key_is_asked_for_and_its_notification_taken_when_it_comes_again(
    network: WeChatPay, account: ProviderAccount, intent: PaymentIntent
) -> None:
    account.keys.all().delete()
    sent = network.sent(network.pay(intent.reference))[0].delivery
    with pytest.raises(inbox.UnableToReceive) as refusal:
        inbox.receive(provider="wechatpay", account=account.name, delivery=sent, now=timezone.now())
    assert (refusal.value.status, refusal.value.code) == (503, "key_unknown")
    assert (WebhookEvent.objects.count(), [row.object_id for row in Inquiry.objects.all()]) == (0, ["keys"])

    assert asking.inquire(now=timezone.now()) == 1
    assert {row.key_id for row in account.keys.all()} == {network.current.serial, network.previous.serial}
    assert Inquiry.objects.count() == 0
    assert inbox.receive(provider="wechatpay", account=account.name, delivery=sent, now=timezone.now()) is True
    drain()
    assert Payment.objects.get().amount == 200


def test_certificates_that_are_not_valid_now_are_not_kept(network: WeChatPay, account: ProviderAccount) -> None:
    account.keys.all().delete()
    network.served = [network.current, certificate("over", days=5), certificate("to come", begins=3)]
    answer = wechatpay.query(account, Ref(object_id="keys"))
    assert wechatpay.normalise(account, answer) == []
    assert [(row.key_id, row.expires_at) for row in account.keys.all()] == [
        (network.current.serial, network.current.expires_at)
    ]


def test_keys_that_are_signed_by_none_of_themselves_are_not_kept(network: WeChatPay, account: ProviderAccount) -> None:
    account.keys.all().delete()
    network.served = [network.previous]
    with pytest.raises(ProviderError, match="signature_wrong"):
        wechatpay.query(account, Ref(object_id="keys"))
    assert account.keys.count() == 0


def test_keys_that_are_sealed_under_another_secret_or_mislabelled_are_not_kept(
    network: WeChatPay, account: ProviderAccount
) -> None:
    account.keys.all().delete()
    ours, network.apiv3_key = network.apiv3_key, "0" * 32
    with pytest.raises(ProviderError, match="cannot be read"):
        wechatpay.query(account, Ref(object_id="keys"))
    network.apiv3_key = ours
    mislabelled = certificate("over")
    network.served = [
        network.current,
        type(mislabelled)("ABC", mislabelled.key, mislabelled.pem, mislabelled.expires_at),
    ]
    with pytest.raises(ProviderError, match="cannot be read"):
        wechatpay.query(account, Ref(object_id="keys"))
    assert account.keys.count() == 0


def test_an_apiv3_key_of_another_length_is_named_before_anything_is_asked(
    network: WeChatPay, account: ProviderAccount
) -> None:
    account.sealed_credentials = credentials.sealed({**network.credentials(), "apiv3_key": "0123456789abcdef"})
    with pytest.raises(Unauthorised, match="not of 32 characters"):
        wechatpay.query(account, Ref(object_id="keys"))
    assert network.requests == []


def test_the_first_call_of_an_account_fetches_the_keys_that_prove_its_answer(
    network: WeChatPay, account: ProviderAccount, fresh: PaymentIntent
) -> None:
    account.keys.all().delete()
    assert wechatpay.start(account, fresh, Visit(BACK)).qr
    assert [request.path for request in network.requests] == ["/v3/pay/transactions/native", "/v3/certificates"]
    wechatpay.query(account, Ref(fresh.reference))
    assert len(network.requests) == 3


def test_with_a_public_key_answers_are_asked_to_be_signed_by_it(db: None, apples: Item) -> None:
    with WeChatPay(public_key_mode=True, known=False).set() as network:
        account = network.account()
        assert expect(apples.codes.get()).handover["qr"]
        assert [request.headers["wechatpay-serial"] for request in network.requests] == [PUBLIC_KEY_ID]
        assert account.keys.count() == 0


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"wechatpay-signature": ""}, "signature_missing"),
        ({"wechatpay-nonce": "another"}, "signature_wrong"),
        ({"wechatpay-timestamp": "1"}, "timestamp_stale"),
        ({"wechatpay-serial": "ABC"}, "key_unknown"),
    ],
)
def test_an_answer_that_is_not_proved_is_not_believed(
    network: WeChatPay, account: ProviderAccount, fresh: PaymentIntent, change: dict[str, str], code: str
) -> None:
    def spoil(headers: dict[str, str]) -> dict[str, str]:
        return headers if network.requests[-1].path == "/v3/certificates" else {**headers, **change}

    network.spoil_answer = spoil
    with pytest.raises(ProviderError, match=f"not proved to be WeChat Pay's: {code}") as failure:
        wechatpay.start(account, fresh, Visit(BACK))
    assert failure.value.permanent is False


# --- What it refuses -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "kind", "permanent"),
    [
        (401, "SIGN_ERROR", Unauthorised, True),
        (403, "NO_AUTH", Unauthorised, True),
        (404, "MCH_NOT_EXISTS", Unauthorised, True),
        (403, "RULE_LIMIT", ProviderError, False),
        (403, "ACCOUNT_ERROR", ProviderError, True),
        (429, "FREQUENCY_LIMITED", ProviderError, False),
        (400, "PARAM_ERROR", ProviderError, True),
    ],
)
def test_a_refusal_is_about_us_or_about_the_moment_or_for_good(
    network: WeChatPay, account: ProviderAccount, status: int, code: str, kind: type, permanent: bool
) -> None:
    network.fail_next = (status, code)
    with pytest.raises(ProviderError) as failure:
        wechatpay.query(account, Ref("int_x"))
    assert (type(failure.value), failure.value.permanent) == (kind, permanent)
    assert code in str(failure.value)


def test_credentials_that_sign_wrongly_are_refused_and_no_secret_is_told(
    network: WeChatPay, account: ProviderAccount, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    given = {**network.credentials(), "private_key": pem(private_key("another"))}
    account.sealed_credentials = credentials.sealed(given)
    told = []
    for key in (given["private_key"], "-----BEGIN PRIVATE KEY-----\nthis is none\n-----END PRIVATE KEY-----"):
        account.sealed_credentials = credentials.sealed({**given, "private_key": key})
        with pytest.raises(Unauthorised) as failure:
            wechatpay.query(account, Ref("int_x"))
        told.append(str(failure.value))
    assert len(network.problems) == 1
    network.problems.clear()
    secret = [network.apiv3_key, network.app_secret, "this is none", *given["private_key"].splitlines()[1:-1]]
    assert not [part for part in secret if part in caplog.text + "".join(told)]


def test_a_wallet_that_is_down_opens_the_circuit(
    network: WeChatPay, account: ProviderAccount, settings: LazySettings
) -> None:
    settings.OUTWARD_AGAIN_S = ()
    for _ in range(settings.CIRCUIT_FAILURES_MAX):
        network.fail_next = (500, "SYSTEM_ERROR")
        with pytest.raises(ProviderError):
            wechatpay.query(account, Ref("int_x"))
    assert account.id in circuit.resting()


def test_a_forged_notification_changes_nothing(network: WeChatPay, account: ProviderAccount) -> None:
    forged = network.sign(network.sample(), at=timezone.now(), key="other")
    reply = Client().post(
        f"/webhooks/wechatpay/{account.name}", forged.raw, content_type="application/json", headers=dict(forged.headers)
    )
    assert (reply.status_code, reply.json()) == (400, {"code": "FAIL", "message": "signature_wrong"})
    assert (WebhookEvent.objects.count(), Inquiry.objects.count()) == (0, 0)
    with pytest.raises(UnableToVerify):
        wechatpay.verify(account, Delivery(forged.raw), now=timezone.now())
