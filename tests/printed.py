"""Reading what was printed: pages as pictures of a scanner's resolution, the codes on them, their fonts and boxes."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any

from PIL import Image
from pypdf import PdfReader
from pypdfium2 import PdfDocument

from tests import readers

POINTS = 72 / 25.4


def pages(pdf: bytes, dpi: float = 200) -> list[Image.Image]:
    """Every page as a picture, by another program than the one that wrote it."""
    document = PdfDocument(pdf)
    try:
        return [page.render(scale=dpi / 72).to_pil().convert("L") for page in document]
    finally:
        document.close()


def codes(picture: Image.Image) -> list[str]:
    """What every code in a picture says, row by row from the top, and from the left."""
    found = [(code.position.top_left, code.text) for code in readers.codes(picture)]
    rows: list[list[tuple[int, str]]] = []
    row_begins = -picture.height
    for place, text in sorted(found, key=lambda each: each[0].y):
        if place.y - row_begins > picture.height / 60:
            rows.append([])
            row_begins = place.y
        rows[-1].append((place.x, text))
    return [text for row in rows for _x, text in sorted(row)]


def corners(picture: Image.Image) -> list[float]:
    """How many pixels each code in a picture covers, without its quiet zone."""
    areas = []
    for code in readers.codes(picture):
        place = code.position
        edges = [place.top_left, place.top_right, place.bottom_right, place.bottom_left]
        turns = zip(edges, [*edges[1:], edges[0]], strict=True)
        areas.append(abs(sum(one.x * two.y - two.x * one.y for one, two in turns)) / 2)
    return areas


def frames(picture: Image.Image) -> list[tuple[int, int, int, int]]:
    """The upright box around each code in a picture, without its quiet zone."""
    found = [code.position for code in readers.codes(picture)]
    return [(place.top_left.x, place.top_left.y, place.bottom_right.x, place.bottom_right.y) for place in found]


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
