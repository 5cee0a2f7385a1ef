"""Readers of codes that have nothing in common: ZXing in C++ (what many phones read with) and quirc and qrdec, in C."""

from __future__ import annotations

import deqr
import zxingcpp
from PIL import Image

NAMES = ("zxing", "quirc", "qrdec")


def texts(picture: Image.Image, reader: str = "zxing") -> list[str]:
    """What a reader finds in a picture, each text once."""
    if reader == "zxing":
        return sorted({found.text for found in zxingcpp.read_barcodes(picture)})
    decoder = deqr.QuircDecoder() if reader == "quirc" else deqr.QRdecDecoder()
    found = decoder.decode(deqr.image.ImageLoader(picture.convert("L")))
    return sorted({"".join(str(entry.data) for entry in code.data_entries) for code in found})


def second(picture: Image.Image) -> list[str]:
    """What either of the C readers finds."""
    return texts(picture, "quirc") or texts(picture, "qrdec")
