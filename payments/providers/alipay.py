"""Alipay's open platform for merchants in mainland China: codes to scan, its page on a phone, refunds, daily bills.

A notification is a form, signed by RSA2 over its decoded values; one payment comes as several of them, with ids of
their own. What Alipay tells of refunds is how much was ever given back; a refund at its own desk that was not told can
only be found in the bill, because a query of a trade does not speak of refunds until all of it is back.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import IO, Any

from django.utils import timezone
from django.utils.translation import gettext_noop

from merchants import money
from payments import credentials
from payments.models import PaymentIntent, ProviderAccount, Refund
from payments.providers import alipay_bill, client
from payments.providers import alipay_gateway as gateway
from payments.providers.base import (
    AMOUNT_MAX,
    Delivery,
    Event,
    Field,
    ProviderError,
    RawLine,
    Ref,
    Reply,
    Started,
    StatementRow,
    UnableToRead,
    UnableToVerify,
    Verified,
    Visit,
    answered,
)

TITLE = "Alipay"
WALLET = "Alipay"
CURRENCIES = frozenset({"CNY"})
FIELDS = (
    Field("app_id", gettext_noop("App ID"), secret=False, names_us=True),
    Field("seller_id", gettext_noop("Seller ID (PID, 2088…)"), secret=False, required=False, names_us=True),
    Field("private_key", gettext_noop("Our application's private key (RSA2)"), form="private_key"),
    Field("alipay_public_key", gettext_noop("Alipay's public key"), secret=False, required=False, form="public_key"),
    Field("alipay_certificate", gettext_noop("Alipay's certificate"), secret=False, required=False, form="certificate"),
    Field(
        "app_certificate",
        gettext_noop("Our application's certificate"),
        secret=False,
        required=False,
        form="certificate",
    ),
    Field("alipay_root_certificates", gettext_noop("Alipay's root certificates"), secret=False, required=False),
)
# `AliApp(` alone is said by other apps of Alibaba as well.
APP = re.compile(r"AlipayClient")
DESTINATIONS = ("https://mclient.alipay.com",)
FORMATS = {"trade": "business bill (业务明细, ZIP)"}
STATEMENT_ZONE = gateway.ZONE
STATEMENT_READY = timedelta(hours=10)  # The next morning; "usually by nine".
STATEMENT_FINAL = timedelta(days=2)
STATEMENT_GROWS = False

# Alipay's own words for "this will never be refunded". All others may change: the balance is filled, a freeze ends.
_NEVER_REFUNDED = {
    "ACQ.TRADE_HAS_FINISHED",
    "ACQ.TRADE_HAS_CLOSE",
    "ACQ.TRADE_NOT_ALLOW_REFUND",
    "ACQ.NOT_ALLOW_REFUND",
    "ACQ.ONLINE_TRADE_VOUCHER_NOT_ALLOW_REFUND",
    "ACQ.REASON_TRADE_REFUND_FEE_ERR",
    "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL",
    "ACQ.REFUND_FEE_ERROR",
    "ACQ.TRADE_STATUS_ERROR",
}
_NO_BILL = {"isp.bill_not_exist", "BILL_NOT_EXIST"}
_YUAN = re.compile(r"(\d{1,13})(?:\.(\d{1,2}))?", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?", re.ASCII)
_ID = re.compile(r"[0-9A-Za-z_-]{1,64}", re.ASCII)
# Alipay refuses the first three, by which its signed text could be read otherwise; the others, its bill.
_NOT_IN_SUBJECTS = re.compile(r'[/=&,"\x00-\x1f]')
_SEVERAL = re.compile(r"&[A-Za-z_]\w*=")


def start(account: ProviderAccount, intent: PaymentIntent, visit: Visit) -> Started:
    """A code for a wallet elsewhere, or Alipay's page on the phone itself, which is only an address that we sign."""
    content = {
        "out_trade_no": intent.reference,
        "total_amount": _yuan(intent.amount),
        "subject": _NOT_IN_SUBJECTS.sub(" ", intent.description).strip() or intent.reference,
        "time_expire": intent.expires_at.astimezone(gateway.ZONE).strftime("%Y-%m-%d %H:%M:%S"),
    }
    if visit.place == "computer":
        answer = gateway.call(account, "alipay.trade.precreate", content)
        code = answer.said.get("qr_code")
        if answer.refusal or not isinstance(code, str) or not code:
            raise _refused(answer)
        return Started(object_id=intent.reference, qr=code)
    content |= {"product_code": "QUICK_WAP_WAY", "quit_url": visit.return_url}
    address = gateway.page(account, "alipay.trade.wap.pay", content, return_url=visit.return_url)
    return Started(object_id=intent.reference, redirect_url=address)


