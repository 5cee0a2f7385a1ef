"""What a code may wear."""

from __future__ import annotations

import pytest
from PIL import Image, ImageDraw

from qr.branding import QUIET_ZONE, Box, Style, Unreadable, level, logo_box
from qr.symbol import symbol
from tests import readers


def bitmap(text: str, side: int = 4) -> Image.Image:
    """The symbol of a text at level H, `side` pixels a module."""
    drawn = symbol(text, "H")
    rows = b"".join(bytes(255 * (cell == "0") for cell in format(row, f"0{drawn.size}b")) for row in drawn.rows())
    whole = Image.new("L", (drawn.size + 2 * QUIET_ZONE,) * 2, 255)
    whole.paste(Image.frombytes("L", (drawn.size, drawn.size), rows), (QUIET_ZONE, QUIET_ZONE))
    return whole.resize((whole.width * side,) * 2, Image.Resampling.NEAREST)


def place(box: Box, side: int = 4) -> tuple[int, int, int, int]:
    start = (QUIET_ZONE + box.start) * side
    return start, start, start + box.side * side - 1, start + box.side * side - 1


def read(picture: Image.Image) -> list[str]:
    return [found.text for found in readers.codes(picture)]


def test_the_use_chooses_the_level_and_a_logo_takes_the_strongest() -> None:
    assert (level("screen"), level("print"), level("screen", logo=True), level("print", logo=True)) == (
        "M", "Q", "H", "H",
    )  # fmt: skip


@pytest.mark.parametrize("length", [5, 12, 20, 30, 40, 55, 60, 80, 95, 115, 150, 200, 300, 512])
def test_whatever_stands_in_the_box_the_code_is_read(length: int) -> None:
    text = ("https://pay.example.com/s/" + "AbCdEfGhJkLm" * 50)[:length]
    picture = bitmap(text)
    for filling in ("white", "black", "inverted"):
        covered = picture.copy()
        corners = place(logo_box(symbol(text, "H").size))
        if filling == "inverted":
            area = (corners[0], corners[1], corners[2] + 1, corners[3] + 1)
            covered.paste(covered.crop(area).point(lambda light: 255 - light), area[:2])
        else:
            ImageDraw.Draw(covered).rectangle(corners, fill=filling)
        assert read(covered) == [text], filling


def test_the_boxes_of_the_symbols_that_shops_print() -> None:
    # Version 5 to 10: our own addresses and most wallets' at level H.
    assert [logo_box(size) for size in (37, 41, 45, 49, 53, 57)] == [
        Box(14, 9), Box(14, 13), Box(17, 11), Box(18, 13), Box(19, 15), Box(20, 17),
    ]  # fmt: skip


def test_a_box_stands_in_the_middle_and_never_reaches_a_finder_or_a_timing_pattern() -> None:
    for version in (*range(1, 19), 25, 36):
        size = version * 4 + 17
        box = logo_box(size)
        assert (box.start * 2 + box.side, box.side % 2) == (size, 1)
        assert box.start > 8
        assert box.side <= size * 0.35


def test_a_style_that_readers_would_not_read_cannot_be_made() -> None:
    assert Style("Q", "#0b6b46").logo == b""
    with pytest.raises(Unreadable, match="too light"):
        Style("M", "#ffd700")
    with pytest.raises(Unreadable, match="error correction H"):
        Style("Q", logo=b"a picture")
