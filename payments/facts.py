"""The facts that decisions are made on: loaded in bulk, with their rows locked in one fixed order.

Intents first, then payments, refunds and disputes, each by id: two transactions that follow it never wait for each
other in a circle. Whoever locks such rows elsewhere keeps to the same order.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL

from merchants import columns, plans
from payments import providers
from payments.known import (
    AccountFacts,
    DisputeFacts,
    IntentFacts,
    Known,
    PaymentFacts,
    RefundFacts,
    intent_id,
    refund_id,
)
from payments.models import Dispute, Payment, ProviderAccount, Refund
from payments.providers.base import Event, Verified

AccountAsIs = tuple[str, str]  # The text of an account's id, and of the transaction that last wrote its row.

_REMEMBERED_MAX = 1000  # Some kilobytes each; beyond that they are read again. Accounts of ours are a few.

_remembered: dict[AccountAsIs, ProviderAccount] = {}
_decode = json.JSONDecoder().decode


def stored_events(event_ids: list[UUID]) -> list[tuple[UUID, AccountAsIs, Verified]]:
    """The stored events in the order of arrival (their ids are of the time they were received), each with its account.

    A batch has few accounts, and texts are compared without a call of Python's.
    """
    with columns.cursor(binary=True) as cursor:
        cursor.execute(_EVENTS_SQL, [columns.literal(event_ids)])
        return [
            (event_id, (account_id, version), Verified(delivery_id, raw, authority, _decode(headers), key_id))
            for event_id, account_id, version, delivery_id, raw, authority, headers, key_id in cursor.fetchall()
        ]


def accounts_as_they_are(wanted: Iterable[AccountAsIs]) -> dict[AccountAsIs, ProviderAccount]:
    """These accounts: remembered, or read if they have changed since. A shop's own is read each time, with its shop."""
    asked = set(wanted)
    found = {one: _remembered[one] for one in asked if one in _remembered}
    missing = {account_id: (account_id, version) for account_id, version in asked - found.keys()}
    if missing:
        for row in _accounts(missing).annotate(version=RawSQL("payments_provideraccount.xmin::text", [])):
            one = missing[str(row.id)]
            found[one] = row
            if row.shop_id is None and row.version == one[1]:
                _remember(one, row)
    return found


def accounts(account_ids: Iterable[UUID | str]) -> dict[UUID, ProviderAccount]:
    return {row.id: row for row in _accounts(account_ids)}


def of_account(row: ProviderAccount) -> AccountFacts:
    """What decisions know of an account; of its identity, what its provider's messages can be compared with."""
    names = {field.name for field in providers.named(row.provider).FIELDS if field.names_us}
    identity = {name: value for name, value in row.identity.items() if name in names and value}
    return AccountFacts(row.id, row.funds, row.shop_id, row.shop.currency if row.shop else "", identity)


def lock_and_load(read: Sequence[tuple[UUID, UUID, Sequence[Event]]], new_id: Callable[[], UUID]) -> Known:
    """Locks and loads every fact that the decisions of this batch may need, in the fixed order.

    From then on the transaction looks up by indexes only (`plans.by_index`).
    """
    known = Known(settle_after=timedelta(days=settings.SETTLEMENT_DAYS), new_id=new_id)
    events = [(account_id, event) for _, account_id, some in read for event in some]
    _load_intents_and_payments(
        known,
        [named for _, event in events if (named := intent_id(event.reference))],
        [(account_id, event.parent_object_id or event.object_id) for account_id, event in events],
    )
    if any(event.kind.startswith(("refund.", "dispute.")) for _, event in events):
        named_refunds = {named for _, event in events if (named := refund_id(event.reference))}
        paid = [payment.id for payment in known.payments.values()]
        rows = Refund.objects.select_for_update(no_key=True).order_by("id")
        for refund in of_refunds(rows.filter(payment_id__in=paid)) + of_refunds(rows.filter(id__in=named_refunds)):
            known.refunds[refund.id] = refund
        disputes = Dispute.objects.select_for_update(no_key=True).order_by("id")
        known.disputes = {row.id: row for row in of_disputes(disputes.filter(payment_id__in=paid))}
    return known


def of_payments(rows: Iterable[Payment], new_id: Callable[[], UUID]) -> Known:
    """Payments whose rows the caller has locked, with what was refunded and is contested of them."""
    known = Known(settle_after=timedelta(days=settings.SETTLEMENT_DAYS), new_id=new_id)
    for payment in map(of_payment, rows):
        known.payments[payment.account_id, payment.object_id] = payment
    paid = [payment.id for payment in known.payments.values()]
    known.refunds = {row.id: row for row in of_refunds(Refund.objects.filter(payment_id__in=paid))}
    known.disputes = {row.id: row for row in of_disputes(Dispute.objects.filter(payment_id__in=paid))}
    return known


