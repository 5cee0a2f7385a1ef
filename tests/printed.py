"""Reading what was printed: pages as pictures of a scanner's resolution, the codes on them, their fonts and boxes."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import zxingcpp
from PIL import Image
from pypdf import PdfReader
from pypdfium2 import PdfDocument

POINTS = 72 / 25.4


def pages(pdf: bytes, dpi: float = 200) -> list[Image.Image]:
    """Every page as a picture, by another program than the one that wrote it."""
    document = PdfDocument(pdf)
    try:
        return [page.render(scale=dpi / 72).to_pil().convert("L") for page in document]
    finally:
        document.close()


def codes(picture: Image.Image) -> list[str]:
    """What every code in a picture says, from the top and from the left."""
    found = zxingcpp.read_barcodes(picture)
    tall = picture.height / 60
    return [
        code.text
        for code in sorted(found, key=lambda code: (round(code.position.top_left.y / tall), code.position.top_left.x))
    ]


def corners(picture: Image.Image) -> list[float]:
    """How many pixels each code in a picture covers, without its quiet zone."""
    areas = []
    for code in zxingcpp.read_barcodes(picture):
        place = code.position
        edges = [place.top_left, place.top_right, place.bottom_right, place.bottom_left]
        turns = zip(edges, [*edges[1:], edges[0]], strict=True)
        areas.append(abs(sum(one.x * two.y - two.x * one.y for one, two in turns)) / 2)
    return areas


def sizes(pdf: bytes) -> dict[str, float]:
    """How large each piece of text is set where it is largest, in millimetres."""
    found: dict[str, float] = {}

    def visit(text: str, _cm: Any, _tm: Any, _font: Any, size: float) -> None:
        if text.strip():
            found[text.strip()] = max(float(size) / POINTS, found.get(text.strip(), 0))

    for page in PdfReader(BytesIO(pdf)).pages:
        page.extract_text(visitor_text=visit)
    return found


def texts(pdf: bytes) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(BytesIO(pdf)).pages)


def boxes(pdf: bytes, box: str = "mediabox") -> list[list[float]]:
    """The corners of each page's box, in millimetres."""
    return [[round(float(side) / POINTS, 2) for side in getattr(page, box)] for page in PdfReader(BytesIO(pdf)).pages]


def fonts(pdf: bytes) -> dict[str, bool]:
    """Every font that a page or a form in it names, and whether its letters are in the file."""
    found: dict[str, bool] = {}
    for page in PdfReader(BytesIO(pdf)).pages:
        for resources in _resources(page["/Resources"]):
            for font in resources.get("/Font", {}).values():
                descriptor = font.get_object().get("/FontDescriptor", {})
                found[str(font.get_object()["/BaseFont"])] = "/FontFile2" in descriptor
    return found


def _resources(resources: Any) -> Iterator[Any]:
    resources = resources.get_object()
    yield resources
    for form in resources.get("/XObject", {}).values():
        if inner := form.get_object().get("/Resources"):
            yield from _resources(inner)
