"""A shop's whole story on one page: exact sums, bounded lists, found by anything of it, for whom may see each part."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from merchants import audit, ids, notify
from merchants.lists import public_id
from merchants.models import Code, CodeAlarm, ScanCount, Staff, User, WalletCode
from payments import story
from payments.admin import links
from payments.models import (
    Discrepancy,
    Dispute,
    IntentTimer,
    Payment,
    PaymentIntent,
    PayoutAccount,
    ProviderAccount,
    QueuedEvent,
    Refund,
    ReportedSale,
)
from tests.cast import MEI_PHONE, Person, hire
from tests.operators import Operator, quick_passwords, signed_in  # noqa: F401
from tests.test_figures import payout
from tests.test_payments_admin import assert_obeys_the_policy
from tests.till import direct, disputed, drain, expect, paid, platform, refund_told, shop_code

pytestmark = pytest.mark.django_db
QUESTIONS_MAX = 30


@pytest.fixture
def wei() -> Operator:
    """An operator."""
    return signed_in()


@pytest.fixture
def sold(mei: Person) -> Payment:
    """Mei was paid 5.00, of which 1.00 went back and 2.00 is contested."""
    platform()
    paid(expect(shop_code(mei.shop), 500), object_id="wpy_of_mei").deliver()
    drain()
    payment = Payment.objects.get()
    refund_told(payment, "succeeded", amount=100, object_id="wrf_of_mei").deliver()
    disputed(payment, "opened", amount=200, object_id="wdp_of_mei").deliver()
    drain()
    return payment


def page(operator: Operator, person: Person) -> Any:
    return operator.client.get(f"/admin/merchants/shop/{person.shop.pk}/change/")


def rows(answer: Any, part: str) -> list[list[str]]:
    """A table of the page, without its links."""
    parts = {one.id: one for one in answer.context["parts"]}
    return [[unescape(re.sub("<[^>]+>", "", str(cell))) for cell in row] for row in parts[part].rows]


# --- Sums ------------------------------------------------------------------------------------------------------------


def test_money_is_summed_by_day_on_the_shops_own_clock(mei: Person, arjun: Person) -> None:
    account = platform()
    now = datetime(2026, 11, 28, 17, 0, tzinfo=UTC)  # In Guangzhou it is the 29th already, one in the morning.
    assert mei.shop.time_zone == "Asia/Shanghai"
    times = [(200, 0, "CNY"), (300, 2, "CNY"), (500, 24 * 29, "CNY"), (7000, 24 * 30 + 2, "CNY"), (40, 1, "INR")]
    for amount, hours, currency in times:
        _payment(account, mei, amount, now - timedelta(hours=hours), currency=currency)
    _payment(account, arjun, 9_000, now)
    old = _payment(account, mei, 100, now - timedelta(hours=50))
    for amount, state in ((30, "succeeded"), (20, "requested"), (50, "failed")):
        Refund.objects.create(
            id=ids.new(now), payment=old, shop=mei.shop, amount=amount, currency="CNY", state=state, created_at=now
        )
    yuan, rupees = story.money(shop=mei.shop, now=now)
    assert (yuan.currency, len(yuan.days), yuan.today) == ("CNY", 30, story.Sums(1, 200, 2, 50))
    assert yuan.whole == story.Sums(4, 1100, 2, 50)
    assert (rupees.currency, rupees.today, rupees.whole) == ("INR", story.Sums(1, 40, 0, 0), story.Sums(1, 40, 0, 0))
    assert [(of.currency, of.whole.came) for of in story.money(shop=arjun.shop, now=now)] == [("INR", 0), ("CNY", 9000)]


def test_a_shop_without_a_sale_has_days_of_nothing(mei: Person) -> None:
    (told,) = story.money(shop=mei.shop, now=timezone.now())
    assert (told.currency, len(told.days), told.whole) == ("CNY", 30, story.Sums())


def test_codes_tell_their_scans_and_payments_of_thirty_days(mei: Person, sold: Payment) -> None:
    now = timezone.now()
    code = shop_code(mei.shop)
    other = Code.objects.create(shop=mei.shop, kind="shop", label="the other one")
    for hours, scans in ((1, 3), (24 * 10, 4), (24 * 31, 90)):
        ScanCount.objects.create(code=code, hour=now - timedelta(hours=hours), scans=scans)
    did = story.of_codes(shop=mei.shop, codes=[code, other], now=now)
    assert did == {code.id: story.Did(scans=7, payments=1, sums={"CNY": 500}), other.id: story.Did()}


# --- The page --------------------------------------------------------------------------------------------------------


def test_the_page_tells_everything_of_the_shop(wei: Operator, mei: Person, lan: Person, sold: Payment) -> None:
    _a_life(mei, 1)
    wei.act("merchants/shop", mei.shop, "freeze", "a stolen phone")
    answer = page(wei, mei)
    assert_obeys_the_policy(answer)
    assert rows(answer, "money-cny") == [
        ["today", "1", "CN¥5.00", "1", "CN¥1.00"],
        ["last 30 days", "1", "CN¥5.00", "1", "CN¥1.00"],
    ]
    assert ["Shop Pending", "Held", "CN¥2.00"] in rows(answer, "balances")
    assert [(row[0], row[2]) for row in rows(answer, "people")] == [(MEI_PHONE, "Owner"), (lan.phone, "Assistant")]
    [code] = [row for row in rows(answer, "codes") if row[0] == shop_code(mei.shop).slug]
    assert code == [code[0], "Shop", "–", "Active", "0", "1", "CN¥5.00"]
    [[shown, amount, match, provider_id, _when]] = rows(answer, "payments")
    assert (shown, amount, match, provider_id) == (public_id(sold), "CN¥5.00", "Exact", "wpy_of_mei")
    assert [row[1:4] for row in rows(answer, "refunds")] == [["CN¥1.00", "Succeeded", public_id(sold)]]
    assert [row[1:4] for row in rows(answer, "disputes")] == [["CN¥2.00", "Open", public_id(sold)]]
    assert [row[1:3] for row in rows(answer, "payouts")] == [["CN¥0.70", "Prepared"]]
    assert [row[1:] for row in rows(answer, "payout-accounts")] == [["Waiting", "Mei", "1234", "not yet"]]
    assert [row[1:3] for row in rows(answer, "providers")] == [["Direct", "yes"]]
    assert [row[1:3] for row in rows(answer, "events")] == [["Quarantined", "it makes no sense"]]
    assert [row[1:3] for row in rows(answer, "questions")] == [["paid twice", "CN¥9.00"]]
    assert [row[3] for row in rows(answer, "alarms")] == ["open"]
    assert [row[1:] for row in rows(answer, "wallet-codes")] == [["upi", "Mei", "Active"]]
    assert [row[1] for row in rows(answer, "reported")] == ["CN¥3.00"]
    assert rows(answer, "notices")[0][:2] == [str(mei.shop.notices.latest("number").number), "code_alarm"]
    assert [row[1:] for row in rows(answer, "trail")] == [
        [wei.user.phone, "freeze", "the shop", "a stolen phone"],
        [wei.user.phone, "suspend", f"code {public_id(shop_code(mei.shop))}", "a tip"],
    ]
    for part in answer.context["parts"]:
        for address in [
            part.every,
            *re.findall(r'href="([^"]+)"', "".join(str(cell) for row in part.rows for cell in row)),
        ]:
            if address:
                assert wei.client.get(unescape(address)).status_code == 200, address


def test_nothing_of_another_shop_is_told(wei: Operator, mei: Person, arjun: Person, sold: Payment) -> None:
    _a_life(mei, 1)
    answer = page(wei, arjun)
    full = {part.id for part in answer.context["parts"] if part.rows}
    assert full == {"money-inr", "people", "codes"}
    assert MEI_PHONE not in answer.text


def test_lists_are_bounded_and_the_page_is_as_many_questions_whatever_the_size(
    wei: Operator, mei: Person, sold: Payment
) -> None:
    _a_life(mei, 1)
    page(wei, mei)  # What Django remembers of its own tables, it has asked then.
    with CaptureQueriesContext(connection) as few:
        page(wei, mei)
    _a_life(mei, 24)
    with CaptureQueriesContext(connection) as many:
        answer = page(wei, mei)
    assert len(few) == len(many) <= QUESTIONS_MAX
    parts = {part.id: part for part in answer.context["parts"]}
    assert {len(part.rows) for part in parts.values()} - set(range(6)) == {20}
    more = {name for name, part in parts.items() if part.more}
    assert more == {"people", "codes", "payments", "refunds", "disputes", "intents", "payouts", "providers", "events",
                    "questions", "alarms", "wallet-codes", "reported", "notices", "trail"}  # fmt: skip
    assert answer.text.count("These are the newest; there are more.") == len(more)


def test_an_operator_sees_the_parts_that_her_permissions_allow(wei: Operator, mei: Person, sold: Payment) -> None:
    wei.user.groups.clear()
    assert page(wei, mei).status_code == 403
    wei.user.user_permissions.set(Permission.objects.filter(codename="view_shop"))
    answer = page(wei, mei)
    assert answer.context["parts"] == []
    assert [text in answer.text for text in (MEI_PHONE, shop_code(mei.shop).slug, "CN¥5.00")] == [False] * 3
    allowed = {
        "view_payment": ["money-cny", "payments"],
        "view_account": ["balances"],
        "view_staff": ["people"],
        "view_code": ["codes"],
        "view_queuedevent": ["events"],
        "view_operatoract": ["trail"],
    }
    for name, parts in allowed.items():
        wei.user.user_permissions.set(Permission.objects.filter(codename__in=["view_shop", name]))
        assert [one.id for one in page(wei, mei).context["parts"]] == parts


# --- The way to it ---------------------------------------------------------------------------------------------------


def test_a_search_on_the_front_page_leads_to_it_in_two_clicks(wei: Operator, mei: Person, sold: Payment) -> None:
    front = wei.client.get("/admin/").text
    assert 'action="/admin/find/" method="get" role="search"' in front
    intent, refund, dispute = PaymentIntent.objects.get(), Refund.objects.get(), Dispute.objects.get()
    money = payout(mei, "sent", 70, timezone.now())
    terms = [MEI_PHONE, "+86 138 0013", shop_code(mei.shop).slug, intent.receipt, "wpy_of_mei", "wrf_of_mei"]
    terms += ["wdp_of_mei", *map(public_id, (sold, intent, refund, dispute, money, mei.shop, shop_code(mei.shop)))]
    for term in [*terms, "fruit"]:
        found = wei.client.get("/admin/merchants/shop/", {"q": term})
        assert f'href="/admin/merchants/shop/{mei.shop.pk}/change/' in found.text, term
    for term in ("wpy_of_nobody", ids.public("pay", ids.new()), "+91 98765 43210"):
        assert "/change/" not in wei.client.get("/admin/merchants/shop/", {"q": term}).text, term


def test_one_search_leads_to_whatever_is_called_so(wei: Operator, mei: Person, sold: Payment) -> None:
    intent, refund, dispute = PaymentIntent.objects.get(), Refund.objects.get(), Dispute.objects.get()
    money = payout(mei, "sent", 70, timezone.now())
    code = shop_code(mei.shop)
    leads = {
        MEI_PHONE: mei.shop,
        " +86 138 0013 ": mei.shop,
        code.slug: code,
        intent.receipt: sold,
        "wpy_of_mei": sold,
        "wrf_of_mei": refund,
        "wdp_of_mei": dispute,
        str(sold.pk): sold,
        "fruit": mei.shop,
        **{public_id(row): row for row in (sold, intent, refund, dispute, money, mei.shop, code)},
    }
    for term, row in leads.items():
        found = wei.client.get("/admin/find/", {"q": term})
        assert (found.status_code, found.headers.get("Location")) == (302, links.address(row)), term
    for term in ("wpy_of_nobody", ids.public("pay", ids.new()), "+91 98765 43210", "<b>", "pay_x", "x" * 500):
        found = wei.client.get("/admin/find/", {"q": term})
        assert (found.status_code, found.context["parts"]) == (200, []), term
    assert "Nothing is called “&lt;b&gt;”" in wei.client.get("/admin/find/", {"q": "<b>"}).text
    assert_obeys_the_policy(wei.client.get("/admin/find/"))


def test_what_several_are_called_is_listed_by_what_it_is(wei: Operator, mei: Person, arjun: Person) -> None:
    for person, account in ((mei, platform()), (arjun, direct(arjun.shop))):
        _payment(account, person, 500, timezone.now())
    Payment.objects.update(object_id="same")
    [part] = wei.client.get("/admin/find/", {"q": "same"}).context["parts"]
    assert (part.id, len(part.rows), part.more) == ("found-payment", 2, False)


def test_a_search_finds_nothing_that_is_not_hers_to_see(wei: Operator, mei: Person, sold: Payment) -> None:
    wei.user.groups.clear()
    for term in (MEI_PHONE, public_id(sold), "wpy_of_mei", "fruit"):
        assert wei.client.get("/admin/find/", {"q": term}).context["parts"] == []
    assert wei.client.get("/admin/merchants/shop/", {"q": MEI_PHONE}).status_code == 403
    wei.user.user_permissions.set(Permission.objects.filter(codename="view_payment"))
    assert wei.client.get("/admin/find/", {"q": "wpy_of_mei"}).headers["Location"] == links.address(sold)
    assert wei.client.get("/admin/find/", {"q": MEI_PHONE}).context["parts"] == []


def _payment(account: ProviderAccount, person: Person, amount: int, at: datetime, currency: str = "CNY") -> Payment:
    return Payment.objects.create(
        id=ids.new(at),
        provider_account=account,
        object_id=str(ids.new(at)),
        shop=person.shop,
        amount=amount,
        currency=currency,
        match="exact",
        placed=True,
        occurred_at=at,
        recorded_at=at,
    )


def _a_life(mei: Person, times: int) -> None:
    """So many of everything that the page tells of, but for payments, refunds and disputes of the first time."""
    now = timezone.now()
    account = direct(mei.shop)
    operator = User.objects.filter(is_staff=True).first()
    assert operator is not None
    code = shop_code(mei.shop)
    grown = times > 1
    for number in range(times):
        event = paid(account=account)
        event.deliver()
        QueuedEvent.objects.filter(state="queued").update(state="quarantined", reason="it makes no sense")
        Discrepancy.objects.create(
            key=str(ids.new()), reason="double", provider_account=account, shop=mei.shop, amount=900, currency="CNY",
            opened_at=now,
        )  # fmt: skip
        payout(mei, "prepared", 70, now)
        CodeAlarm.objects.create(
            shop=mei.shop, code=code, kind="silent", evidence={"count": 9}, raised_at=now,
            **({"ended_at": now, "ending": "fine"} if grown else {}),
        )  # fmt: skip
        wallet = WalletCode.objects.create(
            shop=mei.shop, staff=mei.staff, profile="upi", payload="upi://pay", payee="Mei", account="m@upi",
            created_at=now,
        )  # fmt: skip
        ReportedSale.objects.create(
            shop=mei.shop, wallet_code=wallet, staff=mei.staff, amount=300, currency="CNY", reported_at=now
        )
        notify.tell([notify.Telling(mei.shop.id, "code_alarm", {})], now=now)
        audit.record(
            operator=operator,
            act="suspend",
            subject=mei.shop if grown else code,
            reason="a tip",
            before={},
            after={},
            now=now,
        )
        if grown:
            _grow(mei, account, code, number)
    assert PayoutAccount.objects.filter(shop=mei.shop).count() == 1


def _grow(mei: Person, account: ProviderAccount, code: Code, number: int) -> None:
    now = timezone.now()
    hire(mei.shop, f"+86139001390{number:02d}", Staff.Role.MANAGER)
    Code.objects.create(shop=mei.shop, kind="shop", label=f"number {number}")
    ProviderAccount.objects.create(
        provider="sandbox", name=f"another-{number}", funds="direct", shop=mei.shop, sealed_credentials=b""
    )
    intent = PaymentIntent.objects.create(
        shop=mei.shop, code=code, provider_account=account, amount=800, currency="CNY", page=ids.new(), payer="x",
        receipt=f"receipt-{number}", created_at=now, expires_at=now,
    )  # fmt: skip
    IntentTimer.objects.create(intent=intent, provider_account=account, next_close_at=now)
    payment = _payment(account, mei, 100, now)
    Refund.objects.create(payment=payment, shop=mei.shop, amount=1, currency="CNY", created_at=now)
    Dispute.objects.create(
        payment=payment, shop=mei.shop, object_id=f"wdp_{number}", amount=1, currency="CNY", told_at=now, opened_at=now
    )
