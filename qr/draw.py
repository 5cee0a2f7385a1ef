"""Pictures of a code for a screen or a printer: PNG and SVG, always with the quiet zone readers need."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from io import BytesIO

from PIL import Image

from qr.symbol import Symbol, symbol

QUIET_ZONE = 4  # Modules of white on each side (ISO/IEC 18004 §6.3.8).
SIZE_MIN = 120
SIZE_MAX = 2048
SIZE = 600
STYLE = 1  # Part of every tag: raise it when a picture of the same text changes.


@lru_cache(maxsize=512)
def png(text: str, size: int = SIZE) -> bytes:
    """A square black and white PNG of `size` pixels, every module the same whole number of pixels.

    What is left over widens the quiet zone. Raises ValueError when the text does not fit into this size.
    """
    drawn = symbol(text)
    scale = size // (drawn.size + 2 * QUIET_ZONE)
    if scale < 1:
        raise ValueError(f"{size} pixels are too few for this text")
    picture = Image.frombytes("1", (size, size), _pixels(drawn, size, scale))
    output = BytesIO()
    picture.save(output, "PNG", compress_level=2)
    return output.getvalue()


@lru_cache(maxsize=512)
def svg(text: str, size: int = SIZE) -> bytes:
    """The same picture as one path, sharp at any size; `size` is what it asks for where nothing else is said."""
    drawn = symbol(text)
    side = drawn.size + 2 * QUIET_ZONE
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{size}" height="{size}" viewBox="0 0 {side} {side}">'
        f'<path fill="#fff" d="M0 0h{side}v{side}H0z"/>'
        f'<path d="{_path(drawn)}" shape-rendering="crispEdges"/></svg>'
    ).encode()


def tag(text: str, picture: str, size: int) -> str:
    """The name of a picture by its content: the same for the same bytes, known without drawing them."""
    return hashlib.sha256(f"{STYLE} {picture} {size} {text}".encode()).hexdigest()[:32]


def _pixels(drawn: Symbol, size: int, scale: int) -> bytes:
    """The rows of a bitmap of Pillow's: 1 is white, and every row begins on a byte.

    Each row of modules is written once and repeated, which is quicker than having Pillow scale a small image.
    """
    margin = (size - drawn.size * scale) // 2
    width = (size + 7) // 8
    white = b"\xff" * width
    wide = {ord("0"): "1" * scale, ord("1"): "0" * scale}
    rows = [white * margin]
    for row in drawn.rows():
        modules = format(row, f"0{drawn.size}b").translate(wide)
        bits = ("1" * margin + modules).ljust(width * 8, "1")
        rows.append(int(bits, 2).to_bytes(width) * scale)
    rows.append(white * (size - margin - drawn.size * scale))
    return b"".join(rows)


def _path(drawn: Symbol) -> str:
    """Every run of dark modules as a rectangle one module high."""
    parts: list[str] = []
    for number, row in enumerate(drawn.rows()):
        column = QUIET_ZONE
        for run in _runs(format(row, f"0{drawn.size}b")):
            if run[0] == "1":
                parts.append(f"M{column} {number + QUIET_ZONE}h{len(run)}v1h-{len(run)}z")
            column += len(run)
    return "".join(parts)


def _runs(row: str) -> list[str]:
    return row.replace("01", "0 1").replace("10", "1 0").split()
