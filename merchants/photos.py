"""Photos and logos of vendors: whatever a phone made becomes one small JPEG that says nothing about where it was taken.

Re-encoding drops EXIF (place, time, device) and anything that hides in a file; the upright picture is kept.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator

import zxingcpp
from django.conf import settings
from django.core.files.base import ContentFile, File
from django.core.files.storage import default_storage
from django.utils.translation import gettext as _
from PIL import Image, ImageOps, UnidentifiedImageError

from merchants import ids
from merchants.refusals import Refused

EDGE_PIXELS = 640
# The scan page promises a photo of 20 kB on slow 4G.
BYTES_MAX = 20_480
# A logo is some centimetres wide on a poster, and stands in every SVG of a code.
LOGO_EDGE_PIXELS = 192
LOGO_BYTES_MAX = 8_192
FORMATS = ("JPEG", "PNG", "WEBP")
STORED_NAME = re.compile(r"(items|logos|shops)/[0-9A-Za-z]{22}\.jpg")

_EDGES = (640, 480, 320, 160)
_QUALITIES = (82, 72, 62, 50, 40, 30)


def keep(photo: File[bytes], folder: str) -> str:
    """Re-encodes an uploaded photo and stores it under a name nobody can guess; answers that name.

    Raises Refused as `encode` does.
    """
    return default_storage.save(f"{folder}/{ids.secret(22)}.jpg", ContentFile(encode(photo)))


def encode(photo: File[bytes]) -> bytes:
    """A JPEG of at most 640 pixels an edge and 20 kB, upright, without metadata, on white where it was transparent.

    Raises Refused as `opened` does.
    """
    upright = opened(photo, EDGE_PIXELS)
    return next(jpeg for jpeg in _smaller_and_smaller(upright) if len(jpeg) <= BYTES_MAX)


def keep_logo(logo: File[bytes]) -> str:
    """The same for what stands in the middle of a shop's codes. Raises Refused as `encode_logo` does."""
    return default_storage.save(f"logos/{ids.secret(22)}.jpg", ContentFile(encode_logo(logo)))


def encode_logo(logo: File[bytes]) -> bytes:
    """A square JPEG of 192 pixels and 8 kB at most; what was not square is whole, on white.

    Raises Refused as `opened` does, and 400 `logo_holds_code`: a payer's phone might open that code instead of ours.
    """
    edge = LOGO_EDGE_PIXELS
    square = ImageOps.pad(opened(logo, EDGE_PIXELS), (edge, edge), Image.Resampling.LANCZOS, color="white")
    if zxingcpp.read_barcodes(square):
        raise Refused(
            400, "logo_holds_code", _("There is a code in this logo. A phone might open it instead of yours.")
        )
    return next(jpeg for jpeg in (_jpeg(square, quality) for quality in _QUALITIES) if len(jpeg) <= LOGO_BYTES_MAX)


def opened(photo: File[bytes], edge: int) -> Image.Image:
    """The picture of an uploaded file in plain RGB, upright, at most `edge` pixels wide and high.

    Raises Refused: 413 `photo_too_large` (bytes), 400 `photo_too_many_pixels`, `photo_unreadable` (broken, or not JPEG,
    PNG or WebP).
    """
    if (photo.size or 0) > settings.PHOTO_BYTES_MAX:
        raise Refused(413, "photo_too_large", _("The photo is too large."))
    try:
        with warnings.catch_warnings():
            # The limit below is ours; Pillow's own is a warning at a size of its choosing.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(photo, formats=FORMATS)
        if picture.width * picture.height > settings.PHOTO_PIXELS_MAX:
            raise Refused(400, "photo_too_many_pixels", _("The photo has too many pixels."))
        # A JPEG can be decoded at a fraction of its size: an eighth of the memory, and quicker.
        picture.draft("RGB", (edge * 2, edge * 2))
        return _flat(ImageOps.exif_transpose(picture), edge)
    except Image.DecompressionBombError:
        raise Refused(400, "photo_too_many_pixels", _("The photo has too many pixels.")) from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, TypeError, EOFError):
        # Pillow's plugins report a broken file by any of these.
        raise Refused(400, "photo_unreadable", _("The photo cannot be read. Send a JPEG, PNG or WebP.")) from None


def forget(name: str) -> None:
    """Deletes a stored photo; one that is gone already is no error. Call it after commit."""
    if name:
        default_storage.delete(name)


def _flat(picture: Image.Image, edge: int) -> Image.Image:
    """Plain RGB, at most so many pixels an edge: transparency becomes paper, not black."""
    picture.thumbnail((edge, edge))
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layer = picture.convert("RGBA")
    paper = Image.new("RGBA", layer.size, "white")
    paper.alpha_composite(layer)
    return paper.convert("RGB")


def _smaller_and_smaller(picture: Image.Image) -> Iterator[bytes]:
    """JPEGs of falling quality, then of falling size; the last of all fits whatever it shows."""
    for edge in _EDGES:
        smaller = picture.copy()
        smaller.thumbnail((edge, edge))
        for quality in _QUALITIES:
            yield _jpeg(smaller, quality)


def _jpeg(picture: Image.Image, quality: int) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality, optimize=True, progressive=True)
    return out.getvalue()
