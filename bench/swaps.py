"""Simulated shops over years: how often the alarm of a silent code is false, and how soon it sees a code pasted over.

No database: the rules alone, as `payments.swap_alarm` states them.
"""

from __future__ import annotations

import math
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from bench.rounds import size
from payments import swap_alarm
from payments.swap_alarm import Chance, Rhythm

SHOPS = int(
    os.environ.get("SHOPS", size(6, 1))
)  # Of each kind, for WEEKS each after the weeks in which they only learn.
WEEKS = int(os.environ.get("WEEKS", size(104, 2)))
SWAPS = int(os.environ.get("SWAPS", size(40, 2)))  # Of each share and size of shop.
LEARNING_DAYS = swap_alarm.BASELINE_DAYS
LEARNT_EVERY = 3  # Days; the product learns each day.


@dataclass
class Kind:
    """A kind of shop: `sales` of a day, `shares` of its codes at an hour, and whether it opens."""

    name: str
    sales: Callable[[random.Random, int], float]
    hours: Callable[[int], float]
    shares: Callable[[int, int], Sequence[float]]
    wobble: float = 0.3  # By how much a code's share differs from day to day (standard deviation of its logarithm).
    sells_out: float = 0.05  # On which part of its days an item sells out, at some hour.


def flat(first: int, last: int) -> Callable[[int], float]:
    return lambda hour: 1.0 if first <= hour < last else 0.0


def meals(hour: int) -> float:
    return {6: 1, 7: 3, 8: 3, 9: 1, 11: 3, 12: 5, 13: 3, 17: 2, 18: 3, 19: 2}.get(hour, 0)


def canteen(_day: int, hour: int) -> Sequence[float]:
    return (0.7, 0.02, 0.28) if hour < 10 else (0.01, 0.6, 0.39)


def fading(day: int, _hour: int) -> Sequence[float]:
    spring = max(0.0, 0.5 + 0.5 * math.cos(2 * math.pi * day / 364))
    return (0.5 * spring, 0.5 * (1 - spring), 0.5)


def weekend(day: int, _hour: int) -> Sequence[float]:
    return (0.4, 0.4, 0.2) if day % 7 >= 5 else (0.66, 0.0, 0.34)


def weather(chance: random.Random, _day: int) -> float:
    return chance.choice([0, 0, 30, 90, 150])


KINDS = [
    Kind("stall, 3 items", lambda _r, _d: 80, flat(8, 20), lambda _d, _h: (0.5, 0.3, 0.2)),
    Kind("canteen, breakfast and lunch", lambda _r, _d: 200, meals, canteen),
    Kind("fair-weather seller", weather, flat(9, 19), lambda _d, _h: (0.6, 0.3, 0.1), wobble=0.5),
    Kind("tiny, 5 a day", lambda _r, _d: 5, flat(8, 20), lambda _d, _h: (0.6, 0.4)),
    Kind("busy, 500 a day", lambda _r, _d: 500, flat(7, 23), lambda _d, _h: (0.4, 0.25, 0.15, 0.1, 0.06, 0.04)),
    Kind("season that fades", lambda _r, _d: 80, flat(8, 20), fading),
    Kind("weekend items", lambda _r, d: 120 if d % 7 >= 5 else 60, flat(8, 20), weekend),
    Kind("long holidays", lambda _r, d: 0 if d % 120 < 20 else 80, flat(8, 20), lambda _d, _h: (0.5, 0.3, 0.2)),
]


def sold_in(kind: Kind, day: int, chance: random.Random) -> Iterator[tuple[int, int]]:
    """The sales of a day in their order: the hour, and the code."""
    mean = kind.sales(chance, day) * math.exp(chance.gauss(0, 0.25))
    open_hours = [(hour, kind.hours(hour)) for hour in range(24) if kind.hours(hour)]
    whole = sum(weight for _hour, weight in open_hours)
    codes = len(kind.shares(day, open_hours[0][0]))
    mood = [math.exp(chance.gauss(0, kind.wobble)) for _ in range(codes)]
    until = [chance.choice(open_hours)[0] if chance.random() < kind.sells_out else 24 for _ in range(codes)]
    for hour, weight in open_hours:
        shares = [share * mood[code] * (hour < until[code]) for code, share in enumerate(kind.shares(day, hour))]
        if not sum(shares):
            continue
        for code in chance.choices(range(codes), shares, k=_poisson(mean * weight / whole, chance)):
            yield hour, code


