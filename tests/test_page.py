"""The law of every page that a customer sees: ten kilobytes at most, in every state and in every language."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone
from django.utils.translation import override

from merchants import codes, ids, items
from merchants.models import Code, Item, Shop
from payments.models import Payment, PaymentIntent, ProviderAccount, Refund
from qr import page, page_ids, proofs
from tests.cast import Person
from tests.till import expect, platform, shop_code

LIMIT = 10_000
PHONE = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/120.0.0.0 Mobile Safari/537.36"
BRIDGE = {"call": "getBrandWCPayRequest", "arguments": {"appId": "wx2421b1c4370ec43b", "paySign": "x" * 344}}
LANGUAGES = [code for code, _ in settings.LANGUAGES]
# Whoever began the payments is shown the most.
COOKIE, PAYER = page_ids.new_payer()
# As long as names are in shops that exist, in letters of three bytes.
SHOP, GOODS = "阿梅的新鲜水果和鲜榨果汁摊（广州珠江路市场）", "现切凤梨和西瓜双拼盒，送酸梅粉"
PIX = "00020101021226900014br.gov.bcb.pix2568pix.example.com/qr/v2/cobv/7d9f0335-8dcc-4054-9bf9-0dbd61d369065204000053039865802BR"  # noqa: E501


@pytest.fixture
def shop(mei: Person) -> Shop:
    platform()
    Shop.objects.update(name=SHOP)
    return Shop.objects.get()


@pytest.fixture
def apple(shop: Shop) -> Code:
    made: Item = items.create(shop=shop, name=GOODS, amount=123_450, unit="盒", photo=None, now=timezone.now())
    return made.codes.get()


def begun(code: Code, **fields: Any) -> PaymentIntent:
    """An intent as it stands after that; the first one is begun as a customer begins it, the others are copies."""
    given = {"redirect_url": "http://127.0.0.1:8002/pay/wor_1", "start_failure": "", "payer": PAYER, **fields}
    intent = PaymentIntent.objects.filter(code=code).first() or expect(code, 123_450)
    fresh = {"id": ids.new(timezone.now()), "page": uuid.uuid4(), "receipt": ids.secret(22)}
    for name, value in {**given, **fresh}.items():
        setattr(intent, name, value)
    intent.save(force_insert=True)
    return intent


def money(intent: PaymentIntent, *matches: str, amount: int = 123_450, currency: str = "CNY") -> list[Payment]:
    now = timezone.now()
    return [
        Payment.objects.create(
            provider_account=ProviderAccount.objects.get(),
            object_id=f"wpy_{uuid.uuid4().hex}",
            shop=intent.shop,
            intent=intent,
            amount=amount,
            currency=currency,
            match=match,
            placed=currency == intent.currency,
            occurred_at=now + timedelta(seconds=number),
            recorded_at=now,
        )
        for number, match in enumerate(matches)
    ]


def back(payment: Payment, amount: int, state: str) -> None:
    Refund.objects.create(payment=payment, shop=payment.shop, amount=amount, currency="CNY", state=state,
                          created_at=timezone.now())  # fmt: skip


def receipts_of(code: Code) -> dict[str, PaymentIntent]:
    """A receipt in every state that there is."""
    paid, twice, back_all, back_some = (begun(code, state="paid") for _ in range(4))
    [first] = money(paid, "exact")
    for state in ("requested", "requested", "failed"):
        back(first, 10_000, state)
    money(twice, "exact", "double", "double")
    back(money(back_all, "exact")[0], 123_450, "succeeded")
    back(money(back_some, "exact")[0], 23_450, "succeeded")
    late, short, over, foreign = (begun(code, state="paid") for _ in range(4))
    money(late, "late")
    money(short, "short", amount=120_000)
    money(over, "over", amount=130_000)
    money(foreign, "unexpected", currency="USD")
    closed = {"state": "canceled", "closed_at": timezone.now()}
    return {
        "waiting": begun(code),
        "waiting, code and text": begun(code, handover={"qr": PIX, "copy": PIX, "app_url": "upi://pay?pa=a@b"}),
        "waiting, in a wallet": begun(code, handover={"bridge": BRIDGE}),
        "paid": paid,
        "paid twice": twice,
        "refunded": back_all,
        "partly refunded": back_some,
        "late": late,
        "short": short,
        "over": over,
        "in another currency": foreign,
        "not started": begun(code, redirect_url="", start_failure="no answer"),
        "refused": begun(code, closing="refused", **closed),
        "closed": begun(code, closing="frozen", **closed),
        "expired": begun(code, closing="expired", state="expired", closed_at=timezone.now()),
    }


Pages = dict[str, Callable[[Client], Any]]


@pytest.fixture
def pages(shop: Shop, apple: Code) -> Pages:
    """Every page there is, and how it is come by."""
    once = codes.create(shop=shop, kind="one_time", amount=990, label=GOODS, now=timezone.now())
    found: Pages = {
        "scan": lambda client: client.get(f"/s/{apple.slug}?again=foreign"),
        "scan once": lambda client: client.get(f"/s/{once.slug}"),
        "type": lambda client: client.get(f"/s/{shop_code(shop).slug}?again=foreign"),
        "wrong": lambda client: typed(client, shop_code(shop), "two"),
        "no code": lambda client: client.get("/s/23456789ABCD"),
        "no receipt": lambda client: client.get("/r/23456789ABCDEFGHJKLMNP"),
        "forged": lambda client: client.get(f"/p/{'A' * proofs.LENGTH}"),
    }
    stories = receipts_of(apple)
    for name, intent in stories.items():
        found[name] = lambda client, secret=intent.receipt: client.get(f"/r/{secret}")  # type: ignore[misc]
    paid = stories["paid"]
    for name, life in (("real", proofs.STILL_LIFE), ("too old", timedelta(0))):
        address = proofs.address(paid, list(paid.payments.all()), [], life=life, now=timezone.now())
        found[name] = lambda client, at=address: client.get(at.removeprefix(settings.PUBLIC_URL))  # type: ignore[misc]
    return found


@pytest.fixture(autouse=True)
def own_language() -> Iterator[None]:
    """What the last request was answered in is not the language of the tests that follow."""
    with override("en"):
        yield


def typed(client: Client, code: Code, amount: str) -> Any:
    found = re.search(r'name="page" value="([^"]+)"', client.get(f"/s/{code.slug}").content.decode())
    assert found
    return client.post(f"/s/{code.slug}/pay", {"page": found[1], "amount": amount})


def test_every_page_stays_below_ten_kilobytes_in_every_language_and_says_in_which_it_is_written(pages: Pages) -> None:
    weights: dict[str, dict[str, int]] = {}
    for language in LANGUAGES:
        client = Client(headers={"Accept-Language": language, "User-Agent": PHONE})
        client.cookies[page_ids.COOKIE] = COOKIE
        for name, come_by in pages.items():
            answer = come_by(client)
            head = answer.content.decode()[:120]
            assert f'<html lang="{language}"' in head
            assert (' dir="rtl"' in head) == (language == "ar")
            weights.setdefault(name, {})[language] = len(answer.content)
    for name, of_page in weights.items():
        print(f"{name:25}", of_page)
    assert {name: of_page for name, of_page in weights.items() if max(of_page.values()) > LIMIT} == {}


@pytest.mark.parametrize(
    ("language", "country", "currency", "given", "minor", "example", "shown"),
    [
        ("ar", "KW", "KWD", "٢٫٥", 2500, "٠٫٠٠٠", "٢٫٥٠٠"),
        ("ar", "AE", "AED", "٢٫٥", 250, "0.00", "2.50"),
        ("hi", "IN", "INR", "१२३४५६.५", 12_345_650, "0.00", "₹1,23,456.50"),
        ("zh-hans", "JP", "JPY", "１２００", 1200, "0", "JP¥1,200"),
    ],
)
def test_what_is_typed_in_her_own_digits_is_what_is_asked_and_read_on_the_receipt(
    shop: Shop, language: str, country: str, currency: str, given: str, minor: int, example: str, shown: str
) -> None:
    Shop.objects.update(country=country, currency=currency)
    client = Client(headers={"Accept-Language": language})
    code = shop_code(shop)
    offered = client.get(f"/s/{code.slug}").content.decode()
    assert f'placeholder="{example}"' in offered
    assert f"<bdi>{SHOP}</bdi>" in offered
    receipt = typed(client, code, given).headers["Location"]
    intent = PaymentIntent.objects.get()
    assert (intent.amount, intent.currency, receipt) == (minor, currency, f"/r/{intent.receipt}")
    assert shown in client.get(receipt).content.decode()


def test_scripts_and_styles_stand_in_the_document_with_short_names_and_mean_the_same() -> None:
    text = 'function line(kind){line.kind=kind;say("line "+kind)}var kinds=line'
    assert page.shorter(text, ["line", "kind"], "", page.NAMES) == ('function a(b){a.kind=b;say("line "+b)}var kinds=a')
    assert page.shorter(":root{--go:#fff}a{color:var(--go)}.--go-on{}", ["--go"], "--", page.PROPERTIES) == (
        ":root{--a:#fff}a{color:var(--a)}.--go-on{}"
    )
    for whole in ("getAttribute", "EventSource", '"visibilitychange"', "/events"):
        assert whole in page.LIVE
    for short in ("askInstead", "hangUp", "--paper", "/*"):
        assert short not in page.LIVE + page.RECEIPT_STYLE
