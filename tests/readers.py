"""Readers of codes that have nothing in common: ZXing in C++ (what many phones read with) and quirc and qrdec, in C."""

from __future__ import annotations

from typing import Any

import deqr
import zxingcpp
from PIL import Image

NAMES = ("zxing", "quirc", "qrdec")


def codes(picture: Image.Image, **options: Any) -> list[zxingcpp.Barcode]:
    """The QR codes that ZXing finds. Asked for every kind it sometimes takes a part of a QR code for a bar code."""
    return zxingcpp.read_barcodes(picture, formats=zxingcpp.BarcodeFormats([zxingcpp.BarcodeFormat.QRCode]), **options)


def texts(picture: Image.Image, reader: str = "zxing") -> list[str]:
    """What a reader finds in a picture, each text once."""
    if reader == "zxing":
        return sorted({found.text for found in codes(picture)})
    decoder = deqr.QuircDecoder() if reader == "quirc" else deqr.QRdecDecoder()
    found = decoder.decode(deqr.image.ImageLoader(picture.convert("L")))
    return sorted({"".join(str(entry.data) for entry in code.data_entries) for code in found})


def second(picture: Image.Image) -> list[str]:
    """What either of the C readers finds."""
    return texts(picture, "quirc") or texts(picture, "qrdec")
