"""Alipay's gateway as the tests meet it: trades, refunds and bills of its own, behind python-alipay-sdk's signatures.

The SDK checks what we sign and signs what we are told. A precreated order is no trade before somebody scans its code,
and an order of the page none before a browser has opened it. The end of the time for refunds (TRADE_FINISHED) is told
at once, and refunds are taken all the same, so that a test meets everything that one payment may bring.
"""

from __future__ import annotations

import io
import json
import re
import secrets
import zipfile
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlencode
from zoneinfo import ZoneInfo

from alipay import AliPay
from Cryptodome.Hash import SHA256
from Cryptodome.Signature import PKCS1_v1_5
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from payments import credentials
from payments.models import ProviderAccount
from payments.providers.base import Delivery
from tests.networks.base import Key, Network, Request, Response, Sent

APP_ID, SELLER_ID = "2021000000000001", "2088000000000001"
ZONE = ZoneInfo("Asia/Shanghai")
HEADER = (
    "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,订单金额（元）,"
    "商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,券名称,商家红包消费金额（元）,"
    "卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注"
)
HEADERS = {"content-type": "application/x-www-form-urlencoded; charset=UTF-8"}

# A notification as Alipay would sign it, about nobody's order.
FORM = {
    "app_id": APP_ID,
    "seller_id": SELLER_ID,
    "charset": "utf-8",
    "notify_id": "2026112200222120000000000000000001",
    "notify_time": "2026-11-22 12:00:05",
    "notify_type": "trade_status_sync",
    "gmt_create": "2026-11-22 11:59:00",
    "gmt_payment": "2026-11-22 12:00:00",
    "out_trade_no": "int_01",
    "trade_no": "2026112222001400000000000001",
    "trade_status": "TRADE_SUCCESS",
    "total_amount": "2.00",
    "subject": "苹果",
    "body": "",
}


