"""Photos: small, upright, and silent about where they were taken."""

from __future__ import annotations

import io
import random
import zlib
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import Client
from PIL import Image

from merchants import photos
from merchants.refusals import Refused
from qr import draw


def drawn(picture: Image.Image, file_format: str, **options: object) -> ContentFile[bytes]:
    out = io.BytesIO()
    picture.save(out, file_format, **options)
    return ContentFile(out.getvalue(), name="photo")


def noise(width: int, height: int) -> Image.Image:
    """The worst picture there is for a JPEG."""
    return Image.frombytes("RGB", (width, height), random.Random(7).randbytes(width * height * 3))


def decoded(jpeg: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(jpeg))
    picture.load()
    return picture


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_a_photo_becomes_a_small_jpeg(file_format: str) -> None:
    jpeg = photos.encode(drawn(noise(1600, 1200), file_format))
    picture = decoded(jpeg)
    assert picture.format == "JPEG"
    assert max(picture.size) <= 640
    assert len(jpeg) <= 20_480


def test_a_plain_photo_keeps_its_full_640_pixels() -> None:
    assert decoded(photos.encode(drawn(Image.new("RGB", (4000, 3000), "red"), "JPEG"))).size == (640, 480)
    assert decoded(photos.encode(drawn(Image.new("RGB", (100, 80), "red"), "PNG"))).size == (100, 80)


def test_the_photo_is_turned_upright_and_its_exif_is_gone() -> None:
    picture = Image.new("RGB", (400, 200), "blue")
    picture.paste("red", (0, 0, 200, 200))
    exif = Image.Exif()
    exif[0x0112] = 6  # Turn by a quarter, clockwise: what was left comes to the top.
    exif[0x010F] = "SecretPhone"
    exif.get_ifd(0x8825)[2] = (23.0, 7.0, 45.0)
    jpeg = photos.encode(drawn(picture, "JPEG", exif=exif))
    upright = decoded(jpeg)
    assert upright.size == (200, 400)
    pixel = upright.getpixel((100, 50))
    assert isinstance(pixel, tuple)
    assert pixel[0] > 200 > 50 > pixel[2]
    assert b"SecretPhone" not in jpeg
    assert dict(upright.getexif()) == {}
    assert "exif" not in upright.info


def test_what_is_transparent_becomes_white() -> None:
    jpeg = photos.encode(drawn(Image.new("RGBA", (50, 50), (0, 0, 0, 0)), "PNG"))
    assert decoded(jpeg).getpixel((25, 25)) == (255, 255, 255)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a picture",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic",
        b"\xff\xd8\xff\xe0" + b"\x00" * 40,
        drawn(noise(200, 200), "JPEG").read()[:3000],
        drawn(noise(200, 200), "PNG").read()[:3000],
        drawn(noise(20, 20), "GIF").read(),
        drawn(noise(20, 20), "TIFF").read(),
    ],
    ids=["empty", "text", "svg", "heic", "jpeg head", "half a jpeg", "half a png", "gif", "tiff"],
)
def test_what_is_no_photo_is_refused(content: bytes) -> None:
    with pytest.raises(Refused) as refused:
        photos.encode(ContentFile(content, name="photo"))
    assert (refused.value.status_code, refused.value.code) == (400, "photo_unreadable")


@pytest.mark.parametrize("size", [(900, 300), (300, 900), (20, 20)])
def test_a_logo_becomes_a_small_square_and_is_whole(size: tuple[int, int]) -> None:
    jpeg = photos.encode_logo(drawn(Image.new("RGB", size, "navy"), "PNG"))
    square = decoded(jpeg).convert("L")
    assert square.size == (192, 192)
    wide, tall = (192 * edge // max(size) for edge in size)
    left, top, right, bottom = square.point(lambda level: 255 * (level < 128)).getbbox() or (0, 0, 0, 0)
    assert abs(right - left - wide) <= 2
    assert abs(bottom - top - tall) <= 2


def test_the_worst_logo_is_small(client: Client) -> None:
    assert len(photos.encode_logo(drawn(noise(800, 800), "PNG"))) <= 8_192
    name = photos.keep_logo(drawn(noise(50, 50), "PNG"))
    assert (name.startswith("logos/"), client.get(f"/media/{name}").status_code) == (True, 200)


def test_a_logo_that_is_a_code_itself_is_refused() -> None:
    code = ContentFile(draw.png("https://elsewhere.example", 600), name="logo.png")
    with pytest.raises(Refused) as refused:
        photos.encode_logo(code)
    assert (refused.value.status_code, refused.value.code) == (400, "logo_holds_code")


def test_too_many_bytes_are_refused_before_they_are_read(settings: LazySettings) -> None:
    settings.PHOTO_BYTES_MAX = 1000
    with pytest.raises(Refused) as refused:
        photos.encode(ContentFile(b"x" * 1001, name="photo"))
    assert (refused.value.status_code, refused.value.code) == (413, "photo_too_large")


@pytest.mark.parametrize("size", [(8_000, 7_000), (60_000, 60_000)])
def test_a_decompression_bomb_is_refused_by_its_header(size: tuple[int, int]) -> None:
    """A PNG of a few bytes that says how large it will be."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    width, height = (edge.to_bytes(4, "big") for edge in size)
    header = chunk(b"IHDR", width + height + b"\x08\x02\x00\x00\x00")
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    with pytest.raises(Refused) as refused:
        photos.encode(ContentFile(bomb, name="photo"))
    assert (refused.value.status_code, refused.value.code) == (400, "photo_too_many_pixels")


def test_a_kept_photo_is_served_for_ever_under_a_random_name(client: Client) -> None:
    name = photos.keep(drawn(noise(50, 50), "PNG"), "items")
    assert photos.STORED_NAME.fullmatch(name)
    answer = client.get(f"/media/{name}")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert b"".join(answer.streaming_content)[:2] == b"\xff\xd8"  # type: ignore[attr-defined]
    photos.forget(name)
    photos.forget(name)
    assert client.get(f"/media/{name}").status_code == 404


@pytest.mark.parametrize(
    "path", ["../secret", "items/../../secret", "items/x.jpg", "items/%2e%2e/secret", "other/" + "a" * 22 + ".jpg"]
)
def test_only_names_we_made_are_served(client: Client, settings: LazySettings, path: str) -> None:
    Path(settings.MEDIA_ROOT).mkdir()
    (Path(settings.MEDIA_ROOT).parent / "secret").write_text("secret")
    default_storage.save("items/x.jpg", ContentFile(b"x"))
    assert client.get(f"/media/{path}").status_code == 404
