"""Signatures of Mercado Pago's notifications: what a wrong one costs, and that its own SDK judges as we do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mercadopago.webhook import InvalidWebhookSignatureError, WebhookSignatureValidator

from payments import credentials, inbox, inquiries
from payments.models import Inquiry, OldCredentials, ProviderAccount, WebhookEvent
from payments.providers import mercadopago
from payments.providers.base import Delivery, UnableToVerify
from tests.networks.mercadopago import SECRETS, MercadoPagoNetwork, signature
from tests.strange_json import EXAMPLES
from tests.till import drain


@pytest.fixture
def account(db: None) -> Iterator[ProviderAccount]:
    with MercadoPagoNetwork().set() as network:
        yield network.account()


NOW = datetime(2026, 3, 25, 14, tzinfo=UTC)
BODY = json.dumps({"type": "payment", "data": {"id": "ABC123"}}).encode()


def signed(name: str, at: str, key: str = SECRETS["current"], request_id: str = "r-1", **parts: str) -> Delivery:
    header = parts.get("header") or f"ts={at},v1={signature(key, parts.get('signed', name), request_id, at)}"
    headers = {"x-signature": header, **({"x-request-id": request_id} if request_id else {})}
    return Delivery(parts.get("body", BODY.decode()).encode(), headers, {"data.id": name, "type": "payment"})


def ms(moment: datetime) -> str:
    return str(int(moment.timestamp() * 1000))


@pytest.mark.parametrize(
    "delivery",
    [
        signed("123", ms(NOW)),
        signed("123", str(int(NOW.timestamp()))),
        signed("123", ms(NOW - timedelta(seconds=300))),
        signed("123", ms(NOW + timedelta(seconds=300))),
        signed("123", ms(NOW), SECRETS["previous"]),
        signed("ORD01JQ", ms(NOW)),
        signed("ORD01JQ", ms(NOW), signed="ord01jq"),
        signed("123", ms(NOW), request_id=""),
        signed("123", ms(NOW), body='{"the":"body is not covered"}'),
        signed("123", "", header=" "),
    ],
)
def test_a_good_signature_or_none_makes_a_hint_and_no_more(account: ProviderAccount, delivery: Delivery) -> None:
    assert mercadopago.verify(account, delivery, now=NOW).authority == "unsigned_hint"


@pytest.mark.parametrize(
    ("delivery", "code"),
    [
        (signed("123", ms(NOW), SECRETS["other"]), "signature_wrong"),
        (signed("123", ms(NOW), signed="124"), "signature_wrong"),
        (signed("123", ms(NOW - timedelta(seconds=301))), "timestamp_stale"),
        (signed("123", ms(NOW + timedelta(seconds=301))), "timestamp_stale"),
        (signed("123", str(int(NOW.timestamp()) - 301)), "timestamp_stale"),
        (signed("123", ms(NOW), header="this-is-garbage"), "signature_wrong"),
        (signed("123", ms(NOW), header=f"ts={ms(NOW)}"), "signature_wrong"),
        (signed("123", ms(NOW), header=f"ts={ms(NOW)},v2=somehash"), "signature_wrong"),
        (signed("123", ms(NOW), header="v1=633f91233312dd391ec75fa0bea539cf"), "signature_wrong"),
        (signed("123", ms(NOW), header=f"ts=٣,v1={'é' * 64}"), "signature_wrong"),
        (signed("123", ms(NOW), header=f"ts={'9' * 5000},v1=00"), "signature_wrong"),
        (Delivery(b"{}", {}, {}), "hint_unreadable"),
        (Delivery(b'{"type":"payment","data":{"id":"../x y"}}', {}, {}), "hint_unreadable"),
    ],
)
def test_a_wrong_signature_is_not_even_a_hint(account: ProviderAccount, delivery: Delivery, code: str) -> None:
    with pytest.raises(UnableToVerify, match=f"^{code}$"):
        mercadopago.verify(account, delivery, now=NOW)
    with pytest.raises(inbox.UnableToReceive) as refused:
        inbox.receive(provider="mercadopago", account=account.name, delivery=delivery, now=NOW)
    assert refused.value.status == 400
    assert WebhookEvent.objects.count() == 0


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    name=st.from_regex(r"\A[A-Za-z0-9]{1,26}\Z"),
    request_id=st.sampled_from(["", "2066ca19-c6f1-498a-be75-1923005edd06", " x "]),
    seconds=st.integers(-400, 400),
    key=st.sampled_from(sorted(SECRETS.values())),
    change=st.sampled_from(["", "", "id", "request", "ts", "hash", "upper", "space", "missing", "v2"]),
)
def test_we_and_the_sdk_take_the_same_signatures(
    account: ProviderAccount, name: str, request_id: str, seconds: int, key: str, change: str
) -> None:
    at = str(int((NOW + timedelta(seconds=seconds)).timestamp()))
    made = signature(key, name, request_id.strip(), at)
    header = {
        "hash": f"ts={at},v1={made[:-1]}{'0' if made[-1] != '0' else '1'}",
        "ts": f"ts={int(at) + 1},v1={made}",
        "upper": f"ts={at},v1={made.upper()}",
        "space": f" ts = {at} , v1 = {made} ",
        "missing": f"v1={made}",
        "v2": f"ts={at},v2={made}",
    }.get(change, f"ts={at},v1={made}")
    sent_name = f"{name}0" if change == "id" else name
    sent_request = f"{request_id}0" if change == "request" else request_id
    delivery = Delivery(
        b"{}", {"x-signature": header, "x-request-id": sent_request}, {"data.id": sent_name, "type": "payment"}
    )
    assert _ours(account, delivery) == _sdks(header, sent_request, sent_name)


def _ours(account: ProviderAccount, delivery: Delivery) -> bool:
    try:
        return bool(mercadopago.verify(account, delivery, now=NOW).key_id)
    except UnableToVerify:
        return False


def _sdks(header: str, request_id: str, name: str) -> bool:
    """By either of the account's secrets, with the id as it came or in lower case, as its documents say."""
    for key in (SECRETS["current"], SECRETS["previous"]):
        for form in (name, name.lower()):
            try:
                WebhookSignatureValidator.validate(
                    header, request_id, form, key, tolerance_seconds=300, now=lambda: int(NOW.timestamp() * 1000)
                )
            except InvalidWebhookSignatureError:
                continue
            return True
    return False


