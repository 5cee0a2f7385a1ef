"""Razorpay as the tests meet it: codes, orders, payments and refunds in the shapes of its documentation.

What it sends is signed by hand and must satisfy the verifier of Razorpay's own SDK before it leaves.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Literal

import razorpay  # type: ignore[import-untyped]
from razorpay.errors import SignatureVerificationError  # type: ignore[import-untyped]

from payments.providers.base import Delivery
from tests.networks.base import Key, Network, Request, Response, Sent

Entity = dict[str, Any]

SECRETS = {"current": "the-secret-of-now", "previous": "the-secret-before", "other": "a-secret-of-others"}
ACCOUNT = "acc_BFQ7uQEaa7j2z7"
_SDK = razorpay.Client(auth=("rzp_test_1DP5mmOlF5G5ag", "thisissupersecret"))
_INDIA = timezone(timedelta(hours=5, minutes=30))
_CODE_FIELDS = {
    "type", "name", "usage", "fixed_amount", "payment_amount", "description", "close_by", "notes", "customer_id"
}  # fmt: skip
_ORDER_FIELDS = {"amount", "currency", "receipt", "notes"}
_REFUND_FIELDS = {"amount", "speed", "notes", "receipt"}


class Refusal(Exception):
    """A 400 with Razorpay's own sentence."""


