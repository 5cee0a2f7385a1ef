"""The id of a pay page: good for one code, in one browser, for a while."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.core.signing import Signer

from merchants.models import Code
from qr import page_ids
from qr.page_ids import PageUnusable

NOW = datetime.fromisoformat("2026-11-22T12:00:00+00:00")


@pytest.fixture
def code() -> Code:
    return Code(kind="item", slug="abc")


@pytest.fixture
def payer() -> str:
    return page_ids.new_payer()[1]


def made(code: Code, payer: str) -> str:
    return page_ids.make(code=code, payer=payer, amount=200, currency="CNY", now=NOW)


def refusal(text: str, code: Code, payer: str, now: datetime = NOW) -> str:
    with pytest.raises(PageUnusable) as refused:
        page_ids.read(text, code=code, payer=payer, now=now)
    return refused.value.reason


def test_a_page_remembers_the_price_it_showed(code: Code, payer: str) -> None:
    page = page_ids.read(made(code, payer), code=code, payer=payer, now=NOW + timedelta(minutes=30))
    assert (page.amount, page.currency) == (200, "CNY")


def test_every_page_is_another_one(code: Code, payer: str) -> None:
    first, second = (page_ids.read(made(code, payer), code=code, payer=payer, now=NOW) for _ in range(2))
    assert first.id != second.id


def test_a_page_expires(code: Code, payer: str) -> None:
    assert refusal(made(code, payer), code, payer, NOW + timedelta(minutes=30, seconds=1)) == "expired"


def test_a_page_of_another_code_browser_or_signer_is_foreign(code: Code, payer: str) -> None:
    text = made(code, payer)
    assert refusal(text, Code(kind="item", slug="abc"), payer) == "foreign"
    assert refusal(text, code, page_ids.new_payer()[1]) == "foreign"
    assert refusal(text, code, "") == "foreign"
    assert refusal(made(code, ""), code, "") == "foreign"
    assert refusal(text[:-1] + ("A" if text[-1] != "A" else "B"), code, payer) == "foreign"
    assert refusal("", code, payer) == "foreign"
    # Signed by us, but for another purpose or of another shape.
    assert refusal(Signer(salt="elsewhere").sign_object([1, 2, 3, 4, 5, 6]), code, payer) == "foreign"
    assert refusal(Signer(salt="qr.page_ids").sign_object([1]), code, payer) == "foreign"


def test_a_payers_cookie_carries_128_bits_and_only_its_hash_is_kept() -> None:
    cookie, payer = page_ids.new_payer()
    assert (len(cookie), len(payer)) == (22, 64)
    assert cookie not in payer
