"""WeChat Pay as the tests meet it: orders, refunds, certificates and bills, signed with the `wechatpayv3` package.

What the package has no function for (sealing a resource, making a certificate) is done with `cryptography`. The rules
are those of the merchants' documents of APIv3; nothing here was ever compared with the live service.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from django.utils import timezone as clock
from wechatpayv3.utils import rsa_sign, rsa_verify

from merchants.models import Shop
from payments import credentials
from payments.models import ProviderAccount
from payments.providers.base import Delivery
from tests.networks.base import Key, Network, Request, Response, Sent

SHANGHAI = timezone(timedelta(hours=8))
PUBLIC_KEY_ID = "PUB_KEY_ID_0114232134912410000000000000"
MERCHANT_SERIAL = "3775B6A45ACD588826D15E583A95F5DD00000001"
_ORDER_NO = re.compile(r"[0-9A-Za-z_\-*]{6,32}")
_AUTHORIZATION = re.compile(
    r'WECHATPAY2-SHA256-RSA2048 mchid="([^"]+)",nonce_str="([^"]+)",signature="([^"]+)",'
    r'timestamp="([0-9]+)",serial_no="([^"]+)"'
)
BILL_HEADER = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,"
    "应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,"
    "手续费,费率,订单金额,申请退款金额,费率备注"
)
BILL_FOOTER = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"


@cache
def private_key(name: str) -> rsa.RSAPrivateKey:
    """One key per name and process: making one is slow."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(key: rsa.RSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public_pem(key: rsa.RSAPrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@dataclass(frozen=True)
class Certificate:
    """A platform certificate and its private key."""

    serial: str
    key: rsa.RSAPrivateKey
    pem: str
    expires_at: datetime


def certificate(name: str, *, days: int = 365, begins: int = -30) -> Certificate:
    """A certificate that is good from `begins` days after now, for `days` days."""
    key, number = private_key(name), int.from_bytes(hashlib.sha256(name.encode()).digest()[:19], "big") | 1 << 158
    who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Tenpay.com sign")])
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(days=begins)
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(number)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=days))
        .sign(key, SHA256())
    )
    text = made.public_bytes(Encoding.PEM).decode()
    return Certificate(f"{number:X}", key, text, start + timedelta(days=days))


@dataclass
class Order:
    """An order and, once it is paid, its transaction."""

    way: str
    body: dict[str, Any]
    prepay_id: str
    state: str = "NOTPAY"
    transaction_id: str = ""
    total: int = 0
    paid_at: str = ""
    notice: str = ""
    refunds: list[dict[str, Any]] = field(default_factory=list)


