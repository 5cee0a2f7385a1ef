"""Two workers look at the same unheard payment, and a phone speaks up while one does: one text, and no word is lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import pytest

from merchants import payment_texts
from merchants.models import PaymentTexts, TextMessage
from merchants.payment_texts import Asked
from merchants.push_proofs import Heard
from tests.cast import MEI_PHONE, Person, open_shop
from tests.races.together import slow_after, together, without_row_locks
from tests.test_pushing import pay

NOON = datetime(2027, 3, 1, 4, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
WORKERS = 2


@pytest.fixture
def mei(real_db: None) -> Person:
    """She asked to be texted, and a payment had its minute."""
    person = open_shop(MEI_PHONE, "Mei's fruit")
    TextMessage.objects.all().delete()
    asked = Asked(language="en", from_amount=0, a_day=20, quiet_from=None, quiet_until=None)
    payment_texts.ask(staff=person.staff, asked=asked, now=NOON)
    pay(person.shop, 100, now=NOON)
    return person


def _tell() -> None:
    payment_texts.tell_due(now=NOON + MINUTE)


def test_without_the_lock_two_workers_text_the_same_payment_twice(mei: Person) -> None:
    with without_row_locks(), slow_after("merchants.payment_texts._wanted", callers=WORKERS):
        together([_tell] * WORKERS)
    assert TextMessage.objects.count() == WORKERS


def test_of_two_workers_one_texts_it(mei: Person) -> None:
    with slow_after("merchants.payment_texts._wanted", callers=WORKERS):
        together([_tell] * WORKERS)
    assert TextMessage.objects.count() == 1
    assert PaymentTexts.objects.get().sent == 1


def _while_it_is_judged(mei: Person, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A push of the next payment is heard while a worker decides about the one before."""
    pay(mei.shop, 200, now=NOON + MINUTE)
    deciding, said = Event(), Event()
    wanted = payment_texts._wanted

    def slowly(*args: Any) -> bool:
        deciding.set()
        said.wait(0.5)
        return wanted(*args)

    def hear() -> None:
        deciding.wait(10)
        payment_texts.heard_one(Heard(mei.shop.id, mei.user.id, 2))
        said.set()

    monkeypatch.setattr(payment_texts, "_wanted", slowly)
    together([_tell, hear])
    return list(PaymentTexts.objects.get().heard_apart)


def test_without_the_lock_what_is_heard_meanwhile_is_lost(mei: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    with without_row_locks():
        assert _while_it_is_judged(mei, monkeypatch) == []


def test_what_is_heard_while_a_worker_decides_is_kept(mei: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _while_it_is_judged(mei, monkeypatch) == [2]
    payment_texts.tell_due(now=NOON + 2 * MINUTE)
    assert TextMessage.objects.count() == 1
