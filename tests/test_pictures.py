"""A code's pictures over the API, for its own shop only."""

from __future__ import annotations

import shutil
from io import BytesIO

import pytest
from django.conf import LazySettings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from PIL import Image
from rest_framework.test import APIClient

from merchants import ids
from merchants.models import Code, Item, Shop
from qr import draw, pictures
from tests import readers
from tests.cast import Person, field_problems, problem
from tests.test_items import picture


@pytest.fixture
def code(apples: Item) -> Code:
    return apples.codes.get()


def module(png: bytes) -> object:
    """The colour of the module in the corner of the first finder."""
    flat = Image.open(BytesIO(png)).convert("RGB")
    left, top, *_ = flat.convert("L").point(lambda light: 255 - light).getbbox() or (0, 0)
    return flat.getpixel((left, top))


def path(code: Code, kind: str = "png") -> str:
    return f"/api/v1/codes/{ids.public('cod', code.id)}/image.{kind}"


def test_the_png_says_the_codes_address(api: APIClient, code: Code) -> None:
    answer = api.get(path(code), HTTP_ACCEPT="image/png")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/png")
    picture = Image.open(BytesIO(answer.content))
    assert picture.size == (600, 600)
    assert [found.text for found in readers.codes(picture)] == [f"http://127.0.0.1:8000/s/{code.slug}"]


def test_the_svg_has_the_size_that_was_asked_for(api: APIClient, code: Code) -> None:
    answer = api.get(path(code, "svg"), {"size": 240})
    assert answer.headers["Content-Type"] == "image/svg+xml"
    assert b'width="240" height="240"' in answer.content


def test_a_picture_is_asked_for_again_by_its_tag_and_kept_for_ever_under_its_version(
    api: APIClient, code: Code
) -> None:
    first = api.get(path(code))
    tag = first.headers["ETag"]
    assert first.headers["Cache-Control"] == "private, no-cache"
    again = api.get(path(code), HTTP_IF_NONE_MATCH=tag)
    assert (again.status_code, again.content) == (304, b"")
    kept = api.get(path(code), {"v": tag.strip('"')})
    assert (kept.content, kept.headers["Cache-Control"]) == (first.content, "private, max-age=31536000, immutable")


def test_a_branded_picture_has_the_shops_colour_and_logo_and_is_read(api: APIClient, code: Code) -> None:
    plain = api.get(path(code)).content
    assert api.get(path(code), {"branded": "true"}).content == plain
    api.patch("/api/v1/shop", {"colour": "#0b6b46"})
    coloured = api.get(path(code), {"branded": "true"})
    assert (module(coloured.content), module(api.get(path(code)).content)) == ((11, 107, 70), (0, 0, 0))
    api.patch("/api/v1/shop", {"logo": picture()}, format="multipart")
    for kind in ("png", "svg"):
        branded = api.get(path(code, kind), {"branded": "1"})
        assert branded.status_code == 200
        assert branded.headers["ETag"] not in (coloured.headers["ETag"], api.get(path(code, kind)).headers["ETag"])
    whole = Image.open(BytesIO(api.get(path(code), {"branded": "1"}).content))
    (found,) = readers.codes(whole.convert("L"))
    assert (found.text, found.ec_level) == (f"http://127.0.0.1:8000/s/{code.slug}", "H")
    assert api.get(path(code)).content == plain


def test_the_use_chooses_the_level(api: APIClient, code: Code) -> None:
    def level(**asked: str) -> str:
        picture = Image.open(BytesIO(api.get(path(code), asked).content)).convert("L")
        return str(readers.codes(picture)[0].ec_level)

    assert (level(), level(use="screen"), level(use="print")) == ("M", "M", "Q")
    assert "use" in field_problems(api.get(path(code), {"use": "wall"}))
    assert "branded" in field_problems(api.get(path(code), {"branded": "maybe"}))


def test_a_repeat_is_answered_without_drawing_or_opening_the_logo(
    api: APIClient, code: Code, real_db: None, settings: LazySettings
) -> None:
    api.patch("/api/v1/shop", {"logo": picture()}, format="multipart")
    asked = {"branded": "1", "use": "print"}
    tag = api.get(path(code), asked).headers["ETag"]
    draw.png.cache_clear()
    pictures._logo.cache_clear()
    shutil.rmtree(settings.MEDIA_ROOT)
    again = api.get(path(code), asked, HTTP_IF_NONE_MATCH=tag)
    assert (again.status_code, again.content, draw.png.cache_info().misses) == (304, b"", 0)


def test_a_code_that_cannot_be_read_with_its_logo_is_refused_and_plain_ones_go_on(api: APIClient, code: Code) -> None:
    """A logo that came into the shop by another way than the API: with a code in it."""
    inner = default_storage.save("logos/x.png", ContentFile(draw.png("B", 120)))
    Shop.objects.update(logo=inner)
    for kind in ("png", "svg"):
        assert problem(api.get(path(code, kind), {"branded": "1"})) == (409, "code_unreadable")
        assert api.get(path(code, kind)).status_code == 200


def test_a_size_too_small_for_a_code_at_its_level_is_refused(
    api: APIClient, code: Code, settings: LazySettings
) -> None:
    settings.PUBLIC_URL = "https://" + "a-long-name." * 60 + "example"
    assert "size" in field_problems(api.get(path(code), {"size": "120", "use": "print"}))


def test_another_shops_code_is_as_unknown_as_none(arjun: Person, code: Code) -> None:
    unknown = "/api/v1/codes/cod_00000000000000000000000000/image.png"
    assert problem(arjun.api().get(path(code))) == (404, "not_found")
    assert problem(arjun.api().get(unknown)) == (404, "not_found")
    assert problem(arjun.api().get("/api/v1/codes/nonsense/image.svg")) == (404, "not_found")


def test_nobody_gets_a_picture_without_a_token(stranger: APIClient, code: Code) -> None:
    assert problem(stranger.get(path(code)))[0] == 401


@pytest.mark.parametrize("size", ["119", "2049", "99999999999999999999", "-600", "６００", "six", ""])
def test_a_size_that_is_out_of_range_is_refused_even_when_a_picture_is_accepted(
    api: APIClient, code: Code, size: str
) -> None:
    assert "size" in field_problems(api.get(path(code), {"size": size}, HTTP_ACCEPT="image/png"))