@dataclass
class Watched:
    """One code, watched as the product watches it."""

    code: int
    past: list[Chance] = field(default_factory=list)
    silence: dict[int, dict[int, int]] = field(default_factory=dict)
    missed: int = 0
    rhythm: Rhythm | None = None
    least: int = 0
    told: bool = False
    alarms: int = 0

    def learn(self, day: int) -> None:
        """From the weeks before this silence began."""
        self.past = [each for each in self.past if each.day >= day - swap_alarm.BASELINE_DAYS]
        end = len(self.past)
        while end and not self.past[end - 1].paid:
            end -= 1
        self.rhythm = swap_alarm.learn(self.past[:end])
        self.least = self.rhythm.least if self.rhythm else 0

    def sale(self, day: int, hour: int, code: int) -> bool:
        """Whether this sale makes the alarm go off."""
        block = swap_alarm.block_of(hour)
        if code == self.code:
            self.past.append(Chance(day, block, 1, 1))
            self.silence, self.missed, self.told = {}, 0, False
            return False
        newest = self.past[-1] if self.past else None
        if newest and (newest.day, newest.block, newest.paid) == (day, block, 0):
            self.past[-1] = Chance(day, block, newest.chances + 1, 0)
        else:
            self.past.append(Chance(day, block, 1, 0))
        blocks = self.silence.setdefault(day, {})
        blocks[block] = blocks.get(block, 0) + 1
        self.missed += 1
        if self.told or self.rhythm is None or self.missed < self.least:
            return False
        self.told = self.rhythm.alarming(self.silence)
        self.alarms += self.told
        return self.told


def false_alarms(kind: Kind, seed: int, weeks: int) -> list[int]:
    """How many alarms each code of one shop raises in so many weeks without any swap."""
    chance = random.Random(seed)
    watched = [Watched(code) for code in range(len(kind.shares(0, 12)))]
    for day in range(LEARNING_DAYS + weeks * 7):
        for each in watched:
            if day % LEARNT_EVERY == each.code % LEARNT_EVERY:
                each.learn(day)
        for hour, code in sold_in(kind, day, chance):
            for each in watched:
                each.sale(day, hour, code)
    return [each.alarms for each in watched]


def detection(sales: int, share: float, seed: int, limit_days: int = 120) -> tuple[int, int] | None:
    """How many sales by other codes, and how many opening hours, pass until a swapped code is missed."""
    chance = random.Random(seed)
    rest = 1 - share
    kind = Kind("swapped", lambda _r, _d: sales, flat(8, 20), lambda _d, _h: (share, rest * 0.6, rest * 0.4))
    one = Watched(0)
    for day in range(LEARNING_DAYS):
        for hour, code in sold_in(kind, day, chance):
            one.sale(day, hour, code)
    swapped = LEARNING_DAYS
    others = 0
    for day in range(swapped, swapped + limit_days):
        one.learn(day)
        for hour, code in sold_in(kind, day, chance):
            if code == 0:
                continue  # Paid to the thief: nobody tells us.
            others += 1
            if one.sale(day, hour, code):
                return others, (day - swapped) * 12 + hour - 8 + 1
    return None


def _poisson(mean: float, chance: random.Random) -> int:
    if mean > 50:
        return max(0, round(chance.gauss(mean, math.sqrt(mean))))
    limit, product, count = math.exp(-mean), chance.random(), 0
    while product > limit:
        product *= chance.random()
        count += 1
    return count


def _one(asked: tuple[int, int, int]) -> list[int]:
    number, seed, weeks = asked
    return false_alarms(KINDS[number], seed, weeks)


def _swap(asked: tuple[int, float, int]) -> tuple[int, int] | None:
    return detection(*asked)


def main() -> None:
    began = time.perf_counter()
    with ProcessPoolExecutor(2) as pool:
        print(f"false alarms, {SHOPS} shops of each kind for {WEEKS} weeks after {LEARNING_DAYS // 7} of learning")
        print(f"{'kind':<30} shop-weeks  codes alarms  per code and 52 weeks  worst code")
        for number, kind in enumerate(KINDS):
            found = list(pool.map(_one, [(number, seed, WEEKS) for seed in range(SHOPS)]))
            alarms = [count for shop in found for count in shop]
            years = WEEKS / 52
            worst = max(sum(codes) / SHOPS / years for codes in zip(*found, strict=True))
            rate = sum(alarms) / len(alarms) / years
            print(
                f"{kind.name:<30} {SHOPS * WEEKS:>10} {len(alarms):>6} {sum(alarms):>6} {rate:>22.2f} {worst:>11.2f}",
                flush=True,
            )
        print("\nsales a day  share     seen  sales by others: median    p90  open hours: median    p90")
        for sales in (5, 20, 80, 500):
            for share in (0.05, 0.1, 0.2, 0.5):
                seen = list(pool.map(_swap, [(sales, share, seed) for seed in range(SWAPS)]))
                print(f"{sales:>11} {share:>6.0%} {_told(sorted(each for each in seen if each))}", flush=True)
    print(f"{time.perf_counter() - began:.0f} s")


def _told(hits: list[tuple[int, int]]) -> str:
    said = f"{len(hits)}/{SWAPS}"
    if len(hits) < SWAPS / 2:
        return f"{said:>8}"
    counts, hours = sorted(each[0] for each in hits), sorted(each[1] for each in hits)
    ninth = math.ceil(0.9 * len(hits)) - 1
    return (
        f"{said:>8} {statistics.median(counts):>24.0f} {counts[ninth]:>6} "
        f"{statistics.median(hours):>19.0f} {hours[ninth]:>6}"
    )


if __name__ == "__main__":
    main()
