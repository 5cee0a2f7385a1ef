"""WeChat Pay (APIv3, merchants of the mainland): codes, its own browser, phones; refunds; signed notifications.

Verified against WeChat Pay's published SDKs and vectors, not against the live service. What is signed and sealed
stands in `wechatpay_signing`, calls in `wechatpay_calls`, meaning in `wechatpay_reading`, bills in `wechatpay_bill`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import IO, Any
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext_noop

from payments import credentials
from payments.models import PaymentIntent, ProviderAccount, Refund
from payments.providers import client, wechatpay_bill, wechatpay_calls, wechatpay_fund_flow, wechatpay_reading
from payments.providers import wechatpay_signing as signing
from payments.providers.base import (
    Delivery,
    Event,
    Field,
    ProviderError,
    RawLine,
    Ref,
    Reply,
    Started,
    StatementRow,
    UnableToVerify,
    Verified,
    Visit,
    answered,
)
from payments.providers.wechatpay_calls import Refused

TITLE = "WeChat Pay"
WALLET = "WeChat Pay"
CURRENCIES = frozenset({"CNY"})
FIELDS = (
    Field("mchid", gettext_noop("Merchant number"), secret=False, names_us=True),
    Field("appid", gettext_noop("App id (wx…)"), secret=False, names_us=True),
    Field("merchant_serial", gettext_noop("Serial number of the merchant certificate"), secret=False),
    Field("private_key", gettext_noop("Merchant private key (apiclient_key.pem)"), form="private_key"),
    Field("apiv3_key", gettext_noop("APIv3 key (32 characters)"), length=32),
    Field("public_key_id", gettext_noop("WeChat Pay public key id (PUB_KEY_ID_…)"), secret=False, required=False),
    Field("public_key", gettext_noop("WeChat Pay public key"), secret=False, required=False, form="public_key"),
    Field("app_secret", gettext_noop("App secret, for payments inside WeChat"), required=False),
    Field("h5", gettext_noop("1 when the account may use H5 payments"), secret=False, required=False),
)
# WeChat for companies sends the same word, but its users pay elsewhere.
APP = re.compile(r"^(?!.*wxwork).*MicroMessenger", re.IGNORECASE | re.DOTALL)
DESTINATIONS = ("https://wx.tenpay.com", "https://open.weixin.qq.com")
FORMATS = {"trade": "trade bill (交易账单, ALL)", "fund_flow": "fund flow bill (资金账单)"}
STATEMENT_ZONE = wechatpay_bill.ZONE
STATEMENT_READY = timedelta(hours=10)  # The next morning.
STATEMENT_FINAL = timedelta(days=2)
STATEMENT_GROWS = False

KEYS = "keys"  # What `query` is asked for when a notification is signed by a key that we do not have.
_DELIVERY_ID_MAX = 120
_SHANGHAI = ZoneInfo("Asia/Shanghai")
_UNKNOWN_ORDER = {"ORDER_NOT_EXIST", "ORDERNOTEXIST", "RESOURCE_NOT_EXISTS"}
_PAID_ORDER = {"ORDERPAID", "ORDER_PAID"}
_CLOSED_ORDER = {"ORDER_CLOSED", "ORDERCLOSED"}
_UNKNOWN_REFUND = {"RESOURCE_NOT_EXISTS", "REFUND_NOT_EXISTS"}
# Its last word on a refund. A balance that is too small (NOT_ENOUGH) is none: the shop may fill it up.
_NO_REFUND = {"INVALID_REQUEST", "PARAM_ERROR", "RESOURCE_NOT_EXISTS", "USER_ACCOUNT_ABNORMAL"}


def start(account: ProviderAccount, intent: PaymentIntent, visit: Visit) -> Started:
    """JSAPI in WeChat's own browser (she is identified first), H5 on a phone, and a code to be scanned elsewhere."""
    opened = credentials.of(account)
    if visit.place == "own_app" and opened.get("app_secret"):
        if not visit.grant:
            return Started(object_id="", redirect_url=_identify_url(opened["appid"], intent, visit))
        payer = {"openid": _openid(account, opened, visit.grant)}
        prepay_id = _order(account, "jsapi", "prepay_id", intent, opened, payer=payer)
        arguments = signing.bridge_arguments(opened, prepay_id, now=timezone.now())
        return Started(object_id=intent.reference, bridge={"call": "getBrandWCPayRequest", "arguments": arguments})
    if visit.place == "phone" and opened.get("h5") == "1" and visit.address:
        scene = {"payer_client_ip": visit.address, "h5_info": {"type": "Wap"}}
        url = _order(account, "h5", "h5_url", intent, opened, scene_info=scene)
        return Started(
            object_id=intent.reference, redirect_url=f"{url}&redirect_url={quote(visit.return_url, safe='')}"
        )
    return Started(object_id=intent.reference, qr=_order(account, "native", "code_url", intent, opened))


