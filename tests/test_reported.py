"""Sales by a wallet code of the shop's own: noted by the vendor, unconfirmed, summed apart, taken back the same day."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from merchants import ids
from merchants.models import IdempotentReply, Shop, Staff, WalletCode
from merchants.refusals import Refused
from payments import reported
from payments.models import ReportedSale
from tests.cast import Person, field_problems, hire, problem
from tests.operators import quick_passwords, signed_in  # noqa: F401

pytestmark = pytest.mark.django_db
SALES = "/api/v1/reported-sales"


def wallet_code(person: Person) -> WalletCode:
    return WalletCode.objects.create(
        shop=person.shop,
        staff=person.staff,
        profile="promptpay",
        payload="as scanned",
        payee="Mei",
        account="0812345678",
        created_at=timezone.now(),
    )


def note(person: Person, code: WalletCode, amount: int = 1200, *, key: str = "", **fields: Any) -> Any:
    body = {
        "wallet_code": ids.public("wco", code.id),
        "price": {"amount": amount, "currency": person.shop.currency},
        **fields,
    }
    return person.api().post(SALES, body, headers={"Idempotency-Key": key} if key else {})


def of_today(person: Person, **query: str) -> Any:
    answer = person.api().get(SALES, query)
    assert answer.status_code == 200, answer.content
    return answer.json()


def moved(sale: dict[str, Any], **by: float) -> None:
    """As if it had been noted that much earlier: its id tells its time."""
    row = ReportedSale.objects.get(id=ids.parse("rep", sale["id"]))
    at = row.reported_at - timedelta(**by)
    ReportedSale.objects.filter(id=row.id).update(id=ids.new(at), reported_at=at)


def test_a_noted_sale_is_unconfirmed_and_stands_in_the_sum_of_its_day(mei: Person, lan: Person) -> None:
    code = wallet_code(mei)
    answer = note(lan, code, note=" two piles ")
    assert answer.status_code == 201
    row = ReportedSale.objects.get()
    assert answer.json() == {
        "id": ids.public("rep", row.id),
        "state": "unconfirmed",
        "wallet_code": ids.public("wco", code.id),
        "staff": ids.public("stf", lan.staff.id),
        "price": {"amount": 1200, "currency": "CNY"},
        "note": "two piles",
        "reported_at": answer.json()["reported_at"],
        "withdrawn_at": None,
    }
    second = note(mei, code, 300).json()
    today = of_today(mei)
    assert today == {
        "day": reported.day(mei.shop, "", now=timezone.now()).name,
        "state": "unconfirmed",
        "sentence": "Noted by you. No server has confirmed any of it, and it is in none of your totals.",
        "sums": [{"price": {"amount": 1500, "currency": "CNY"}, "count": 2}],
        "next": None,
        "previous": None,
        "results": [second, answer.json()],
    }
    page = of_today(mei, limit="1")
    assert (page["results"], page["sums"]) == ([second], today["sums"])
    assert mei.api().get(page["next"]).json()["results"] == [answer.json()]


def test_the_same_note_sent_twice_is_one_note(mei: Person) -> None:
    code = wallet_code(mei)
    first, again = note(mei, code, key="k"), note(mei, code, key="k")
    assert (first.status_code, again.json(), again.headers["Idempotent-Replayed"]) == (201, first.json(), "true")
    assert ReportedSale.objects.count() == 1


def test_days_are_those_of_the_shop(mei: Person) -> None:
    Shop.objects.filter(id=mei.shop.id).update(time_zone="Pacific/Kiritimati")
    mei.shop.refresh_from_db()
    sale = note(mei, wallet_code(mei)).json()
    moved(sale, days=1)
    yesterday = reported.day(mei.shop, "", now=timezone.now() - timedelta(days=1))
    assert of_today(mei)["results"] == []
    assert [row["price"]["amount"] for row in of_today(mei, day=yesterday.name)["results"]] == [1200]
    assert yesterday.start <= ReportedSale.objects.get().reported_at < yesterday.end
    for wrong in ("2026-13-01", "yesterday", "9000-01-01", "2026-11"):
        assert problem(mei.api().get(SALES, {"day": wrong})) == (400, "period_wrong")


def test_a_note_that_makes_no_sense_is_refused_and_nothing_is_kept(mei: Person, arjun: Person) -> None:
    code, his = wallet_code(mei), wallet_code(arjun)
    assert problem(note(mei, his, key="k")) == (400, "wallet_code_unknown")
    assert field_problems(note(mei, code, wallet_code="wco_x")) == {"wallet_code": "unknown_id"}
    assert field_problems(note(mei, code, 0)) == {"price.amount": "min_value"}
    euros = {"amount": 100, "currency": "EUR"}
    assert problem(note(mei, code, price=euros, key="k")) == (400, "currency_mismatch")
    WalletCode.objects.filter(id=code.id).update(state="retired", retired_at=timezone.now())
    assert problem(note(mei, code, key="k")) == (409, "wallet_code_retired")
    with pytest.raises(Refused, match="too small"):
        reported.report(staff=mei.staff, wallet_code_id=code.id, amount=0, currency="CNY", now=timezone.now())
    assert not ReportedSale.objects.exists()
    assert not IdempotentReply.objects.exists()


def test_a_note_is_taken_back_on_its_day_and_its_row_stays(mei: Person, lan: Person) -> None:
    code = wallet_code(mei)
    hers, boss = note(lan, code).json(), note(mei, code, 300).json()
    manager = hire(mei.shop, "+8613700137000", Staff.Role.MANAGER)
    assert problem(lan.api().delete(f"{SALES}/{boss['id']}")) == (403, "role_too_low")
    assert of_today(mei)["sums"] == [{"price": {"amount": 1500, "currency": "CNY"}, "count": 2}]
    assert lan.api().delete(f"{SALES}/{hers['id']}").status_code == 204
    (at,) = ReportedSale.objects.exclude(withdrawn_at=None).values_list("withdrawn_at", flat=True)
    assert manager.api().delete(f"{SALES}/{hers['id']}").status_code == 204
    assert ReportedSale.objects.get(staff=lan.staff).withdrawn_at == at
    today = of_today(mei)
    assert today["sums"] == [{"price": {"amount": 300, "currency": "CNY"}, "count": 1}]
    assert [row["withdrawn_at"] is None for row in today["results"]] == [True, False]
    assert manager.api().delete(f"{SALES}/{boss['id']}").status_code == 204
    assert of_today(mei)["sums"] == []


def test_a_day_that_is_over_stays_as_it_was_noted(mei: Person) -> None:
    moved(note(mei, wallet_code(mei)).json(), days=1)
    name = ids.public("rep", ReportedSale.objects.get().id)
    assert problem(mei.api().delete(f"{SALES}/{name}")) == (409, "day_over")
    assert ReportedSale.objects.get().withdrawn_at is None


def test_another_shops_notes_are_never_found(mei: Person, arjun: Person, stranger: APIClient) -> None:
    sale = note(mei, wallet_code(mei)).json()
    assert of_today(arjun)["results"] == []
    for wrong in (sale["id"], "rep_x", sale["wallet_code"]):
        assert problem(arjun.api().delete(f"{SALES}/{wrong}")) == (404, "not_found")
    assert problem(stranger.get(SALES)) == (401, "not_authenticated")
    assert ReportedSale.objects.get().withdrawn_at is None


def test_operators_read_them_as_unconfirmed(mei: Person) -> None:
    sale = note(mei, wallet_code(mei)).json()
    wei = signed_in()
    page = wei.client.get("/admin/payments/reportedsale/", {"q": sale["wallet_code"]}).content.decode()
    assert "Reported sales: unconfirmed, in no balance" in page
    assert sale["id"] in page
    one = wei.client.get(f"/admin/payments/reportedsale/{ReportedSale.objects.get().pk}/change/")
    assert one.status_code == 200
    assert "CN¥12.00" in one.content.decode()
