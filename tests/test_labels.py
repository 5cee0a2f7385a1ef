"""Sheets of labels: every label lies on its paper, none on another, and the makers' measures are what they publish."""

from __future__ import annotations

import pytest

from qr import labels
from qr.labels import LAYOUTS, PAPERS, Layout


@pytest.mark.parametrize("form", LAYOUTS.values(), ids=LAYOUTS)
def test_every_label_lies_on_the_paper_and_none_on_another(form: Layout) -> None:
    wide, high = PAPERS[form.paper]
    places = list(form.places())
    assert len(places) == form.count == form.columns * form.rows
    assert all(x > 0 and y > 0 for x, y in places)
    assert max(x for x, _y in places) + form.width < wide
    assert max(y for _x, y in places) + form.height < high
    assert form.pitch_x >= form.width
    assert form.pitch_y >= form.height


@pytest.mark.parametrize("form", LAYOUTS.values(), ids=LAYOUTS)
def test_what_is_left_is_the_same_on_both_sides(form: Layout) -> None:
    wide, high = PAPERS[form.paper]
    right = wide - (form.left + (form.columns - 1) * form.pitch_x + form.width)
    below = high - (form.top + (form.rows - 1) * form.pitch_y + form.height)
    assert right == pytest.approx(form.left, abs=0.1)
    assert below == pytest.approx(form.top, abs=0.1)


@pytest.mark.parametrize(
    ("name", "count", "first", "last"),
    [
        ("avery-l7160", 21, (7.2, 15.15), (139.28, 243.75)),
        ("avery-l7159", 24, (6.46, 13.06), (139.54, 250.08)),
        ("avery-l7163", 14, (4.67, 15.15), (106.27, 243.75)),
        ("avery-l7165", 8, (4.67, 13.04), (106.27, 216.23)),
        ("avery-l7173", 10, (4.67, 6.0), (106.27, 234.0)),
        ("avery-5160", 30, (4.7625, 12.7), (144.4625, 241.3)),
        ("avery-5163", 10, (3.96875, 12.7), (110.33125, 215.9)),
        ("avery-5164", 6, (3.96875, 12.7), (110.33125, 182.033)),
        ("stickers-24", 24, (9.0, 12.5), (137.0, 250.5)),
    ],
)
def test_the_first_and_the_last_label_stand_where_the_maker_cuts_them(
    name: str, count: int, first: tuple[float, float], last: tuple[float, float]
) -> None:
    places = list(LAYOUTS[name].places())
    assert len(places) == count
    assert places[0] == pytest.approx(first, abs=0.01)
    assert places[-1] == pytest.approx(last, abs=0.01)


def test_plain_paper_has_a_layout_in_both_sizes() -> None:
    assert {paper: LAYOUTS[labels.default(paper)].paper for paper in ("a4", "letter")} == {
        "a4": "a4",
        "letter": "letter",
    }
    assert all(LAYOUTS[labels.default(paper)].cut != "die" for paper in PAPERS)
