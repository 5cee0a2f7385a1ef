"""The desk where discrepancies end: what it shows of them, its forms, the second pair of eyes, and settlements."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.utils import timezone

from merchants.lists import public_id
from payments.models import Adjustment, Discrepancy, LedgerEntry, Match, Payment, Settlement
from tests.bank_day import HOUR, bank_says, credit, look, settled
from tests.cast import MEI_PHONE, Person
from tests.operators import CHIEF_PHONE, Operator, acts, quick_passwords, signed_in  # noqa: F401
from tests.test_payments_admin import _without_permission, assert_obeys_the_policy
from tests.till import assert_books_hold, drain, paid, platform, total

pytestmark = pytest.mark.django_db

DESK = "/admin/payments/discrepancy"


@pytest.fixture(autouse=True)
def held(db: None) -> None:
    platform()


@pytest.fixture
def wei() -> Operator:
    """An operator."""
    return signed_in()


@pytest.fixture
def chen() -> Operator:
    """Another operator."""
    return signed_in(CHIEF_PHONE)


@pytest.fixture
def short(now: datetime) -> Discrepancy:
    """Of 10.00 the bank got 9.70."""
    settled("stl_0001", 1_000, now=now)
    bank_says(credit(970, "stl_0001"), now=now)
    look(now)
    return Discrepancy.objects.get()


@pytest.fixture
def lost() -> Discrepancy:
    """0.77 that came with a reference of nobody."""
    paid(reference="nobody", amount=77, object_id="wpy_lost").deliver()
    drain()
    return Discrepancy.objects.get()


def page(operator: Operator, address: str) -> str:
    answer = operator.client.get(address)
    assert answer.status_code == 200, address
    assert_obeys_the_policy(answer)
    return answer.text


def end(operator: Operator, row: Discrepancy, remedy: str, **form: str) -> Any:
    return operator.client.post(f"{DESK}/{row.pk}/remedy/{remedy}/", {"note": "I called them", **form})


def test_its_page_shows_what_was_compared_and_what_can_be_done(wei: Operator, short: Discrepancy) -> None:
    text = page(wei, f"{DESK}/{short.pk}/change/")
    for said in ("The settlement", "stl_0001", "CN¥10.00", "CN¥9.70", "CN¥0.30", "Claim the rest from the provider",
                 "Accept what arrived", f"{DESK}/{short.pk}/remedy/accept_settlement/", "Above CN¥500.00",
                 "Nothing yet."):  # fmt: skip
        assert said in text, said
    assert "Give it to a shop" not in text
    settlement = Settlement.objects.get()
    assert f"/admin/payments/settlement/{settlement.pk}/change/" in text


def test_a_difference_is_accepted_and_its_page_tells_the_story(wei: Operator, short: Discrepancy) -> None:
    wei.act("payments/discrepancy", short, "take")
    form = page(wei, f"{DESK}/{short.pk}/remedy/accept_settlement/")
    assert "our loss, or our gain" in form
    assert "all of CN¥0.30" in form
    answer = end(wei, short, "accept_settlement")
    assert answer.status_code == 302
    assert acts() == [("take", ""), ("adjust", "I called them")]
    assert total("adjustments") == -30
    text = page(wei, f"{DESK}/{short.pk}/change/")
    adjustment = Adjustment.objects.get()
    for said in (public_id(adjustment), "Closed with: Accept what arrived: I called them", "amount: 30", "adjust"):
        assert said in text, said
    assert "What can be done with its money" not in text
    assert_books_hold()


def test_a_part_is_typed_as_people_write_money(wei: Operator, short: Discrepancy) -> None:
    answer = end(wei, short, "accept_settlement", part="0,105")
    assert "This is no amount in this currency." in answer.text
    assert "not more than the discrepancy is about" in end(wei, short, "accept_settlement", part="0.31").text
    assert not Adjustment.objects.exists()
    end(wei, short, "accept_settlement", part="0.1")
    assert Adjustment.objects.get().amount == 10
    short.refresh_from_db()
    assert (short.amount, short.state) == (20, "open")


@pytest.mark.parametrize("typed", ["id", MEI_PHONE, "+86 138-0013-8000"])
def test_a_shop_is_named_by_its_id_or_its_owners_phone(
    wei: Operator, lost: Discrepancy, mei: Person, typed: str
) -> None:
    end(wei, lost, "place_with_shop", shop=public_id(mei.shop) if typed == "id" else typed)
    assert Payment.objects.get().shop == mei.shop
    assert total("shop_available", shop=mei.shop) == 77
    assert_books_hold()


@pytest.mark.parametrize("typed", ["", "shp_nonsense", "+8613", "+8613999999999", "Mei's fruit"])
def test_a_shop_that_is_not_found_is_not_paid(wei: Operator, lost: Discrepancy, mei: Person, typed: str) -> None:
    answer = end(wei, lost, "place_with_shop", shop=typed)
    assert answer.status_code == 200
    assert "errorlist" in answer.text
    assert not Adjustment.objects.exists()


def test_a_remedy_that_is_not_possible_any_more_says_so(wei: Operator, short: Discrepancy) -> None:
    for remedy in ("keep", "nonsense"):
        answer = wei.client.get(f"{DESK}/{short.pk}/remedy/{remedy}/", follow=True)
        assert "not possible here" in answer.text
    assert not Adjustment.objects.exists()


def test_what_is_above_the_limit_waits_on_a_page_of_its_own(
    wei: Operator, chen: Operator, short: Discrepancy, settings: LazySettings
) -> None:
    settings.FOUR_EYES_ABOVE = {"CNY": 20}
    assert "waits for a second operator" in wei.client.post(
        f"{DESK}/{short.pk}/remedy/accept_settlement/", {"note": "I called them"}, follow=True
    ).text  # fmt: skip
    adjustment = Adjustment.objects.get()
    assert "What can be done with its money" not in page(wei, f"{DESK}/{short.pk}/change/")
    listed = page(chen, "/admin/payments/adjustment/")
    for said in (public_id(adjustment), "Accept what arrived", "CN¥0.30", str(wei.user)):
        assert said in listed, said

    wei.act("payments/adjustment", adjustment, "agree", "still sure")
    assert "somebody else has to look" in page(wei, f"/admin/payments/adjustment/{adjustment.pk}/change/")
    assert not LedgerEntry.objects.filter(kind="adjusted").exists()

    chen.act("payments/adjustment", adjustment, "agree", "I called them too")
    assert total("adjustments") == -30
    assert acts() == [("propose", "I called them"), ("agree", "I called them too")]
    text = page(chen, f"/admin/payments/adjustment/{adjustment.pk}/change/")
    assert public_id(LedgerEntry.objects.get(kind="adjusted")) in text
    assert_books_hold()


def test_a_second_operator_may_say_no(
    wei: Operator, chen: Operator, short: Discrepancy, settings: LazySettings
) -> None:
    settings.FOUR_EYES_ABOVE = {"CNY": 20}
    end(wei, short, "accept_settlement")
    chen.act_on_list("payments/adjustment", [Adjustment.objects.get()], "refuse", "ask again")
    assert Adjustment.objects.get().state == "refused"
    assert Discrepancy.objects.get().state == "open"
    assert_books_hold()


def test_a_credit_is_matched_by_hand(wei: Operator, now: datetime) -> None:
    first, second = settled("stl_0001", 500, now=now), settled("stl_0002", 500, now=now + HOUR)
    bank_says(credit(500), now=now)
    look(now)
    question = Discrepancy.objects.get()
    assert "Match it with settlements" in page(wei, f"{DESK}/{question.pk}/change/")
    form = page(wei, f"{DESK}/{question.pk}/match/")
    assert "stl_0001: CN¥5.00" in form
    nothing = wei.client.post(f"{DESK}/{question.pk}/match/", {"note": "x"})
    assert "This field is required" in nothing.text
    wei.client.post(f"{DESK}/{question.pk}/match/", {"note": "the bank says so", "settlements": [str(second.pk)]})
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, second.state) == ("in_transit", "arrived")
    assert acts() == [("match_credit", "the bank says so")]
    text = page(wei, f"/admin/payments/settlement/{second.pk}/change/")
    for said in (str(Match.objects.get(rule="by_hand")), "by a person", "stl_0002", "CN¥5.00"):
        assert said in text, said
    assert_books_hold()


def test_settlements_show_three_amounts_side_by_side(wei: Operator, short: Discrepancy) -> None:
    listed = page(wei, "/admin/payments/settlement/")
    for said in ("stl_0001", "CN¥10.00", "CN¥9.70", "CN¥0.30", "differs"):
        assert said in listed, said
    found = page(wei, "/admin/payments/settlement/?q=stl_0001")
    assert public_id(Settlement.objects.get()) in found
    assert "0 settlements" in page(wei, "/admin/payments/settlement/?q=stl_9999")
    text = page(wei, f"/admin/payments/settlement/{Settlement.objects.get().pk}/change/")
    assert public_id(short) in text
    assert "Lines of our bank that pay it" in text


@pytest.mark.parametrize(
    ("asked", "found"),
    [("older=1", True), ("older=7", False), ("currency=CNY", True), ("currency=USD", False),
     ("reason__exact=settlement_differs", True), ("reason__exact=short", False), ("state__exact=open", True),
     ("whose=nobody", True), ("whose=mine", False), ("whose=nonsense", False)],
)  # fmt: skip
def test_the_queue_is_filtered(wei: Operator, short: Discrepancy, asked: str, found: bool) -> None:
    Discrepancy.objects.update(opened_at=timezone.now() - timedelta(days=2))
    paid(reference="nobody", amount=77, currency="USD").deliver()
    drain()
    Discrepancy.objects.filter(currency="USD").update(opened_at=timezone.now())
    assert (public_id(short) in page(wei, f"{DESK}/?{asked}")) is found


def test_whose_it_is_is_asked_by_operator(wei: Operator, chen: Operator, short: Discrepancy, mei: Person) -> None:
    wei.act("payments/discrepancy", short, "take")
    listed = page(chen, f"{DESK}/?whose={wei.user.pk}")
    assert public_id(short) in listed
    assert f"whose={mei.user.pk}" not in listed  # Only operators own questions.
    assert public_id(short) in page(wei, f"{DESK}/?whose=mine")
    assert public_id(short) not in page(chen, f"{DESK}/?whose=mine")


def test_who_may_only_look_ends_nothing(wei: Operator, lost: Discrepancy, settings: LazySettings) -> None:
    _without_permission(wei)
    assert "What can be done with its money" not in page(wei, f"{DESK}/{lost.pk}/change/")
    assert end(wei, lost, "keep").status_code == 403
    assert wei.client.get(f"{DESK}/{lost.pk}/match/").status_code == 403
    adjustment = Adjustment.objects.create(
        discrepancy=lost, remedy="keep", amount=77, currency="CNY", note="", proposed_by=wei.user,
        proposed_at=timezone.now(), four_eyes=True,
    )  # fmt: skip
    for act in ("agree", "refuse"):
        assert wei.act("payments/adjustment", adjustment, act, "x").status_code == 403
    adjustment.refresh_from_db()
    assert adjustment.state == "proposed"


def test_nobody_adds_changes_or_deletes_them_by_hand(wei: Operator, short: Discrepancy) -> None:
    end(wei, short, "accept_settlement")
    for table in (Adjustment, Settlement):
        row = table._default_manager.get()
        base = f"/admin/payments/{table._meta.model_name}"
        for address in (f"{base}/add/", f"{base}/{row.pk}/change/", f"{base}/{row.pk}/delete/"):
            assert wei.client.post(address, {"post": "yes", "amount": "1", "state": "posted"}).status_code == 403
