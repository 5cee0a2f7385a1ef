"""A shop is frozen while twenty customers start to pay: whoever gets in is being closed, whoever does not is told so."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone

from merchants.models import Code, Shop, User
from payments import checkout, freezing
from payments.checkout import UnableToStart
from payments.models import PaymentIntent
from tests.cast import MEI_PHONE, open_shop
from tests.operators import OPERATOR_PHONE
from tests.till import platform, shop_code

CUSTOMERS = 20


@pytest.fixture
def code(real_db: None) -> Code:
    """The code of a shop that can be paid."""
    platform()
    return shop_code(open_shop(MEI_PHONE, "Mei's fruit").shop)


@pytest.fixture
def slow_start(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Customers dawdle between being let in and being written down, where a freeze that slips past would hurt."""
    looked_at = threading.Event()
    blocked = checkout.blocked

    def dawdling(*args: Any) -> UnableToStart | None:
        refusal = blocked(*args)
        looked_at.set()
        threading.Event().wait(0.02)
        return refusal

    monkeypatch.setattr(checkout, "blocked", dawdling)
    return looked_at  # type: ignore[return-value]


def test_after_a_freeze_no_intent_is_open_that_is_not_being_closed(code: Code, slow_start: threading.Event) -> None:
    answers = _freeze_among_customers(code, slow_start)

    started, refused = answers.count("started"), answers.count("shop_frozen")
    assert started + refused == CUSTOMERS
    assert started >= 1  # The first was let in before the freeze began …
    assert refused >= 1  # … and the last asked after it was over.
    assert _open_and_not_closing() == 0
    assert PaymentIntent.objects.filter(state="open", closing="frozen").count() == started


def test_without_the_shops_lock_somebody_slips_past_the_freeze(
    code: Code, slow_start: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = QuerySet.select_for_update

    def unlocked(rows: QuerySet[Any], *args: Any, **kwargs: Any) -> QuerySet[Any]:
        return rows if rows.model is Shop else lock(rows, *args, **kwargs)

    monkeypatch.setattr(QuerySet, "select_for_update", unlocked)
    _freeze_among_customers(code, slow_start)
    assert _open_and_not_closing() >= 1


def _freeze_among_customers(code: Code, looked_at: threading.Event) -> list[str]:
    """Twenty customers at once; the freeze begins when the first has been let in. Their answers, in any order."""
    operator = User.objects.create_user(OPERATOR_PHONE, is_staff=True)
    frozen = threading.Event()

    def customer(number: int) -> str:
        if number == 0:
            frozen.wait(20)  # One who comes when all is over.
        page = uuid.uuid4()
        try:
            checkout.start(code=code, amount=500, quantity=1, page=page, payer=page.hex, now=timezone.now())
        except UnableToStart as refusal:
            return refusal.code
        return "started"

    def freeze(_number: int) -> str:
        assert looked_at.wait(20)
        freezing.freeze(shop_id=code.shop_id, operator=operator, reason="a tip", now=timezone.now())
        frozen.set()
        return "frozen"

    with ThreadPoolExecutor(CUSTOMERS + 1) as pool:
        freezing_now = pool.submit(_closing_connection(freeze), 0)
        customers = [pool.submit(_closing_connection(customer), number) for number in range(CUSTOMERS)]
        assert freezing_now.result(40) == "frozen"
        return [one.result(40) for one in customers]


def _closing_connection(work: Callable[[int], str]) -> Callable[[int], str]:
    def closing(number: int) -> str:
        try:
            return work(number)
        finally:
            connection.close()

    return closing


def _open_and_not_closing() -> int:
    return PaymentIntent.objects.filter(state="open").exclude(closing="frozen").count()
