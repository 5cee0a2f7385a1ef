"""The rules of alarms: little history proves little, usual silences are usual, and the stated rate holds."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from bench import swaps
from payments import swap_alarm
from payments.swap_alarm import Chance, Rhythm


def past(days: int, *, share: int = 5, a_day: int = 40, silent: tuple[int, ...] = ()) -> list[Chance]:
    """Every so many-th sale is by the code; on silent days none is."""
    found = []
    for day in range(days):
        for number in range(a_day):
            paid = number % share == share - 1 and day not in silent
            found.append(Chance(day, 4 + number // 10, 1, int(paid)))
    while found and not found[-1].paid:
        found.pop()
    return found


def learnt(chances: list[Chance]) -> Rhythm:
    rhythm = swap_alarm.learn(chances)
    assert rhythm is not None
    return rhythm


def test_little_history_raises_no_alarm_at_all() -> None:
    assert swap_alarm.learn([]) is None
    assert swap_alarm.learn(past(13)) is None
    assert swap_alarm.learn(past(14)) is not None
    assert swap_alarm.learn(past(56, a_day=5, share=20)) is None


def test_what_is_learnt_are_the_shares_of_each_block_and_the_silences_of_each_day() -> None:
    rhythm = learnt(past(20))
    assert rhythm.shares == dict.fromkeys((4, 5, 6, 7), (40, 200))
    assert (rhythm.runs, rhythm.span, rhythm.recent, len(rhythm.days)) == (160, 20, 1.0, 20)
    assert rhythm.bar == pytest.approx(math.log(160 * 364 / 20 / swap_alarm.BUDGET))
    assert rhythm.bar_by_days == pytest.approx(math.log(364))
    assert rhythm.least == math.ceil(rhythm.bar / -math.log1p(-40 / 202))


def test_the_surprise_is_minus_the_logarithm_of_the_predictive_probability() -> None:
    """(b)(b+1)…(b+k-1) / (n)(n+1)…(n+k-1), with n chances of which b were missed, and two more of doubt."""
    rhythm = learnt(past(20))
    product = math.prod((162 + place) / (202 + place) for place in range(7))
    assert rhythm.surprise({20: {4: 7}}) == pytest.approx(-math.log(product))
    assert rhythm.surprise({20: {4: 3}, 21: {4: 4}}) == pytest.approx(-math.log(product))


def test_hours_in_which_the_code_never_sells_prove_nothing() -> None:
    rhythm = learnt(past(20))
    assert rhythm.surprise({20: {11: 10_000}}) == 0
    assert not rhythm.alarming({day: {11: 10_000} for day in range(20, 40)})


def test_one_day_alone_is_never_an_alarm_and_two_whole_ones_are() -> None:
    rhythm = learnt(past(56))
    day = {4: 10, 5: 10, 6: 10, 7: 10}
    assert rhythm.surprise({56: {4: 10_000}}) > 10 * rhythm.bar
    assert not rhythm.alarming({56: {4: 10_000}})
    assert not rhythm.alarming({56: day})
    assert rhythm.alarming({56: day, 57: day})
    assert not rhythm.alarming({56: day, 57: {4: 3}})


def test_a_code_that_often_sells_out_is_given_more_days() -> None:
    day = {4: 10, 5: 10, 6: 10, 7: 10}
    often = learnt(past(56, silent=tuple(range(5, 56, 7))))
    assert next(number for number in range(1, 9) if often.alarming(dict.fromkeys(range(number), day))) == 4


def test_a_silence_as_long_as_one_before_is_no_alarm_though_it_took_days() -> None:
    away = learnt(past(56, silent=(20, 21, 22, 23)))
    day = {4: 10, 5: 10, 6: 10, 7: 10}
    assert not away.alarming(dict.fromkeys(range(4), day))
    assert away.alarming(dict.fromkeys(range(6), day))


def test_an_item_that_fades_out_is_expected_less() -> None:
    fading = past(42) + [Chance(42 + day, 4, 1, int(n == 0 and day % 4 == 0)) for day in range(13) for n in range(10)]
    rhythm = learnt([*fading, Chance(55, 4, 1, 1)])
    assert rhythm.recent < 1
    assert rhythm.surprise({56: {4: 10}}) == pytest.approx(
        sum(-math.log1p(-rhythm.recent * rhythm.shares[4][0] / (rhythm.shares[4][1] + 2 + n)) for n in range(10))
    )


def test_a_wallet_that_is_out_takes_the_surprise_away() -> None:
    rhythm = learnt(past(20))
    assert swap_alarm.held_back([]) == 0
    assert swap_alarm.held_back([(40.0, 0.0), (20.0, 0.0)]) == 0
    assert swap_alarm.held_back([(40.0, 41.0), (20.0, 30.0)]) == 1
    assert swap_alarm.held_back([(99.0, 50.0)]) == 0.5
    assert replace(rhythm, recent=0.0).surprise({20: {4: 1000}}) == 0


def test_scans_of_an_hour_count_at_most_as_many_payments_as_scans() -> None:
    rhythm = learnt([Chance(day, 0, 4, 5) for day in range(30)])
    assert rhythm.shares == {0: (120, 120)}
    assert rhythm.surprise({30: {0: 1}}) < 5


@pytest.mark.parametrize("number", [0, 2, 3], ids=lambda number: swaps.KINDS[number].name)
def test_simulated_shops_raise_less_than_one_false_alarm_per_code_and_year(number: int) -> None:
    """A small part of `make bench-swaps`, which holds the stated rate over thousands of shop-weeks."""
    alarms = swaps.false_alarms(swaps.KINDS[number], 7, 13)
    assert sum(alarms) <= len(alarms) * 13 / 52 + 1


def test_a_swapped_code_is_missed_within_three_days() -> None:
    seen = [swaps.detection(80, 0.5, seed) for seed in range(2)]
    assert all(each is not None and each[1] <= 36 for each in seen)
