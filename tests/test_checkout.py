"""Starting to pay: who may not and why, the same page twice, and a wallet that cannot be reached."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
from django.conf import LazySettings
from django.utils import timezone
from rest_framework.test import APIClient

from merchants import items
from merchants.models import Code, Item, Shop
from payments import checkout
from payments.models import IntentTimer, PaymentIntent, ProviderAccount
from payments.providers.base import ProviderError, Started, Visit
from tests import jadepay
from tests.cast import Person, hire, problem
from tests.jadepay import Desk
from tests.running_wallet import known_at, running_wallet
from tests.sandbox.pretend_shop import Wallet
from tests.till import closed, direct, drain, expect, paid, platform, shop_code


@pytest.fixture(scope="module")
def wallet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wallet]:
    with running_wallet(tmp_path_factory.mktemp("wallet")) as running:
        yield running


@pytest.fixture(autouse=True)
def account(db: None) -> ProviderAccount:
    return platform()


@pytest.fixture
def once(mei: Person) -> Code:
    """A one-time code for 500, valid for a quarter of an hour."""
    return Code.objects.create(
        shop=mei.shop,
        kind="one_time",
        amount=500,
        currency="CNY",
        label="Table 7",
        expires_at=timezone.now() + timedelta(minutes=15),
    )


@pytest.fixture
def jade(account: ProviderAccount) -> Iterator[Desk]:
    """A second wallet that the platform takes, out of order unless a test says otherwise."""
    with jadepay.taken() as desk:
        yield desk


def begin(
    code: Code,
    amount: int | None = None,
    *,
    quantity: int = 1,
    page: uuid.UUID | None = None,
    payer: str = "payer",
    wallet: str = "",
    browser: checkout.Browser | None = None,
) -> PaymentIntent:
    return checkout.start(
        code=code,
        amount=amount,
        quantity=quantity,
        page=page or uuid.uuid4(),
        payer=payer,
        now=timezone.now(),
        wallet=wallet,
        browser=browser,
    )


def refused(code: Code, amount: int | None = None, *, quantity: int = 1, wallet: str = "") -> str:
    """The code of the refusal, which changes nothing."""
    before = list(PaymentIntent.objects.order_by("id").values())
    locked = Shop.objects.get(id=code.shop_id).currency_locked_at
    with pytest.raises(checkout.UnableToStart) as refusal:
        begin(code, amount, quantity=quantity, wallet=wallet)
    assert str(refusal.value) == refusal.value.detail
    assert list(PaymentIntent.objects.order_by("id").values()) == before
    assert Shop.objects.get(id=code.shop_id).currency_locked_at == locked
    return refusal.value.code


# --- Refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["restricted", "frozen", "closed"])
def test_a_shop_that_is_not_active_starts_nothing(mei: Person, apples: Item, state: str) -> None:
    Shop.objects.update(state=state)
    assert refused(apples.codes.get()) == f"shop_{state}"


@pytest.mark.parametrize("state", ["suspended", "retired"])
def test_a_code_that_is_not_in_use_starts_nothing(apples: Item, state: str) -> None:
    apples.codes.update(state=state)
    assert refused(apples.codes.get()) == f"code_{state}"


@pytest.mark.parametrize(("left", "code"), [(0, "code_expired"), (-60, "code_expired")])
def test_a_code_whose_time_is_over_starts_nothing(once: Code, left: int, code: str) -> None:
    once.expires_at = timezone.now() + timedelta(seconds=left)
    once.save()
    assert refused(once) == code


@pytest.mark.parametrize("change", [{"active": False}, {"deleted_at": "2026-01-01T00:00:00Z"}])
def test_an_item_that_is_not_sold_starts_nothing(apples: Item, change: dict[str, object]) -> None:
    Item.objects.update(**change)
    assert refused(apples.codes.get()) == "item_not_sold"


@pytest.mark.parametrize("amount", [None, 0, -1])
def test_the_shops_own_code_needs_an_amount(mei: Person, amount: int | None) -> None:
    assert refused(shop_code(mei.shop), amount) == "amount_missing"


def test_an_amount_has_an_end(mei: Person, apples: Item) -> None:
    assert refused(shop_code(mei.shop), 10_000_000_001) == "amount_too_large"
    assert begin(shop_code(mei.shop), 10_000_000_000).amount == 10_000_000_000
    Item.objects.update(amount=200_000_000)
    assert refused(apples.codes.get(), quantity=51) == "amount_too_large"
    assert begin(apples.codes.get(), quantity=50).amount == 10_000_000_000


def test_a_price_that_changed_behind_the_payers_back_starts_nothing(apples: Item, once: Code) -> None:
    assert refused(apples.codes.get(), 199) == "price_changed"
    assert refused(apples.codes.get(), 200, quantity=2) == "price_changed"
    assert refused(once, 499) == "price_changed"
    assert begin(apples.codes.get(), 400, quantity=2).amount == 400
    assert begin(once, 500).amount == 500


@pytest.mark.parametrize("quantity", [0, -1, 100])
def test_a_quantity_is_from_one_to_ninety_nine(apples: Item, quantity: int) -> None:
    assert refused(apples.codes.get(), quantity=quantity) == "quantity_wrong"
    assert begin(apples.codes.get(), quantity=99).amount == 19_800


def test_without_an_account_at_a_provider_nothing_starts(apples: Item, account: ProviderAccount) -> None:
    account.active = False
    account.save()
    assert refused(apples.codes.get()) == "no_provider"


def test_a_provider_that_is_switched_off_takes_nothing(apples: Item, settings: LazySettings) -> None:
    settings.SANDBOX_URL = ""
    assert refused(apples.codes.get()) == "no_provider"
    assert checkout.accepted(apples.shop) == []


# --- What a shop takes -----------------------------------------------------------------------------------------------


def names(shop: Shop, user_agent: str = "") -> list[str]:
    return [account.provider for account in checkout.accepted(shop, user_agent)]


def test_the_scanning_apps_own_wallet_comes_first(mei: Person, jade: Desk) -> None:
    assert names(mei.shop) == ["sandbox", "jadepay"]
    assert names(mei.shop, jadepay.IN_APP) == ["jadepay", "sandbox"]
    assert names(mei.shop, "MyJadePay/1 JadePa/2") == ["sandbox", "jadepay"]


def test_a_wallet_is_taken_in_its_currencies_and_while_it_is_on(
    mei: Person, arjun: Person, jade: Desk, settings: LazySettings
) -> None:
    assert names(arjun.shop, jadepay.IN_APP) == ["sandbox"]
    settings.JADEPAY_URL = ""
    assert names(mei.shop, jadepay.IN_APP) == ["sandbox"]


def test_of_one_provider_the_shops_own_account_is_taken_and_of_several_the_newest(
    mei: Person, arjun: Person, account: ProviderAccount
) -> None:
    own = direct(mei.shop)
    assert (checkout.accepted(mei.shop), checkout.accepted(arjun.shop)) == ([own], [account])
    newer = ProviderAccount.objects.create(
        provider="sandbox", name="newer", funds="direct", shop=mei.shop, sealed_credentials=own.sealed_credentials
    )
    assert checkout.accepted(mei.shop) == [newer]
    newer.active = False
    newer.save()
    assert checkout.accepted(mei.shop) == [own]


def test_payers_are_sent_to_the_origins_of_these_accounts_only(
    account: ProviderAccount, jade: Desk, settings: LazySettings
) -> None:
    settings.SANDBOX_URL = "http://127.0.0.1:8002/some/path"
    assert checkout.origins([]) == []
    assert checkout.origins([account, account]) == ["http://127.0.0.1:8002"]
    both = ["https://api.jade.example", "https://pay.jade.example", "http://127.0.0.1:8002"]
    assert checkout.origins([jade.account, account]) == both
    settings.JADEPAY_URL = ["https://one.example/a", "https://two.example:8443"]  # One of several banks.
    several = ["https://one.example", "https://two.example:8443", "https://pay.jade.example"]
    assert checkout.origins([jade.account]) == several
    settings.SANDBOX_URL = ""
    assert checkout.origins([account]) == []


def test_a_payer_pays_by_the_wallet_she_chose(apples: Item, jade: Desk) -> None:
    for wallet in ("jadepay", "sandbox"):
        assert begin(apples.codes.get(), wallet=wallet).provider_account.provider == wallet
    assert begin(apples.codes.get()).provider_account.provider == "sandbox"
    in_app = checkout.Browser(user_agent=jadepay.IN_APP, address="203.0.113.9")
    assert begin(apples.codes.get(), browser=in_app).provider_account.provider == "jadepay"
    assert [(visit.place, visit.address) for visit in jade.visits] == [("computer", ""), ("own_app", "203.0.113.9")]


@pytest.mark.parametrize("wallet", ["wechatpay!", "jadepay", "SANDBOX", "x" * 1000, "\0"])
def test_a_wallet_that_the_shop_does_not_take_starts_nothing(apples: Item, wallet: str) -> None:
    assert refused(apples.codes.get(), wallet=wallet) == "wallet_not_taken"


# --- Who the payer is at her wallet ----------------------------------------------------------------------------------


def come_back(intent: PaymentIntent, grant: str, payer: str = "payer") -> PaymentIntent | None:
    return checkout.identified(
        receipt=intent.receipt, payer=payer, grant=grant, browser=checkout.Browser(), now=timezone.now()
    )


def test_a_grant_finishes_the_start_of_its_own_payer_once(apples: Item, jade: Desk) -> None:
    jade.answer = lambda visit: Started("jade_1", qr="code") if visit.grant else Started("", redirect_url="https://ask")
    intent = begin(apples.codes.get(), wallet="jadepay")
    assert (intent.redirect_url, intent.handover, intent.startable) == ("https://ask", {}, True)
    assert come_back(intent, "g", payer="somebody else") is None
    assert PaymentIntent.objects.get().handover == {}
    for _ in range(2):
        known = come_back(intent, "g")
        assert known is not None
        assert (known.redirect_url, known.handover, known.provider_object_id) == ("", {"qr": "code"}, "jade_1")
    assert [visit.grant for visit in jade.visits] == ["", "g"]


def test_a_slow_first_answer_does_not_undo_the_handover_that_came_after_it(apples: Item, jade: Desk) -> None:
    page = uuid.uuid4()

    def overtaken(visit: Visit) -> Started:
        PaymentIntent.objects.update(handover={"qr": "code"}, provider_object_id="jade_1")
        return Started("", redirect_url="https://ask")

    jade.answer = overtaken
    intent = begin(apples.codes.get(), page=page, wallet="jadepay")
    assert (intent.redirect_url, intent.handover) == ("", {"qr": "code"})
    stored = PaymentIntent.objects.get()
    assert (stored.redirect_url, stored.handover, stored.provider_object_id) == ("", {"qr": "code"}, "jade_1")


def test_of_two_taps_at_once_the_one_that_got_through_counts(apples: Item, jade: Desk) -> None:
    def late(visit: Visit) -> Started:
        PaymentIntent.objects.update(redirect_url="https://pay", provider_object_id="jade_1")
        raise ProviderError("asked twice", permanent=False)

    jade.answer = late
    intent = begin(apples.codes.get(), wallet="jadepay")
    assert (intent.redirect_url, intent.start_failure) == ("https://pay", "")
    assert PaymentIntent.objects.get().start_failure == ""


# --- One-time codes --------------------------------------------------------------------------------------------------


def test_a_one_time_code_has_at_most_one_open_intent(once: Code) -> None:
    intent = begin(once)
    assert (intent.amount, intent.description, intent.single_use) == (500, "Table 7", True)
    assert refused(once) == "code_in_use"


def test_a_one_time_code_that_was_paid_is_used(once: Code) -> None:
    paid(begin(once)).deliver()
    drain()
    assert refused(once) == "code_used"


def test_a_one_time_code_that_was_paid_late_is_used_too(once: Code) -> None:
    intent = begin(once)
    closed(intent).deliver()
    paid(intent).deliver()
    drain()
    intent.refresh_from_db()
    assert (intent.state, intent.payments.get().match) == ("expired", "late")
    assert refused(once) == "code_used"
    assert PaymentIntent.objects.count() == 1


def test_a_one_time_code_whose_payer_refused_can_be_paid_by_the_next(once: Code) -> None:
    closed(begin(once), refused=True).deliver()
    drain()
    assert begin(once).state == "open"


def test_the_shops_printed_code_serves_many_payers_at_once(apples: Item) -> None:
    for _ in range(3):
        begin(apples.codes.get())
    assert PaymentIntent.objects.filter(state="open").count() == 3


# --- The same page ---------------------------------------------------------------------------------------------------


def test_the_same_page_twice_is_the_same_intent(apples: Item) -> None:
    page = uuid.uuid4()
    first = begin(apples.codes.get(), page=page)
    again = begin(apples.codes.get(), page=page, quantity=5)
    assert (again.id, again.amount, again.receipt) == (first.id, 200, first.receipt)
    assert PaymentIntent.objects.count() == 1


def test_a_copied_page_shows_nobody_elses_intent(mei: Person, apples: Item) -> None:
    page = uuid.uuid4()
    begin(apples.codes.get(), page=page)
    cases: list[Callable[[], PaymentIntent]] = [
        lambda: begin(apples.codes.get(), page=page, payer="somebody else"),
        lambda: begin(shop_code(mei.shop), 5, page=page),
    ]
    for case in cases:
        with pytest.raises(checkout.UnableToStart) as refusal:
            case()
        assert refusal.value.code == "page_of_another"
    assert PaymentIntent.objects.count() == 1


def test_a_page_that_was_paid_stays_paid(apples: Item) -> None:
    page = uuid.uuid4()
    paid(begin(apples.codes.get(), page=page)).deliver()
    drain()
    Shop.objects.update(state="frozen")
    assert begin(apples.codes.get(), page=page).state == "paid"


# --- What an intent carries ------------------------------------------------------------------------------------------


def test_an_intent_carries_price_goods_seller_and_its_times(mei: Person, apples: Item, now: datetime) -> None:
    lan = hire(mei.shop, "+8613900139001")
    code = apples.codes.get()
    code.staff = lan.staff
    code.save()
    intent = checkout.start(code=code, amount=None, quantity=3, page=uuid.uuid4(), payer="p", now=now)
    assert (intent.amount, intent.currency, intent.quantity, intent.description) == (600, "CNY", 3, "Apples × 3")
    assert (intent.shop, intent.item, intent.code, intent.staff) == (mei.shop, apples, code, lan.staff)
    assert (intent.created_at, intent.expires_at) == (now, now + timedelta(minutes=15))
    timer = IntentTimer.objects.get(intent=intent)
    assert (timer.next_query_at, timer.next_close_at) == (now + timedelta(seconds=10), now + timedelta(minutes=15))
    assert (timer.queries, timer.provider_account) == (0, intent.provider_account)
    assert len(intent.receipt) == 22


def test_the_price_is_the_one_of_this_moment_and_stays_the_intents(apples: Item) -> None:
    intent = begin(apples.codes.get())
    Item.objects.update(amount=999)
    intent.refresh_from_db()
    assert intent.amount == 200
    assert begin(apples.codes.get()).amount == 999


def test_the_first_start_locks_the_shops_currency(api: APIClient, mei: Person, apples: Item, now: datetime) -> None:
    first = expect(apples.codes.get(), now=now)
    mei.shop.refresh_from_db()
    assert mei.shop.currency_locked_at == first.created_at == now
    expect(apples.codes.get(), now=now + timedelta(minutes=1))
    mei.shop.refresh_from_db()
    assert mei.shop.currency_locked_at == now
    status, _code = problem(api.patch("/api/v1/shop", {"currency": "USD"}))
    assert status in (400, 409)
    mei.shop.refresh_from_db()
    assert mei.shop.currency == "CNY"


def test_a_shops_own_account_comes_before_the_platforms(
    mei: Person, arjun: Person, apples: Item, account: ProviderAccount
) -> None:
    own = direct(mei.shop)
    tea = items.create(shop=arjun.shop, name="Tea", amount=10, unit="cup", photo=None, now=timezone.now())
    assert begin(apples.codes.get()).provider_account == own
    assert begin(tea.codes.get()).provider_account == account
    own.active = False
    own.save()
    assert begin(apples.codes.get()).provider_account == account


def test_a_receipt_is_found_by_its_secret_only(apples: Item) -> None:
    intent = begin(apples.codes.get())
    assert checkout.receipt(intent.receipt) == intent
    assert checkout.receipt(intent.receipt[:-1]) is None
    assert checkout.receipt(str(intent.id)) is None


# --- The wallet ------------------------------------------------------------------------------------------------------


def test_a_payer_is_sent_to_the_wallet_that_knows_the_order(wallet: Wallet, apples: Item) -> None:
    with known_at(wallet):
        intent = begin(apples.codes.get())
        assert (intent.redirect_url.startswith(f"{wallet.url}/pay/wor_"), intent.start_failure) == (True, "")
        page = wallet.session.get(intent.redirect_url, timeout=5)
        assert page.status_code == 200
        assert "Apples" in page.text
        stored = PaymentIntent.objects.get()
        assert (stored.redirect_url, stored.start_failure) == (intent.redirect_url, "")


def test_a_wallet_that_is_down_leaves_the_intent_open_and_the_same_page_tries_again(
    wallet: Wallet, apples: Item, settings: LazySettings
) -> None:
    page = uuid.uuid4()
    settings.SANDBOX_URL = "http://127.0.0.1:9"
    intent = begin(apples.codes.get(), page=page)
    assert (intent.state, intent.redirect_url) == ("open", "")
    assert intent.start_failure == "cannot be reached: ConnectionError"
    assert PaymentIntent.objects.get().start_failure == intent.start_failure

    with known_at(wallet):
        again = begin(apples.codes.get(), page=page)
        assert again.id == intent.id
        assert again.redirect_url.startswith(f"{wallet.url}/pay/wor_")
        stored = PaymentIntent.objects.get()
        assert (stored.redirect_url, stored.start_failure) == (again.redirect_url, "")

        third = begin(apples.codes.get(), page=page)
        assert third.redirect_url == again.redirect_url


def test_after_a_crash_behind_the_wallets_answer_the_same_order_is_found_again(wallet: Wallet, apples: Item) -> None:
    with known_at(wallet):
        page = uuid.uuid4()
        first = begin(apples.codes.get(), page=page).redirect_url
        PaymentIntent.objects.update(redirect_url="")  # The answer was lost before it was written.
        assert begin(apples.codes.get(), page=page).redirect_url == first


def test_an_intent_whose_time_is_over_is_not_started_again(wallet: Wallet, apples: Item, now: datetime) -> None:
    page = uuid.uuid4()
    early = now - timedelta(minutes=16)
    checkout.start(code=apples.codes.get(), amount=None, quantity=1, page=page, payer="payer", now=early)
    with known_at(wallet):
        assert begin(apples.codes.get(), page=page).redirect_url == ""
