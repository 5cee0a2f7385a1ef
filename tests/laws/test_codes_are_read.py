"""Every dress of a code is read by readers that share nothing, as it is and after what happens to paper."""

from __future__ import annotations

import io
import os
import random
from collections.abc import Callable

import pytest
from PIL import Image, ImageDraw

from merchants import colours
from qr import draw
from qr.branding import QUIET_ZONE, Style
from qr.symbol import Level, symbol
from tests import distortions, readers

URL = "https://pay.example.com/s/AbCdEfGhJkLm"
# A static Pix payload in length and letters; no reader looks further.
WALLET = "00020126580014br.gov.bcb.pix0136123e4567-e12b-12d3-a456-4266554400005204000053039865802BR5913Fulano6304ABCD"
BRANDS = ("", "#0b6b46", "#940000", "#767676", "#0000ff")  # Black, a shop's green, and the edges of what is allowed.
LEVELS: tuple[Level, ...] = ("M", "Q", "H")
MODULE = 7  # Pixels. A camera's picture is never as even as a power of two, which some readers stumble over.
PRINTED_MM = 0.5  # The smallest module that we print.
COLOURS = int(os.environ.get("COLOUR_EXAMPLES", "30"))


def logo(kind: str) -> bytes:
    """Logos from the friendly one to the worst that could stand between modules."""
    picture = Image.new("RGB", (192, 192), "black" if kind in ("black", "finder") else "white")
    pencil = ImageDraw.Draw(picture)
    if kind == "finder":
        pencil.rectangle((27, 27, 164, 164), fill="white")
        pencil.rectangle((55, 55, 137, 137), fill="black")
    elif kind == "checks":
        for x, y in [(x, y) for x in range(0, 192, 16) for y in range(0, 192, 16) if (x + y) % 32]:
            pencil.rectangle((x, y, x + 15, y + 15), fill="black")
    elif kind == "apple":
        pencil.ellipse((10, 30, 182, 188), fill="#c0392b")
        pencil.ellipse((90, 5, 150, 45), fill="#27ae60")
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=85)
    return out.getvalue()


LOGOS = {kind: logo(kind) for kind in ("apple", "black", "finder", "checks")}
PLAIN = {f"{level}{colour}": Style(level, colour) for level in LEVELS for colour in BRANDS}
BRANDED = {f"H{colour} {kind}": Style("H", colour, logo) for colour in BRANDS[:3] for kind, logo in LOGOS.items()}
WORN = {"M": Style("M"), "Q green": Style("Q", "#0b6b46"), "H grey": Style("H", "#767676")}
WORN |= {f"H {kind}": Style("H", "#0b6b46", LOGOS[kind]) for kind in ("apple", "checks")}

WORSE: dict[str, Callable[[Image.Image], Image.Image]] = {
    "turned by 17°": lambda picture: distortions.rotated(picture, 17),
    "turned by 45°": lambda picture: distortions.rotated(picture, 45),
    "upside down": lambda picture: distortions.rotated(picture, 180),
    "turned by 200°": lambda picture: distortions.rotated(picture, 200),
    "out of focus": lambda picture: distortions.blurred(picture, 0.4 * MODULE),
    "scanned at 200 dpi": lambda picture: distortions.scanned(picture, MODULE * 25.4 / PRINTED_MM),
    "from 30 % below": distortions.tilted,
    "from 30 % below and turned": lambda picture: distortions.rotated(distortions.tilted(picture), 10),
    "sent by a messenger": distortions.squeezed,
    "in the dark": lambda picture: distortions.faint(picture, 10, 60),
    "bleached": lambda picture: distortions.faint(picture, 110, 160),
    "half in the shade": lambda picture: distortions.rotated(distortions.shaded(picture), 5),
    "grainy": lambda picture: distortions.noisy(picture, 40),
    "in red light": distortions.in_red_light,
}
# quirc and qrdec find a tilted grid by fewer points than ZXing does.
ZXING_ALONE = {"from 30 % below and turned"}


def drawn(text: str, style: Style) -> Image.Image:
    size = (symbol(text, style.level).size + 2 * QUIET_ZONE) * MODULE
    return Image.open(io.BytesIO(draw.png(text, size, style))).convert("RGB")


@pytest.mark.parametrize("style", PLAIN.values(), ids=PLAIN)
def test_every_level_and_colour_is_read_by_three_readers(style: Style) -> None:
    for text in (URL, WALLET):
        picture = drawn(text, style)
        assert [readers.texts(picture, name) for name in readers.NAMES] == [[text]] * 3


@pytest.mark.parametrize("style", BRANDED.values(), ids=BRANDED)
def test_every_logo_is_read_by_readers_that_share_nothing(style: Style) -> None:
    for text in (URL, WALLET):
        picture = drawn(text, style)
        assert (readers.texts(picture), readers.second(picture)) == ([text], [text])


@pytest.mark.parametrize("worse", WORSE)
@pytest.mark.parametrize("style", WORN.values(), ids=WORN)
def test_a_code_is_read_after_what_happens_to_paper(style: Style, worse: str) -> None:
    for text in (URL, WALLET):
        picture = WORSE[worse](drawn(text, style))
        assert readers.texts(picture) == [text]
        # Under a logo in the middle lies an alignment pattern of the longer code, which quirc and qrdec may look for.
        if worse not in ZXING_ALONE and not (style.logo and text == WALLET):
            assert readers.second(picture) == [text]


def test_all_of_it_at_once_is_still_read_at_the_level_of_paper() -> None:
    seen = distortions.rotated(distortions.tilted(drawn(URL, Style("Q", "#0b6b46")), 0.2), 12)
    dim = distortions.shaded(distortions.faint(distortions.blurred(seen, 0.3 * MODULE), 60, 220), 0.4)
    assert readers.texts(distortions.squeezed(distortions.noisy(dim, 15), 50)) == [URL]


def test_whatever_colour_is_allowed_is_read_blurred_by_a_camera_and_by_a_red_lamp() -> None:
    """Of all colours that are allowed, those are tried that a little more light would make refused."""
    choose = random.Random(20261128)
    tried = 0
    while tried < COLOURS:
        colour = f"#{choose.randrange(1 << 24):06x}"
        brighter = "#" + "".join(f"{min(255, channel + 12):02x}" for channel in colours.channels(colour))
        if colours.objection(colour) or not colours.objection(brighter):
            continue
        tried += 1
        picture = drawn(URL, Style("M", colour))
        for seen in (distortions.grey(picture), distortions.in_red_light(picture), picture.getchannel("G")):
            noisy = distortions.noisy(distortions.blurred(seen, 0.35 * MODULE), 12)
            assert readers.texts(noisy) == [URL], colour


@pytest.mark.parametrize("colour", ["#ff0000", "#ff8c00"])
def test_a_red_lamp_does_not_see_what_the_rule_refuses(colour: str) -> None:
    black = drawn(URL, Style("M"))
    paper, ink = Image.new("RGB", black.size, "white"), Image.new("RGB", black.size, colour)
    picture = Image.composite(paper, ink, black.convert("L"))
    assert colours.objection(colour)
    assert readers.texts(distortions.grey(picture)) == [URL]
    assert readers.texts(distortions.in_red_light(picture)) == []
