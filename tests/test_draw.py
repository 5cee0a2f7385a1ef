"""Pictures that scanners read."""

from __future__ import annotations

import re
from base64 import b64decode
from io import BytesIO
from xml.etree import ElementTree

import pytest
import zxingcpp
from PIL import Image, ImageDraw

from qr import draw
from qr.branding import Style, Unreadable, logo_box
from tests import readers

URL = "https://pay.example.com/s/AbCdEfGhJkLm"


def square(colour: str) -> bytes:
    out = BytesIO()
    Image.new("RGB", (192, 192), colour).save(out, "JPEG")
    return out.getvalue()


BRANDED = Style("H", "#0b6b46", square("#c0392b"))


def opened(png: bytes) -> Image.Image:
    return Image.open(BytesIO(png)).convert("L")


def read(picture: Image.Image) -> list[str]:
    return [found.text for found in readers.codes(picture)]


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


def test_a_tag_differs_by_text_format_size_and_dress_and_by_nothing_else() -> None:
    tags = {
        draw.tag(URL, "png", 1), draw.tag(URL, "png", 2), draw.tag(URL, "svg", 1), draw.tag(URL + "x", "png", 1),
        draw.tag(URL, "png", 1, "H #0b6b46"),
    }  # fmt: skip
    assert len(tags) == 5
    assert draw.tag(URL, "png", 1) in tags


def test_a_text_beyond_ascii_is_read_and_says_that_it_is_utf_8() -> None:
    def told(text: str) -> bytes:
        """The symbology, the ECI where there is one, and the bytes, as ISO/IEC 15424 has scanners tell them."""
        (found,) = readers.codes(opened(draw.png(text)), text_mode=zxingcpp.TextMode.HexECI)
        return bytes.fromhex(found.text)

    assert read(opened(draw.png("红富士苹果 ₹20"))) == ["红富士苹果 ₹20"]
    assert told("红富士苹果 ₹20") == b"]Q2\\000026" + "红富士苹果 ₹20".encode()
    assert told(URL) == b"]Q1" + URL.encode()


def test_the_dark_modules_have_the_colour_and_everything_else_is_white() -> None:
    green = Style("Q", "#0b6b46")
    colours = Image.open(BytesIO(draw.png(URL, 300, green))).convert("RGB").getcolors()
    assert {colour for _, colour in colours or []} == {(255, 255, 255), (11, 107, 70)}
    assert b'<path stroke="#0b6b46" d="' in draw.svg(URL, 300, green)


@pytest.mark.parametrize("size", [draw.SIZE_MIN, 333, 600, draw.SIZE_MAX])
def test_a_logo_stands_in_the_middle_at_every_size_and_the_code_is_read(size: int) -> None:
    picture = Image.open(BytesIO(draw.png(URL, size, BRANDED))).convert("RGB")
    assert read(picture.convert("L")) == [URL]
    red, green, blue = picture.getpixel((size // 2, size // 2))  # type: ignore[misc]
    assert (red > 180, green < 80, blue < 60) == (True, True, True)


def test_around_the_logo_half_a_module_is_white() -> None:
    scale, box = 10, logo_box(37)
    picture = opened(draw.png(URL, (37 + 8) * scale, Style("H", "", square("black"))))
    edge = [(box.start + 4) * scale + 1, (box.start + 4 + box.side) * scale - 2]
    for at in edge:
        assert all(picture.getpixel((at, y)) == 255 for y in range(edge[0], edge[1]))
        assert all(picture.getpixel((x, at)) == 255 for x in range(edge[0], edge[1]))
    assert picture.getpixel((edge[0] + scale, edge[0] + scale)) == 0


def test_the_svg_has_the_same_modules_and_the_logo_in_their_gap() -> None:
    root = ElementTree.fromstring(draw.svg(URL, 300, BRANDED))
    box, logo = logo_box(37), root[2].attrib
    assert (logo["x"], logo["width"]) == (str(box.start + 4.5), str(box.side - 1.0))
    assert b64decode(logo["href"].removeprefix("data:image/jpeg;base64,")) == BRANDED.logo
    drawn = strokes(root[1].attrib["d"], 37 + 8, 8)
    start, end = (box.start + 4) * 8, (box.start + 4 + box.side) * 8
    assert drawn.crop((start, start, end, end)).getextrema() == (255, 255)
    assert read(drawn) == [URL]


def test_a_logo_with_a_code_in_it_is_refused() -> None:
    style = Style("H", "", draw.png("http://elsewhere", 120))
    for picture in (draw.png, draw.svg):
        with pytest.raises(Unreadable, match="code in this logo"):
            picture(URL, 600, style)


def test_a_repeat_is_not_drawn_again() -> None:
    assert draw.png(URL, 600, BRANDED) is draw.png(URL, 600, BRANDED)
    assert draw.svg(URL, 600, BRANDED) is draw.svg(URL, 600, BRANDED)
