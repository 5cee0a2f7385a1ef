"""Which settlements a line of our bank pays: decided by pure rules, and never where there is a choice."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from payments.settlement import bank_pairs
from payments.settlement.bank_pairs import Awaited, BankLine, Limits, Pairing

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
DAY = timedelta(days=1)
LIMITS = Limits(apart=10 * DAY, together=10)
ACCOUNT, OTHER = UUID(int=1), UUID(int=2)


def line(number: int, amount: int, text: str = "", *, days: int = 0, currency: str = "CNY") -> BankLine:
    return BankLine(number, amount, currency, NOON + days * DAY, bank_pairs.words(text))


def awaited(
    number: int, expected: int, *, arrived: int = 0, account: UUID = ACCOUNT, days: int = 0, currency: str = "CNY",
    reference: str = "", waiting: bool = True,
) -> Awaited:  # fmt: skip
    name = reference or f"stl_{number:04}"
    at = NOON + days * DAY + timedelta(minutes=number)
    return Awaited(UUID(int=number), account, name, currency, expected, arrived, at, waiting)


def pair(lines: list[BankLine], rows: list[Awaited], **more: object) -> list[tuple[int, str, list[tuple[int, int]]]]:
    made: list[Pairing] = bank_pairs.pair(lines, rows, limits=LIMITS, **more)  # type: ignore[arg-type]
    return [(one.line_id, one.rule, [(row.int, part) for row, part in one.parts]) for one in made]


@pytest.mark.parametrize(
    "text", ["stl_0010", "STL_0010", "Payout STL_0010.", "REF: stl_0010, thank you", "/ROC/STL_0010//"]
)
def test_a_line_names_its_settlement_as_banks_write_it(text: str) -> None:
    assert pair([line(1, 90, text)], [awaited(10, 100), awaited(11, 90)]) == [(1, "settlement_id", [(10, 90)])]


def test_a_part_of_a_word_names_nothing() -> None:
    assert pair([line(1, 90, "xstl_00101")], [awaited(10, 100)]) == []


def test_a_short_id_is_named_by_accident_and_does_not_count() -> None:
    assert pair([line(1, 90, "12")], [awaited(10, 100, reference="12")]) == []


def test_texts_are_found_however_deep_they_lie() -> None:
    assert "STL_0010" in bank_pairs.words("", {"a": [{"b": "x stl_0010"}], "n": 5, "none": None})


def test_a_line_that_names_two_divides_and_the_last_bears_the_difference() -> None:
    rows = [awaited(10, 100), awaited(11, 50)]
    assert pair([line(1, 150, "stl_0010 stl_0011")], rows) == [(1, "settlement_id", [(10, 100), (11, 50)])]
    assert pair([line(1, 140, "stl_0010 stl_0011")], rows) == [(1, "settlement_id", [(10, 100), (11, 40)])]
    assert pair([line(1, 160, "stl_0010 stl_0011")], rows) == [(1, "settlement_id", [(10, 100), (11, 60)])]


def test_two_lines_name_one_settlement() -> None:
    made = pair([line(1, 60, "stl_0010"), line(2, 40, "stl_0010", days=1)], [awaited(10, 100)])
    assert made == [(1, "settlement_id", [(10, 60)]), (2, "settlement_id", [(10, 40)])]


def test_one_id_at_two_accounts_is_the_one_of_which_just_this_is_awaited() -> None:
    rows = [awaited(10, 100, reference="2026-11-27"), awaited(11, 70, reference="2026-11-27", account=OTHER)]
    assert pair([line(1, 70, "2026-11-27")], rows) == [(1, "settlement_id", [(11, 70)])]
    assert pair([line(1, 71, "2026-11-27")], rows) == []


def test_an_amount_is_enough_when_it_is_alone_on_both_sides() -> None:
    assert pair([line(1, 100)], [awaited(10, 100), awaited(11, 90)]) == [(1, "amount", [(10, 100)])]
    assert pair([line(1, 100)], [awaited(10, 100), awaited(11, 100)]) == []
    assert pair([line(1, 100), line(2, 100)], [awaited(10, 100)]) == []
    assert pair([line(1, 100)], [awaited(10, 100)], rivals=[line(3, 100)]) == []


def test_an_amount_is_not_enough_in_another_currency_too_late_or_for_what_has_arrived() -> None:
    assert pair([line(1, 100, currency="USD")], [awaited(10, 100)]) == []
    assert pair([line(1, 100, days=11)], [awaited(10, 100)]) == []
    assert pair([line(1, 100)], [awaited(10, 100, waiting=False)]) == []


def test_a_name_is_enough_however_late() -> None:
    late = pair([line(1, 100, "stl_0010", days=90)], [awaited(10, 100, waiting=False)])
    assert late == [(1, "settlement_id", [(10, 100)])]


def test_settlements_that_follow_each_other_make_a_credit() -> None:
    rows = [awaited(10, 30), awaited(11, 45), awaited(12, 25), awaited(13, 7, account=OTHER)]
    assert pair([line(1, 100)], rows) == [(1, "sum", [(10, 30), (11, 45), (12, 25)])]
    assert pair([line(1, 55)], rows) == []  # The first and the third do, but not without the second.
    assert pair([line(1, 32)], rows) == []  # Nor do those of two accounts.


def test_a_sum_that_can_be_made_in_two_ways_is_none() -> None:
    assert pair([line(1, 100)], [awaited(10, 60), awaited(11, 40), awaited(12, 60)]) == []


def test_a_provider_that_takes_back_is_part_of_a_sum() -> None:
    assert pair([line(1, 70)], [awaited(10, 100), awaited(11, -30)]) == [(1, "sum", [(10, 100), (11, -30)])]


def test_a_sum_is_not_searched_for_ever() -> None:
    rows = [awaited(number, 10) for number in range(11)]
    assert pair([line(1, 110)], rows) == []


def test_a_thousand_lines_and_two_thousand_settlements_take_no_time() -> None:
    rows = [awaited(number, 1_000 + number * 7, days=number // 500) for number in range(10, 2_010)]
    lines = [line(number, 1_000_000 + number) for number in range(1, 1_001)]
    begun = time.perf_counter()
    pair(lines, rows)
    assert time.perf_counter() - begun < 5  # A tenth of a second where nothing else runs.


def test_what_a_person_took_apart_stays_apart() -> None:
    rows = [awaited(10, 100)]
    for text in ("", "stl_0010"):
        assert pair([line(1, 100, text)], rows, barred={(1, rows[0].id)}) == []
    assert pair([line(1, 100)], [awaited(10, 60), awaited(11, 40)], barred={(1, UUID(int=11))}) == []


def test_whatever_comes_no_settlement_is_paid_twice_and_every_line_is_divided_whole() -> None:
    dice = random.Random(4)
    for _ in range(2_000):
        rows = [awaited(number, dice.randint(1, 9) * 10) for number in range(10, 10 + dice.randint(0, 6))]
        lines = [
            line(number, dice.randint(1, 20) * 10, dice.choice(["", "", f"stl_00{dice.randint(10, 16)}"]))
            for number in range(1, 1 + dice.randint(0, 5))
        ]
        made = bank_pairs.pair(lines, rows, limits=LIMITS)
        amounts = {each.id: each.amount for each in lines}
        assert all(sum(part for _, part in one.parts) == amounts[one.line_id] for one in made)
        assert len({one.line_id for one in made}) == len(made)
        unnamed = [row for one in made if one.rule != "settlement_id" for row, _ in one.parts]
        named = {row for one in made if one.rule == "settlement_id" for row, _ in one.parts}
        assert len(unnamed) == len(set(unnamed))
        assert not named & set(unnamed)
