"""What the forms of a statement share: one reading for lines and sums, words, references, and the covering seal."""

from __future__ import annotations

from datetime import timedelta
from itertools import product

import pytest
from django.utils import timezone

from merchants import ids
from payments import chain, statement, statement_file
from payments.models import LedgerEntry, Seal
from payments.statement import Basis
from payments.statement_file import Telling
from tests.cast import Person
from tests.test_ledger import NOON, movement, post
from tests.test_statement import ask, month_of_trade
from tests.till import platform


def test_what_the_lines_add_up_to_is_the_summary(mei: Person) -> None:
    platform()
    month_of_trade(mei.shop)
    names = ("2026-11", "2026-12-03", "2026-11-25", "2027-01")
    for name, basis, everything in product(names, Basis, [False, True]):
        asked = ask(mei.shop, name, basis, everything=everything)
        telling = Telling(asked)
        lines = list(telling.lines())
        assert telling.summary() == statement.summary(asked), name
        assert telling.count == len(lines) == statement.count(asked)
        assert lines == list(statement.lines(asked, telling.opening))


def test_what_is_booked_while_it_is_told_is_in_neither_lines_nor_sums(mei: Person) -> None:
    platform()
    post(movement(mei.shop, 200))
    telling = Telling(ask(mei.shop, "2026-11-22"))
    lines = telling.lines()
    first = next(lines)
    post(movement(mei.shop, 5000))
    assert [first, *lines][-1].balance == telling.summary().closing.total == 200
    assert telling.summary().money_in == 200
    assert statement.summary(telling.asked).closing.total == 5200


@pytest.mark.parametrize("kind", LedgerEntry.Kind.values)
def test_every_kind_has_words(kind: str) -> None:
    said = statement_file.words(kind)
    assert said[0].isupper()
    assert "_" not in said
    assert kind in statement_file._WORDS or kind in {"settled", "credited"}  # These two are never of a shop.


def test_the_seal_is_the_first_that_covers_every_line(real_db: None, mei: Person) -> None:
    platform()
    moments = [NOON + timedelta(minutes=minute) for minute in range(5)]
    for moment in moments:
        post(movement(mei.shop, 100), now=moment)
        chain.seal(now=timezone.now())
    assert Seal.objects.count() == 5
    for known, moment in enumerate(moments, 1):
        telling = Telling(ask(mei.shop, "2026-11-22", at=moment))
        assert telling.seal() is None  # Nothing was read yet.
        assert len(list(telling.lines())) == known
        seal = telling.seal()
        assert seal is not None
        assert seal.number == known
    post(movement(mei.shop, 100), now=NOON + timedelta(minutes=6))
    telling = Telling(ask(mei.shop, "2026-11-22"))
    list(telling.lines())
    assert telling.seal() is None


def test_a_period_has_a_title_and_a_file_a_name(mei: Person) -> None:
    day, month = ask(mei.shop, "2026-11-22"), ask(mei.shop, "2026-11")
    assert (statement_file.title(day), statement_file.title(month)) == ("Sunday, 22 November 2026", "November 2026")
    assert (statement_file.name(day, "pdf"), statement_file.name(month, "xml")) == (
        "statement-2026-11-22.pdf",
        "statement-2026-11.xml",
    )


def test_a_line_without_a_payment_is_traced_by_its_own_id(mei: Person) -> None:
    platform()
    post(movement(mei.shop, 200))
    [line] = Telling(ask(mei.shop, "2026-11-22")).lines()
    assert statement_file.reference(line) == ids.public("ent", LedgerEntry.objects.get().id)
    assert statement_file.receipt(line) == ""