def close(account: ProviderAccount, intent: PaymentIntent) -> Verified:
    answer = gateway.call(account, "alipay.trade.close", {"out_trade_no": intent.reference})
    # A trade that nobody has begun is unknown there and cannot be closed. Its code ends by itself (`time_expire`), and
    # what is paid until then arrives as late money.
    if not answer.refusal or answer.refusal == "ACQ.TRADE_NOT_EXIST":
        terms = {"reference": intent.reference, "amount": intent.amount}
        return answered({"closed": answer.text, **terms, "at": timezone.now().isoformat()})
    found = gateway.call(account, "alipay.trade.query", {"out_trade_no": intent.reference})
    if found.refusal or found.said.get("trade_status") == "WAIT_BUYER_PAY":
        raise _refused(answer)
    return _told_of_trade(found, Ref(intent.reference, created_at=intent.created_at))


def refund(account: ProviderAccount, refund: Refund, payment_object_id: str) -> Verified:
    """Asks, and then asks how it stands: the answer to the first does not always say that the money went."""
    content = {
        "trade_no": payment_object_id,
        "refund_amount": _yuan(refund.amount),
        "out_request_no": refund.reference,
    }
    if refund.reason:
        content["refund_reason"] = refund.reason
    asked = gateway.call(account, "alipay.trade.refund", content)
    terms = {"reference": refund.reference, "payment": payment_object_id, "amount": refund.amount}
    about = {"trade_no": payment_object_id, "out_request_no": refund.reference, "query_options": ["gmt_refund_pay"]}
    found = gateway.call(account, "alipay.trade.fastpay.refund.query", about)
    told = {**terms, "at": timezone.now().isoformat()}
    # Whatever was said to this asking: a refund that an earlier one has made is made.
    if not found.refusal and found.said.get("refund_status") == "REFUND_SUCCESS":
        _check_same(found, trade_no=payment_object_id, out_request_no=refund.reference)
        return answered({"refund": found.text, **told})
    if asked.refusal in _NEVER_REFUNDED:
        return answered({"refused": asked.text, **told})
    if asked.refusal:
        raise _refused(asked)
    return answered({"refund_under_way": asked.text, **told})


def verify(account: ProviderAccount, delivery: Delivery, *, now: datetime) -> Verified:
    """RSA2 over the decoded values, sorted by name, empty ones kept; by every key that is accepted."""
    try:
        form = gateway.form(delivery.raw)
        signature = gateway.signature_of(form.get("sign", b"").decode())
        serial = form.get("alipay_cert_sn", b"").decode()
    except ValueError as failure:
        raise UnableToVerify("signature_wrong") from failure
    if not signature or "sign_type" not in form:
        raise UnableToVerify("signature_missing")
    if form["sign_type"] != b"RSA2":
        raise UnableToVerify("signature_wrong")
    contents = gateway.signed_contents(form)
    for given in _accepted(account, now):
        for key in gateway.keys(given, serial):
            if any(key.proves(content, signature) for content in contents):
                return Verified(_delivery_id(form, contents[0]), delivery.raw, "signed", key_id=key.id)
    raise UnableToVerify("signature_wrong")


def normalise(account: ProviderAccount, verified: Verified) -> Sequence[Event]:
    """A notification tells of one trade as a whole; an answer of a trade, or of one refund."""
    try:
        if verified.authority == "signed":
            return _read_notification(gateway.decoded(gateway.form(verified.raw)))
        message = json.loads(verified.raw)
        if "never_heard_of" in message:
            return []
        if "trade" in message:
            return _read_trade(_told(message["trade"]), otherwise=_moment_told(message["at"]))
        if "closed" in message:
            return [_event("payment.closed", message, reference=_id(message["reference"]))]
        return [_read_refund(message)]
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, LookupError, RecursionError) as failure:
        raise UnableToRead(f"Alipay's message has not the form we know: {failure!r}"[:300]) from failure


def query(account: ProviderAccount, ref: Ref) -> Verified:
    about = {"out_trade_no": ref.reference} if ref.reference else {"trade_no": ref.object_id}
    answer = gateway.call(account, "alipay.trade.query", about)
    if answer.refusal == "ACQ.TRADE_NOT_EXIST":  # A code that nobody has scanned yet, too.
        return answered({"never_heard_of": ref.reference or ref.object_id})
    if answer.refusal:
        raise _refused(answer)
    return _told_of_trade(answer, ref)


