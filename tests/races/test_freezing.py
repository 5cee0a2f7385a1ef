"""A shop is frozen while twenty customers start to pay: whoever gets in is being closed, everybody else is told so."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connections
from django.utils import timezone

from merchants.models import Code, User
from payments import asking, checkout, freezing
from payments.checkout import UnableToStart
from payments.models import PaymentIntent
from tests.cast import MEI_PHONE, open_shop
from tests.http_stand_in import Received, stand_in
from tests.operators import OPERATOR_PHONE
from tests.races.together import together, without_row_locks
from tests.till import drain, platform, shop_code

CUSTOMERS = 20


@pytest.fixture
def code(real_db: None) -> Code:
    """The code of a shop that can be paid."""
    platform()
    return shop_code(open_shop(MEI_PHONE, "Mei's fruit").shop)


@pytest.fixture
def let_in(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set once the first customer was let in; all dawdle before they are written down, where a freeze would slip by."""
    first = threading.Event()
    blocked = checkout.blocked

    def dawdling(*args: Any) -> UnableToStart | None:
        refusal = blocked(*args)
        first.set()
        if refusal is None:
            threading.Event().wait(0.2)  # Longer than a freeze takes, also on a machine that is busy.
        return refusal

    monkeypatch.setattr(checkout, "blocked", dawdling)
    return first


def test_after_a_freeze_no_intent_is_open_that_is_not_being_closed(code: Code, let_in: threading.Event) -> None:
    answers = _freeze_among_customers(code, let_in)

    started, refused = answers.count("started"), answers.count("shop_frozen")
    assert started + refused == CUSTOMERS
    assert started >= 1  # The first was let in before the freeze began …
    assert refused >= 1  # … and the last asked after it was over.
    assert _open_and_not_closing() == 0
    assert PaymentIntent.objects.filter(state="open", closing="frozen").count() == started


@pytest.mark.parametrize("closed", [False, True])
def test_a_freeze_while_the_wallet_answers_leads_nobody_to_the_wallet(
    code: Code, settings: LazySettings, closed: bool
) -> None:
    """With `closed`, the closing has even overtaken the start, and the wallet knew of no order to close."""

    def answer(request: Received) -> tuple[int, bytes]:
        if request.target != "/v1/orders":
            return 404, b'{"error": {"code": "order_unknown", "message": ""}}'
        try:
            wei = User.objects.create_user(OPERATOR_PHONE, is_staff=True)
            freezing.freeze(shop_id=code.shop_id, operator=wei, reason="a stolen phone", now=timezone.now())
            if closed:
                assert asking.close_overdue(now=timezone.now()) == 1
                assert drain() == 1
        finally:
            connections.close_all()
        return 201, b'{"id": "wor_1", "pay_url": "http://127.0.0.1:9/pay/wor_1"}'

    with stand_in(answer) as wallet:
        settings.SANDBOX_URL = wallet.url
        intent = checkout.start(code=code, amount=100, quantity=1, page=uuid.uuid4(), payer="payer", now=timezone.now())

    assert (intent.redirect_url, intent.closing) == ("", "frozen")
    assert intent.state == ("canceled" if closed else "open")
    assert PaymentIntent.objects.values_list("redirect_url", "state").get() == ("", intent.state)


def test_without_the_shops_lock_somebody_slips_past_the_freeze(code: Code, let_in: threading.Event) -> None:
    with without_row_locks():
        _freeze_among_customers(code, let_in)
    assert _open_and_not_closing() >= 1


def _freeze_among_customers(code: Code, let_in: threading.Event) -> list[str]:
    """What nineteen customers at once and one who comes afterwards were told; the freeze begins when one is let in."""
    operator = User.objects.create_user(OPERATOR_PHONE, is_staff=True)
    frozen = threading.Event()

    def customer(number: int) -> str:
        if number == 0:
            assert frozen.wait(20)
        page = uuid.uuid4()
        try:
            checkout.start(code=code, amount=500, quantity=1, page=page, payer=page.hex, now=timezone.now())
        except UnableToStart as refusal:
            return refusal.code
        return "started"

    def freeze() -> int:
        assert let_in.wait(20)
        marked = freezing.freeze(shop_id=code.shop_id, operator=operator, reason="a tip", now=timezone.now())
        frozen.set()
        return marked

    calls: list[Callable[[], Any]] = [freeze, *(partial(customer, number) for number in range(CUSTOMERS))]
    marked, *answers = together(calls)
    assert isinstance(marked, int), marked
    return answers


def _open_and_not_closing() -> int:
    return PaymentIntent.objects.filter(state="open").exclude(closing="frozen").count()
