"""Pictures of a code for a screen or a printer: PNG and SVG, always with the quiet zone readers need.

A PNG is written here byte by byte: a code has few colours and few rows that differ, and an image library would spend
four fifths of the time on turning each pixel over. Pillow opens logos, and every code with a logo is read before it is
given out.
"""

from __future__ import annotations

import hashlib
import zlib
from base64 import b64encode
from collections.abc import Iterable
from functools import lru_cache
from io import BytesIO
from itertools import pairwise

import zxingcpp
from django.utils.translation import gettext as _
from PIL import Image

from merchants import colours
from qr.branding import LOGO_PAD, QUIET_ZONE, Style, Unreadable, cleared, logo_box
from qr.symbol import Symbol, symbol

SIZE_MIN = 120
SIZE_MAX = 2048
SIZE = 600
DRAWING = 2  # Part of every tag: raise it when a picture of the same text in the same style changes.
PLAIN = Style()

_PROOF_PIXELS = 4  # A module of the picture by which a code with a logo is proven.
_LOGO_COLOURS = 64
_QR_CODES = zxingcpp.barcode_formats_from_str("QRCode")
# Runs longer than this do not occur: the longest text has a symbol of version 36.
_RUNS = {"1" * count: f"h{count}" for count in range(1, 178)} | {"0" * count: f"m{count} 0" for count in range(1, 178)}


class TooSmall(ValueError):
    """A picture of fewer pixels than its code has modules."""


@lru_cache(maxsize=512)
def png(text: str, size: int = SIZE, style: Style = PLAIN) -> bytes:
    """A square PNG of `size` pixels, every module the same whole number of pixels.

    What is left over widens the quiet zone. Raises TooSmall when the text does not fit into this size, and Unreadable
    when a reader does not find the text around this logo.
    """
    _prove(text, style)
    drawn = symbol(text, style.level)
    scale = size // (drawn.size + 2 * QUIET_ZONE)
    if scale < 1:
        raise TooSmall(f"{size} pixels are too few for this text")
    return _png(drawn, size, scale, style)


@lru_cache(maxsize=512)
def svg(text: str, size: int = SIZE, style: Style = PLAIN) -> bytes:
    """The same picture as one path, sharp at any size; `size` is what it asks for where nothing else is said."""
    _prove(text, style)
    drawn = symbol(text, style.level)
    side = drawn.size + 2 * QUIET_ZONE
    picture = ""
    if style.logo:
        box, drawn = logo_box(drawn.size), cleared(drawn)
        start, edge = box.start + QUIET_ZONE + LOGO_PAD, box.side - 2 * LOGO_PAD
        kind = "png" if style.logo.startswith(b"\x89PNG") else "jpeg"
        picture = (
            f'<image x="{start}" y="{start}" width="{edge}" height="{edge}" '
            f'href="data:image/{kind};base64,{b64encode(style.logo).decode()}"/>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{size}" height="{size}" viewBox="0 0 {side} {side}">'
        f'<path fill="#fff" d="M0 0h{side}v{side}H0z"/>'
        f'<path stroke="{style.colour or "#000"}" d="{_path(drawn)}" shape-rendering="crispEdges"/>{picture}</svg>'
    ).encode()


def tag(text: str, picture: str, size: int, dress: str = "") -> str:
    """The name of a picture by its content: the same for the same bytes, known without drawing them.

    `dress` names what its style is made of, in any form that is never the same for two.
    """
    return hashlib.sha256(f"{DRAWING} {picture} {size} {dress} {text}".encode()).hexdigest()[:32]


@lru_cache(maxsize=512)
def _prove(text: str, style: Style) -> None:
    """Reads a code with a logo as a hasty phone would, at its first look: this text and no other must be found."""
    if not style.logo:
        return
    if _holds_code(style.logo):
        raise Unreadable(_("There is a code in this logo. A phone might open it instead of yours."))
    drawn = symbol(text, style.level)
    picture = _png(drawn, (drawn.size + 2 * QUIET_ZONE) * _PROOF_PIXELS, _PROOF_PIXELS, style)
    found = zxingcpp.read_barcodes(
        Image.open(BytesIO(picture)).convert("L"),
        formats=_QR_CODES,
        try_rotate=False,
        try_downscale=False,
        try_invert=False,
    )
    if [code.text for code in found] != [text]:
        raise Unreadable(_("With this logo the code cannot be read. Choose another, or none."))