def of_payment(row: Payment) -> PaymentFacts:
    return PaymentFacts(
        id=row.id,
        account_id=row.provider_account_id,
        funds=row.provider_account.funds,
        object_id=row.object_id,
        shop_id=row.shop_id,
        intent_id=row.intent_id,
        amount=row.amount,
        currency=row.currency,
        match=row.match,
        placed=row.placed,
        occurred_at=row.occurred_at,
        due_at=row.due_at,
    )


def of_refunds(rows: QuerySet[Refund]) -> list[RefundFacts]:
    fields = ("id", "payment_id", "object_id", "amount", "state", "pending_amount", "origin", "settled_at", "review")
    return [RefundFacts(*row) for row in rows.values_list(*fields)]


def of_disputes(rows: QuerySet[Dispute]) -> list[DisputeFacts]:
    fields = ("id", "payment_id", "object_id", "amount", "state", "pending_amount", "evidence_due_at", "told_at")
    return [DisputeFacts(*row) for row in rows.values_list(*fields)]


def _accounts(account_ids: Iterable[UUID | str]) -> QuerySet[ProviderAccount]:
    return ProviderAccount.objects.filter(id__in=list(account_ids)).select_related("shop")


def _remember(one: AccountAsIs, row: ProviderAccount) -> None:
    if len(_remembered) >= _REMEMBERED_MAX:
        _remembered.clear()
    _remembered[one] = row


def _load_intents_and_payments(known: Known, intent_ids: list[UUID], objects: list[tuple[UUID, str]]) -> None:
    with columns.cursor(binary=True) as intents, columns.cursor() as payments:
        with columns.together():
            plans.by_index()
            intents.execute(_INTENTS_SQL, [columns.literal(intent_ids)])
            if objects:
                payments.execute(_PAYMENTS_SQL, columns.literals(objects))
        known.intents = {row[0]: IntentFacts(*row) for row in intents.fetchall()}
        for row in payments.fetchall() if objects else ():
            payment = PaymentFacts(*row)
            known.payments[payment.account_id, payment.object_id] = payment
    # One that expired and was paid late has money too, though its state does not say so.
    unpaid = [i.id for i in known.intents.values() if i.state not in ("open", "paid")]
    if unpaid:
        late = Payment.objects.filter(intent_id__in=unpaid, placed=True).values_list("intent_id", flat=True)
        for paid_late in set(late):
            if paid_late is not None:
                known.intents[paid_late] = known.intents[paid_late].with_money(known.intents[paid_late].state)


# Written out, because every event pays for it: a model made of each row costs more than reading the row.
_EVENTS_SQL = """
SELECT id, provider_account_id::text,
       (SELECT account.xmin::text FROM payments_provideraccount AS account WHERE account.id = provider_account_id),
       delivery_id, raw, authority, headers::text, key_id
  FROM payments_webhookevent WHERE id = ANY(%s::uuid[]) ORDER BY id
"""

_INTENTS_SQL = """
SELECT id, shop_id, provider_account_id, amount, currency, state, closing, description, quantity, receipt, item_id,
       code_id
  FROM payments_paymentintent WHERE id = ANY(%s::uuid[]) ORDER BY id
   FOR NO KEY UPDATE
"""

# By its object's id, which finds one payment whatever the tables' statistics say. The account is compared, and its row
# asked for afterwards (OFFSET keeps that so), in ways that can use no index of accounts: to the planner one that is new
# looks as if it had hardly any payments, and it would read all of them for each.
_PAYMENTS_SQL = """
SELECT p.id, p.provider_account_id, a.funds, p.object_id, p.shop_id, p.intent_id, p.amount, p.currency, p.match,
       p.placed, p.occurred_at, p.due_at
  FROM payments_payment p
  JOIN unnest(%s::uuid[], %s::text[]) AS wanted(account_id, object_id)
    ON p.object_id = wanted.object_id AND (p.provider_account_id = wanted.account_id) IS TRUE
 CROSS JOIN LATERAL (SELECT funds FROM payments_provideraccount WHERE id = p.provider_account_id OFFSET 0) AS a
 ORDER BY p.id
   FOR NO KEY UPDATE OF p
"""