@lru_cache
def key_pair(name: str) -> tuple[str, str]:
    """An RSA key of the tests, private and public in PEM, made once in a run."""
    key = rsa.generate_private_key(65537, 2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


@lru_cache
def sdk(signs: str, proves: str) -> AliPay:
    """The SDK in the part of whoever signs with the one key and checks by the other."""
    return AliPay(
        appid=APP_ID,
        app_private_key_string=key_pair(signs)[0],
        alipay_public_key_string=key_pair(proves)[1],
        sign_type="RSA2",
    )


def signed_form(form: dict[str, str], key: Key = "current", charset: str = "utf-8") -> bytes:
    """A notification's body: signed over the sorted values, with sign_type left out."""
    told = {name: value for name, value in form.items() if name not in ("sign", "sign_type")}
    peer = sdk(key, "app")
    content = "&".join(f"{name}={value}" for name, value in sorted(told.items()))
    if charset == "utf-8":
        sign = peer._sign(content)
    else:  # The SDK itself only signs UTF-8.
        sign = b64encode(PKCS1_v1_5.new(peer.app_private_key).sign(SHA256.new(content.encode(charset)))).decode()
    return urlencode({**told, "sign_type": "RSA2", "sign": sign}, encoding=charset).encode()


@lru_cache
def unsaved(**changes: str) -> ProviderAccount:
    """An account that asks the database for nothing, unless its newest keys were not enough."""
    given = {**Alipay().credentials(), **changes}
    return ProviderAccount(provider="alipay", name="x", sealed_credentials=credentials.sealed(given))


@dataclass
class Repayment:
    request: str
    amount: int
    at: datetime


@dataclass
class Trade:
    reference: str
    amount: int
    subject: str
    notify_url: str
    begun: bool = False
    trade_no: str = ""
    paid_at: datetime | None = None
    closed: bool = False
    refunds: list[Repayment] = field(default_factory=list)
    sent: list[dict[str, str]] = field(default_factory=list)

    @property
    def status(self) -> str:
        if self.closed or (self.refunds and self.refunded == self.amount):
            return "TRADE_CLOSED"
        return "TRADE_SUCCESS" if self.paid_at else "WAIT_BUYER_PAY"

    @property
    def refunded(self) -> int:
        return sum(refund.amount for refund in self.refunds)


class Refusal(Exception):
    """The gateway's no: its code and sub_code."""

    def __init__(self, sub_code: str, code: str = "40004") -> None:
        super().__init__(sub_code)
        self.code, self.sub_code = code, sub_code


class Alipay(Network):
    """`faults` answers a method with (code, sub_code); `tamper` changes an answer after it was signed; `edit_bill`
    changes the rows' file of a bill before it is packed."""

    provider: ClassVar[str] = "alipay"
    currency: ClassVar[str] = "CNY"
    timestamped: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self.trades: dict[str, Trade] = {}
        self.requests: list[dict[str, str]] = []
        self.faults: dict[str, tuple[str, str]] = {}
        self.tamper: Callable[[bytes], bytes] = lambda body: body
        self.edit_bill: Callable[[str], str] = lambda text: text
        self.key: Key = "current"
        self._count = secrets.randbelow(10**9)

    # --- What the product is told ---

    def settings(self) -> dict[str, Any]:
        return {"ALIPAY_URL": self.url}

    def credentials(self) -> dict[str, str]:
        return {
            "app_id": APP_ID,
            "seller_id": SELLER_ID,
            "private_key": key_pair("app")[0],
            "alipay_public_key": key_pair("current")[1] + key_pair("previous")[1],
        }

    # --- The gateway ---

    def answer(self, request: Request) -> Response:
        if request.path == "/bill.zip":
            return Response(200, self._bill(request.query["day"]), {"Content-Type": "application/zip"})
        body = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
        parameters = {**request.query, **body}
        self.requests.append(parameters)
        method = parameters.get("method", "")
        name = f"{method.replace('.', '_')}_response"
        if not self._accepts(request, parameters):
            return _json({name: {"code": "40002", "msg": "Invalid Arguments", "sub_code": "isv.invalid-signature"}})
        try:
            if method in self.faults:
                code, sub_code = self.faults[method]
                raise Refusal(sub_code, code)
            said = self._take(method, json.loads(parameters["biz_content"]), parameters)
            said = {"code": "10000", "msg": "Success", **said}
        except Refusal as refusal:
            said = {"code": refusal.code, "msg": "Business Failed", "sub_code": refusal.sub_code, "sub_msg": "不行"}
        if method == "alipay.trade.wap.pay":
            return Response(200, b"<html>Alipay</html>", {"Content-Type": "text/html"})
        text = json.dumps(said, ensure_ascii=False)
        sign = sdk(self.key, "app")._sign(text)
        return Response(200, self.tamper(f'{{"{name}":{text},"sign":"{sign}"}}'.encode()))

    def _accepts(self, request: Request, parameters: dict[str, str]) -> bool:
        told = dict(parameters)
        sign = told.pop("sign", "")
        content = "&".join(f"{name}={value}" for name, value in sorted(told.items()) if value)
        wrong = [
            name
            for name, value in (("charset", "utf-8"), ("sign_type", "RSA2"), ("version", "1.0"), ("app_id", APP_ID))
            if told.get(name) != value
        ]
        if not sign or not sdk("current", "app")._verify(content, sign):
            wrong.append("sign")
        sent_at = datetime.strptime(told["timestamp"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=ZONE)
        if abs(datetime.now(ZONE) - sent_at) > timedelta(minutes=10):
            wrong.append("timestamp")
        page = told["method"] == "alipay.trade.wap.pay"
        if request.path != "/gateway.do" or request.method != ("GET" if page else "POST"):
            wrong.append(f"{request.method} {request.path}")
        self.problems += [f"{told['method']}: {part}" for part in wrong]
        return not wrong

    def _take(self, method: str, content: dict[str, Any], parameters: dict[str, str]) -> dict[str, Any]:
        match method:
            case "alipay.trade.precreate" | "alipay.trade.wap.pay":
                return self._start(content, parameters, page=method.endswith("wap.pay"))
            case "alipay.trade.query":
                return self._shown(self._trade(content))
            case "alipay.trade.close":
                trade = self._trade(content)
                if trade.status != "WAIT_BUYER_PAY":
                    raise Refusal("ACQ.TRADE_STATUS_ERROR")
                trade.closed = True
                self._tell(trade, gmt_close=_now())
                return {"trade_no": trade.trade_no, "out_trade_no": trade.reference}
            case "alipay.trade.refund":
                return self._refund(self._trade(content), content)
            case "alipay.trade.fastpay.refund.query":
                return self._refund_shown(self._trade(content), content)
            case "alipay.data.dataservice.bill.downloadurl.query":
                if not self._rows(content["bill_date"]):
                    raise Refusal("isp.bill_not_exist")
                return {"bill_download_url": f"{self.url}/bill.zip?day={content['bill_date']}"}
        raise Refusal("isv.invalid-method", "40002")

    def _start(self, content: dict[str, Any], parameters: dict[str, str], *, page: bool) -> dict[str, Any]:
        reference, amount = content["out_trade_no"], _fen(content["total_amount"])
        expires = datetime.strptime(content["time_expire"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=ZONE)
        if re.search("[/=&]", content["subject"]) or not 0 < len(content["subject"]) <= 256:
            self.problems.append(f"subject: {content['subject']}")
        if not re.fullmatch(r"https?://[^/]+/webhooks/alipay/[\w-]+", parameters.get("notify_url", "")):
            self.problems.append("notify_url")
        if page and (not parameters.get("return_url") or content["product_code"] != "QUICK_WAP_WAY"):
            self.problems.append("return_url or product_code")
        if expires <= datetime.now(ZONE):
            raise Refusal("ACQ.INVALID_PARAMETER")
        trade = self.trades.setdefault(
            reference, Trade(reference, amount, content["subject"], parameters["notify_url"])
        )
        if trade.amount != amount:
            raise Refusal("ACQ.CONTEXT_INCONSISTENT")
        if trade.paid_at:
            raise Refusal("ACQ.TRADE_HAS_SUCCESS")
        if page:
            self.scan(reference)
            return {}
        return {"out_trade_no": reference, "qr_code": f"https://qr.alipay.com/bax{reference[-20:]}"}

    def _trade(self, content: dict[str, Any]) -> Trade:
        for trade in self.trades.values():
            named = content.get("trade_no", trade.trade_no), content.get("out_trade_no", trade.reference)
            if trade.begun and named == (trade.trade_no, trade.reference):
                return trade
        raise Refusal("ACQ.TRADE_NOT_EXIST")

    def _shown(self, trade: Trade) -> dict[str, Any]:
        shown = {
            "buyer_logon_id": "159****5620",
            "out_trade_no": trade.reference,
            "total_amount": _yuan(trade.amount),
            "trade_no": trade.trade_no,
            "trade_status": trade.status,
        }
        return {**shown, "send_pay_date": _text(trade.paid_at)} if trade.paid_at else shown

    def _refund(self, trade: Trade, content: dict[str, Any]) -> dict[str, Any]:
        request, amount = content["out_request_no"], _fen(content["refund_amount"])
        before = next((refund for refund in trade.refunds if refund.request == request), None)
        if before is None:
            if not trade.paid_at:
                raise Refusal("ACQ.TRADE_STATUS_ERROR")
            if amount > trade.amount - trade.refunded:
                raise Refusal("ACQ.REFUND_AMT_NOT_EQUAL_TOTAL")
            self._give_back(trade, request, amount)
        elif before.amount != amount:
            raise Refusal("ACQ.DISCORDANT_REPEAT_REQUEST")
        return {
            "trade_no": trade.trade_no,
            "out_trade_no": trade.reference,
            "fund_change": "N" if before else "Y",
            "refund_fee": _yuan(trade.refunded),
        }

    def _refund_shown(self, trade: Trade, content: dict[str, Any]) -> dict[str, Any]:
        for refund in trade.refunds:
            if refund.request == content["out_request_no"]:
                shown = {
                    "trade_no": trade.trade_no,
                    "out_trade_no": trade.reference,
                    "out_request_no": refund.request,
                    "total_amount": _yuan(trade.amount),
                    "refund_amount": _yuan(refund.amount),
                    "refund_status": "REFUND_SUCCESS",
                }
                asked = "gmt_refund_pay" in content.get("query_options", [])
                return {**shown, "gmt_refund_pay": _text(refund.at)} if asked else shown
        return {}  # Success, and nothing said: no such refund was made.

    # --- What payers and the desk do ---

    def scan(self, reference: str) -> None:
        """Somebody's wallet has read the code, or a browser has opened the page: now it is a trade."""
        with self.lock:
            trade = self.trades[reference]
            if not trade.begun:
                trade.begun, trade.trade_no = True, f"20261122220014{self._next():014d}"
                self._tell(trade)

    def pay(self, reference: str, *, amount: int | None = None) -> str:
        self.scan(reference)
        with self.lock:
            trade = self.trades[reference]
            assert not trade.paid_at and not trade.closed, "this order can not be paid any more"
            trade.amount, trade.paid_at = amount or trade.amount, datetime.now(ZONE).replace(microsecond=0)
            self._tell(trade)
            self._tell(trade, trade_status="TRADE_FINISHED")
            return trade.trade_no

    def refund_at_desk(self, object_id: str, amount: int) -> str:
        with self.lock:
            trade = next(trade for trade in self.trades.values() if trade.trade_no == object_id)
            request = f"desk{self._next():08d}"
            self._give_back(trade, request, amount)
            return request

    def _give_back(self, trade: Trade, request: str, amount: int) -> None:
        trade.refunds.append(Repayment(request, amount, datetime.now(ZONE).replace(microsecond=0)))
        told = {"refund_fee": _yuan(trade.refunded), "out_biz_no": request, "gmt_refund": f"{_now()}.320"}
        self._tell(trade, **told, **({"gmt_close": _now()} if trade.status == "TRADE_CLOSED" else {}))

    # --- What it sends ---

    def sent(self, object_id: str) -> list[Sent]:
        trade = next(trade for trade in self.trades.values() if trade.trade_no == object_id)
        return [Sent(Delivery(signed_form(form), HEADERS)) for form in trade.sent]

    def sign(self, raw: bytes, *, at: datetime, key: Key = "current") -> Delivery:
        return Delivery(signed_form(dict(parse_qsl(raw.decode(), keep_blank_values=True)), key), HEADERS)

    def sample(self) -> bytes:
        trade = Trade("somebody-elses-order", 200, "苹果 100% 好", "", True, f"20261122220014{self._next():014d}")
        trade.paid_at = datetime.now(ZONE).replace(microsecond=0)
        self._tell(trade)
        return urlencode(trade.sent[0]).encode()

    def _tell(self, trade: Trade, **more: str) -> None:
        form = {
            "app_id": APP_ID,
            "auth_app_id": APP_ID,
            "buyer_id": "2088102534368455",
            "charset": "utf-8",
            "fund_bill_list": json.dumps([{"amount": _yuan(trade.amount), "fundChannel": "ALIPAYACCOUNT"}]),
            "gmt_create": _now(),
            "notify_id": f"2026112200222{self._next():021d}",
            "notify_time": _now(),
            "notify_type": "trade_status_sync",
            "out_trade_no": trade.reference,
            "seller_id": SELLER_ID,
            "subject": trade.subject,
            "body": "",
            "total_amount": _yuan(trade.amount),
            "trade_no": trade.trade_no,
            "trade_status": trade.status,
            "version": "1.0",
        }
        paid = {"gmt_payment": _text(trade.paid_at)} if trade.paid_at else {}
        trade.sent.append({**form, **paid, **more})

    # --- Its bill ---

    def _rows(self, day: str) -> list[tuple[str, Trade, int, str, datetime]]:
        rows = []
        for trade in self.trades.values():
            if trade.paid_at and _text(trade.paid_at).startswith(day):
                rows.append(("交易", trade, trade.amount, "", trade.paid_at))
            rows += [
                ("退款", trade, -refund.amount, refund.request, refund.at)
                for refund in trade.refunds
                if _text(refund.at).startswith(day)
            ]
        return rows

    def _bill(self, day: str) -> bytes:
        rows = self._rows(day)
        lines = ["#支付宝业务明细查询", f"#账号：[{SELLER_ID}0156]", "#" + "-" * 41 + "业务明细列表" + "-" * 40, HEADER]
        for kind, trade, amount, request, at in rows:
            # A fee of 0.6 % is kept of a payment; of a refund it stays kept.
            fee = f"-{_yuan(round(amount * 0.006))}" if kind == "交易" else "0.00"
            lines.append(
                f"{trade.trade_no}\t,{trade.reference}\t,{kind}\t,{trade.subject},{_text(at)},{_text(at)},shop\t,shop\t,"
                f"\t,\t,*某某(600***@example.com)\t,{_yuan(amount)},{_yuan(amount)},0.00,0.00,0.00,0.00,0.00,,0.00\t,"
                f"0.00,{request}\t,{fee},0.00,"
            )
        paid, back = [row[2] for row in rows if row[0] == "交易"], [row[2] for row in rows if row[0] == "退款"]
        lines += [
            "#" + "-" * 41 + "业务明细列表结束" + "-" * 36,
            f"#交易合计：{len(paid)}笔，商家实收共{_yuan(sum(paid))}元，商家优惠共0.00元",
            f"#退款合计：{len(back)}笔，商家实收退款共{_yuan(sum(back))}元，商家优惠退款共0.00元",
            f"#导出时间：[{_now()}]",
        ]
        return pack(day, self.edit_bill("\n".join(lines) + "\n"))

    def _next(self) -> int:
        self._count += 1
        return self._count


class _GbkName(zipfile.ZipInfo):
    """An entry whose name is in GBK, without the mark that would say so of UTF-8."""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:  # noqa: N802  The standard library's own name.
        return self.filename.encode("gbk"), self.flag_bits


def pack(day: str, text: str) -> bytes:
    """A bill as it is downloaded: the rows' file, and one of sums that nobody needs."""
    stem = f"{SELLER_ID}0156_{day.replace('-', '')}"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in ((f"{stem}_业务明细.csv", text), (f"{stem}_业务明细(汇总).csv", "#汇总\n")):
            entry = _GbkName(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content.encode("gbk"))
    return packed.getvalue()


def _json(message: dict[str, Any]) -> Response:
    return Response(200, json.dumps(message).encode())


def _yuan(fen: int) -> str:
    return f"{'-' if fen < 0 else ''}{abs(fen) // 100}.{abs(fen) % 100:02d}"


def _fen(yuan: str) -> int:
    assert re.fullmatch(r"\d+\.\d\d", yuan), yuan
    return int(yuan.replace(".", ""))


def _text(at: datetime | None) -> str:
    assert at is not None
    return at.astimezone(ZONE).strftime("%Y-%m-%d %H:%M:%S")


def _now() -> str:
    return _text(datetime.now(ZONE))
