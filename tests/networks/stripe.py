"""Stripe as the tests meet it: sessions, payments, refunds and disputes in the documented shapes, signed by its SDK.

What we may send is held against the SDK's own lists of parameters, and the objects are such as the SDK reads.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal
from urllib.parse import parse_qsl

import stripe
from stripe import params
from stripe.params import checkout as checkout_params

from payments.providers.base import Delivery
from tests.networks.base import Key, Network, Request, Response, Sent

Thing = dict[str, Any]

ALLOWED: dict[tuple[str, str], Any] = {
    ("POST", "/v1/checkout/sessions"): checkout_params.SessionCreateParams,
    ("GET", "/v1/checkout/sessions"): checkout_params.SessionListParams,
    ("POST", "/v1/checkout/sessions/{}/expire"): checkout_params.SessionExpireParams,
    ("GET", "/v1/checkout/sessions/{}"): checkout_params.SessionRetrieveParams,
    ("GET", "/v1/payment_intents/{}"): params.PaymentIntentRetrieveParams,
    ("POST", "/v1/refunds"): params.RefundCreateParams,
    ("GET", "/v1/refunds"): params.RefundListParams,
    ("GET", "/v1/disputes"): params.DisputeListParams,
    ("GET", "/v1/balance_transactions"): params.BalanceTransactionListParams,
}
NAMES = {"cs": "checkout.session", "pi": "payment_intent", "ch": "charge", "re": "refund", "du": "dispute"}


class Refusal(Exception):
    """An answer that is an error, in Stripe's words."""

    def __init__(self, status: int, message: str, **error: str) -> None:
        super().__init__(message)
        self.status = status
        self.error = {"type": "invalid_request_error", "message": message, **error}