class Razorpay(Network):
    """One account there. `image_content`: whether it has that feature. `slow_refunds`: they stay pending at first.

    `lose`: so many of the next POSTs are carried out and never answered. `key_refused`: how it refuses our keys.
    """

    provider = "razorpay"
    currency = "INR"
    timestamped = False

    def __init__(self) -> None:
        super().__init__()
        self.codes: dict[str, Entity] = {}
        self.orders: dict[str, Entity] = {}
        self.payments: dict[str, Entity] = {}
        self.refunds: dict[str, Entity] = {}
        self.scanned: dict[str, str] = {}  # The codes by which payments were made.
        self.refund_keys: dict[str, tuple[bytes, str]] = {}
        self.recon: list[Entity] | None = None  # Rows to give instead of those of our own payments.
        self.calls: list[str] = []
        self.image_content = True
        self.slow_refunds = False
        self.balance: int | None = None
        self.lose = 0
        self.key_refused: tuple[int, str] | None = None
        self._clock = int(time.time()) - 9

    # --- Answering ---

    def answer(self, request: Request) -> Response:
        self.calls.append(f"{request.method} {request.path}")
        given = base64.b64encode(f"{self.credentials()['key_id']}:{self.credentials()['key_secret']}".encode()).decode()
        if self.key_refused or request.headers.get("authorization") != f"Basic {given}":
            status, words = self.key_refused or (401, "Authentication failed")
            return _json(status, _error(words))
        try:
            body = self._answered(request)
        except Refusal as refusal:
            return _json(400, _error(str(refusal)))
        if request.method == "POST" and self.lose:
            self.lose -= 1
            return Response(504, b"upstream timed out")
        return _json(200, body)

    def _answered(self, request: Request) -> Entity:
        parts = request.path.strip("/").split("/")[1:]
        found = self._posted(request, parts) if request.method == "POST" else self._got(request, parts)
        if found is None:
            self.problems.append(f"asked for what there is not: {request.method} {request.target}")
            raise Refusal("The requested URL was not found on the server.")
        return found

    def _posted(self, request: Request, parts: list[str]) -> Entity | None:
        match parts:
            case ["payments", "qr_codes"]:
                return self._make_code(self._body(request, _CODE_FIELDS))
            case ["payments", "qr_codes", code_id, "close"]:
                return self._close_code(code_id)
            case ["orders"]:
                return self._make_order(self._body(request, _ORDER_FIELDS))
            case ["payments", payment_id, "refund"]:
                return self._refund_once(payment_id, request)
        return None

    def _got(self, request: Request, parts: list[str]) -> Entity | None:
        query = request.query
        match parts:
            case ["payments", "qr_codes"]:
                return self._list_codes(query)
            case ["payments", "qr_codes", code_id, *rest]:
                code = _of(self.codes, code_id)
                paid = [p for p in self.payments.values() if self.scanned.get(p["id"]) == code_id]
                return _page(paid, query) if rest else code
            case ["orders"]:
                # As documented: those that *contain* the value.
                return _page([o for o in self.orders.values() if query["receipt"] in o["receipt"]], query)
            case ["orders", order_id, *rest]:
                order = _of(self.orders, order_id)
                return _collection([p for p in self.payments.values() if p["order_id"] == order_id]) if rest else order
            case ["payments", payment_id, *rest]:
                payment = _of(self.payments, payment_id)
                made = [r for r in self.refunds.values() if r["payment_id"] == payment_id]
                return _page(made, query) if rest else payment
            case ["settlements", "recon", "combined"]:
                return _page(self._recon(query), query)
        return None

    def _body(self, request: Request, allowed: set[str]) -> Entity:
        body: Entity = json.loads(request.body)
        if request.headers.get("content-type") != "application/json" or set(body) - allowed:
            self.problems.append(f"{sorted(set(body) - allowed)} is/are not required and should not be sent")
        return body

    def _make_code(self, body: Entity) -> Entity:
        wrong = (body["type"], body["usage"], body["fixed_amount"]) != ("upi_qr", "single_use", True)
        if wrong or not isinstance(body["payment_amount"], int) or body["close_by"] < time.time() + 900:
            self.problems.append(f"a code that Razorpay would not make: {body}")
        code_id = _new("qr")
        upi = f"upi://pay?pa=mei.rzp@icici&pn=Mei&tr=RZP{code_id[3:]}&am={body['payment_amount'] / 100:.2f}&cu=INR"
        self.codes[code_id] = {
            "id": code_id,
            "entity": "qr_code",
            "created_at": self._now(),
            "image_url": f"https://rzp.io/i/{code_id[-8:]}",
            "status": "active",
            **({"image_content": upi} if self.image_content else {}),
            "payments_amount_received": 0,
            "payments_count_received": 0,
            "customer_id": None,
            **body,
            "closed_at": None,
            "close_reason": None,
        }
        return self.codes[code_id]

    def _list_codes(self, query: dict[str, str]) -> Entity:
        if "payment_id" in query:
            code_id = self.scanned.get(query["payment_id"])
            return _collection([self.codes[code_id]] if code_id else [])
        between = range(int(query["from"]), int(query["to"]) + 1)
        return _page([c for c in reversed(self.codes.values()) if c["created_at"] in between], query)

    def _close_code(self, code_id: str) -> Entity:
        code = _of(self.codes, code_id)
        if code["status"] == "closed":
            raise Refusal("QR Code is already closed.")
        code |= {"status": "closed", "closed_at": self._now(), "close_reason": "on_demand"}
        return code

    def _make_order(self, body: Entity) -> Entity:
        if not isinstance(body["amount"], int) or body["currency"] != "INR" or len(body["receipt"]) > 40:
            self.problems.append(f"an order that Razorpay would not make: {body}")
        order_id = _new("order")
        self.orders[order_id] = {
            "id": order_id,
            "entity": "order",
            "amount_paid": 0,
            "amount_due": body["amount"],
            "offer_id": None,
            "status": "created",
            "attempts": 0,
            "created_at": self._now(),
            **body,
        }
        return self.orders[order_id]

    def _refund_once(self, payment_id: str, request: Request) -> Entity:
        key = request.headers.get("x-refund-idempotency", "")
        body = self._body(request, _REFUND_FIELDS)
        if len(key) < 10 or not key.replace("_", "").replace("-", "").isalnum():
            self.problems.append(f"not an idempotency key: {key!r}")
        if key in self.refund_keys:
            told, made = self.refund_keys[key]
            if told != request.body:
                raise Refusal("Different request with the same idempotency key has already been processed.")
            return self.refunds[made]
        if self.balance is not None and body["amount"] > self.balance:
            raise Refusal("Your account does not have enough balance to carry out the refund operation.")
        refund = self._refund(_of(self.payments, payment_id), body)
        self.refund_keys[key] = request.body, refund["id"]
        return refund

    def _refund(self, payment: Entity, body: Entity) -> Entity:
        left = payment["amount"] - payment["amount_refunded"]
        if not left:
            raise Refusal("The payment has been fully refunded already.")
        if body["amount"] > left:
            raise Refusal("The refund amount provided is greater than amount captured.")
        payment["amount_refunded"] += body["amount"]
        full = payment["amount_refunded"] == payment["amount"]
        payment |= {"refund_status": "full" if full else "partial", "status": "refunded" if full else "captured"}
        refund_id = _new("rfnd")
        self.refunds[refund_id] = {
            "id": refund_id,
            "entity": "refund",
            "amount": body["amount"],
            "currency": payment["currency"],
            "payment_id": payment["id"],
            "notes": body.get("notes") or [],
            "receipt": body.get("receipt"),
            "acquirer_data": {"arn": None},
            "created_at": self._now(),
            "batch_id": None,
            "status": "pending" if self.slow_refunds else "processed",
            "speed_processed": "normal",
            "speed_requested": "normal",
        }
        return self.refunds[refund_id]

    def _recon(self, query: dict[str, str]) -> list[Entity]:
        if self.recon is not None:
            return self.recon
        day = (int(query["year"]), int(query["month"]), int(query["day"]))
        rows = [*self.payments.values(), *(r for r in self.refunds.values() if r["status"] == "processed")]
        return [self._row(row) for row in rows if _day(row["created_at"]) == day]

    def _row(self, entity: Entity) -> Entity:
        paid = entity["entity"] == "payment"
        fee = entity["fee"] if paid else 0
        order = self.orders.get(entity["order_id"] or "") if paid else None
        return {
            "entity_id": entity["id"],
            "type": entity["entity"],
            "amount": entity["amount"],
            "currency": "INR",
            "credit": entity["amount"] - fee if paid else 0,
            "debit": 0 if paid else entity["amount"],
            "fee": fee,
            "tax": entity["tax"] if paid else 0,
            "on_hold": False,
            "settled": True,
            "created_at": entity["created_at"],
            "settled_at": entity["created_at"],
            "notes": entity["notes"],
            "settlement_id": "setl_DGlQ1Rj8os78Ec",
            "payment_id": None if paid else entity["payment_id"],
            "order_id": order and order["id"],
            "order_receipt": order and order["receipt"],
            "dispute_id": None,
        }

    # --- What the tests do here ---

    def settings(self) -> dict[str, Any]:
        return {"RAZORPAY_URL": self.url}

    def credentials(self) -> dict[str, str]:
        return {
            "key_id": "rzp_test_1DP5mmOlF5G5ag",
            "key_secret": "thisissupersecret",
            "webhook_secrets": f"{SECRETS['current']} {SECRETS['previous']}",
            "account_id": ACCOUNT,
        }

    def pay(self, reference: str, *, amount: int | None = None) -> str:
        with self.lock:
            code = next((c for c in self.codes.values() if c["notes"] == {"reference": reference}), None)
            order = next((o for o in self.orders.values() if o["receipt"] == reference), None)
            if order is not None:
                payment = self.receive(amount or order["amount"], order_id=order["id"])
                order |= {"amount_paid": payment["amount"], "amount_due": 0, "status": "paid", "attempts": 1}
                return str(payment["id"])
            assert code is not None, "nobody can pay what was never started"
            payment = self.receive(amount or code["payment_amount"], notes=code["notes"])
            self.scanned[payment["id"]] = code["id"]
            code |= {"payments_amount_received": payment["amount"], "payments_count_received": 1}
            if code["status"] == "active":
                code |= {"status": "closed", "closed_at": payment["created_at"], "close_reason": "paid"}
            return str(payment["id"])

    def receive(self, amount: int, *, order_id: str | None = None, notes: Entity | None = None) -> Entity:
        """A captured payment, whatever it is for."""
        payment_id, fee = _new("pay"), amount * 236 // 10_000  # Two per cent, and 18 per cent of tax on that.
        self.payments[payment_id] = {
            "id": payment_id,
            "entity": "payment",
            "amount": amount,
            "currency": "INR",
            "status": "captured",
            "order_id": order_id,
            "invoice_id": None,
            "international": False,
            "method": "upi",
            "amount_refunded": 0,
            "refund_status": None,
            "captured": True,
            "description": "QRv2 Payment",
            "vpa": "asha@okhdfcbank",
            "email": "asha@example.com",
            "contact": "+919000090000",
            "notes": dict(notes) if notes else [],
            "fee": fee,
            "tax": fee - amount * 2 // 100,
            "error_code": None,
            "acquirer_data": {"rrn": "116812981837"},
            "created_at": self._now(),
        }
        return self.payments[payment_id]

    def crowd(self, count: int) -> None:
        """So many other codes are made at this moment, without a reference or with somebody else's."""
        with self.lock:
            of_ours = next(iter(self.codes.values()))
            for number in range(count):
                code_id, notes = _new("qr"), {"reference": f"int_{number}"} if number % 2 else []
                self.codes[code_id] = {**of_ours, "id": code_id, "notes": notes, "created_at": self._clock}

    def refund_at_desk(self, object_id: str, amount: int) -> str:
        with self.lock:
            return str(self._refund(self.payments[object_id], {"amount": amount})["id"])

    def settle_refunds(self, status: Literal["processed", "failed"] = "processed") -> None:
        """Ends what is pending."""
        with self.lock:
            for refund in self.refunds.values():
                if refund["status"] == "pending":
                    refund["status"] = status
                    if status == "failed":
                        self.payments[refund["payment_id"]]["amount_refunded"] -= refund["amount"]

    def sent(self, object_id: str) -> list[Sent]:
        with self.lock:
            payment = self.payments[object_id]
            as_paid = {**payment, "status": "captured", "amount_refunded": 0, "refund_status": None}
            waiting = {**as_paid, "status": "authorized", "captured": False, "fee": None, "tax": None}
            bodies = [self.told("payment.authorized", payment=waiting), self.told("payment.captured", payment=as_paid)]
            if payment["order_id"]:
                bodies.append(self.told("order.paid", payment=as_paid, order=self.orders[payment["order_id"]]))
            elif code := self.scanned.get(object_id):
                bodies.append(self.told("qr_code.credited", payment=as_paid, qr_code=self.codes[code]))
            for refund in [r for r in self.refunds.values() if r["payment_id"] == object_id]:
                bodies.append(self.told("refund.created", refund=refund, payment=payment))
                if refund["status"] != "pending":
                    bodies.append(self.told(f"refund.{refund['status']}", refund=refund, payment=payment))
        return [Sent(self.sign(raw, at=datetime.now(UTC))) for raw in bodies]

    def told(self, event: str, **entities: Entity) -> bytes:
        """The body of a notification of that name, about these things."""
        return _compact(
            {
                "entity": "event",
                "account_id": ACCOUNT,
                "event": event,
                "contains": list(entities),
                "payload": {name: {"entity": entity} for name, entity in entities.items()},
                "created_at": max(entity["created_at"] for entity in entities.values()),
            }
        )

    def dispute(self, object_id: str, step: Literal["opened", "won", "lost"]) -> list[Sent]:
        with self.lock:
            payment = self.payments[object_id]
            happens = {"opened": 1, "won": 2, "lost": 2}[step]
            dispute = {
                "id": f"disp_{object_id[4:]}",
                "entity": "dispute",
                "payment_id": object_id,
                "currency": "INR",
                "amount": payment["amount"],
                "amount_deducted": payment["amount"] if step == "lost" else 0,
                "reason_code": "goods_not_received",
                "respond_by": payment["created_at"] + 604_800,
                "status": "open" if step == "opened" else step,
                "phase": "chargeback",
                "created_at": payment["created_at"] + happens,
            }
            name = "payment.dispute.created" if step == "opened" else f"payment.dispute.{step}"
            return [Sent(self.sign(self.told(name, payment=payment, dispute=dispute), at=datetime.now(UTC)))]

    def sign(self, raw: bytes, *, at: datetime, key: Key = "current") -> Delivery:
        signature = signature_of(raw, SECRETS[key])
        assert sdk_accepts(raw, signature, SECRETS[key])
        headers = {"x-razorpay-signature": signature, "x-razorpay-event-id": _new("evt")}
        return Delivery(raw, {"content-type": "application/json", **headers})

    def sample(self) -> bytes:
        order = {"id": "order_DESxiijbl9xjDB", "entity": "order", "amount": 100, "amount_paid": 100, "currency": "INR"}
        order |= {"receipt": "rcptid #1", "status": "paid", "notes": [], "created_at": 1_567_675_283}
        payment = {"id": "pay_DESyzxuld02Zul", "entity": "payment", "amount": 100, "currency": "INR"}
        payment |= {"status": "captured", "order_id": order["id"], "amount_refunded": 0, "captured": True, "notes": []}
        payment |= {"fee": 2, "tax": 0, "created_at": 1_567_675_356}
        return self.told("order.paid", payment=payment, order=order)

    def _now(self) -> int:
        """Its own time: never the same twice, so that what it says can be told apart."""
        self._clock = max(self._clock + 1, int(time.time()) - 8)
        return self._clock


