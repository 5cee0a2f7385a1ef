"""Pictures that scanners read."""

from __future__ import annotations

import re
from io import BytesIO
from xml.etree import ElementTree

import pytest
import zxingcpp
from PIL import Image, ImageDraw

from qr import draw

URL = "https://pay.example.com/s/AbCdEfGhJkLm"


def opened(png: bytes) -> Image.Image:
    return Image.open(BytesIO(png)).convert("L")


def read(picture: Image.Image) -> list[str]:
    return [found.text for found in zxingcpp.read_barcodes(picture)]


def strokes(path: str, side: int, scale: int) -> Image.Image:
    """What a browser makes of our path: each stroke is one module high."""
    picture = Image.new("L", (side * scale, side * scale), 255)
    pencil = ImageDraw.Draw(picture)
    for x, y, line in re.findall(r"M(\d+) (\d+)\.5([^M]*)", path):
        left, top = int(x) * scale, int(y) * scale
        for kind, count in re.findall(r"([hm])(\d+)", line):
            right = left + int(count) * scale
            if kind == "h":
                pencil.rectangle((left, top, right - 1, top + scale - 1), fill=0)
            left = right
    return picture


@pytest.mark.parametrize("size", [draw.SIZE_MIN, 200, 601, draw.SIZE_MAX])
def test_a_png_has_the_size_that_was_asked_for_and_a_scanner_reads_it(size: int) -> None:
    picture = opened(draw.png(URL, size))
    assert picture.size == (size, size)
    assert read(picture) == [URL]


def test_the_quiet_zone_is_four_modules_or_more_on_every_side() -> None:
    picture = opened(draw.png(URL, 600))
    left, top, right, bottom = picture.point(lambda level: 255 - level).getbbox() or (0, 0, 0, 0)
    module = (right - left) / 29  # A version 3 symbol has 29 modules.
    assert min(left, top, 600 - right, 600 - bottom) >= 4 * module


def test_a_png_is_small_enough_for_a_slow_network() -> None:
    assert len(draw.png(URL)) < 3000


def test_the_svg_draws_the_same_modules() -> None:
    root = ElementTree.fromstring(draw.svg(URL, 300))
    side = int(root.attrib["viewBox"].split()[2])
    assert (root.attrib["width"], side) == ("300", 29 + 2 * 4)
    assert strokes(root[1].attrib["d"], side, 8).tobytes() == opened(draw.png(URL, side * 8)).tobytes()


def test_a_text_that_does_not_fit_into_the_size_is_refused() -> None:
    with pytest.raises(draw.TooSmall, match="too few"):
        draw.png("x" * 900, draw.SIZE_MIN - 20)


def test_a_tag_differs_by_text_format_and_size_and_by_nothing_else() -> None:
    tags = {
        draw.tag(*picture) for picture in [(URL, "png", 1), (URL, "png", 2), (URL, "svg", 1), (URL + "x", "png", 1)]
    }
    assert len(tags) == 4
    assert draw.tag(URL, "png", 1) in tags
