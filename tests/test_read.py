"""Codes found in pictures: all of them, in whatever charset, within the limits of photos, and never for long."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pytest
from django.conf import LazySettings
from django.core.files.base import ContentFile
from PIL import Image, ImageDraw
from segno import make_qr

from merchants.refusals import Refused
from qr import read
from qr.symbol import symbol

UPI = "upi://pay?pa=shop@ybl&pn=Asha&am=20&cu=INR"
FKX = "https://qr.alipay.com/fkx1234567"


def drawn(text: str, pixels: int = 6) -> Image.Image:
    """A code as we draw it, with its quiet zone."""
    made = symbol(text)
    rows = [f"{row:0{made.size}b}" for row in made.rows()]
    grey = bytes(0 if module == "1" else 255 for row in rows for module in row)
    edge = made.size * pixels
    paper = Image.new("L", (edge + 8 * pixels, edge + 8 * pixels), 255)
    paper.paste(Image.frombytes("L", (made.size, made.size), grey).resize((edge, edge), 0), (4 * pixels, 4 * pixels))
    return paper


def sent(picture: Image.Image, file_format: str = "PNG") -> ContentFile[bytes]:
    out = io.BytesIO()
    picture.save(out, file_format)
    return ContentFile(out.getvalue(), "photo")


def of_segno(content: str | bytes, **options: str) -> ContentFile[bytes]:
    out = io.BytesIO()
    made = make_qr(content, **options)  # type: ignore[arg-type]
    made.save(out, kind="png", scale=6)
    return ContentFile(out.getvalue(), "photo")


def profiles(file: ContentFile[bytes]) -> Sequence[str]:
    return [reading.profile for reading in read.picture(file)]


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP"])
def test_a_code_in_a_picture_is_read(file_format: str) -> None:
    (reading,) = read.picture(sent(drawn(UPI), file_format))
    assert (reading.profile, reading.text, reading.amount) == ("upi", UPI, 2000)


def test_all_codes_of_a_large_picture_are_read_from_the_top_down_each_once() -> None:
    photo = Image.new("RGB", (2600, 1800), "white")
    for text, place in ((FKX, (1800, 1300)), (UPI, (200, 100)), (FKX, (100, 1000))):
        photo.paste(drawn(text, 8), place)
    assert profiles(sent(photo.rotate(4, fillcolor="white"), "JPEG")) == ["upi", "alipay_personal"]


def test_a_picture_without_a_code_has_none() -> None:
    assert profiles(sent(Image.new("RGB", (300, 200), "white"))) == []


def test_letters_are_read_in_the_charset_that_is_told() -> None:
    bill = "BCD\n002\n{}\nSCT\n\nBäckerei Ašič\nDE89370400440532013000"
    (reading,) = read.picture(of_segno(bill.format(3).encode("iso8859-2")))
    assert (reading.payee, reading.violations) == ("Bäckerei Ašič", ())
    (reading,) = read.picture(of_segno(bill.format(1), encoding="utf-8"))
    assert (reading.payee, reading.violations) == ("Bäckerei Ašič", ())


def test_bytes_that_are_no_text_are_reported() -> None:
    (reading,) = read.picture(of_segno(b"\xff\xfe\x00\x81 pay"))
    assert (reading.profile, [one.code for one in reading.violations][-1]) == ("unknown", "letters_guessed")


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", "photo_unreadable"), (b"GIF89a", "photo_unreadable"), (b"\x89PNG\r\n\x1a\nxx", "photo_unreadable")],
)
def test_what_is_no_picture_is_refused(content: bytes, code: str) -> None:
    with pytest.raises(Refused) as refused:
        read.picture(ContentFile(content, "photo"))
    assert (refused.value.status_code, refused.value.code) == (400, code)


def test_a_picture_keeps_to_the_limits_of_photos(settings: LazySettings) -> None:
    file = sent(drawn(UPI))
    settings.PHOTO_PIXELS_MAX = 100
    with pytest.raises(Refused) as refused:
        read.picture(file)
    assert refused.value.code == "photo_too_many_pixels"
    settings.PHOTO_BYTES_MAX = 100
    with pytest.raises(Refused) as refused:
        read.picture(file)
    assert (refused.value.status_code, refused.value.code) == (413, "photo_too_large")


def test_a_picture_made_to_keep_us_busy_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seventeen thousand corners of codes, each of which must be compared with the others."""
    busy = Image.new("L", (1200, 1200), 255)
    draw = ImageDraw.Draw(busy)
    for place in ((x, y) for x in range(1, 1190, 9) for y in range(1, 1190, 9)):
        draw.rectangle((*place, place[0] + 6, place[1] + 6), fill=0)
        draw.rectangle((place[0] + 1, place[1] + 1, place[0] + 5, place[1] + 5), fill=255)
        draw.rectangle((place[0] + 2, place[1] + 2, place[0] + 4, place[1] + 4), fill=0)
    monkeypatch.setattr(read, "SECONDS_MAX", 0.4)
    with pytest.raises(Refused) as refused:
        read.picture(sent(busy))
    assert (refused.value.status_code, refused.value.code) == (422, "picture_too_hard")