def statement(account: ProviderAccount, day: date, into: IO[bytes]) -> str:
    """A day is Shanghai's. That there is no bill means no trade, once the time has passed by which bills are made."""
    about = {"bill_type": "trade", "bill_date": day.isoformat()}
    answer = gateway.call(account, "alipay.data.dataservice.bill.downloadurl.query", about)
    if answer.refusal in _NO_BILL:
        if timezone.now() < datetime.combine(day + timedelta(days=1), time(), STATEMENT_ZONE) + STATEMENT_READY:
            raise ProviderError("the bill of that day is not made yet", permanent=False)
        return ""
    address = answer.said.get("bill_download_url")
    if answer.refusal or not isinstance(address, str):
        raise _refused(answer)
    client.download(account, address, into)
    return "trade"


def lines(account: ProviderAccount, form: str, file: IO[bytes]) -> Iterator[RawLine]:
    return alipay_bill.lines(file)


def meaning(account: ProviderAccount, form: str, raw: Mapping[str, Any]) -> StatementRow | None:
    return alipay_bill.meaning(raw)


def acknowledge(refusal: str = "") -> Reply:
    return Reply(200, b"failure" if refusal else b"success")


# --- Proving ---------------------------------------------------------------------------------------------------------


def _accepted(account: ProviderAccount, now: datetime) -> Iterator[Mapping[str, str]]:
    """The newest credentials first: the older ones are only looked up when those were not enough."""
    yield credentials.of(account)
    yield from credentials.accepted(account, now=now)[1:]


def _delivery_id(form: Mapping[str, bytes], content: bytes) -> str:
    told = form.get("notify_id", b"").decode("latin-1")
    return told if _ID.fullmatch(told) else f"signed:{hashlib.sha256(content).hexdigest()}"


# --- What is told ----------------------------------------------------------------------------------------------------


