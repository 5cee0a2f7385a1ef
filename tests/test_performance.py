"""What was measured, as it is judged, kept and told: ratios within rounds, refusals, and the page made of results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench import performance, rounds
from bench.rounds import Arm, Goal, compare


def arms(*, theirs: list[float]) -> list[Arm]:
    """Ours makes 100, then 300 a second; the machine has tripled its speed, and theirs with it."""
    ours, others = iter([100.0, 300.0, 300.0, 300.0, 300.0]), iter(theirs)
    return [
        Arm("Pushcart", "product", lambda: {"rate": next(ours), "cpu_us": 10}),
        Arm("theirs", "peer", lambda: {"rate": next(others), "cpu_us": 40}, "One thing at a time."),
    ]


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(rounds, "RESULTS", tmp_path)
    monkeypatch.setattr(rounds, "QUICK", False)
    return tmp_path


def measured(kept: Path, **more: Any) -> dict[str, Any]:
    goals = [
        Goal("ten times theirs", against="theirs", at_least=10),
        Goal("a quarter of their processor", "cpu_us", against="theirs", at_most=0.25),
        Goal("a thousand a second", at_least=1000),
    ]
    ways = arms(theirs=[10, 30, 30, 30, 20])
    return compare("posting", ways, title="Posting", goals=goals, durable=False, **more)


def test_a_goal_is_judged_by_the_ratio_within_each_round(kept: Path) -> None:
    result = measured(kept)
    assert rounds.ratios(result, "theirs", "rate") == [10, 10, 10, 10, 15]
    assert [(goal["value"], goal["met"]) for goal in result["goals"]] == [(10, True), (0.25, True), (300, False)]


def test_a_result_is_kept_with_a_line_for_each_round_and_read_back_as_it_was(kept: Path) -> None:
    result = measured(kept)
    text = (kept / "posting.json").read_text()
    assert json.loads(text) == result
    assert text.count('{ "rate": 300, "cpu_us": 10 }') == 4
    assert {"cores", "processor", "memory_gb", "kernel", "python"} == set(result["machine"])


def test_every_other_round_runs_the_other_way_round(kept: Path) -> None:
    order: list[str] = []

    def way(name: str) -> Arm:
        return Arm(name, "product", lambda: order.append(name) or {"rate": 1})  # type: ignore[func-returns-value]

    compare("turns", [way("a"), way("b"), way("c")], durable=False)
    assert "".join(order) == "abccbaabccbaabc"


def test_a_small_run_and_one_whose_sums_are_wrong_keep_nothing(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "QUICK", True)
    assert len(measured(kept)["calibration_ms"]) == 2
    monkeypatch.setattr(rounds, "QUICK", False)
    with pytest.raises(StopIteration):
        compare("broken", arms(theirs=[10]), durable=False)
    with pytest.raises(AssertionError, match="say why"):
        compare("hasty", arms(theirs=[10]), durable=False, rounds=3)
    assert list(kept.iterdir()) == []


def test_a_database_that_may_forget_gives_no_result(db: None, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert compare("kept", arms(theirs=[10] * 5))["database"]["fsync"] == "on"
    monkeypatch.setattr(rounds, "DURABILITY", ("fsync", "enable_sort", "jit"))
    with pytest.raises(RuntimeError, match="jit is off"):
        compare("forgotten", arms(theirs=[10] * 5))
    assert [path.name for path in kept.iterdir()] == ["kept.json"]


def test_the_page_tells_goals_medians_spread_and_ratios(kept: Path) -> None:
    told = performance.page([measured(kept, notes=["A year has 365 days."])])
    assert "2 of 3 goals are met." in told
    assert "| a thousand a second | ≥ 1,000 events/s | 300 events/s | **missed** |" in told
    assert "| ten times theirs | ≥ 10 × | 10 × | met |" in told
    assert "| **Pushcart** | Pushcart | 300 (100 to 300) | 10 |  |" in told
    assert "| theirs | peer | 30 (10 to 30) | 40 | **10** (10 to 15) |" in told
    assert "- *theirs*: One thing at a time.\n- A year has 365 days.\n" in told


def test_the_page_in_the_docs_is_what_the_kept_results_make() -> None:
    assert performance.PAGE.read_text() == performance.page(performance.stored()), "run `make performance`"


def test_every_goal_that_is_missed_has_its_reason_and_nothing_else_has() -> None:
    assert set(performance.MISSED) == performance.missed(performance.stored())
