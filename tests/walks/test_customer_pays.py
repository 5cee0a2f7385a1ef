"""The whole walk over HTTP: from a vendor's phone number to money in her book, and back to the customer."""

from __future__ import annotations

import json
import secrets
import time
from io import BytesIO
from typing import Any

import pytest
import requests
from django.utils import timezone
from PIL import Image

from merchants import ids
from merchants.models import Item, Notice
from payments import providers
from payments.models import (
    Discrepancy,
    IntentTimer,
    LedgerEntry,
    Payment,
    PaymentIntent,
    ProviderAccount,
    Refund,
    WebhookEvent,
)
from tests import readers
from tests.cast import Person
from tests.sandbox.pretend_shop import eventually
from tests.till import expect, shop_code, total
from tests.walks.running import (
    TIMEOUT_S,
    Customer,
    Product,
    approve,
    assert_the_wallet_agrees,
    attempts,
    settle,
)

pytestmark = pytest.mark.xdist_group("walks")


def test_from_a_phone_number_to_money_in_the_book_and_a_part_of_it_back(
    product: Product, account: ProviderAccount
) -> None:
    # She signs in.
    phone, public = f"+86138{secrets.randbelow(10**8):08d}", f"{product.url}/api/v1"
    assert requests.post(f"{public}/auth/code", json={"phone": phone}, timeout=TIMEOUT_S).status_code == 202
    asked = {"phone": phone, "code": product.text_to(phone), "shop_name": "Mei's fruit"}
    signed_in = requests.post(f"{public}/auth/token", json=asked, timeout=TIMEOUT_S)
    assert signed_in.status_code == 201
    token = signed_in.json()["token"]
    api, ear = product.api(token), product.listen(token)

    # She adds an item and prints its code.
    item = api.post("/items", {"name": "Apples", "price": {"amount": 100, "currency": "CNY"}, "unit": "pile"})
    url = item["code"]["url"]
    png = api.get_bytes(f"/codes/{item['code']['id']}/image.png")
    assert [found.text for found in readers.codes(Image.open(BytesIO(png)))] == [url]

    # A customer buys two piles.
    customer = Customer()
    address = customer.pay(url, quantity=2)
    assert address.startswith(f"{product.wallet.url}/pay/wor_")
    began = time.monotonic()
    receipt = customer.approve(address)
    assert receipt.startswith(f"{product.url}/r/")
    eventually(lambda: customer.reads(receipt) == "paid", "the receipt to say so", within_s=20)
    read_s = time.monotonic() - began
    ear.hears([1])
    print(f"approved → receipt says paid {read_s * 1000:.0f} ms")

    # The book, the balance and the notice say the same.
    [payment] = api.get("/payments")["results"]
    assert (payment["amount"], payment["match"], payment["placed"], payment["quantity"]) == (cny(200), "exact", True, 2)
    assert balance(api) == {"available": 0, "pending": 200, "total": 200}
    assert entries(api) == [("paid", 200, "provider_receivable", "shop_pending", 200)]
    [notice] = api.get("/notices?after=0")["results"]
    assert (notice["number"], notice["kind"]) == (1, "payment_received")
    assert notice["data"] == {
        "payment": payment["id"],
        "amount": cny(200),
        "expected": cny(200),
        "match": "exact",
        "description": "Apples × 2",
        "quantity": 2,
        "receipt": receipt.rpartition("/")[2],
        "code": item["code"]["id"],
        "item": item["id"],
        "occurred_at": notice["data"]["occurred_at"],
    }
    assert [json.loads(event["data"]) for event in ear.events] == [notice]
    assert_the_wallet_agrees(product, account)

    # One apple was bad: she gives a part back.
    refund = api.post(f"/payments/{payment['id']}/refunds", {"amount": cny(50), "reason": "one bad apple"})
    assert (refund["amount"], refund["state"]) == (cny(50), "requested")
    ear.hears([1, 2])
    told = json.loads(ear.events[1]["data"])
    assert (told["kind"], told["data"]["refund"], told["data"]["amount"]) == ("refund_succeeded", refund["id"], cny(50))
    assert customer.reads(receipt) == "refunded"
    again = api.get(f"/payments/{payment['id']}")
    assert (again["refunded"], [row["state"] for row in again["refunds"]]) == (cny(50), ["succeeded"])
    assert balance(api) == {"available": 0, "pending": 150, "total": 150}
    assert entries(api) == [
        ("refund_confirmed", 50, "refunds_in_flight", "provider_receivable", 0),
        ("refund_asked", 50, "shop_pending", "refunds_in_flight", -50),
        ("paid", 200, "provider_receivable", "shop_pending", 200),
    ]
    settle(product, account)
    assert_the_wallet_agrees(product, account)


