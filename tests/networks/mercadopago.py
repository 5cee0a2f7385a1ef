"""Mercado Pago as the tests meet it: orders with codes, payments, refunds, chargebacks and the notices about them.

Requests are checked as the network's reference says; signatures are made by its rule, for the network's SDK checks such
signatures and makes none (a test holds both together). Numbers are JSON numbers, as the network writes them.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, ClassVar, Literal

from payments.providers.base import Delivery
from tests.networks.base import Key, Network, Request, Response, Sent

TOKEN = "APP_USR-token-of-the-tests-only"
SECRETS: dict[Key, str] = {"current": "secret-of-now", "previous": "secret-before", "other": "secret-of-somebody-else"}
SELLER = "44444"
POINT = "CART01"
_PLACES = {"CLP": 0}
_COUNTRIES = {"BRL": "BRA", "ARS": "ARG", "CLP": "CHL"}
_ZONE = timezone(timedelta(hours=-4))


class MercadoPagoNetwork(Network):
    """The network. `lose_answers`: so many requests are carried out and answered with 504; `signs`: or sends no
    signature at all, as it does for codes; `refunds_wait`: a refund is first under way."""

    provider: ClassVar[str] = "mercadopago"
    currency: ClassVar[str] = "BRL"
    signed: ClassVar[bool] = False

    def __init__(self, currency: str = "BRL") -> None:
        super().__init__()
        self.money = currency
        self.orders: dict[str, dict[str, Any]] = {}
        self.payments: dict[str, dict[str, Any]] = {}
        self.chargebacks: dict[str, dict[str, Any]] = {}
        self.notices: dict[str, list[tuple[str, str, str]]] = {}  # By payment: topic, action, id.
        self.keys: dict[str, tuple[str, Response]] = {}  # Idempotency keys, the request, and its answer.
        self.signs = True
        self.lose_answers = 0
        self.refunds_wait = False
        self.lists_refunds = True
        self.knows_us = True
        self.paying = False  # Somebody is just paying: an order cannot be canceled then.
        self.hidden = 0  # Payments that a search counts and does not show.
        self.says: Response | None = None  # What it answers to everything.
        self.requests: list[str] = []
        self._serial = 100_000

    # --- What it answers ---

    def answer(self, request: Request) -> Response:
        self.requests.append(f"{request.method} {request.path}")
        if self.says:
            return self.says
        if not self.knows_us or request.headers.get("authorization") != f"Bearer {TOKEN}":
            return _no(401, "unauthorized", 401)
        response = self._under_key(request) if request.method == "POST" else self._got(request)
        if self.lose_answers:
            self.lose_answers -= 1
            return Response(504, b"the answer was lost")
        return response

    def _under_key(self, request: Request) -> Response:
        """The same key and request, the same answer; the same key with another request is refused."""
        key = request.headers.get("x-idempotency-key", "")
        assert 1 <= len(key) <= 64, f"no idempotency key: {request.target}"
        assert request.headers["content-type"] == "application/json"
        asked = f"{request.path} {request.body!r}"
        if key in self.keys:
            known, response = self.keys[key]
            return response if known == asked else _no(409, "idempotency_key_already_used", 0)
        response = self._posted(request)
        self.keys[key] = (asked, response)
        return response

    def _posted(self, request: Request) -> Response:
        match request.path.strip("/").split("/"):
            case ["v1", "orders"]:
                return self._make_order(json.loads(request.body))
            case ["v1", "orders", name, "cancel"]:
                return self._cancel(name)
            case ["v1", "payments", name, "refunds"]:
                return self._refund(name, request.body)
        raise AssertionError(f"no such address: {request.method} {request.target}")

    def _got(self, request: Request) -> Response:
        match request.path.strip("/").split("/"):
            case ["v1", "orders", name]:
                return self._shown(self.orders, name)
            case ["v1", "payments", "search"]:
                return self._found(request.query)
            case ["v1", "payments", name]:
                return self._shown(self.payments, name)
            case ["v1", "payments", name, "refunds", refund]:
                rows = {str(row["id"]): row for row in self.payments[name]["refunds"]}
                return self._shown(rows, refund)
            case ["v1", "chargebacks", name]:
                return self._shown(self.chargebacks, name)
        raise AssertionError(f"no such address: {request.method} {request.target}")

    def _shown(self, rows: dict[str, dict[str, Any]], name: str) -> Response:
        assert re.fullmatch(r"[A-Za-z0-9]{1,40}", name), name
        return _yes(200, rows[name]) if name in rows else _no(404, "not_found", 2000)

    def _make_order(self, body: dict[str, Any]) -> Response:
        names = {"type", "external_reference", "total_amount", "description", "expiration_time", "config"}
        assert set(body) == {*names, "transactions"}, body
        assert body["type"] == "qr" and body["config"] == {"qr": {"external_pos_id": POINT, "mode": "dynamic"}}, body
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", body["external_reference"]), body
        places = _PLACES.get(self.money, 2)
        assert re.fullmatch(rf"\d+\.\d{{{places}}}" if places else r"\d+", body["total_amount"]), body
        assert body["transactions"] == {"payments": [{"amount": body["total_amount"]}]}, body
        assert re.fullmatch(r"PT\d+M(\d+S)?", body["expiration_time"]) and len(body["description"]) <= 150, body
        name = f"ORD01{secrets.token_hex(12).upper()}"
        self.orders[name] = {
            **body,
            "id": name,
            "user_id": SELLER,
            "country_code": _COUNTRIES[self.money],
            "status": "created",
            "status_detail": "created",
            "created_date": datetime.now(UTC).isoformat(),
            "last_updated_date": datetime.now(UTC).isoformat(),
            "type_response": {"qr_data": f"00020101021243650016com.mercadolibre{name}6304ABCD"},
        }
        return _yes(201, self.orders[name])

    def _cancel(self, name: str) -> Response:
        order = self.orders.get(name)
        if order is None:
            return _no(404, "order_not_found", 0)
        if self.paying or order["status"] != "created":
            return _no(409, "instore_order_locked_error" if self.paying else "order_already_canceled", 0)
        order |= {"status": "canceled", "status_detail": "canceled"}
        return _yes(200, order)

    def _refund(self, name: str, body: bytes) -> Response:
        payment, asked = self.payments.get(name), json.loads(body, parse_float=Decimal)
        assert set(asked) == {"amount"} and isinstance(asked["amount"], int | Decimal), asked
        if payment is None:
            return _no(404, "Payment not found", 2000)
        left = Decimal(str(payment["transaction_amount"])) - Decimal(str(payment["transaction_amount_refunded"]))
        if not 0 < asked["amount"] <= left:
            return _no(400, "The action requested is not valid for the current payment state", 2063)
        return _yes(201, self._give_back(payment, Decimal(asked["amount"]), done=not self.refunds_wait))

    def _found(self, query: dict[str, str]) -> Response:
        assert query["sort"] in ("date_created", "date_approved") and query["criteria"] == "asc", query
        rows = [row for row in self.payments.values() if _fits(row, query)]
        offset, limit = int(query["offset"]), int(query["limit"])
        shown = rows[offset : offset + limit][self.hidden :]
        if not self.lists_refunds:
            shown = [{name: value for name, value in row.items() if name != "refunds"} for row in shown]
        return _yes(200, {"paging": {"total": len(rows), "limit": limit, "offset": offset}, "results": shown})

    # --- What happens there ---

    def settings(self) -> dict[str, Any]:
        return {"MERCADOPAGO_URL": self.url}

    def credentials(self) -> dict[str, str]:
        current = f"{SECRETS['current']} {SECRETS['previous']}"
        return {"access_token": TOKEN, "webhook_secrets": current, "user_id": SELLER, "pos_id": POINT}

    def pay(self, reference: str, *, amount: int | None = None) -> str:
        order = next(row for row in self.orders.values() if row["external_reference"] == reference)
        value = Decimal(order["total_amount"]) if amount is None else self._value(amount)
        name = self.pay_at_desk(value, reference=reference, about=("order", "order.processed", order["id"]))
        paid = {"id": f"PAY01{secrets.token_hex(12).upper()}", "amount": order["total_amount"], "reference_id": name}
        order |= {"status": "processed", "status_detail": "accredited", "transactions": {"payments": [paid]}}
        return name

    def pay_at_desk(
        self, value: Decimal, *, reference: str | None = None, about: tuple[str, str, str] | None = None
    ) -> str:
        """A payment that came by an order of ours, or by none."""
        self._serial += 1
        name, now = str(self._serial), _text(datetime.now(UTC))
        self.payments[name] = {
            "id": self._serial,
            "status": "approved",
            "status_detail": "accredited",
            "transaction_amount": _number(value),
            "transaction_amount_refunded": 0,
            "currency_id": self.money,
            "external_reference": reference,
            "collector_id": int(SELLER),
            "date_created": now,
            "date_approved": now,
            "date_last_updated": now,
            "fee_details": [
                {"type": "mercadopago_fee", "fee_payer": "collector", "amount": 0.5},
                {"type": "financing_fee", "fee_payer": "payer", "amount": 3},
            ],
            "refunds": [],
        }
        self.notices[name] = [("payment", "payment.created", name), *([about] if about else [])]
        return name

    def refuse(self, reference: str) -> str:
        """Her wallet does not let the payer pay; the order stays open."""
        order = next(row for row in self.orders.values() if row["external_reference"] == reference)
        name = self.pay_at_desk(Decimal(order["total_amount"]), reference=reference)
        self.payments[name] |= {"status": "rejected", "status_detail": "cc_rejected_other", "date_approved": None}
        return name

    def refund_at_desk(self, object_id: str, amount: int) -> str:
        return str(self._give_back(self.payments[object_id], self._value(amount), done=True)["id"])

    def end_refund(self, object_id: str, status: str) -> None:
        """The refund that was under way comes to its end."""
        payment = self.payments[object_id]
        payment["refunds"][-1]["status"] = status
        if status == "rejected":
            payment |= {"transaction_amount_refunded": 0, "status": "approved"}
        self.notices[object_id].append(("payment", "payment.updated", object_id))

    def dispute(self, object_id: str, step: Literal["opened", "won", "lost"]) -> list[Sent]:
        payment = self.payments[object_id]
        details = {"opened": "in_process", "won": "reimbursed", "lost": "settled"}
        at = _text(datetime.now(UTC))
        payment |= {"status": "charged_back", "status_detail": details[step], "date_last_updated": at}
        name = f"2170{object_id}"
        self.chargebacks[name] = {
            "id": name,
            "payments": [payment["id"]],
            "currency": self.money,
            "amount": payment["transaction_amount"],
            "coverage_applied": step == "won",
            "date_documentation_deadline": "2026-12-26T23:59:59.000-04:00",
            "date_created": payment["date_created"],
            "date_last_updated": at,
        }
        notice = ("topic_chargebacks_wh", "chargeback.updated", name)
        self.notices[object_id].append(notice)
        return [self._sent(notice, len(self.notices[object_id]))]

    def sent(self, object_id: str) -> list[Sent]:
        return [self._sent(notice, number) for number, notice in enumerate(self.notices[object_id])]

    def _sent(self, notice: tuple[str, str, str], number: int) -> Sent:
        topic, action, name = notice
        body = {
            "id": f"{name}{number}",
            "live_mode": True,
            "type": topic,
            "date_created": "2026-03-25T10:04:58.396-04:00",
            "user_id": SELLER,
            "api_version": "v1",
            "action": action,
            "data": {"id": name},
        }
        raw = json.dumps(body).encode()
        delivery = self.sign(raw, at=datetime.now(UTC))
        return Sent(delivery if self.signs else Delivery(raw, {"content-type": "application/json"}, delivery.query))

    def sign(self, raw: bytes, *, at: datetime, key: Key = "current") -> Delivery:
        try:
            body = json.loads(raw)
            query = {"data.id": str(body["data"]["id"]).lower(), "type": body["type"]}
        except (ValueError, KeyError, TypeError):
            query = {"data.id": "123456", "type": "payment"}
        request_id, moment = secrets.token_hex(8), str(int(at.timestamp() * 1000))
        headers = {
            "content-type": "application/json",
            "x-request-id": request_id,
            "x-signature": f"ts={moment},v1={signature(SECRETS[key], query['data.id'], request_id, moment)}",
        }
        return Delivery(raw=raw, headers=headers, query=query)

    def sample(self) -> bytes:
        return json.dumps({"type": "payment", "action": "payment.created", "data": {"id": "999999999"}}).encode()

    def _value(self, amount: int) -> Decimal:
        return Decimal(amount).scaleb(-_PLACES.get(self.money, 2))

    def _give_back(self, payment: dict[str, Any], value: Decimal, *, done: bool) -> dict[str, Any]:
        self._serial += 1
        row = {
            "id": self._serial,
            "payment_id": payment["id"],
            "amount": _number(value),
            "metadata": {},
            "unique_sequence_number": None,
            "date_created": _text(datetime.now(UTC)),
            "status": "approved" if done else "in_process",
        }
        payment["refunds"].append(row)
        back = Decimal(str(payment["transaction_amount_refunded"])) + value
        payment["transaction_amount_refunded"] = _number(back)
        if back == Decimal(str(payment["transaction_amount"])):
            payment |= {"status": "refunded", "status_detail": "refunded"}
        self.notices[str(payment["id"])].append(("payment", "payment.updated", str(payment["id"])))
        return row


def signature(secret: str, name: str, request_id: str, moment: str) -> str:
    """By the network's rule: what is absent is left out."""
    parts = [("id", name), ("request-id", request_id), ("ts", moment)]
    manifest = "".join(f"{part}:{value};" for part, value in parts if value)
    return hmac.new(secret.encode(), manifest.encode(), hashlib.sha256).hexdigest()


def _fits(row: dict[str, Any], query: dict[str, str]) -> bool:
    if "external_reference" in query:
        return bool(row["external_reference"] == query["external_reference"])
    moment: Callable[[str], datetime] = datetime.fromisoformat
    assert query["range"] == "date_approved", query
    return moment(query["begin_date"]) <= moment(row["date_approved"]) <= moment(query["end_date"])


def _yes(status: int, body: Any) -> Response:
    return Response(status, json.dumps(body).encode(), {"Content-Type": "application/json"})


def _no(status: int, message: str, code: int) -> Response:
    body = {"message": message, "error": "bad_request", "status": status, "cause": [{"code": code}]}
    return Response(status, json.dumps(body).encode(), {"Content-Type": "application/json"})


def _number(value: Decimal) -> float | int:
    """As JSON has it: 12.5, and 12 for whole ones."""
    return int(value) if value == value.to_integral_value() else float(value)


def _text(at: datetime) -> str:
    return at.astimezone(_ZONE).isoformat(timespec="milliseconds")
