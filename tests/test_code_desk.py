"""Codes and batches in the back office: found, suspended, retired; made in bulk and handed to a printer."""

from __future__ import annotations

import csv
import io
from datetime import datetime
from typing import Any

import pytest
from django.conf import LazySettings
from django.utils import timezone

from merchants import batches, code_desk, codes, ids
from merchants.audit import UnableToAct
from merchants.models import Code, CodeBatch, Item, OperatorAct
from tests.cast import MEI_PHONE, Person
from tests.operators import Operator, acts, quick_passwords, signed_in  # noqa: F401
from tests.till import drain, expect, paid, platform

pytestmark = pytest.mark.django_db

CODES, BATCHES = "/admin/merchants/code/", "/admin/merchants/codebatch/"


@pytest.fixture
def stall(mei: Person) -> Code:
    return Code.objects.get(shop=mei.shop)


@pytest.fixture
def operator(mei: Person) -> Operator:
    return signed_in()


@pytest.fixture
def batch(operator: Operator, now: datetime) -> CodeBatch:
    return batches.make(label="Market east", size=3, operator=operator.user, reason="", now=now)


def found(operator: Operator, address: str, term: str) -> list[Any]:
    return list(operator.client.get(address, {"q": term}).context["cl"].result_list)


def test_a_code_is_found_by_its_slug_its_link_its_shop_and_its_item(
    operator: Operator, stall: Code, apples: Item, arjun: Person
) -> None:
    of_apples = apples.codes.get()
    for term in (stall.slug, stall.url, f" {stall.url}/ ", ids.public("cod", stall.id)):
        assert found(operator, CODES, term) == [stall]
    for term in (ids.public("shp", stall.shop_id), MEI_PHONE):
        assert found(operator, CODES, term) == [of_apples, stall]
    assert found(operator, CODES, ids.public("itm", apples.id)) == [of_apples]
    assert found(operator, CODES, stall.slug.swapcase()) == []
    listed = operator.client.get(CODES, {"state": "retired"})
    assert list(listed.context["cl"].result_list) == []


def test_its_page_says_whose_it_is_what_it_did_and_what_replaced_it(
    operator: Operator, mei: Person, stall: Code, now: datetime
) -> None:
    platform()
    intent = expect(stall, 550)
    paid(intent).deliver()
    drain()
    new = codes.replace(code=stall, forward=True, now=now)
    page = operator.client.get(f"{CODES}{stall.pk}/change/").text
    assert "1: CN¥5.50" in page
    assert f"/admin/merchants/shop/{mei.shop.pk}/change/" in page
    assert f"/admin/merchants/code/{new.pk}/change/" in page
    assert "what the payer enters" in page
    history = operator.client.get(f"{CODES}{stall.pk}/history/")
    assert history.headers["Location"].endswith(ids.public("cod", stall.id))


def test_what_an_operator_suspends_its_shop_cannot_take_back(operator: Operator, mei: Person, stall: Code) -> None:
    assert operator.act("merchants/code", stall, "suspend", "a stranger's sticker").status_code == 302
    stall.refresh_from_db()
    assert (stall.state, stall.held) == ("suspended", True)
    refused = mei.api().patch(f"/api/v1/codes/{ids.public('cod', stall.id)}", {"state": "active"})
    assert (refused.status_code, refused.json()["code"]) == (409, "code_held")
    operator.act("merchants/code", stall, "activate", "she has looked")
    stall.refresh_from_db()
    assert (stall.state, stall.held) == ("active", False)
    operator.act("merchants/code", stall, "retire", "torn")
    stall.refresh_from_db()
    assert stall.state == "retired"
    assert acts() == [("suspend", "a stranger's sticker"), ("activate", "she has looked"), ("retire", "torn")]
    row = OperatorAct.objects.get(act="suspend")
    assert (row.before, row.after) == ({"state": "active", "held": False}, {"state": "suspended", "held": True})
    assert row.subject_id == ids.public("cod", stall.id)
    assert f"{CODES}{stall.pk}/change/" in operator.client.get("/admin/merchants/operatoract/").text


def test_a_retired_code_is_left_alone(operator: Operator, stall: Code, now: datetime) -> None:
    codes.change(code=stall, state="retired", now=now)
    for act in (code_desk.suspend, code_desk.activate, code_desk.retire):
        with pytest.raises(UnableToAct, match="retired for good"):
            act(code_id=stall.id, operator=operator.user, reason="x", now=now)
    assert acts() == []


def test_a_batch_is_made_by_a_form_that_asks_what_for(operator: Operator) -> None:
    assert "Make a batch" in operator.client.get(BATCHES).text
    wrong = operator.client.post(f"{BATCHES}make/", {"label": "East", "size": "2001", "reason": "x"})
    assert (wrong.status_code, CodeBatch.objects.count()) == (200, 0)
    made = operator.client.post(f"{BATCHES}make/", {"label": "East", "size": "5", "reason": "for Chen"})
    batch = CodeBatch.objects.get()
    assert made.headers["Location"] == f"{BATCHES}{batch.pk}/change/"
    assert (batch.size, batch.blanks.count(), batch.made_by) == (5, 5, operator.user)
    assert acts() == [("make_batch", "for Chen")]


def test_the_list_says_how_many_are_bound_and_left(operator: Operator, mei: Person, batch: CodeBatch) -> None:
    slug = batch.blanks.get(number=2).slug
    batches.bind(slug=slug, shop=mei.shop, by=mei.staff, kind="shop", now=timezone.now())
    (row,) = found(operator, BATCHES, slug)
    assert (row, row.bound) == (batch, 1)
    page = operator.client.get(f"{BATCHES}{batch.pk}/change/").text
    assert ">1<" in page
    assert ">2<" in page
    code = Code.objects.get(slug=slug)
    assert "Market east" in operator.client.get(f"{CODES}{code.pk}/change/").text


def test_the_csv_has_a_line_for_each_and_says_in_the_trail_who_took_it(
    operator: Operator, batch: CodeBatch, settings: LazySettings
) -> None:
    settings.PUBLIC_URL = "https://pay.example"
    answer = operator.client.get(f"{BATCHES}{batch.pk}/codes.csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert "no-store" in answer.headers["Cache-Control"]
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{ids.public("bat", batch.id)}.csv"'
    rows = list(csv.reader(io.StringIO(answer.text, newline="")))
    assert rows == [
        ["number", "slug", "url"],
        *([str(one.number), one.slug, f"https://pay.example/s/{one.slug}"] for one in batch.blanks.order_by("number")),
    ]
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row)
    assert acts("make_batch") == [("download_batch", "")]
    assert OperatorAct.objects.get(act="download_batch").after == {"form": "csv"}


def test_only_who_may_change_batches_makes_or_takes_them(operator: Operator, batch: CodeBatch) -> None:
    operator.user.groups.get().permissions.remove(
        *operator.user.groups.get().permissions.filter(codename="change_codebatch")
    )
    assert "Make a batch" not in operator.client.get(BATCHES).text
    form = {"label": "East", "size": "5", "reason": "x"}
    assert operator.client.post(f"{BATCHES}make/", form).status_code == 403
    assert operator.client.get(f"{BATCHES}{batch.pk}/codes.csv").status_code == 403
    assert operator.act("merchants/codebatch", batch, "void", "x").status_code == 403
    assert (CodeBatch.objects.count(), acts("make_batch")) == (1, [])
    assert CodeBatch.objects.get().voided_at is None


def test_a_batch_that_is_not_there(operator: Operator, mei: Person) -> None:
    assert operator.client.get(f"{BATCHES}{mei.shop.pk}/codes.csv").status_code == 404