def test_a_notification_that_was_lost_is_found_by_asking(
    product: Product, account: ProviderAccount, mei: Person, apples: Item
) -> None:
    customer = Customer()
    receipt = customer.approve(customer.pay(address_of(apples, product)), "lose")
    assert customer.reads(receipt) == "waiting"
    assert WebhookEvent.objects.count() == 0
    ask_at_once()
    eventually(lambda: customer.reads(receipt) == "paid", "the answer to be booked", within_s=20)
    assert list(WebhookEvent.objects.values_list("authority", flat=True)) == ["queried"]
    assert (attempts(product, account), balance(product.api(mei.token))["total"]) == ([], 200)
    assert list(Notice.objects.values_list("number", "kind")) == [(1, "payment_received")]
    assert_the_wallet_agrees(product, account)


@pytest.mark.parametrize(
    ("behaviour", "matches", "shops_total", "suspense", "receipt_says", "questions"),
    [
        ("delay", ["exact"], 200, {}, "paid", []),
        ("duplicate", ["exact"], 200, {}, "paid", []),
        ("duplicate_new_id", ["exact"], 200, {}, "paid", []),
        ("reorder", ["exact"], 200, {}, "paid", []),
        ("short", ["short"], 180, {}, "checking", [("short", 20)]),
        ("over", ["over"], 220, {}, "checking", [("over", 20)]),
        ("wrong_currency", ["unexpected"], 0, {"USD": 200}, "checking", [("wrong_currency", 200)]),
        ("double", ["double", "exact"], 400, {}, "checking", [("double", 200)]),
        ("late", ["late"], 200, {}, "checking", [("late", 200)]),
        ("forge", ["exact"], 200, {}, "paid", []),
        (
            "duplicate,duplicate_new_id,double,reorder,forge",
            ["double", "exact"],
            400,
            {},
            "checking",
            [("double", 200)],
        ),
    ],
)
def test_however_the_wallet_misbehaves_our_books_end_as_its_own(
    product: Product,
    account: ProviderAccount,
    mei: Person,
    apples: Item,
    behaviour: str,
    matches: list[str],
    shops_total: int,
    suspense: dict[str, int],
    receipt_says: str,
    questions: list[tuple[str, int]],
) -> None:
    customer = Customer()
    address = customer.pay(address_of(apples, product))
    if behaviour == "late":
        is_closed(account)
    receipt = customer.approve(address, behaviour)
    eventually(lambda: Payment.objects.count() == len(matches), f"{len(matches)} payments", within_s=20)
    settle(product, account)
    assert_the_wallet_agrees(product, account)
    assert sorted(Payment.objects.values_list("match", flat=True)) == matches
    assert balance(product.api(mei.token))["total"] == shops_total
    assert {code: total("suspense", code) for code in suspense} == suspense
    assert customer.reads(receipt) == receipt_says
    assert list(Discrepancy.objects.values_list("reason", "amount")) == questions
    kind = "payment_received" if not suspense else "payment_in_question"
    assert list(Notice.objects.order_by("number").values_list("kind", flat=True)) == [kind] * len(matches)
    refused = [status for status in attempts(product, account) if status != 204]
    assert set(refused) == ({400} if "forge" in behaviour else set())
    genuine = WebhookEvent.objects.values_list("delivery_id", flat=True)
    assert len(genuine) == len(set(genuine))