@lru_cache(maxsize=64)
def _holds_code(logo: bytes) -> bool:
    return bool(zxingcpp.read_barcodes(Image.open(BytesIO(logo)).convert("L")))


def _png(drawn: Symbol, size: int, scale: int, style: Style) -> bytes:
    """One bit a pixel, or with a logo one byte; colour 0 is white, 1 is of the dark modules, the others the logo's."""
    palette = b"\xff\xff\xff" + bytes(colours.channels(style.colour or "#000000"))
    if not style.logo:
        # Unfiltered, equal rows pack best as they are, and soonest.
        return _file(size, 1, palette, zlib.compress(b"\0" + b"\0".join(_bits(drawn, size, scale)), 1))
    box, rows = logo_box(drawn.size), _bytes(cleared(drawn), size, scale)
    start = (size - drawn.size * scale) // 2 + round((box.start + LOGO_PAD) * scale)
    edge = round((box.side - 2 * LOGO_PAD) * scale)
    logo_palette, logo_rows = _logo(style.logo, edge)
    for row, line in enumerate(logo_rows, start):
        rows[row] = rows[row][:start] + line + rows[row][start + edge :]
    # Beside a logo, a row that is the one above says so ("up", of nothing but zeros), and runs are all that repeats.
    again = b"\2" + bytes(size)
    lines = [again if row is above else b"\0" + row for above, row in pairwise([b"", *rows])]
    runs = zlib.compressobj(1, strategy=zlib.Z_RLE)
    return _file(size, 8, palette + logo_palette, runs.compress(b"".join(lines)) + runs.flush())


def _bits(drawn: Symbol, size: int, scale: int) -> list[bytes]:
    """Every row of pixels, packed from the left; a row of modules is one object as often as it has pixels."""
    width = (size + 7) // 8
    padded = [row.ljust(width * 8, "0") for row in _wide(drawn, size, scale, "0", "1")]
    return _tall([int(row, 2).to_bytes(width) for row in padded], bytes(width), drawn.size * scale, size, scale)


def _bytes(drawn: Symbol, size: int, scale: int) -> list[bytes]:
    """The same with a byte for each pixel."""
    rows = [row.ljust(size, "\0").encode() for row in _wide(drawn, size, scale, "\0", "\1")]
    return _tall(rows, bytes(size), drawn.size * scale, size, scale)


def _wide(drawn: Symbol, size: int, scale: int, light: str, dark: str) -> list[str]:
    """Each row of modules as wide as its pixels, behind the left margin."""
    margin = light * ((size - drawn.size * scale) // 2)
    rows = [format(row, f"0{drawn.size}b") for row in drawn.rows()]
    return [margin + row.replace("0", light * scale).replace("1", dark * scale) for row in rows]


def _tall(rows: list[bytes], white: bytes, height: int, size: int, scale: int) -> list[bytes]:
    above = (size - height) // 2
    return [white] * above + [row for row in rows for _ in range(scale)] + [white] * (size - height - above)


@lru_cache(maxsize=64)
def _logo(logo: bytes, edge: int) -> tuple[bytes, list[bytes]]:
    """A logo's palette and its rows at this size, numbered from colour 2."""
    picture = Image.open(BytesIO(logo)).convert("RGB").resize((edge, edge), Image.Resampling.LANCZOS)
    few = picture.quantize(_LOGO_COLOURS)
    shifted = few.tobytes().translate(bytes((index + 2) % 256 for index in range(256)))
    return bytes(few.getpalette() or []), [shifted[start : start + edge] for start in range(0, edge * edge, edge)]


def _file(size: int, depth: int, palette: bytes, packed: bytes) -> bytes:
    """A PNG with a palette (ISO/IEC 15948)."""
    header = size.to_bytes(4) + size.to_bytes(4) + bytes((depth, 3, 0, 0, 0))
    chunks = [(b"IHDR", header), (b"PLTE", palette), (b"IDAT", packed), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunks(chunks))


def _chunks(chunks: Iterable[tuple[bytes, bytes]]) -> Iterable[bytes]:
    for kind, data in chunks:
        yield len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)


def _path(drawn: Symbol) -> str:
    """Every row as strokes one module high, along its middle."""
    parts: list[str] = []
    for number, row in enumerate(drawn.rows(), QUIET_ZONE):
        parts.append(f"M{QUIET_ZONE} {number}.5")
        runs = format(row, f"0{drawn.size}b").replace("01", "0 1").replace("10", "1 0").split()
        parts += [_RUNS[run] for run in runs]
    return "".join(parts)