class Stripe(Network):
    provider: ClassVar[str] = "stripe"
    currency: ClassVar[str] = "USD"

    def __init__(self) -> None:
        super().__init__()
        self.secret_key = f"sk_test_{secrets.token_hex(12)}"
        self.secrets: dict[str, str] = {
            name: f"whsec_{secrets.token_hex(16)}" for name in ("current", "previous", "other")
        }
        self.things: dict[str, Thing] = {}  # Every object, by its id, oldest first.
        self.events: dict[str, list[Thing]] = {}  # What is told of a payment (or of an unpaid session), in order.
        self.keys: dict[str, tuple[Any, Response]] = {}
        self.calls: list[Request] = []
        self.refunds_become = "succeeded"
        self.page_max = 100
        self.losing = ""  # What is done by a call that begins so is done; its answer is lost.

    def settings(self) -> dict[str, Any]:
        return {"STRIPE_URL": self.url}

    def credentials(self) -> dict[str, str]:
        both = f"{self.secrets['current']} {self.secrets['previous']}"
        return {"secret_key": self.secret_key, "webhook_secrets": both, "account": "acct_1Pushcart"}

    # --- What happens there ---

    def pay(self, reference: str, *, amount: int | None = None) -> str:
        session = self.session(reference)
        assert session["status"] == "open", "a session is paid once, while it is open"
        payment, _ = self.charge(session, amount or session["amount_total"])
        session |= {"status": "complete", "payment_status": "paid", "payment_intent": payment["id"], "url": None}
        session |= {"amount_total": payment["amount"], "amount_subtotal": payment["amount"]}
        self.tell(payment["id"], "checkout.session.completed", session)
        self.tell(payment["id"], "payment_intent.succeeded", payment)
        self.tell(payment["id"], "charge.succeeded", self.things[payment["latest_charge"]])
        return str(payment["id"])

    def charge(self, session: Thing, amount: int) -> tuple[Thing, Thing]:
        payment = self.made(
            "pi",
            amount=amount,
            amount_received=amount,
            currency=session["currency"],
            metadata=dict(session["metadata"]),
            status="succeeded",
            latest_charge=None,
        )
        charge = self.made(
            "ch",
            amount=amount,
            amount_captured=amount,
            amount_refunded=0,
            balance_transaction=None,
            captured=True,
            currency=session["currency"],
            disputed=False,
            metadata=dict(session["metadata"]),
            paid=True,
            payment_intent=payment["id"],
            refunded=False,
            status="succeeded",
        )
        payment["latest_charge"] = charge["id"]
        charge["balance_transaction"] = self.book("charge", charge, amount, fee=amount * 29 // 1000 + 30)["id"]
        return payment, charge

    def refund_at_desk(self, object_id: str, amount: int) -> str:
        return str(self.refund(object_id, amount, {})["id"])

    def refund(self, payment_id: str, amount: int, metadata: Mapping[str, str]) -> Thing:
        payment = self.things[payment_id]
        charge = self.things[payment["latest_charge"]]
        left = charge["amount"] - charge["amount_refunded"]
        if charge["disputed"]:
            raise Refusal(400, f"Charge {charge['id']} has been charged back.", code="charge_disputed")
        if left == 0:
            told = f"Charge {charge['id']} has already been refunded."
            raise Refusal(400, told, code="charge_already_refunded")
        if amount > left:
            told = f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})"
            raise Refusal(400, told, param="amount")
        refund = self.made(
            "re",
            amount=amount,
            charge=charge["id"],
            currency=charge["currency"],
            failure_balance_transaction=None,
            metadata=dict(metadata),
            payment_intent=payment_id,
            reason=None,
            status="pending",
        )
        refund["balance_transaction"] = self.book("refund", refund, -amount)["id"]
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount"]
        self.tell(payment_id, "refund.created", refund)
        self.tell(payment_id, "charge.refunded", charge)
        refund["status"] = self.refunds_become
        if refund["status"] != "pending":
            self.tell(payment_id, "refund.updated", refund)
        return refund

    def fail_refund(self, refund_id: str, *, later_s: int = 2) -> None:
        """The payer's bank sends it back."""
        refund = self.things[refund_id]
        back = self.book("refund_failure", refund, refund["amount"])
        back["created"] += later_s
        refund |= {"status": "failed", "failure_reason": "unknown", "failure_balance_transaction": back["id"]}
        self.tell(refund["payment_intent"], "refund.failed", refund)

    def dispute(self, object_id: str, step: Literal["opened", "won", "lost"]) -> list[Sent]:
        payment = self.things[object_id]
        charge = self.things[payment["latest_charge"]]
        known = len(self.events[object_id])
        if step == "opened":
            charge["disputed"] = True
            dispute = self.made(
                "du",
                amount=charge["amount"],
                charge=charge["id"],
                currency=charge["currency"],
                evidence_details={"due_by": int(time.time()) + 7 * 86_400, "has_evidence": False, "past_due": False},
                metadata={},
                payment_intent=object_id,
                reason="fraudulent",
                status="needs_response",
                balance_transactions=[],
            )
            dispute["balance_transactions"].append(self.book("adjustment", dispute, -charge["amount"], fee=1500))
            self.tell(object_id, "charge.dispute.created", dispute)
            self.tell(object_id, "charge.dispute.funds_withdrawn", dispute)
        else:
            dispute = next(thing for thing in self.listed("du") if thing["payment_intent"] == object_id)
            dispute["status"] = step
            if step == "won":
                dispute["balance_transactions"].append(self.book("adjustment", dispute, dispute["amount"]))
                self.tell(object_id, "charge.dispute.funds_reinstated", dispute)
            self.tell(object_id, "charge.dispute.closed", dispute)
        return [self.packed(event) for event in self.events[object_id][known:]]

    # --- What it sends ---

    def sent(self, object_id: str) -> list[Sent]:
        return [self.packed(event) for event in self.events[object_id]]

    def packed(self, event: Thing) -> Sent:
        return Sent(self.sign(json.dumps(event, indent=2).encode(), at=datetime.now(UTC)))

    def sign(self, raw: bytes, *, at: datetime, key: Key = "current") -> Delivery:
        header = stripe.WebhookSignature.generate_signature_header(
            raw.decode(), self.secrets[key], timestamp=int(at.timestamp())
        )
        return Delivery(raw, {"content-type": "application/json; charset=utf-8", "stripe-signature": header})

    def sample(self) -> bytes:
        loose = self.made("pi", amount=700, amount_received=700, currency="usd", metadata={}, status="succeeded")
        return json.dumps(self.event("payment_intent.succeeded", self.things.pop(loose["id"]))).encode()

    def event(self, kind: str, thing: Thing) -> Thing:
        return {
            "id": f"evt_{secrets.token_hex(12)}",
            "object": "event",
            "api_version": stripe.api_version,
            "created": int(time.time()),
            "data": {"object": json.loads(json.dumps(thing))},
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "type": kind,
        }

    def tell(self, about: str, kind: str, thing: Thing) -> None:
        self.events.setdefault(about, []).append(self.event(kind, thing))

    # --- What it keeps ---

    def made(self, prefix: str, **fields: Any) -> Thing:
        kind = NAMES.get(prefix, "balance_transaction")
        middle = "_test_" if prefix == "cs" else "_"
        thing = {
            "id": f"{prefix}{middle}{secrets.token_hex(12)}",
            "object": kind,
            "created": int(time.time()),
            **({} if prefix in {"re", "txn"} else {"livemode": False}),
            **fields,
        }
        self.things[thing["id"]] = thing
        return thing

    def book(self, kind: str, source: Thing, amount: int, *, fee: int = 0) -> Thing:
        return self.made(
            "txn",
            amount=amount,
            currency=source["currency"],
            fee=fee,
            net=amount - fee,
            reporting_category=kind,
            source=source["id"],
            status="pending",
            type=kind,
        )

    def session(self, reference: str) -> Thing:
        return next(session for session in self.listed("cs") if session["client_reference_id"] == reference)

    def listed(self, prefix: str) -> list[Thing]:
        """Newest first."""
        return [thing for name, thing in self.things.items() if name.startswith(f"{prefix}_")][::-1]

    # --- How it answers ---

    def answer(self, request: Request) -> Response:
        self.calls.append(request)
        if request.headers.get("authorization") != f"Bearer {self.secret_key}":
            return _refused(Refusal(401, f"Invalid API Key provided: {request.headers.get('authorization')}"))
        if request.headers.get("stripe-version") != stripe.api_version:
            self.problems.append(f"not the version that the SDK speaks: {request.headers.get('stripe-version')}")
        wanted = parse_qsl(request.body.decode() if request.method == "POST" else request.target.partition("?")[2])
        tree = _tree(wanted)
        self.check(request, tree)
        response = self.once(request, tree)
        if self.losing and f"{request.method} {request.path}".startswith(self.losing):
            return Response(500, b'{"error": {"type": "api_error"}}')
        return response

    def check(self, request: Request, tree: Thing) -> None:
        path = re.sub(r"/[a-z]{2}_[A-Za-z0-9_]+", "/{}", request.path)
        allowed = ALLOWED.get((request.method, path))
        unknown = set(tree) - set(allowed.__annotations__ if allowed else ())
        if unknown or allowed is None:
            self.problems.append(f"{request.method} {path}: nothing that the SDK could send: {sorted(unknown)}")

    def once(self, request: Request, tree: Thing) -> Response:
        """Under an idempotency key the first answer is given again, and another request under it is refused."""
        key = request.headers.get("idempotency-key", "") if request.method == "POST" else ""
        if key in self.keys:
            first, response = self.keys[key]
            if first != (request.path, tree):
                told = "Keys for idempotent requests can only be used with the same parameters."
                return _refused(Refusal(400, told, type="idempotency_error"))
            return Response(response.status, response.body, {"Idempotent-Replayed": "true"})
        try:
            response = Response(200, json.dumps(self.done(request, tree)).encode())
        except Refusal as refusal:
            response = _refused(refusal)
        if key:
            self.keys[key] = ((request.path, tree), response)
        return response

    def done(self, request: Request, tree: Thing) -> Thing:
        parts = request.path.removeprefix("/v1/").removeprefix("checkout/").split("/")
        shown = tree.get("expand", [])
        match (request.method, *parts):
            case ("POST", "sessions"):
                return self.opened(tree)
            case ("POST", "sessions", object_id, "expire"):
                return self.expired(self.known(object_id))
            case ("GET", "sessions" | "payment_intents", object_id):
                return self.expanded(self.known(object_id), shown)
            case ("POST", "refunds"):
                payment = self.known(tree["payment_intent"])
                return self.expanded(self.refund(payment["id"], int(tree["amount"]), tree["metadata"]), shown)
            case ("GET", listed):
                prefix = {"sessions": "cs", "refunds": "re", "disputes": "du", "balance_transactions": "txn"}[listed]
                return self.page(self.listed(prefix), tree)
        raise Refusal(404, f"Unrecognized request URL ({request.method}: {request.path}).")

    def opened(self, tree: Thing) -> Thing:
        [line] = tree["line_items"].values()
        ends_in = int(tree["expires_at"]) - time.time()
        if not 30 * 60 <= ends_in <= 24 * 3600:
            raise Refusal(400, "The `expires_at` timestamp must be at least 30 minutes from creation.")
        assert tree["metadata"] == tree["payment_intent_data"]["metadata"]
        assert line["price_data"]["product_data"]["name"]
        amount = int(line["quantity"]) * int(line["price_data"]["unit_amount"])
        session = self.made(
            "cs",
            amount_subtotal=amount,
            amount_total=amount,
            cancel_url=tree["cancel_url"],
            client_reference_id=tree["client_reference_id"],
            currency=line["price_data"]["currency"],
            expires_at=int(tree["expires_at"]),
            metadata=tree["metadata"],
            mode=tree["mode"],
            payment_intent=None,
            payment_status="unpaid",
            status="open",
            success_url=tree["success_url"],
        )
        session["url"] = f"https://checkout.stripe.com/c/pay/{session['id']}"
        return session

    def expired(self, session: Thing) -> Thing:
        if session["status"] != "open":
            told = f"This Checkout Session has a status of `{session['status']}`; only open ones can be expired."
            raise Refusal(400, told)
        session |= {"status": "expired", "url": None}
        self.tell(session["id"], "checkout.session.expired", session)
        return session

    def page(self, things: list[Thing], tree: Thing) -> Thing:
        if "payment_intent" in tree:
            things = [thing for thing in things if thing["payment_intent"] == tree["payment_intent"]]
        span = {name: int(value) for name, value in tree.get("created", {}).items()}
        things = [
            thing
            for thing in things
            if span.get("gte", 0) <= thing["created"] <= span.get("lte", 2**40)
            and thing["created"] < span.get("lt", 2**40)
        ]
        if "starting_after" in tree:
            ids = [thing["id"] for thing in things]
            things = things[ids.index(tree["starting_after"]) + 1 :]
        limit = min(int(tree.get("limit", 10)), self.page_max)
        shown = [path.removeprefix("data.") for path in tree.get("expand", [])]
        rows = [self.expanded(thing, shown) for thing in things[:limit]]
        return {"object": "list", "data": rows, "has_more": len(things) > limit, "url": "/v1"}

    def known(self, object_id: str) -> Thing:
        if object_id not in self.things:
            raise Refusal(404, f"No such object: '{object_id}'", code="resource_missing", param="id")
        return self.things[object_id]

    def expanded(self, thing: Thing, paths: list[str]) -> Thing:
        """The object with what stands at those paths in full instead of as an id; absent ones cannot be asked for."""
        shown = dict(thing)
        for path in paths:
            name, _, rest = path.partition(".")
            inner = shown[name]
            if isinstance(inner, str):
                inner = self.things[inner]
            shown[name] = self.expanded(inner, [rest] if rest else []) if inner is not None else None
        return shown


def _refused(refusal: Refusal) -> Response:
    return Response(refusal.status, json.dumps({"error": refusal.error}).encode())


def _tree(pairs: list[tuple[str, str]]) -> Thing:
    """Form keys as Stripe reads them: `a[b][0]` nests, `a[]` adds to a list."""
    tree: Thing = {}
    for key, value in pairs:
        head, *inner = re.findall(r"[^\[\]]+|\[\]", key)
        if inner == ["[]"]:
            tree.setdefault(head, []).append(value)
            continue
        place = tree
        for name in [head, *inner][:-1]:
            place = place.setdefault(name, {})
        place[[head, *inner][-1]] = value
    return tree
