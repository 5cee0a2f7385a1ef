"""Scan, pay, receipt: the customer's pages, with the pretend wallet really running beside them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.conf import LazySettings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import connections
from django.test import Client
from django.utils import timezone
from PIL import Image

from merchants import codes, items
from merchants.models import Code, Item, Shop
from payments.models import Payment, PaymentIntent, ProviderAccount, Refund
from tests.cast import MEI_PHONE, Person, open_shop
from tests.sandbox.pretend_shop import CONTROL_KEY, Wallet
from tests.till import platform


@pytest.fixture(scope="module")
def running_wallet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wallet]:
    wallet = Wallet(tmp_path_factory.mktemp("wallet") / "wallet.sqlite3")
    wallet.start()
    yield wallet
    wallet.stop()


@pytest.fixture
def wallet(running_wallet: Wallet, settings: LazySettings, db: None) -> Wallet:
    """The pretend wallet is on, and the platform has an account there."""
    return switch_on(running_wallet, settings)


def switch_on(wallet: Wallet, settings: LazySettings) -> Wallet:
    settings.SANDBOX_URL, settings.SANDBOX_CONTROL_KEY = wallet.url, CONTROL_KEY
    call_command("enable_sandbox", verbosity=0)
    return wallet


@pytest.fixture
def apple(apples: Item) -> Code:
    return apples.codes.get()


@pytest.fixture
def stall(mei: Person) -> Code:
    """The code of the whole cart, by which the payer types the amount."""
    return mei.shop.codes.get(kind="shop")


def hidden(answer: Any) -> str:
    """The page id that the form carries."""
    found = re.search(r'name="page" value="([^"]+)"', answer.content.decode())
    assert found, answer.content
    return unescape(found[1])


def pay(client: Client, code: Code, page: str | None = None, **fields: str) -> Any:
    page = hidden(client.get(f"/s/{code.slug}")) if page is None else page
    return client.post(f"/s/{code.slug}/pay", {"page": page, **fields})


def text(answer: Any) -> str:
    """What a person reads: without style and tags."""
    body = re.sub(r"<style>.*?</style>", "", answer.content.decode(), flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


class TestThePageOfACode:
    @pytest.fixture(autouse=True)
    def account(self, db: None) -> ProviderAccount:
        return platform()

    def test_it_is_one_small_document_with_shop_item_price_and_totals(self, client: Client, apple: Code) -> None:
        answer = client.get(f"/s/{apple.slug}")
        assert answer.status_code == 200
        assert len(answer.content) <= 10_000
        page = text(answer)
        assert "Mei's fruit" in page
        assert "Apples CN¥2.00 / pile" in page
        assert "1 for CN¥2.00" in page
        assert "12 for CN¥24.00" in page
        assert "Pretend wallet: no real money moves." in page
        assert b"<script" not in answer.content

    def test_it_says_which_word_the_sign_must_show(self, client: Client, apple: Code, mei: Person) -> None:
        page = text(client.get(f"/s/{apple.slug}"))
        assert f"The sign must show: {mei.shop.check_word} " in page
        assert "Another word on the sign? Do not pay: ask at the stall." in page

    def test_a_strangers_sticker_on_her_cart_opens_a_page_with_another_word(
        self, client: Client, apple: Code, mei: Person
    ) -> None:
        """The thief may call his shop by her name; her word he cannot get."""
        thief = open_shop("+8613700137009", mei.shop.name)
        pasted = items.create(shop=thief.shop, name="Apples", amount=200, unit="pile", photo=None, now=timezone.now())
        page = text(client.get(f"/s/{pasted.codes.get().slug}"))
        assert "Mei's fruit" in page
        assert "Apples CN¥2.00 / pile" in page
        assert mei.shop.check_word not in page
        assert f"The sign must show: {thief.shop.check_word} " in page

    def test_nobody_keeps_it_and_its_policy_admits_nothing_but_itself_and_the_wallet(
        self, client: Client, apple: Code
    ) -> None:
        headers = client.get(f"/s/{apple.slug}").headers
        assert (headers["Cache-Control"], headers["X-Robots-Tag"]) == ("no-store", "noindex")
        policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
        assert policy.pop("style-src").startswith("'sha256-")
        assert policy == {
            "default-src": "'none'",
            "img-src": "'self'",
            "manifest-src": "'self'",
            "form-action": "'self' http://127.0.0.1:8002",
            "base-uri": "'none'",
            "frame-ancestors": "'none'",
        }

    def test_the_payers_cookie_is_out_of_reach_of_scripts_and_of_other_sites(
        self, client: Client, apple: Code, settings: LazySettings
    ) -> None:
        cookie = client.get(f"/s/{apple.slug}").cookies["payer"]
        assert (cookie["httponly"], cookie["samesite"], cookie["path"], cookie["secure"]) == (True, "Lax", "/", "")
        assert "payer" not in client.get(f"/s/{apple.slug}").cookies
        settings.PUBLIC_URL = "https://pay.example.com"
        assert Client().get(f"/s/{apple.slug}").cookies["payer"]["secure"] is True

    def test_the_one_wallet_has_a_plain_button_that_names_it(self, client: Client, apple: Code) -> None:
        page = client.get(f"/s/{apple.slug}").content.decode()
        assert '<button class="go" name="wallet" value="sandbox">Pay</button>' in page
        assert page.count("<button") == 1

    def test_a_photo_is_loaded_lazily_and_is_small(self, client: Client, apples: Item, tmp_path: Path) -> None:
        Image.effect_noise((1600, 1200), 80).convert("RGB").save(tmp_path / "apple.jpg")
        items.update(item=apples, photo=SimpleUploadedFile("apple.jpg", (tmp_path / "apple.jpg").read_bytes()))
        found = re.search(
            r'<img class="photo" src="([^"]+)"[^>]* loading="lazy"',
            str(client.get(f"/s/{apples.codes.get().slug}").content),
        )
        assert found
        photo = client.get(found[1])
        assert photo.status_code == 200
        assert len(b"".join(photo)) <= 20_480

    @pytest.mark.parametrize(("currency", "keys", "example"), [("CNY", "decimal", "0.00"), ("JPY", "numeric", "0")])
    def test_the_carts_own_code_asks_how_much(
        self, client: Client, stall: Code, currency: str, keys: str, example: str
    ) -> None:
        Shop.objects.update(currency=currency)
        page = client.get(f"/s/{stall.slug}").content.decode()
        assert f'inputmode="{keys}"' in page
        assert f'placeholder="{example}"' in page
        assert 'name="quantity"' not in page


class TestWhereNothingCanBePaid:
    def test_an_unknown_slug_has_a_polite_page(self, client: Client, db: None) -> None:
        answer = client.get("/s/doesnotexist")
        assert answer.status_code == 404
        assert "We do not know this code" in text(answer)
        assert client.post("/s/doesnotexist/pay").status_code == 404

    @pytest.mark.parametrize(
        ("change", "status", "says"),
        [
            ({"state": "retired"}, 410, "This code is no longer used"),
            ({"state": "suspended"}, 403, "This code is paused"),
            ({"shop": "frozen"}, 403, "This shop cannot take payments now"),
            ({"shop": "restricted"}, 403, "This shop cannot take payments now"),
            ({"shop": "closed"}, 410, "This shop has closed"),
            ({"item": False}, 410, "Not on sale now"),
        ],
    )
    def test_the_page_says_what_is_so_and_a_page_that_lay_open_starts_nothing(
        self, client: Client, apple: Code, wallet: Wallet, change: dict[str, Any], status: int, says: str
    ) -> None:
        page = hidden(client.get(f"/s/{apple.slug}"))
        if "shop" in change:
            Shop.objects.update(state=change["shop"])
        elif "item" in change:
            Item.objects.update(active=change["item"])
        else:
            Code.objects.filter(id=apple.id).update(**change)
        for answer in (client.get(f"/s/{apple.slug}"), pay(client, apple, page)):
            assert answer.status_code == status
            assert says in text(answer)
            assert f"Mei's fruit The sign must show: {apple.shop.check_word} " in text(answer)
            assert answer.headers["Cache-Control"] == "no-store"
        assert not PaymentIntent.objects.exists()

    def test_without_a_provider_it_says_so(self, client: Client, apple: Code) -> None:
        account = platform()
        page = hidden(client.get(f"/s/{apple.slug}"))
        ProviderAccount.objects.filter(id=account.id).update(active=False)
        for answer in (client.get(f"/s/{apple.slug}"), pay(client, apple, page)):
            assert answer.status_code == 503
            assert "No wallet is connected yet" in text(answer)
        assert not PaymentIntent.objects.exists()


class TestPaying:
    def test_the_payer_is_sent_to_the_wallet_with_what_the_page_showed(
        self, client: Client, apple: Code, wallet: Wallet
    ) -> None:
        answer = pay(client, apple, quantity="3")
        intent = PaymentIntent.objects.get()
        assert (answer.status_code, answer.headers["Location"]) == (303, intent.redirect_url)
        assert intent.redirect_url.startswith(f"{wallet.url}/pay/wor_")
        assert (intent.amount, intent.currency, intent.quantity) == (600, "CNY", 3)
        assert (intent.code, intent.shop, len(intent.payer)) == (apple, apple.shop, 64)

    def test_the_same_page_posted_again_goes_on_with_the_same_intent(
        self, client: Client, apple: Code, wallet: Wallet
    ) -> None:
        page = hidden(client.get(f"/s/{apple.slug}"))
        first, second = pay(client, apple, page), pay(client, apple, page)
        assert first.headers["Location"] == second.headers["Location"]
        assert PaymentIntent.objects.count() == 1

    def test_a_page_posted_again_after_paying_shows_the_receipt(
        self, client: Client, apple: Code, wallet: Wallet
    ) -> None:
        page = hidden(client.get(f"/s/{apple.slug}"))
        pay(client, apple, page)
        PaymentIntent.objects.update(state="paid")
        answer = pay(client, apple, page)
        assert (answer.status_code, answer.headers["Location"]) == (303, f"/r/{PaymentIntent.objects.get().receipt}")

    def test_a_copied_page_starts_nothing_and_shows_nobodys_receipt(
        self, client: Client, apple: Code, wallet: Wallet
    ) -> None:
        page = hidden(client.get(f"/s/{apple.slug}"))
        pay(client, apple, page)
        thief = Client()
        thief.get(f"/s/{apple.slug}")
        for copy in (thief, Client()):
            answer = pay(copy, apple, page)
            assert (answer.status_code, answer.headers["Location"]) == (303, f"/s/{apple.slug}?again=foreign")
        assert "Please pay from this page" in text(thief.get(f"/s/{apple.slug}?again=foreign"))
        assert PaymentIntent.objects.count() == 1

    def test_a_page_works_for_its_own_code_only(self, client: Client, apple: Code, stall: Code, wallet: Wallet) -> None:
        page = hidden(client.get(f"/s/{apple.slug}"))
        assert pay(client, stall, page, amount="1").headers["Location"].endswith("?again=foreign")
        assert not PaymentIntent.objects.exists()

    def test_a_page_that_lay_open_too_long_is_shown_afresh(self, client: Client, apple: Code, wallet: Wallet) -> None:
        page = hidden(client.get(f"/s/{apple.slug}"))
        with time_machine.travel(timezone.now() + timedelta(minutes=31)):
            answer = pay(client, apple, page)
        assert answer.headers["Location"] == f"/s/{apple.slug}?again=expired"
        assert "open for a long time" in text(client.get(answer.headers["Location"]))
        assert not PaymentIntent.objects.exists()

    def test_words_in_the_address_are_never_shown(self, client: Client, apple: Code) -> None:
        assert "You have won" not in text(client.get(f"/s/{apple.slug}", {"again": "You have won"}))

    def test_a_price_that_changed_is_shown_before_anything_starts(
        self, client: Client, apple: Code, apples: Item, wallet: Wallet
    ) -> None:
        page = hidden(client.get(f"/s/{apple.slug}"))
        items.update(item=apples, amount=250)
        answer = pay(client, apple, page, quantity="2")
        assert answer.status_code == 409
        assert "The price has changed" in text(answer)
        assert "CN¥2.50" in text(answer)
        assert not PaymentIntent.objects.exists()
        assert pay(client, apple, hidden(answer), quantity="2").status_code == 303
        assert PaymentIntent.objects.get().amount == 500

    def test_a_price_that_changes_after_the_start_does_not_stop_a_second_tap(
        self, client: Client, apple: Code, apples: Item, wallet: Wallet
    ) -> None:
        page = hidden(client.get(f"/s/{apple.slug}"))
        first = pay(client, apple, page)
        items.update(item=apples, amount=250)
        assert pay(client, apple, page).headers["Location"] == first.headers["Location"]
        assert PaymentIntent.objects.get().amount == 200

    @pytest.mark.parametrize("quantity", ["0", "-1", "1.5", "99999", "two", "²", "24"])
    def test_a_quantity_that_was_not_offered_is_refused(
        self, client: Client, apple: Code, wallet: Wallet, quantity: str
    ) -> None:
        answer = pay(client, apple, quantity=quantity)
        assert answer.status_code == 422
        assert not PaymentIntent.objects.exists()

    @pytest.mark.parametrize(
        ("typed", "amount"),
        [("2", 200), ("2.5", 250), ("0,05", 5), (" 12.30 ", 1230), ("１２．５", 1250), ("3。5", 350)],
    )
    def test_an_amount_is_read_as_people_type_it(
        self, client: Client, stall: Code, wallet: Wallet, typed: str, amount: int
    ) -> None:
        assert pay(client, stall, amount=typed).status_code == 303
        assert PaymentIntent.objects.get().amount == amount

    @pytest.mark.parametrize(
        ("typed", "says"),
        [
            ("", "Please type an amount in CNY, for example 12.34."),
            ("1.234", "Please type an amount in CNY"),
            ("-5", "Please type an amount in CNY"),
            ("1e9", "Please type an amount in CNY"),
            ("<b>", "Please type an amount in CNY"),
            ("0.00", "above zero"),
            ("100000000.01", "too large"),
            ("9" * 5000, "too large"),
        ],
    )
    def test_an_amount_that_is_none_is_explained_and_what_was_typed_stays(
        self, client: Client, stall: Code, wallet: Wallet, typed: str, says: str
    ) -> None:
        answer = pay(client, stall, amount=typed)
        assert answer.status_code == 422
        assert says in text(answer)
        assert b"<b>" not in answer.content.replace(b'<b aria-hidden="true">', b"")
        assert f'value="{"&lt;b&gt;" if typed == "<b>" else typed[:16]}"' in answer.content.decode()
        assert not PaymentIntent.objects.exists()

    def test_the_wallet_being_away_is_said_on_the_receipt_and_the_same_page_tries_again(
        self, client: Client, apple: Code, wallet: Wallet, settings: LazySettings
    ) -> None:
        page = hidden(client.get(f"/s/{apple.slug}"))
        settings.SANDBOX_URL = "http://127.0.0.1:9"
        answer = pay(client, apple, page)
        receipt = f"/r/{PaymentIntent.objects.get().receipt}"
        assert (answer.status_code, answer.headers["Location"]) == (303, receipt)
        shown = client.get(receipt)
        assert 'data-kind="not_started"' in shown.content.decode()
        assert f'href="/s/{apple.slug}"' in shown.content.decode()
        settings.SANDBOX_URL = wallet.url
        assert pay(client, apple, page).headers["Location"].startswith(wallet.url)
        assert PaymentIntent.objects.count() == 1

    def test_opening_the_pay_address_leads_back_to_the_page(self, client: Client, apple: Code) -> None:
        answer = client.get(f"/s/{apple.slug}/pay")
        assert (answer.status_code, answer.headers["Location"]) == (303, f"/s/{apple.slug}")


class TestAOneTimeCode:
    @pytest.fixture
    def repair(self, mei: Person, now: datetime) -> Code:
        return codes.create(shop=mei.shop, kind="one_time", amount=990, label="Shoe repair", now=now)

    def test_its_price_is_fixed_and_there_is_one_of_it(self, client: Client, repair: Code) -> None:
        platform()
        page = client.get(f"/s/{repair.slug}")
        assert "Shoe repair CN¥9.90" in text(page)
        assert b"<select" not in page.content

    def test_only_one_payer_pays_by_it_and_she_may_come_back(
        self, client: Client, repair: Code, wallet: Wallet
    ) -> None:
        first = pay(client, repair)
        again = pay(client, repair)
        assert first.headers["Location"] == again.headers["Location"]
        other = pay(Client(), repair)
        assert other.status_code == 409
        assert "another phone is paying now" in text(other)
        assert PaymentIntent.objects.get().amount == 990

    def test_it_has_been_used_once_it_is_paid(self, client: Client, repair: Code, wallet: Wallet) -> None:
        pay(client, repair)
        PaymentIntent.objects.update(state="paid")
        answer = client.get(f"/s/{repair.slug}")
        assert (answer.status_code, "This code has been used" in text(answer)) == (410, True)

    def test_it_expires(self, client: Client, repair: Code) -> None:
        with time_machine.travel(timezone.now() + timedelta(minutes=16)):
            answer = client.get(f"/s/{repair.slug}")
        assert (answer.status_code, "This code has expired" in text(answer)) == (410, True)


@pytest.mark.usefixtures("real_db")
def test_ten_taps_at_once_are_one_payment(running_wallet: Wallet, settings: LazySettings) -> None:
    switch_on(running_wallet, settings)
    shop = open_shop(MEI_PHONE, "Mei's fruit").shop
    apples = items.create(shop=shop, name="Apples", amount=200, unit="", photo=None, now=timezone.now())
    code = apples.codes.get()
    customer = Client()
    page = hidden(customer.get(f"/s/{code.slug}"))
    cookie = customer.cookies["payer"].value

    def tap(_number: int) -> str:
        phone = Client()
        phone.cookies["payer"] = cookie
        try:
            return str(pay(phone, code, page).headers["Location"])
        finally:
            connections.close_all()

    with ThreadPoolExecutor(10) as taps:
        places = set(taps.map(tap, range(10)))
    intent = PaymentIntent.objects.get()
    assert places == {intent.redirect_url}


class TestTheReceipt:
    @pytest.fixture
    def intent(self, client: Client, apple: Code, wallet: Wallet) -> PaymentIntent:
        pay(client, apple, quantity="2")
        return PaymentIntent.objects.get()

    @pytest.fixture
    def payment(self, intent: PaymentIntent) -> Payment:
        PaymentIntent.objects.update(state="paid")
        return Payment.objects.create(
            provider_account=ProviderAccount.objects.get(),
            object_id="wpy_1",
            shop=intent.shop,
            intent=intent,
            amount=400,
            currency="CNY",
            match="exact",
            placed=True,
            occurred_at=datetime.fromisoformat("2026-11-22T18:30:00+00:00"),
            recorded_at=timezone.now(),
        )

    def test_while_waiting_it_looks_again_and_leads_back_to_the_wallet(
        self, client: Client, intent: PaymentIntent
    ) -> None:
        answer = client.get(f"/r/{intent.receipt}")
        page = answer.content.decode()
        assert '<meta http-equiv="refresh" content="2">' in page
        assert f'href="{intent.redirect_url}"' in page
        assert (answer.headers["Cache-Control"], answer.headers["X-Robots-Tag"]) == ("no-store", "noindex")
        assert len(answer.content) <= 10_000

    def test_paid_it_shows_shop_item_amount_number_and_the_shops_own_time(
        self, client: Client, intent: PaymentIntent, payment: Payment
    ) -> None:
        answer = client.get(f"/r/{intent.receipt}", {"state": "refused"})
        page = text(answer)
        assert "Paid CN¥4.00" in page
        assert f"Mei's fruit The sign must show: {intent.shop.check_word} " in page
        assert "Shop Mei's fruit For Apples × 2 Asked CN¥4.00 Time Nov 23, 2026, 2:30 AM" in page
        assert intent.reference in page
        assert b'http-equiv="refresh"' not in answer.content
        assert intent.receipt not in page

    def test_a_refund_of_a_part_is_shown(self, client: Client, intent: PaymentIntent, payment: Payment) -> None:
        Refund.objects.create(
            payment=payment,
            shop=intent.shop,
            amount=150,
            currency="CNY",
            state="succeeded",
            pending_amount=150,
            created_at=timezone.now(),
        )
        page = text(client.get(f"/r/{intent.receipt}"))
        assert "Paid, partly refunded" in page
        assert "CN¥1.50 was refunded to you" in page

    def test_an_unknown_receipt_has_a_polite_page(self, client: Client, db: None) -> None:
        answer = client.get("/r/23456789ABCDEFGHJKLMNP")
        assert (answer.status_code, "We do not know this receipt" in text(answer)) == (404, True)
        assert len(answer.content) <= 10_000


def test_a_payer_who_starts_very_often_is_asked_to_wait_and_nothing_more_is_started(
    client: Client, wallet: Wallet, apple: Code, settings: LazySettings
) -> None:
    settings.START_BUDGET_PAYER = "2/minute"
    assert [pay(client, apple).status_code for _ in range(2)] == [303, 303]
    refused = pay(client, apple)
    assert (refused.status_code, "wait a minute" in text(refused)) == (429, True)
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert PaymentIntent.objects.count() == 2


def test_with_the_budgets_store_down_customers_pay_all_the_same(
    client: Client, wallet: Wallet, apple: Code, settings: LazySettings
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    assert pay(client, apple).status_code == 303
    assert PaymentIntent.objects.count() == 1
