"""The back office's pages of money: what they show, what they find, what they do, and whom they refuse."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from merchants import ids
from merchants.lists import public_id
from merchants.models import Notice, OperatorAct, Shop
from payments import credentials, ledger
from payments.models import (
    Account,
    AccountBalance,
    BalanceSnapshot,
    Discrepancy,
    LedgerEntry,
    Payment,
    PaymentIntent,
    ProviderAccount,
    QueuedEvent,
    Refund,
    WebhookEvent,
)
from tests.cast import MEI_PHONE, Person
from tests.operators import CHIEF_PHONE, Operator, acts, quick_passwords, signed_in  # noqa: F401
from tests.till import assert_books_hold, drain, expect, paid, platform, refund_told, shop_code

pytestmark = pytest.mark.django_db


@pytest.fixture
def wei() -> Operator:
    """An operator."""
    return signed_in()


@pytest.fixture
def chief() -> Operator:
    """A superuser."""
    return signed_in(CHIEF_PHONE, superuser=True)


@pytest.fixture
def short(mei: Person) -> Discrepancy:
    """Mei asked for 5.00 and got 3.00."""
    platform()
    paid(expect(shop_code(mei.shop), 500), amount=300, object_id="wpy_of_mei").deliver()
    drain()
    return Discrepancy.objects.get()


@pytest.fixture
def unreadable(mei: Person) -> QueuedEvent:
    """A proved notification in a form that the adapter does not know, and with markup of a stranger in it."""
    platform()
    message = paid()
    message.message["data"]["order"] = "<script>alert(1)</script>"
    message.deliver()
    drain()
    return QueuedEvent.objects.get()


def _without_permission(operator: Operator, *names: str) -> None:
    """An operator who may only see, and not even some of that."""
    operator.user.groups.clear()
    seen = Permission.objects.filter(content_type__app_label__in=["merchants", "payments"], codename__startswith="view")
    operator.user.user_permissions.set(seen.exclude(codename__in=names))


# --- What is only read ---------------------------------------------------------------------------------------------


def test_not_even_a_superuser_adds_changes_or_deletes_what_is_only_read(
    chief: Operator, short: Discrepancy, unreadable: QueuedEvent
) -> None:
    refund_told(Payment.objects.get(), "succeeded", amount=100).deliver()
    drain()
    assert ledger.take_snapshots(moment=timezone.now() + timedelta(minutes=1)) > 0
    tables = [Account, AccountBalance, BalanceSnapshot, LedgerEntry, WebhookEvent, QueuedEvent, Payment, PaymentIntent,
              Refund, Notice, OperatorAct, Discrepancy, ProviderAccount, Shop]  # fmt: skip
    for table in tables:
        row = table._default_manager.order_by("pk").last()
        assert row is not None, table
        before = table._default_manager.filter(pk=row.pk).values().get()
        base = f"/admin/{table._meta.app_label}/{table._meta.model_name}"
        for address in (f"{base}/", f"{base}/{row.pk}/change/"):
            answer = chief.client.get(address)
            assert answer.status_code == 200, address
            assert 'name="_save"' not in answer.text
            assert_obeys_the_policy(answer)
        for address in (f"{base}/add/", f"{base}/{row.pk}/change/", f"{base}/{row.pk}/delete/"):
            form = {"post": "yes", "amount": "1", "state": "open", "kind": "paid", "name": "x", "reason": "x"}
            assert chief.client.post(address, form).status_code == 403, address
        assert table._default_manager.filter(pk=row.pk).values().get() == before
    assert_books_hold()


def assert_obeys_the_policy(answer: Any) -> None:
    """The strict policy is sent, and nothing in the page would break it: no inline script, style or handler."""
    policy = answer.headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert not re.findall(r"<script(?![^>]* src=)[^>]*>|<style|<[^>]+ (?:style|on[a-z]+)=", answer.text)


def test_no_list_of_a_large_table_counts_its_rows(wei: Operator, short: Discrepancy) -> None:
    for table in ("ledgerentry", "webhookevent", "payment", "paymentintent", "discrepancy"):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert wei.client.get(f"/admin/payments/{table}/").status_code == 200
        assert not [query for query in queries if "COUNT(" in query["sql"].upper()]


def test_a_list_costs_the_same_number_of_questions_whatever_is_in_it(wei: Operator, mei: Person) -> None:
    platform()
    for table, rows in (("payment", 1), ("ledgerentry", 1), ("paymentintent", 1), ("webhookevent", 1)):
        counts = []
        for _ in range(2):
            for _ in range(rows * 3):
                paid(expect(shop_code(mei.shop), 500)).deliver()
            drain()
            with CaptureQueriesContext(connection) as queries:
                wei.client.get(f"/admin/payments/{table}/")
            counts.append(len(queries))
        assert counts[0] == counts[1], table


def test_long_lists_have_pages_and_say_that_there_is_more(wei: Operator) -> None:
    account = platform()
    WebhookEvent.objects.bulk_create(
        WebhookEvent(
            provider_account=account, delivery_id=str(n), raw=b"{}", authority="signed", received_at=timezone.now()
        )
        for n in range(120)
    )
    pages = [wei.client.get("/admin/payments/webhookevent/", {"p": page}) for page in (1, 2, 3)]
    shown = [len(page.context["cl"].result_list) for page in pages]
    assert shown == [50, 50, 20]
    assert ["and more" in page.text for page in pages] == [True, True, False]
    assert "120 webhook events" in pages[2].text
    for beyond in ("4", "9999", "0", "-1", "x", "٣"):
        assert wei.client.get("/admin/payments/webhookevent/", {"p": beyond}, follow=True).status_code == 200


# --- What is found ---------------------------------------------------------------------------------------------------


def _found(operator: Operator, table: str, term: str) -> int:
    answer = operator.client.get(f"/admin/{table}/", {"q": term})
    assert answer.status_code == 200
    return len(answer.context["cl"].result_list)


def test_rows_are_found_by_phone_slug_receipt_provider_id_and_our_own_ids(
    wei: Operator, short: Discrepancy, arjun: Person
) -> None:
    payment, intent = Payment.objects.get(), PaymentIntent.objects.get()
    expect(shop_code(arjun.shop), 700)
    shop, slug = public_id(intent.shop), intent.code.slug
    money = ["+86 138 0013", MEI_PHONE, public_id(payment), shop, slug, intent.receipt]
    for term in [*money, "wpy_of_mei", intent.reference]:
        assert _found(wei, "payments/payment", term) == 1, term
        assert _found(wei, "payments/discrepancy", term) == 1, term
    for term in [*money, intent.reference, str(intent.id)]:
        assert _found(wei, "payments/paymentintent", term) == 1, term
    for term in (MEI_PHONE, shop, slug, "fruit"):
        assert _found(wei, "merchants/shop", term) == 1, term
    entry = LedgerEntry.objects.get()
    for term in (public_id(entry), entry.key, public_id(payment), MEI_PHONE, shop):
        assert _found(wei, "payments/ledgerentry", term) == 1, term
    event = WebhookEvent.objects.get()
    for term in (public_id(event), str(event.id), event.delivery_id):
        assert _found(wei, "payments/webhookevent", term) == 1, term
    for term in ("+91 98765", "wpy_of_nobody", ids.public("pay", ids.new()), "😀", "pay_", "%"):
        assert _found(wei, "payments/payment", term) == 0, term


def test_rows_are_chosen_by_their_time(wei: Operator, short: Discrepancy) -> None:
    old = ids.new(timezone.now() - timedelta(days=2))
    WebhookEvent.objects.create(
        id=old, provider_account=platform(), delivery_id="old", raw=b"", authority="signed", received_at=timezone.now()
    )
    counts = {
        since: len(wei.client.get("/admin/payments/webhookevent/", {"since": since}).context["cl"].result_list)
        for since in ("1", "24", "168")
    }
    assert counts == {"1": 1, "24": 1, "168": 2}


# --- Discrepancies ---------------------------------------------------------------------------------------------------


def test_a_discrepancy_is_taken_resolved_and_then_final(wei: Operator, chief: Operator, short: Discrepancy) -> None:
    page = f"/admin/payments/discrepancy/{short.pk}/change/"
    shown = wei.client.get(page).text
    for text in ("Ask the customer for the rest, or refund what came.", "CN¥2.00", "wpy_of_mei", "Resolve", "Take"):
        assert text in shown, text

    assert wei.act("payments/discrepancy", short, "take").headers["Location"] == page
    short.refresh_from_db()
    assert short.owner == wei.user
    chief.act("payments/discrepancy", short, "take")
    asked = chief.act("payments/discrepancy", short, "resolve")
    assert "What was found" in asked.text
    chief.act("payments/discrepancy", short, "resolve", "the customer paid the rest in cash")

    short.refresh_from_db()
    assert (short.state, short.owner, short.resolution) == (
        "resolved", chief.user, "the customer paid the rest in cash",
    )  # fmt: skip
    assert short.resolved_at is not None
    assert acts() == [("take", ""), ("take", ""), ("resolve", "the customer paid the rest in cash")]
    assert ">Resolve<" not in wei.client.get(page).text

    for name in ("take", "resolve"):
        answer = wei.client.post(page.replace("change", f"act/{name}"), {"confirmed": "1", "reason": "x"}, follow=True)
        assert "Resolved already; nothing was changed." in answer.text
    again = Discrepancy.objects.get()
    assert (again.owner, again.resolution, len(acts())) == (chief.user, "the customer paid the rest in cash", 3)


def test_open_discrepancies_stand_first_the_oldest_of_them_on_top(wei: Operator, mei: Person) -> None:
    platform()
    for amount in (100, 200, 300):
        paid(expect(shop_code(mei.shop), 500), amount=amount).deliver()
        drain()
    first, second, third = Discrepancy.objects.order_by("id")
    wei.act_on_list("payments/discrepancy", [first], "resolve", "settled in cash")
    shown = wei.client.get("/admin/payments/discrepancy/").context["cl"].result_list
    assert [row.id for row in shown] == [second.id, third.id, first.id]


# --- Shops and provider accounts -------------------------------------------------------------------------------------


def test_a_shops_page_shows_people_codes_money_and_what_operators_did(wei: Operator, mei: Person, lan: Person) -> None:
    platform()
    done, waiting = expect(shop_code(mei.shop), 500), expect(shop_code(mei.shop), 800)
    paid(done, amount=300).deliver()
    drain()
    wei.act("merchants/shop", mei.shop, "freeze", "a stolen phone")
    page = wei.client.get(f"/admin/merchants/shop/{mei.shop.pk}/change/").text
    made = [public_id(Payment.objects.get()), public_id(Discrepancy.objects.get())]
    texts = [mei.phone, lan.phone, shop_code(mei.shop).slug, "CN¥3.00", waiting.reference, "CN¥8.00", "frozen", *made]
    for text in [*texts, "a stolen phone", "Unfreeze"]:
        assert text in page, text
    assert done.reference not in page
    assert ">Freeze<" not in page


def test_a_frozen_shop_is_frozen_by_its_button_with_its_reason(wei: Operator, mei: Person) -> None:
    platform()
    expect(shop_code(mei.shop), 500)
    asked = wei.act("merchants/shop", mei.shop, "freeze")
    assert (asked.status_code, Shop.objects.get().state) == (200, "active")
    wei.act("merchants/shop", mei.shop, "freeze", "a tip")
    assert (Shop.objects.get().state, PaymentIntent.objects.get().closing) == ("frozen", "frozen")
    refused = wei.client.post(
        f"/admin/merchants/shop/{mei.shop.pk}/act/freeze/", {"confirmed": "1", "reason": "again"}, follow=True
    )
    assert "is frozen already" in refused.text
    assert acts() == [("freeze", "a tip")]


def test_several_shops_are_frozen_all_or_none(wei: Operator, mei: Person, arjun: Person) -> None:
    Shop.objects.filter(id=arjun.shop.id).update(state="closed")
    wei.act_on_list("merchants/shop", [mei.shop, arjun.shop], "freeze", "a tip")
    assert set(Shop.objects.values_list("state", flat=True)) == {"active", "closed"}
    assert acts() == []


def test_a_provider_account_is_switched_and_its_secrets_are_never_shown(wei: Operator, mei: Person) -> None:
    account = platform()
    pages = [wei.client.get(f"/admin/payments/provideraccount/{part}").text for part in ("", f"{account.pk}/change/")]
    secrets = [*credentials.of(account).values(), bytes(account.sealed_credentials).decode()]
    assert not [secret for secret in secrets for page in pages if secret in page]

    wei.act("payments/provideraccount", account, "switch-off", "the wallet is down")
    assert not ProviderAccount.objects.get().active
    wei.act("payments/provideraccount", account, "switch-off", "again")
    wei.act("payments/provideraccount", account, "switch-on", "it is back")
    assert ProviderAccount.objects.get().active
    assert acts() == [("switch_off", "the wallet is down"), ("switch_on", "it is back")]
    assert OperatorAct.objects.latest("id").before == {"active": False}


# --- Who is refused ------------------------------------------------------------------------------------------------


def test_an_operator_without_the_permission_is_refused_and_nothing_changes(
    wei: Operator, short: Discrepancy, unreadable: QueuedEvent
) -> None:
    _without_permission(wei)
    attempts: list[tuple[str, Any, str]] = [
        ("payments/queuedevent", unreadable, "replay"),
        ("payments/discrepancy", short, "take"),
        ("payments/discrepancy", short, "resolve"),
        ("merchants/shop", short.shop, "freeze"),
        ("merchants/shop", short.shop, "unfreeze"),
        ("payments/provideraccount", platform(), "switch-off"),
        ("payments/provideraccount", platform(), "switch-on"),
    ]
    before = _everything()
    for table, row, name in attempts:
        assert wei.act(table, row, name, "because").status_code == 403, name
        assert wei.act_on_list(table, [row], name, "because").status_code == 403, name
        assert f"/act/{name}/" not in wei.client.get(f"/admin/{table}/{row.pk}/change/").text
    assert _everything() == before


def test_who_may_not_even_see_a_table_gets_none_of_its_pages(wei: Operator, short: Discrepancy) -> None:
    _without_permission(wei, "view_discrepancy")
    page = f"/admin/payments/discrepancy/{short.pk}"
    for address in ("/admin/payments/discrepancy/", f"{page}/change/"):
        assert wei.client.get(address).status_code == 403


def test_an_act_is_only_taken_by_post_from_our_own_page(wei: Operator, short: Discrepancy) -> None:
    address = f"/admin/payments/discrepancy/{short.pk}/act/take/"
    assert wei.client.get(address).status_code == 405
    assert wei.act("payments/discrepancy", short, "vanish").status_code == 404
    strict = type(wei.client)(enforce_csrf_checks=True)
    strict.cookies = wei.client.cookies
    assert strict.post(address).status_code == 403
    short.refresh_from_db()
    assert (short.owner, acts()) == (None, [])


def _everything() -> str:
    """The rows that operators can act on, and their trail."""
    tables = (Shop, QueuedEvent, Discrepancy, ProviderAccount, PaymentIntent, OperatorAct)
    return json.dumps([list(table._default_manager.order_by("pk").values()) for table in tables], default=str)
