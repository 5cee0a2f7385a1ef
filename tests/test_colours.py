"""Which colours codes may have."""

from __future__ import annotations

import pytest

from merchants import colours


@pytest.mark.parametrize("colour", ["#000000", "#0b6b46", "#00008B", "#0000ff", "#6a1b9a", "#8b0000", "#5d4037"])
def test_dark_colours_may_be_used(colour: str) -> None:
    assert colours.is_colour(colour)
    assert colours.objection(colour) == ""


@pytest.mark.parametrize("colour", ["#ffffff", "#ffd700", "#ff8c00", "#00ff00", "#8fbc8f", "#777777", "#00a651"])
def test_colours_that_a_camera_hardly_tells_from_white_are_too_light(colour: str) -> None:
    assert "too light" in colours.objection(colour)


@pytest.mark.parametrize("colour", ["#c00000", "#a31f34", "#cc0066"])
def test_colours_that_a_red_lamp_lights_up_have_too_much_red(colour: str) -> None:
    assert "red lamp" in colours.objection(colour)


def test_the_limits_are_where_they_are_said_to_be() -> None:
    # WCAG 2 gives #767676 as its lightest grey of 4.5 : 1 on white; its share of light is 18 %.
    assert (colours.objection("#767676"), colours.objection("#777777") == "") == ("", False)
    assert (colours.objection("#940000"), colours.objection("#950000") == "") == ("", False)


@pytest.mark.parametrize("text", ["", "green", "#fff", "0b6b46", "#0b6b4", "#0b6b4g", "#0b6b46\n", "#０b6b46"])
def test_a_colour_is_written_as_six_hexadecimal_digits(text: str) -> None:
    assert not colours.is_colour(text)