def signature_of(raw: bytes, secret: str) -> str:
    """By the words of the documentation: hexadecimal HMAC-SHA256 of the body, by the webhook's secret."""
    return hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()


def sdk_accepts(raw: bytes, signature: str, secret: str) -> bool:
    """What the verifier of Razorpay's own SDK says. It takes text only: what is not UTF-8 or ASCII it cannot judge."""
    try:
        _SDK.utility.verify_webhook_signature(raw.decode(), signature, secret)
    except (SignatureVerificationError, UnicodeError, TypeError):
        return False
    return True


def _of(things: dict[str, Entity], thing_id: str) -> Entity:
    if thing_id not in things:
        raise Refusal("The id provided does not exist")
    return things[thing_id]


def _page(items: list[Entity], query: dict[str, str]) -> Entity:
    skip, count = int(query.get("skip", 0)), int(query.get("count", 10))
    return _collection(items[skip : skip + count])


def _collection(items: list[Entity]) -> Entity:
    return {"entity": "collection", "count": len(items), "items": items}


def _error(words: str) -> Entity:
    return {"error": {"code": "BAD_REQUEST_ERROR", "description": words, "source": "NA", "step": "NA", "metadata": {}}}


def _json(status: int, body: Entity) -> Response:
    return Response(status, _compact(body), {"Content-Type": "application/json"})


def _compact(body: Entity) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


def _day(moment: int) -> tuple[int, int, int]:
    at = datetime.fromtimestamp(moment, _INDIA)
    return at.year, at.month, at.day


def _new(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(7)}"
