"""Money for tests: provider accounts, intents, and notifications that are signed as the pretend wallet signs them."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.utils import timezone
from standardwebhooks.webhooks import Webhook

from merchants.models import Code, Shop, User
from payments import books, checkout, credentials, fee_desk, inbox, ledger, reconcile
from payments.chart import Movement, Place
from payments.fees import Rates
from payments.models import FeeContract, Payment, PaymentIntent, PendingRelease, ProviderAccount, Refund
from payments.providers.base import Delivery

SECRET = "whsec_" + base64.b64encode(b"the platform's secret, 32 bytes!").decode()
OTHER_SECRET = "whsec_" + base64.b64encode(b"another secret of 32 bytes......").decode()


def platform() -> ProviderAccount:
    """The platform's account at the wallet: the money reaches us."""
    return _account("platform", "held", None, SECRET)


def direct(shop: Shop) -> ProviderAccount:
    """A shop's own account: the wallet pays the shop itself."""
    return _account(f"direct-{shop.id.hex[-8:]}", "direct", shop, OTHER_SECRET)


def shop_code(shop: Shop) -> Code:
    return Code.objects.get(shop=shop, kind=Code.Kind.SHOP)


def expect(code: Code, amount: int | None = None, *, quantity: int = 1, now: datetime | None = None) -> PaymentIntent:
    """An intent, made as a customer makes it (the wallet itself need not run: the start then says so)."""
    page = uuid.uuid4()
    return checkout.start(
        code=code, amount=amount, quantity=quantity, page=page, payer=page.hex, now=now or timezone.now()
    )


def posted(movements: Sequence[Movement], *, now: datetime) -> set[str]:
    """Posts them, and answers the keys of those that were new."""
    with transaction.atomic(), connection.cursor() as cursor:
        before = _written_here(cursor)
        ledger.post(movements, now=now)
        return _written_here(cursor) - before


def _written_here(cursor: CursorWrapper) -> set[str]:
    """The keys of entries of transactions that have not ended: whoever sees them is in the one that wrote them."""
    cursor.execute("SELECT key FROM payments_entrykey WHERE pg_xact_status(xmin::text::xid8) = 'in progress'")
    return {key for (key,) in cursor.fetchall()}


@dataclass(frozen=True)
class Notification:
    """What the wallet would send: signed for its account, to be delivered once, often, or changed on its way."""

    account: ProviderAccount
    message: dict[str, Any]
    secret: str = ""
    delivery: str = ""
    at: datetime = field(default_factory=timezone.now)

    @property
    def raw(self) -> bytes:
        return json.dumps(self.message).encode()

    @property
    def headers(self) -> dict[str, str]:
        secret = self.secret or credentials.of(self.account)["webhook_secrets"].split()[0]
        delivery = self.delivery or self.message["id"]
        signature = Webhook(secret).sign(delivery, self.at, self.raw.decode())
        return {
            "webhook-id": delivery,
            "webhook-timestamp": str(int(self.at.timestamp())),
            "webhook-signature": signature,
        }

    def deliver(self, now: datetime | None = None) -> bool:
        """Through the front door of the inbox; True when it was new."""
        return inbox.receive(
            provider="sandbox",
            account=self.account.name,
            delivery=Delivery(self.raw, self.headers),
            now=now or timezone.now(),
        )


def paid(
    intent: PaymentIntent | None = None,
    *,
    amount: int | None = None,
    currency: str = "",
    object_id: str = "",
    account: ProviderAccount | None = None,
    reference: str | None = None,
    at: datetime | None = None,
) -> Notification:
    """The wallet says that money arrived: for the intent as asked, unless told otherwise."""
    payment = {
        "id": object_id or f"wpy_{uuid.uuid4().hex[:16]}",
        "order_id": "wor_1",
        "reference": "",
        "amount": amount if amount is not None else (intent.amount if intent else 100),
        "currency": currency or (intent.currency if intent else "CNY"),
        "state": "succeeded",
        "occurred_at": _text(at),
    }
    return _notification("payment.succeeded", intent, account, at, reference, payment=payment)


def closed(intent: PaymentIntent, *, refused: bool = False, at: datetime | None = None) -> Notification:
    """The wallet says that this will not be paid."""
    return _notification("payment.failed" if refused else "order.closed", intent, None, at, None)