def close(account: ProviderAccount, intent: PaymentIntent) -> Verified:
    """It closes an order that it has never heard of, too: then nobody can ever pay under that reference."""
    path = f"/v3/pay/transactions/out-trade-no/{intent.reference}"
    try:
        wechatpay_calls.call(account, "POST", f"{path}/close", {"mchid": credentials.of(account)["mchid"]})
    except Refused as refusal:
        if refusal.code in _PAID_ORDER:
            return query(account, Ref(intent.reference, created_at=intent.created_at))
        if refusal.code not in _CLOSED_ORDER | _UNKNOWN_ORDER:
            raise refusal.error from refusal
    # Its answer is empty and names no time. Its own end of the order keeps two answers the same.
    terms = {"reference": intent.reference, "amount": intent.amount, "currency": intent.currency}
    return answered({"closed": {**terms, "at": intent.expires_at.isoformat()}})


def refund(account: ProviderAccount, refund: Refund, payment_object_id: str) -> Verified:
    body = {
        "transaction_id": payment_object_id,
        "out_refund_no": refund.reference,
        "notify_url": _notify_url(account),
        "amount": {"refund": refund.amount, "total": refund.payment.amount, "currency": refund.currency},
    }
    try:
        wechatpay_calls.call(account, "POST", "/v3/refund/domestic/refunds", body)
        refused = None
    except Refused as refusal:
        if refusal.code not in _NO_REFUND:
            raise refusal.error from refusal
        refused = refusal
    # A "no" to the second asking may only mean that it was done at the first: how it stands, only this tells.
    stands = _refund_as_it_stands(account, refund.reference)
    if stands is not None:
        return answered({"refund": stands})
    if refused is None:
        raise ProviderError("the refund was taken and is not known yet", permanent=False)
    terms = {"reference": refund.reference, "amount": refund.amount, "currency": refund.currency}
    told = {**terms, "code": refused.code, "payment": payment_object_id, "at": timezone.now().isoformat()}
    return answered({"refused": told})


def verify(account: ProviderAccount, delivery: Delivery, *, now: datetime) -> Verified:
    """The signature over time, nonce and raw bytes, by the key that it names; five minutes either way."""
    try:
        signature = signing.read_signature(delivery.headers, now=now)
    except signing.Unproved as failure:
        raise UnableToVerify(failure.code) from failure
    key = wechatpay_calls.key_of(account, signature.serial, now=now)
    if key is None:
        # A public key comes by hand only; certificates can be asked for.
        by_hand = signature.serial.startswith(wechatpay_calls.PUBLIC_KEY)
        raise UnableToVerify("key_unknown", ask="" if by_hand else KEYS)
    if not signing.proves(signature, delivery.raw, key):
        raise UnableToVerify("signature_wrong")
    return Verified(
        delivery_id=_delivery_id(delivery.raw),
        raw=delivery.raw,
        authority="signed",
        headers=signature.headers,
        key_id=signature.serial,
    )


def normalise(account: ProviderAccount, verified: Verified) -> Sequence[Event]:
    """Notifications are sealed under the APIv3 key of their time, which may have been replaced since."""
    if verified.authority != "signed":
        return wechatpay_reading.answer(verified)
    return wechatpay_reading.notification(verified, _apiv3_keys(account))


def query(account: ProviderAccount, ref: Ref) -> Verified:
    """The order with the refunds that we have asked for; those of its own desk only its bill lists."""
    if ref.object_id == KEYS and not ref.reference:
        return answered({KEYS: wechatpay_calls.fetch_keys(account)})
    mchid = credentials.of(account)["mchid"]
    named = f"out-trade-no/{ref.reference}" if ref.reference else f"id/{quote(ref.object_id, safe='')}"
    try:
        order = wechatpay_calls.call(account, "GET", f"/v3/pay/transactions/{named}?mchid={mchid}") or {}
    except Refused as refusal:
        if refusal.code in _UNKNOWN_ORDER:
            return answered({"never_heard_of": ref.reference or ref.object_id})
        raise refusal.error from refusal
    told: dict[str, Any] = {"order": order, "refunds": _refunds(account, order)}
    if not order.get("success_time"):  # It names no time before it is paid.
        told["at"] = (ref.created_at or timezone.now()).isoformat()
    return answered(told)


def statement(account: ProviderAccount, day: date, into: IO[bytes]) -> str:
    """The trade bill of a day in Shanghai; its digest is compared here, where it is told."""
    return "trade" if wechatpay_bill.fetch(account, day, into) else ""


def lines(account: ProviderAccount, form: str, file: IO[bytes]) -> Iterator[RawLine]:
    if form == "fund_flow":
        return wechatpay_fund_flow.lines(file)
    return wechatpay_bill.lines(file, credentials.of(account)["mchid"])