def test_without_a_secret_a_signature_says_nothing(account: ProviderAccount) -> None:
    given_now = {**credentials.of(account), "webhook_secrets": ""}
    account.sealed_credentials = credentials.sealed(given_now)
    assert mercadopago.verify(account, signed("123", ms(NOW), SECRETS["other"]), now=NOW).key_id == ""


def test_replaced_secrets_are_taken_for_their_time(account: ProviderAccount) -> None:
    OldCredentials.objects.create(
        provider_account=account,
        sealed_credentials=bytes(account.sealed_credentials),
        replaced_at=NOW,
        accepted_until=NOW + timedelta(hours=1),
    )
    account.sealed_credentials = credentials.sealed({**credentials.of(account), "webhook_secrets": "a-new-one"})
    assert mercadopago.verify(account, signed("123", ms(NOW)), now=NOW).key_id.startswith("sha256:")
    over = NOW + timedelta(hours=1)
    with pytest.raises(UnableToVerify, match="signature_wrong"):
        mercadopago.verify(account, signed("123", ms(over)), now=over)


def test_a_delivery_is_known_by_all_that_it_says(account: ProviderAccount) -> None:
    first = mercadopago.verify(account, signed("123", ms(NOW)), now=NOW).delivery_id
    later = NOW + timedelta(seconds=60)
    assert mercadopago.verify(account, signed("123", ms(later), request_id="r-2"), now=later).delivery_id == first
    assert mercadopago.verify(account, signed("124", ms(NOW)), now=NOW).delivery_id != first
    assert mercadopago.verify(account, signed("123", ms(NOW), body="{}"), now=NOW).delivery_id != first


def test_the_same_words_at_another_time_may_be_news_and_are_asked_about_again(account: ProviderAccount) -> None:
    # The older notifications (IPN) say no more of a refund than they said of the payment.
    again = Delivery(b'{"resource":"https://api.mercadolibre.com/collections/notifications/123","topic":"payment"}')
    for _ in range(2):
        now = timezone.now()
        inbox.receive(provider="mercadopago", account=account.name, delivery=again, now=now)
        drain()
        inquiries.close(Inquiry.objects.get(object_id="payment/123"), now=now)
    assert (WebhookEvent.objects.count(), Inquiry.objects.count()) == (1, 0)