def refund_told(
    payment: Payment,
    state: str,
    *,
    refund: Refund | None = None,
    amount: int | None = None,
    object_id: str = "",
    at: datetime | None = None,
) -> Notification:
    """The wallet's word on a refund: one of ours, or (without `refund`) one of its own."""
    row = {
        "id": object_id or (refund.object_id if refund and refund.object_id else f"wrf_{uuid.uuid4().hex[:16]}"),
        "reference": refund.reference if refund else "",
        "payment_id": payment.object_id,
        "amount": amount if amount is not None else (refund.amount if refund else payment.amount),
        "currency": payment.currency,
        "state": state,
        "created_at": _text(at),
    }
    return _notification(f"refund.{state}", payment.intent, payment.provider_account, at, None, refund=row)


def disputed(
    payment: Payment,
    step: str,
    *,
    amount: int | None = None,
    object_id: str = "wdp_1",
    due: datetime | None = None,
    at: datetime | None = None,
) -> Notification:
    """The wallet's word on a dispute of the payment: opened, won, lost or closed."""
    dispute = {
        "id": object_id,
        "payment_id": payment.object_id,
        "amount": amount if amount is not None else payment.amount,
        "currency": payment.currency,
        "evidence_due_at": due.isoformat() if due else None,
    }
    return _notification(f"dispute.{step}", payment.intent, payment.provider_account, at, None, dispute=dispute)


def agree(
    *,
    side: str = "charge",
    currency: str = "CNY",
    shop: Shop | None = None,
    account: ProviderAccount | None = None,
    since: datetime | None = None,
    tolerance: int = 0,
    now: datetime | None = None,
    **rates: Any,
) -> FeeContract:
    """A version of a fee contract with the wallet, as an operator adds it; of everybody unless told otherwise."""
    return fee_desk.add_version(
        side=side,
        provider="sandbox",
        currency=currency,
        shop=shop,
        provider_account=account,
        valid_from=since or datetime(2026, 1, 1, tzinfo=UTC),
        rates=Rates(**rates),
        tolerance_amount=tolerance,
        operator=User.objects.get_or_create(phone="+8613700137009")[0],
        note="as agreed by letter",
        now=now or timezone.now(),
    )


def drain() -> int:
    """What the worker does when the bell rings."""
    return reconcile.drain(clock=timezone.now)


def make_due(at: datetime, *payments: Payment) -> None:
    """These pending payments become available at that moment."""
    Payment.objects.filter(id__in=[payment.id for payment in payments]).update(due_at=at)
    PendingRelease.objects.filter(payment__in=payments).update(due_at=at)


def total(kind: str, currency: str = "CNY", *, shop: Shop | None = None, account: ProviderAccount | None = None) -> int:
    """Credits less debits of one account of the chart."""
    funds = account.funds if account else ("held" if shop else "")
    if kind in {"suspense", "refunds_in_flight", "disputes_held"} and shop is None:
        funds = "" if kind == "suspense" else "held"
    place = Place(kind, funds, shop.id if shop else None, account.id if account else None)
    return ledger.total_of(place, currency)


def assert_books_hold() -> None:
    """Every law of the book, asked of the database."""
    assert [f"{breach.law}: {breach.row}" for breach in books.breaches()] == []


def _account(name: str, funds: str, shop: Shop | None, secret: str) -> ProviderAccount:
    found = ProviderAccount.objects.filter(provider="sandbox", name=name).first()
    return found or ProviderAccount.objects.create(
        provider="sandbox",
        name=name,
        funds=funds,
        shop=shop,
        sealed_credentials=credentials.sealed({"api_key": "a-key-of-the-tests-only", "webhook_secrets": secret}),
    )


def _notification(
    kind: str,
    intent: PaymentIntent | None,
    account: ProviderAccount | None,
    at: datetime | None,
    reference: str | None,
    **parts: Any,
) -> Notification:
    order = {
        "id": "wor_1",
        "reference": reference if reference is not None else (intent.reference if intent else ""),
        "amount": intent.amount if intent else 100,
        "currency": intent.currency if intent else "CNY",
        "state": "open",
    }
    message = {
        "id": f"evt_{uuid.uuid4().hex}",
        "type": kind,
        "account": "platform",
        "occurred_at": _text(at),
        "data": {"order": order, "payment": None, "refund": None, **parts},
    }
    return Notification(account or (intent.provider_account if intent else platform()), message)


def _text(at: datetime | None) -> str:
    return (at or datetime.now(UTC) - timedelta(seconds=1)).isoformat()