def meaning(account: ProviderAccount, form: str, raw: Mapping[str, Any]) -> StatementRow | None:
    return wechatpay_fund_flow.meaning(raw) if form == "fund_flow" else wechatpay_bill.meaning(raw)


def acknowledge(refusal: str = "") -> Reply:
    if not refusal:
        return Reply(status=204)
    return Reply(400, json.dumps({"code": "FAIL", "message": refusal}).encode(), "application/json")


# --- Starting --------------------------------------------------------------------------------------------------------


def _order(
    account: ProviderAccount, way: str, wanted: str, intent: PaymentIntent, opened: Mapping[str, str], **more: Any
) -> str:
    """Places the order one of WeChat's ways; what it wants the payer's side to have. The same terms may come twice."""
    body = {
        "mchid": opened["mchid"],
        "appid": opened["appid"],
        "description": intent.description or intent.reference,
        "out_trade_no": intent.reference,
        "time_expire": intent.expires_at.astimezone(_SHANGHAI).isoformat(timespec="seconds"),
        "notify_url": _notify_url(account),
        "amount": {"total": intent.amount, "currency": intent.currency},
        **more,
    }
    try:
        told = wechatpay_calls.call(account, "POST", f"/v3/pay/transactions/{way}", body) or {}
    except Refused as refusal:
        raise refusal.error from refusal
    value = told.get(wanted)
    if not isinstance(value, str) or not value:
        raise ProviderError("the order has not the form we know", permanent=False)
    return value


def _notify_url(account: ProviderAccount) -> str:
    return f"{settings.PUBLIC_URL}/webhooks/wechatpay/{account.name}"


def _identify_url(appid: str, intent: PaymentIntent, visit: Visit) -> str:
    """WeChat's page that sends her back with a grant, without asking her anything (`snsapi_base`)."""
    asked = {
        "appid": appid,
        "redirect_uri": visit.identify_url,
        "response_type": "code",
        "scope": "snsapi_base",
        "state": intent.id.hex,
    }
    return f"{settings.WECHATPAY_IDENTIFY_URL}/connect/oauth2/authorize?{urlencode(asked)}#wechat_redirect"


def _openid(account: ProviderAccount, opened: Mapping[str, str], grant: str) -> str:
    """Who the payer is to our app. The address holds the app's secret: nothing of it is told by any failure."""
    asked = {
        "appid": opened["appid"],
        "secret": opened["app_secret"],
        "code": grant,
        "grant_type": "authorization_code",
    }
    url = f"{settings.WECHATPAY_GRANT_URL}/sns/oauth2/access_token?{urlencode(asked)}"
    answer = client.send(account, "GET", url, safe=False)  # A grant can be used once.
    told = answer.object() if answer.ok else {}
    openid = told.get("openid")
    if not isinstance(openid, str) or not openid:
        failure = told.get("errcode")
        code = failure if isinstance(failure, int) else answer.status
        raise ProviderError(f"the payer's grant was not taken: {code}", permanent=True)
    return openid


# --- What it knows ---------------------------------------------------------------------------------------------------


def _refunds(account: ProviderAccount, order: Mapping[str, Any]) -> list[dict[str, Any]]:
    """How our refunds of that order stand. It keeps no list of them, but knows each by our reference."""
    if order.get("trade_state") != "REFUND":
        return []
    asked = Refund.objects.filter(
        payment__provider_account=account, payment__object_id=order.get("transaction_id"), origin=Refund.Origin.SHOP
    )
    told = (_refund_as_it_stands(account, row.reference) for row in asked.order_by("id"))
    return [refund for refund in told if refund is not None]


def _refund_as_it_stands(account: ProviderAccount, reference: str) -> dict[str, Any] | None:
    try:
        return wechatpay_calls.call(account, "GET", f"/v3/refund/domestic/refunds/{reference}")
    except Refused as refusal:
        if refusal.code in _UNKNOWN_REFUND:
            return None
        raise refusal.error from refusal


def _apiv3_keys(account: ProviderAccount) -> Iterator[str]:
    """Newest first; the older ones are only looked up when the newest does not open what is sealed."""
    yield credentials.of(account)["apiv3_key"]
    for older in credentials.every_of(account)[1:]:
        yield older.get("apiv3_key", "")


def _delivery_id(raw: bytes) -> str:
    """The notification's own id, the same over its retries; looked at only when the signature is right."""
    try:
        found = json.loads(raw.decode())["id"]
    except (ValueError, KeyError, TypeError, RecursionError) as failure:
        raise UnableToVerify("body_unreadable") from failure
    if not isinstance(found, str) or not 0 < len(found) <= _DELIVERY_ID_MAX or not found.isprintable():
        raise UnableToVerify("body_unreadable")
    return found