def test_a_refund_that_the_wallet_lets_fail_brings_the_money_back(
    product: Product, account: ProviderAccount, mei: Person, apples: Item
) -> None:
    customer, api = Customer(), product.api(mei.token)
    receipt = customer.approve(customer.pay(address_of(apples, product)), "refund_fail")
    eventually(lambda: Payment.objects.count() == 1, "the payment", within_s=20)
    [payment] = api.get("/payments")["results"]
    api.post(f"/payments/{payment['id']}/refunds", {"amount": cny(200), "reason": ""})
    assert balance(api)["total"] == 0
    settle(product, account)
    assert list(Refund.objects.values_list("state", flat=True)) == ["failed"]
    assert balance(api) == {"available": 0, "pending": 200, "total": 200}
    assert [row["kind"] for row in api.get("/notices?after=0")["results"]] == ["payment_received", "refund_failed"]
    assert customer.reads(receipt) == "paid"
    assert_the_wallet_agrees(product, account)


def test_a_day_on_which_everything_goes_wrong_ends_with_equal_books(
    product: Product, account: ProviderAccount, mei: Person
) -> None:
    """Sixty customers, each with misbehaviours drawn from a seed, several at once for many of them."""
    names = ["delay", "duplicate", "duplicate_new_id", "reorder", "lose", "short", "over", "wrong_currency", "double",
             "late", "forge", "refund_fail"]  # fmt: skip
    product.wallet.control("PUT", "/plan", {"seed": "a bad day", "rates": dict.fromkeys(names, 0.2)})
    try:
        code = shop_code(mei.shop)
        intents = [expect(code, 100 + number) for number in range(60)]
    finally:
        product.wallet.control("DELETE", "/plan")
    for some in range(0, 60, 20):
        approve(product, account, intents[some : some + 20])
    settle(product, account)
    ask_at_once()
    paid = len([row for row in product.wallet.books()["payments"] if row["account"] == account.name])
    assert paid > 60
    eventually(lambda: Payment.objects.count() == paid, f"{paid} payments", within_s=30)
    refunded = 0
    for payment in Payment.objects.filter(placed=True).order_by("id")[:12]:
        api = product.api(mei.token)
        asked = {"amount": cny(30), "reason": ""}
        refunded += bool(api.post(f"/payments/{ids.public(Payment.prefix, payment.id)}/refunds", asked))
    assert refunded == 12
    settle(product, account)
    assert_the_wallet_agrees(product, account)
    assert LedgerEntry.objects.filter(kind="refund_asked").count() == 12


def is_closed(account: ProviderAccount) -> None:
    """The wallet closes the order, and we have heard of it: told at this pace, on a busy machine it may be heard after
    the payment, which then is no late one.
    """
    intent = PaymentIntent.objects.get()
    providers.named("sandbox").close(account, intent)
    eventually(lambda: PaymentIntent.objects.get(id=intent.id).state != "open", "the order to be closed", within_s=20)


def cny(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "CNY"}


def balance(api: Any) -> dict[str, int]:
    answer = api.get("/ledger/balance")
    return {name: answer[name]["amount"] for name in ("available", "pending", "total")}


def entries(api: Any) -> list[tuple[str, int, str, str, int]]:
    """The newest first, as (kind, amount, debit, credit, change of her total)."""
    rows = api.get("/ledger/entries")["results"]
    return [(row["kind"], row["amount"]["amount"], row["debit"], row["credit"], row["change"]) for row in rows]


def address_of(item: Item, product: Product) -> str:
    """What stands on the item's sticker."""
    return f"{product.url}/s/{item.codes.get().slug}"


def ask_at_once() -> None:
    """As if the time had come to ask the wallet about every silent intent."""
    IntentTimer.objects.filter(next_query_at__isnull=False).update(next_query_at=timezone.now())