class WeChatPay(Network):
    """Keeps orders by our reference. A refund is taken as PROCESSING and is `refund_state` when it is asked about."""

    provider = "wechatpay"
    currency = "CNY"

    def __init__(self, *, public_key_mode: bool = False, known: bool = True) -> None:
        super().__init__()
        self.mchid, self.appid = "1900000109", "wxd678efh567hg6787"
        self.apiv3_key, self.app_secret = secrets.token_hex(16), secrets.token_hex(16)
        self.public_key_mode, self.known = public_key_mode, known
        self.merchant = private_key("merchant")
        self.current, self.previous = certificate("current"), certificate("previous", days=40)
        self.other = private_key("another account")
        self.served = [self.current, self.previous]
        self.orders: dict[str, Order] = {}
        self.grants: dict[str, str] = {}  # What the payer comes back with, and who she is.
        self.refund_state = "SUCCESS"
        self.fee_rate = Decimal("0.006")
        self.fail_next: tuple[int, str] | None = None
        self.spoil_answer: Callable[[dict[str, str]], Mapping[str, str]] = dict
        self.edit_bill: Callable[[str], str] = str  # Before its digest is told.
        self.damage_bill: Callable[[bytes], bytes] = bytes  # After it.
        self.bill_at = ""  # Another place than ours.
        self.requests: list[Request] = []
        self._bills: dict[str, bytes] = {}

    # --- The account ---

    def settings(self) -> dict[str, Any]:
        return {"WECHATPAY_URL": self.url, "WECHATPAY_IDENTIFY_URL": self.url, "WECHATPAY_GRANT_URL": self.url}

    def credentials(self) -> dict[str, str]:
        given = {
            "mchid": self.mchid,
            "appid": self.appid,
            "merchant_serial": MERCHANT_SERIAL,
            "private_key": pem(self.merchant),
            "apiv3_key": self.apiv3_key,
            "app_secret": self.app_secret,
            "h5": "1",
        }
        if self.public_key_mode:
            given |= {"public_key_id": PUBLIC_KEY_ID, "public_key": public_pem(private_key("public"))}
        return given

    def account(self, *, shop: Shop | None = None, name: str = "") -> ProviderAccount:
        """Our account; when `known`, it was given the platform certificates before."""
        found = super().account(shop=shop, name=name)
        if self.known:
            for one in (self.current, self.previous):
                credentials.keep_key(found, one.serial, one.pem, expires_at=one.expires_at, now=clock.now())
        return found

    # --- What happens at WeChat ---

    def pay(self, reference: str, *, amount: int | None = None) -> str:
        order = self.orders[reference]
        assert order.state == "NOTPAY", f"the order is {order.state}"
        order.state, order.transaction_id = "SUCCESS", f"4200{secrets.randbelow(10**24):024d}"
        order.total = order.body["amount"]["total"] if amount is None else amount
        order.paid_at, order.notice = _now(), f"EV-{secrets.token_hex(14)}"
        return order.transaction_id

    def refund_at_desk(self, object_id: str, amount: int) -> str:
        order = self._paid(object_id)
        return str(self._refund(order, f"DESK{secrets.token_hex(8)}", amount)["refund_id"])

    def finish_refund(self, out_refund_no: str, state: str) -> None:
        """The bank has spoken."""
        refund = next(
            one for order in self.orders.values() for one in order.refunds if one["out_refund_no"] == out_refund_no
        )
        refund["status"] = state
        refund["success_time"] = _now()

    def sent(self, object_id: str) -> list[Sent]:
        order = self._paid(object_id)
        share: dict[str, Any] = {
            "mchid": self.mchid,
            "transaction_id": object_id,
            "out_order_no": "S1",
            "order_id": "3008450740201411110007820472",
        }
        share |= {
            "receiver": {"type": "MERCHANT_ID", "account": "1900000110", "amount": 1},
            "success_time": order.paid_at,
        }
        told = [
            self.notice(order.notice, "TRANSACTION.SUCCESS", "transaction", self.transaction(order), order.paid_at),
            self.notice(f"{order.notice}-S", "TRANSACTION.SUCCESS", "profitsharing", share, order.paid_at),
        ]
        for refund in order.refunds:
            if refund["status"] != "PROCESSING":
                event = f"REFUND.{refund['status']}"
                told.append(self.notice(refund["notice"], event, "refund", self._refund_notice(order, refund), _now()))
        return [Sent(self.sign(raw, at=clock.now())) for raw in told]

    def sign(self, raw: bytes, *, at: datetime, key: Key = "current") -> Delivery:
        """`other`: the key of another account under the name of ours, as somebody who means us harm would do it."""
        if key == "current" and self.public_key_mode:
            return Delivery(raw, signature(PUBLIC_KEY_ID, private_key("public"), raw, at))
        one = self.previous if key == "previous" else self.current
        return Delivery(raw, signature(one.serial, self.other if key == "other" else one.key, raw, at))

    def sample(self) -> bytes:
        order = Order(
            "native",
            {"out_trade_no": "ANOTHER-SHOPS-1"},
            "",
            "SUCCESS",
            f"4200{secrets.randbelow(10**24):024d}",
            100,
            _now(),
        )
        return self.notice(
            f"EV-{secrets.token_hex(14)}", "TRANSACTION.SUCCESS", "transaction", self.transaction(order), _now()
        )

    def notice(
        self, name: str, event: str, kind: str, held: Mapping[str, Any], at: str, *, bound: str | None = None
    ) -> bytes:
        """A notification's body: what it tells is sealed anew each time, under the same id."""
        resource = {"original_type": kind, **sealed(held, self.apiv3_key, kind if bound is None else bound)}
        body = {"id": name, "create_time": at, "resource_type": "encrypt-resource", "event_type": event}
        return json.dumps({**body, "summary": "支付成功", "resource": resource}, ensure_ascii=False).encode()

    def transaction(self, order: Order) -> dict[str, Any]:
        """An order as WeChat tells of it: before it is paid without an amount and without a transaction."""
        told: dict[str, Any] = {
            "mchid": self.mchid,
            "appid": self.appid,
            "out_trade_no": order.body["out_trade_no"],
            "trade_state": order.state,
            "trade_state_desc": "…",
            "payer": {"openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"},
        }
        if order.transaction_id:
            # A coupon of one fen: the payer pays less than the price, and the price counts.
            amount = {"total": order.total, "payer_total": order.total - 1, "currency": "CNY", "payer_currency": "CNY"}
            told |= {"transaction_id": order.transaction_id, "success_time": order.paid_at, "amount": amount}
            told |= {"trade_type": order.way.upper(), "bank_type": "OTHERS", "attach": ""}
        return told

    # --- Answering ---

    def answer(self, request: Request) -> Response:
        self.requests.append(request)
        if request.path == "/sns/oauth2/access_token":
            return self._grant(request)
        if problem := self._signature_problem(request):
            self.problems.append(f"{request.method} {request.target}: {problem}")
            return self._refuse(401, "SIGN_ERROR")
        if self.fail_next is not None:
            (status, code), self.fail_next = self.fail_next, None
            return self._refuse(status, code)
        if request.path == "/v3/billdownload/file":  # The one answer that is not signed.
            return Response(200, self.damage_bill(self._bills[request.query["token"]]))
        status, told = self._route(request)
        body = b"" if told is None else json.dumps(told, ensure_ascii=False).encode()
        headers = self.spoil_answer(self._signed(request, body)) if status < 300 else {}
        return Response(status, body, {"Content-Type": "application/json", **headers})

    def _route(self, request: Request) -> tuple[int, dict[str, Any] | None]:
        path, asked = request.path, json.loads(request.body) if request.body else {}
        if request.method == "POST" and (way := path.removeprefix("/v3/pay/transactions/")) in (
            "native",
            "h5",
            "jsapi",
        ):
            return self._place(way, asked)
        if request.method == "POST" and (
            found := re.fullmatch(r"/v3/pay/transactions/out-trade-no/([^/]+)/close", path)
        ):
            return self._close(found[1], asked)
        if path == "/v3/refund/domestic/refunds":
            return self._ask_refund(asked)
        if found := re.fullmatch(r"/v3/refund/domestic/refunds/([^/]+)", path):
            refunds = [(order, one) for order in self.orders.values() for one in order.refunds]
            told = [self._refund_told(order, one) for order, one in refunds if one["out_refund_no"] == found[1]]
            return (200, told[0]) if told else (404, _error("RESOURCE_NOT_EXISTS"))
        if found := re.fullmatch(r"/v3/pay/transactions/(out-trade-no|id)/([^/]+)", path):
            if request.query.get("mchid") != self.mchid:
                return 400, _error("PARAM_ERROR")
            held = [
                o for r, o in self.orders.items() if found[2] == (r if found[1] == "out-trade-no" else o.transaction_id)
            ]
            return (200, self.transaction(held[0])) if held else (404, _error("ORDER_NOT_EXIST"))
        if path == "/v3/certificates":
            return 200, {"data": [self._certificate(one) for one in self.served]}
        if path == "/v3/bill/tradebill":
            return self._bill(request)
        return 404, _error("RESOURCE_NOT_EXISTS")

    def _place(self, way: str, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        fine = (
            (asked["mchid"], asked["appid"]) == (self.mchid, self.appid)
            and _ORDER_NO.fullmatch(asked["out_trade_no"])
            and 0 < len(asked["description"]) <= 127
            and isinstance(asked["amount"]["total"], int)
            and asked["amount"]["total"] > 0
            and asked["amount"]["currency"] == "CNY"
            and datetime.strptime(asked["time_expire"], "%Y-%m-%dT%H:%M:%S%z") > clock.now()
            and "?" not in asked["notify_url"]
            and (way != "h5" or (asked["scene_info"]["payer_client_ip"] and asked["scene_info"]["h5_info"]["type"]))
            and (way != "jsapi" or asked["payer"]["openid"] in self.grants.values())
        )
        if not fine:
            self.problems.append(f"an order that WeChat would not take: {asked}")
            return 400, _error("PARAM_ERROR")
        order = self.orders.setdefault(asked["out_trade_no"], Order(way, asked, f"wx{secrets.token_hex(15)}"))
        if order.state != "NOTPAY":
            return 400, _error("ORDER_CLOSED" if order.state == "CLOSED" else "ORDERPAID")
        if (order.way, order.body) != (way, asked):
            return 403, _error("OUT_TRADE_NO_USED")
        if way == "native":
            return 200, {"code_url": f"weixin://wxpay/bizpayurl?pr={order.prepay_id[-9:]}"}
        page = f"https://wx.tenpay.com/cgi-bin/mmpayweb-bin/checkmweb?prepay_id={order.prepay_id}&package=2150917749"
        return 200, {"h5_url": page} if way == "h5" else {"prepay_id": order.prepay_id}

    def _close(self, reference: str, asked: dict[str, Any]) -> tuple[int, dict[str, Any] | None]:
        """An order that was never placed is closed like any other, as WeChat does."""
        order = self.orders.get(reference)
        if asked != {"mchid": self.mchid}:
            return 400, _error("PARAM_ERROR")
        if order is not None and order.transaction_id:
            return 400, _error("ORDERPAID")
        if order is not None:
            order.state = "CLOSED"
        return 204, None

    def _ask_refund(self, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        found = [order for order in self.orders.values() if order.transaction_id == asked["transaction_id"]]
        if not found:
            return 404, _error("RESOURCE_NOT_EXISTS")
        order, amount = found[0], asked["amount"]
        if any(one["out_refund_no"] == asked["out_refund_no"] for one in order.refunds):
            refund = next(one for one in order.refunds if one["out_refund_no"] == asked["out_refund_no"])
            same = refund["amount"] == amount["refund"]
            return (200, self._refund_told(order, refund)) if same else (400, _error("INVALID_REQUEST"))
        gone = sum(one["amount"] for one in order.refunds if one["status"] in ("SUCCESS", "PROCESSING"))
        if (amount["total"], amount["currency"]) != (order.total, "CNY") or gone + amount["refund"] > order.total:
            return 400, _error("INVALID_REQUEST")
        refund = self._refund(order, asked["out_refund_no"], amount["refund"])
        return 200, {**self._refund_told(order, refund), "status": "PROCESSING"}

    def _refund(self, order: Order, name: str, amount: int) -> dict[str, Any]:
        refund = {
            "refund_id": f"5000{secrets.randbelow(10**24):024d}",
            "out_refund_no": name,
            "amount": amount,
            "status": self.refund_state,
            "create_time": _now(),
            "success_time": _now(),
            "notice": f"EV-{secrets.token_hex(14)}",
        }
        order.refunds.append(refund)
        order.state = "REFUND"
        return refund

    def _paid(self, object_id: str) -> Order:
        return next(order for order in self.orders.values() if order.transaction_id == object_id)

    def _refund_told(self, order: Order, refund: Mapping[str, Any]) -> dict[str, Any]:
        told = {name: refund[name] for name in ("refund_id", "out_refund_no", "status", "create_time")}
        if refund["status"] == "SUCCESS":
            told["success_time"] = refund["success_time"]
        amount = {"total": order.total, "refund": refund["amount"], "payer_refund": refund["amount"], "currency": "CNY"}
        told |= {
            "transaction_id": order.transaction_id,
            "out_trade_no": order.body["out_trade_no"],
            "channel": "ORIGINAL",
        }
        return {**told, "user_received_account": "支付用户零钱", "amount": amount}

    def _refund_notice(self, order: Order, refund: Mapping[str, Any]) -> dict[str, Any]:
        told = {**self._refund_told(order, refund), "mchid": self.mchid, "refund_status": refund["status"]}
        amount = {name: value for name, value in told["amount"].items() if name != "currency"} | {
            "payer_total": order.total
        }
        return {name: value for name, value in told.items() if name not in ("status", "create_time", "channel")} | {
            "amount": amount
        }

    def _grant(self, request: Request) -> Response:
        named = (request.query.get("appid"), request.query.get("secret"), request.query.get("grant_type"))
        openid = self.grants.get(request.query.get("code", ""))
        if named != (self.appid, self.app_secret, "authorization_code") or openid is None:
            return Response(200, json.dumps({"errcode": 40029, "errmsg": f"invalid code {request.target}"}).encode())
        told = {"access_token": "A", "expires_in": 7200, "refresh_token": "R", "openid": openid, "scope": "snsapi_base"}
        return Response(200, json.dumps(told).encode())

    def _certificate(self, one: Certificate) -> dict[str, Any]:
        held = sealed(one.pem, self.apiv3_key, "certificate")
        return {"serial_no": one.serial, "effective_time": _now(), "expire_time": _now(), "encrypt_certificate": held}

    # --- Bills ---

    def _bill(self, request: Request) -> tuple[int, dict[str, Any]]:
        day = date.fromisoformat(request.query["bill_date"])
        rows = [row for order in self.orders.values() if order.transaction_id for row in self._bill_rows(order, day)]
        if not rows:
            return 400, _error("NO_STATEMENT_EXIST")
        columns = BILL_HEADER.split(",")
        named = [dict(zip(columns, row, strict=True)) for row in rows]
        totals = ["应结订单金额", "退款金额", "充值券退款金额", "手续费", "订单金额", "申请退款金额"]
        footer = [f"{len(rows)}.0", *(str(sum((Decimal(row[total]) for row in named), Decimal())) for total in totals)]
        lines = [BILL_HEADER, *(",".join(f"`{value}" for value in row) for row in rows), BILL_FOOTER]
        text = self.edit_bill("".join(f"{line}\r\n" for line in [*lines, ",".join(f"`{value}" for value in footer)]))
        raw, token = b"\xef\xbb\xbf" + text.encode(), secrets.token_hex(8)
        self._bills[token] = raw
        url = f"{self.bill_at or self.url}/v3/billdownload/file?token={token}"
        return 200, {"hash_type": "SHA1", "hash_value": hashlib.sha1(raw).hexdigest(), "download_url": url}

    def _bill_rows(self, order: Order, day: date) -> list[list[str]]:
        rows = [(order.paid_at, None), *((one["create_time"], one) for one in order.refunds)]
        return [self._bill_row(order, at, one) for at, one in rows if datetime.fromisoformat(at).date() == day]

    def _bill_row(self, order: Order, at: str, refund: Mapping[str, Any] | None) -> list[str]:
        paid, back = (_yuan(order.total), "0.00") if refund is None else ("0.00", _yuan(refund["amount"]))
        amount = Decimal(order.total if refund is None else -refund["amount"]) / 100
        rest = ["0", "0"] if refund is None else [refund["refund_id"], refund["out_refund_no"]]
        state = "" if refund is None else {"ABNORMAL": "FAIL", "CLOSED": "FAIL"}.get(refund["status"], refund["status"])
        when = datetime.fromisoformat(at).strftime("%Y-%m-%d %H:%M:%S")
        known = [when, self.appid, self.mchid, "0", "", order.transaction_id, order.body["out_trade_no"], "oUpF8uMuAJO"]
        kinds = [order.way.upper(), "SUCCESS" if refund is None else "REFUND", "OTHERS", "CNY", paid, "0.00", *rest]
        kinds += [back, "0.00", "ORIGINAL" if refund else "", state, order.body["description"], ""]
        return [*known, *kinds, f"{amount * self.fee_rate:.5f}", "0.60%", paid, back, ""]

    # --- Signatures ---

    def _signature_problem(self, request: Request) -> str:
        found = _AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
        if found is None or not request.headers.get("user-agent"):
            return "not signed in the form of APIv3"
        mchid, nonce, signed, timestamp, serial = found.groups()
        if (mchid, serial) != (self.mchid, MERCHANT_SERIAL) or abs(int(timestamp) - clock.now().timestamp()) > 300:
            return "signed as somebody else, or at another time"
        head = f"{request.method}\n{request.target}\n{timestamp}"
        fine = rsa_verify(head, nonce, request.body.decode(), signed, self.merchant.public_key())
        return "" if fine else "the signature is wrong"

    def _signed(self, request: Request, body: bytes) -> dict[str, str]:
        if self.public_key_mode and request.headers.get("wechatpay-serial") == PUBLIC_KEY_ID:
            return signature(PUBLIC_KEY_ID, private_key("public"), body, clock.now())
        return signature(self.current.serial, self.current.key, body, clock.now())

    def _refuse(self, status: int, code: str) -> Response:
        return Response(status, json.dumps(_error(code)).encode(), {"Content-Type": "application/json"})


def signature(serial: str, key: rsa.RSAPrivateKey, body: bytes, at: datetime) -> dict[str, str]:
    """The headers under which WeChat sends `body` at that moment."""
    timestamp, nonce = str(int(at.timestamp())), secrets.token_hex(16)
    return {
        "wechatpay-timestamp": timestamp,
        "wechatpay-nonce": nonce,
        "wechatpay-serial": serial,
        "wechatpay-signature": rsa_sign(key, f"{timestamp}\n{nonce}\n{body.decode()}\n"),
        "wechatpay-signature-type": "WECHATPAY2-SHA256-RSA2048",
    }


def sealed(held: Mapping[str, Any] | str, apiv3_key: str, bound: str) -> dict[str, str]:
    """A resource as WeChat encrypts it."""
    nonce, plain = secrets.token_hex(6), held if isinstance(held, str) else json.dumps(held, ensure_ascii=False)
    ciphertext = AESGCM(apiv3_key.encode()).encrypt(nonce.encode(), plain.encode(), bound.encode())
    told = {"algorithm": "AEAD_AES_256_GCM", "nonce": nonce, "ciphertext": b64encode(ciphertext).decode()}
    return {**told, "associated_data": bound}


def _now() -> str:
    return datetime.now(SHANGHAI).isoformat(timespec="seconds")


def _yuan(fen: int) -> str:
    return f"{Decimal(fen) / 100:.2f}"


def _error(code: str) -> dict[str, Any]:
    return {"code": code, "message": "…"}
