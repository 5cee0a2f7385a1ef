"""When a code's silence stops being chance: what is usual for it is learnt from its own past, and silences held to it.

Every payment of a shop is a chance for each of its codes, and so is every scan for the code that was scanned. From the
last weeks we learn in which share of its chances a code was paid, by the time of day. Each is weighed twice:

- by its chances: how improbable it is that so many passed by (Bayes' predictive probability, so that little history
  proves little), as a surprise in nats (-ln of the probability);
- by its days: what keeps a code silent for the rest of a day (sold out, left at home, rain on that side) is one event
  and not a hundred. So each day of the silence weighs no more than how rarely a past day had one as long.

An alarm needs both. Chance alone would raise it BUDGET times in 52 weeks by the first, and BUDGET_BY_DAYS times by the
second.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

BASELINE_DAYS = 56
RECENT_DAYS = 14
BLOCK_HOURS = 2  # Breakfast is not lunch; shorter blocks would have too few sales of a small shop.
BUDGET = 0.2
BUDGET_BY_DAYS = 1.0  # What we state; that both are needed is room for what no history has shown yet.
RUNS_MIN = 20  # Payments of the past, below which its silences say nothing about the next.
DAYS_MIN = 14  # Days with chances.
SCANS_MIN = 12  # A burst of fewer unpaid scans is a family that looks at a page.
# So many chances without a payment are believed of every block before any was seen: new hours raise no alarm.
_DOUBT = 2.0
_SHARE_MAX = 0.98  # Somebody pays in cash even where everybody pays by one code.


class Chance(NamedTuple):
    """So many chances in one block of one day, of which `paid` were payments by the code."""

    day: int
    block: int
    chances: int
    paid: int


# The chances that passed in a silence: of each day, of each of its blocks.
Missed = Mapping[int, Mapping[int, int]]


@dataclass(frozen=True, slots=True)
class Rhythm:
    """What is usual for a code. `shares`: of each block (paid, chances); `recent`: today's level as part of that.

    `runs`: how often it was paid; `days`: of each past day with chances the surprise of its longest silence, ascending;
    `longest`: the weight by days of the longest silence of the past; `span`: how many days all this took.
    """

    shares: Mapping[int, tuple[int, int]]
    recent: float
    runs: int
    days: Sequence[float]
    longest: float
    span: float

    @property
    def bar(self) -> float:
        """The surprise from which on a silence is improbable."""
        return math.log(max(self.runs * 364 / self.span, 1.0) / BUDGET)

    @property
    def bar_by_days(self) -> float:
        """The weight by days from which on it is improbable, and longer than any before."""
        return max(math.log(364 / BUDGET_BY_DAYS), self.longest * 1.25)

    @property
    def least(self) -> int:
        """Fewer chances than these never reach the bar."""
        return math.ceil(self.bar / max(self._weight(block, 0) for block in self.shares))

    def surprise(self, missed: Missed) -> float:
        """How improbable it is that so many chances passed, as -ln of the predictive probability."""
        together: dict[int, int] = {}
        for blocks in missed.values():
            for block, count in blocks.items():
                together[block] = together.get(block, 0) + count
        return self._of(together)

    def by_days(self, missed: Missed) -> float:
        """How rare such days are, one after another."""
        return _together([_rarity(self.days, self._of(blocks)) for blocks in missed.values()])

    def alarming(self, missed: Missed) -> bool:
        """Whether this silence is an alarm."""
        return self.surprise(missed) >= self.bar and self.by_days(missed) >= self.bar_by_days

    def _of(self, blocks: Mapping[int, int]) -> float:
        return sum(self._weight(block, before) for block, count in blocks.items() for before in range(count))

    def _weight(self, block: int, before: int) -> float:
        """The surprise of one more missed chance, after so many missed ones of this silence."""
        paid, count = self.shares.get(block, (0, 0))
        return -math.log1p(-min(self.recent * paid / (count + _DOUBT + before), _SHARE_MAX))


def learn(chances: Sequence[Chance]) -> Rhythm | None:
    """The rhythm of a code from its past, oldest first, up to its last payment; None while that is too little."""
    paid: dict[int, int] = {}
    count: dict[int, int] = {}
    for _day, block, passed, hits in chances:
        paid[block] = paid.get(block, 0) + min(hits, passed)
        count[block] = count.get(block, 0) + passed
    runs = sum(1 for each in chances if each.paid)
    if runs < RUNS_MIN:
        return None
    share = {block: min(paid[block] / (count[block] + _DOUBT), _SHARE_MAX) for block in count}
    silences = _silences(chances, {block: -math.log1p(-share[block]) for block in share})
    longest_of: dict[int, float] = {}
    for silence in silences:
        for day, surprise in silence.items():
            longest_of[day] = max(longest_of.get(day, 0.0), surprise)
    if len(longest_of) < DAYS_MIN:
        return None
    days = sorted(longest_of.values())
    last = chances[-1].day
    return Rhythm(
        shares={block: (paid[block], count[block]) for block in count if paid[block]},
        recent=_level([each for each in chances if each.day > last - RECENT_DAYS], share),
        runs=runs,
        days=days,
        longest=max(sum(_rarity(days, surprise) for surprise in each.values()) for each in silences),
        span=last - chances[0].day + 1,
    )


def block_of(hour: int) -> int:
    """The block of an hour of the shop's own day."""
    return hour // BLOCK_HOURS


def held_back(others: Iterable[tuple[float, float]]) -> float:
    """Which part of what is usual everybody else is paid now: of each how many payments were usual, and how many came.

    A wallet that is out leaves all pages unpaid; where nobody else is there to compare with, nothing is proved.
    """
    pairs = list(others)
    usual, now = sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs)
    return min(1.0, now / (usual + 1.0))


def _level(recent: Sequence[Chance], share: Mapping[int, float]) -> float:
    """What the last fortnight sold as part of what was usual, one standard deviation in its favour; at most all of it.

    So an item that fades out is not expected to sell as it did in spring.
    """
    sold = 1.0 + sum(min(each.paid, each.chances) for each in recent)
    usual = 1.0 + sum(each.chances * share[each.block] for each in recent)
    return min(1.0, (sold + math.sqrt(sold)) / usual)


def _silences(chances: Sequence[Chance], weight: Mapping[int, float]) -> list[dict[int, float]]:
    """The surprise of every silence of the past, by its days."""
    found: list[dict[int, float]] = []
    current: dict[int, float] = {}
    for day, block, count, paid in chances:
        if not paid:
            current[day] = current.get(day, 0.0) + count * weight[block]
            continue
        found.append(current or {day: 0.0})
        current = {}
    return found


def _rarity(days: Sequence[float], surprise: float) -> float:
    """-ln of the part of past days that had a silence as long, as if there had been one more such day."""
    as_long = len(days) - bisect_left(days, surprise)
    return -math.log((as_long + 1) / (len(days) + 2))


def _together(rarities: Sequence[float]) -> float:
    """-ln of the probability that so many days are as rare, in the better of two ways.

    A long silence has many days, and some of them are rare by chance: either the m rarest are weighed as chosen among
    all (Bonferroni), which sees days that are alike, or all by their sum (Fisher), which sees many hardly rare ones.
    """
    days = len(rarities)
    chosen = max(
        number * rarity - math.log(math.comb(days, number))
        for number, rarity in enumerate(sorted(rarities, reverse=True), start=1)
    )
    total, term, among = sum(rarities), 1.0, 0.0
    for count in range(days):
        among += term
        term *= total / (count + 1)
    return max(chosen, total - math.log(among))
