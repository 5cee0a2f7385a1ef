"""Values are equal by what they hold, serve as keys, and are made anew instead of being changed."""

from __future__ import annotations

from dataclasses import field, replace

import pytest

from merchants.values import value


@value
class Amount:
    minor: int
    currency: str = "EUR"
    notes: dict[str, str] = field(default_factory=dict, hash=False)


def test_values_are_equal_by_what_they_hold_and_serve_as_keys() -> None:
    assert Amount(5) == Amount(minor=5, currency="EUR") != Amount(5, "USD")
    assert {Amount(5), Amount(5), Amount(6)} == {Amount(6), Amount(5)}
    assert Amount(5).notes is not Amount(5).notes


def test_a_changed_value_is_another_one() -> None:
    five = Amount(5)
    assert (replace(five, minor=6), five) == (Amount(6), Amount(5))


def test_a_value_has_the_fields_of_its_class_and_no_other() -> None:
    with pytest.raises(AttributeError):
        Amount(5).note = "thanks"  # type: ignore[attr-defined]