def _told(text: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(text, parse_float=Decimal)
    return read


def _read_notification(form: Mapping[str, str]) -> list[Event]:
    account = {name: _id(form[name]) for name in ("app_id", "seller_id") if form.get(name)}
    if "trade_status" not in form and form.get("notify_type") != "trade_status_sync":
        about = form.get("notify_type") or form.get("method") or "something else"
        at = _moment(form, "notify_time")
        return [_of("info", "", 0, at, decision="ignore", reason=f"tells of {about[:60]!r}", account=account)]
    split = any(_SEVERAL.search(value) for name, value in form.items() if name != "sign")
    return _read_trade(
        {**form, "send_pay_date": form.get("gmt_payment", "")},
        otherwise=_moment(form, "gmt_close", "notify_time", "gmt_create"),
        account=account,
        # The signed text joins parameters by "&": such a value could have been cut out of it at another place.
        doubt="a value that could be read as several parameters" if split else "",
    )


def _read_trade(
    told: Mapping[str, Any], *, otherwise: datetime, account: Mapping[str, str] | None = None, doubt: str = ""
) -> list[Event]:
    """`otherwise`: the time of what Alipay gives no time for."""
    trade, status, total = _id(told["trade_no"]), told["trade_status"], _fen(told["total_amount"])
    currency = told.get("trans_currency") or "CNY"
    if currency != "CNY":
        doubt = doubt or f"in another currency: {str(currency)[:10]!r}"
    common: dict[str, Any] = {"account": account or {}, "decision": "quarantine" if doubt else "apply", "reason": doubt}
    reference = _reference(told.get("out_trade_no"))
    paid = bool(told.get("send_pay_date"))
    if status == "WAIT_BUYER_PAY":
        return [_of("payment.pending", trade, total, otherwise, reference=reference, final=False, **common)]
    if status == "TRADE_CLOSED" and not paid:
        return [_of("payment.closed", trade, total, otherwise, reference=reference, **common)]
    if status not in ("TRADE_SUCCESS", "TRADE_FINISHED", "TRADE_CLOSED"):
        return [_of("unknown", trade, total, otherwise, reference=reference, **common)]
    at = _moment(told, "send_pay_date") if paid else otherwise
    events = [_of("payment.succeeded", trade, total, at, reference=reference, **common)]
    refunded = _fen(told["refund_fee"], zero=True) if told.get("refund_fee") else 0
    if status == "TRADE_CLOSED":
        if refunded not in (0, total):
            common |= {"decision": "quarantine", "reason": doubt or "closed as refunded, but not all of it is refunded"}
        refunded = refunded or total
    if refunded > total:
        common |= {"decision": "quarantine", "reason": doubt or "more refunded than was paid"}
    if refunded:
        events.append(_refunded(told, trade, refunded, otherwise, common))
    return events


def _refunded(
    told: Mapping[str, Any], trade: str, refunded: int, otherwise: datetime, common: Mapping[str, Any]
) -> Event:
    named = _reference(told.get("out_biz_no"))
    return _of(
        "refund.total",
        trade,
        refunded,
        _moment(told, "gmt_refund") if told.get("gmt_refund") else otherwise,
        parent_object_id=trade,
        refunded_total=refunded,
        reference=named if named.startswith(f"{Refund.prefix}_") else "",
        **common,
    )


def _read_refund(message: Mapping[str, Any]) -> Event:
    """Our own refund, by its own number: Alipay has no other name for it."""
    reference, payment = _id(message["reference"]), _id(message["payment"])
    about: dict[str, Any] = {"reference": reference, "parent_object_id": payment}
    if "refused" in message:  # Nothing was made that could have a name.
        return _event("refund.failed", message, **about)
    if "refund_under_way" in message:
        return _event("refund.pending", message, object_id=reference, final=False, **about)
    told = _told(message["refund"])
    at = _moment(told, "gmt_refund_pay") if told.get("gmt_refund_pay") else _moment_told(message["at"])
    return _of(
        "refund.succeeded", reference, _fen(told["refund_amount"]), at, reference=reference, parent_object_id=payment
    )


def _event(kind: Any, message: Mapping[str, Any], *, object_id: str = "", **more: Any) -> Event:
    """An event in the terms of what we asked for, because the answer repeats none of them."""
    amount = message["amount"]
    if not isinstance(amount, int) or isinstance(amount, bool) or not 0 < amount <= AMOUNT_MAX:
        raise ValueError(f"not an amount: {amount!r}")
    return _of(kind, object_id, amount, _moment_told(message["at"]), **more)


def _of(kind: Any, object_id: str, amount: int, at: datetime, **more: Any) -> Event:
    return Event(kind=kind, object_id=object_id, amount=amount, currency="CNY", occurred_at=at, **more)


def _fen(told: Any, *, zero: bool = False) -> int:
    found = _YUAN.fullmatch(str(told))
    fen = int(found[1]) * 100 + int((found[2] or "0").ljust(2, "0")) if found else -1
    if not (0 if zero else 1) <= fen <= AMOUNT_MAX:
        raise ValueError(f"not an amount: {str(told)[:40]!r}")
    return fen


def _yuan(fen: int) -> str:
    return str(money.decimal(fen, "CNY"))


def _moment(told: Mapping[str, Any], *names: str) -> datetime:
    text = next((str(told[name]) for name in names if told.get(name)), "")
    if not _TIME.fullmatch(text):
        raise ValueError(f"not a time: {text[:40]!r}")
    return datetime.fromisoformat(text).replace(tzinfo=gateway.ZONE).astimezone(UTC)


def _moment_told(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"a time without a zone: {text[:40]}")
    return moment.astimezone(UTC)


def _id(told: Any) -> str:
    if not isinstance(told, str) or not _ID.fullmatch(told):
        raise ValueError(f"not an id: {str(told)[:40]!r}")
    return told


def _reference(told: Any) -> str:
    """A merchant's own number: of ours it is an id, and money under any other is money all the same."""
    return told if isinstance(told, str) and _ID.fullmatch(told) else ""


# --- Answers ---------------------------------------------------------------------------------------------------------


def _told_of_trade(answer: gateway.Answer, ref: Ref) -> Verified:
    """The same answer must be the same message, so its own time is only added where the trade has ended since."""
    if ref.reference:
        _check_same(answer, out_trade_no=ref.reference)
    else:
        _check_same(answer, trade_no=ref.object_id)
    ended = answer.said.get("trade_status") == "TRADE_CLOSED"
    at = timezone.now() if ended or ref.created_at is None else ref.created_at
    return answered({"trade": answer.text, "at": at.isoformat()})


def _check_same(answer: gateway.Answer, **asked: str) -> None:
    """An answer carries no mark of its question: one about another trade must not be taken for this one's."""
    for name, value in asked.items():
        if answer.said.get(name) != value:
            raise ProviderError(f"the gateway answers about another {name}", permanent=False)


def _refused(answer: gateway.Answer) -> ProviderError:
    return ProviderError(
        f"refused by Alipay: {answer.refusal or 'an answer that lacks what was asked for'}"[:150], permanent=True
    )
