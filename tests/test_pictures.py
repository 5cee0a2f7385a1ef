"""A code's pictures over the API, for its own shop only."""

from __future__ import annotations

from io import BytesIO

import pytest
import zxingcpp
from PIL import Image
from rest_framework.test import APIClient

from merchants import ids
from merchants.models import Code, Item
from tests.cast import Person, field_problems, problem


@pytest.fixture
def code(apples: Item) -> Code:
    return apples.codes.get()


def path(code: Code, kind: str = "png") -> str:
    return f"/api/v1/codes/{ids.public('cod', code.id)}/image.{kind}"


def test_the_png_says_the_codes_address(api: APIClient, code: Code) -> None:
    answer = api.get(path(code), HTTP_ACCEPT="image/png")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/png")
    picture = Image.open(BytesIO(answer.content))
    assert picture.size == (600, 600)
    assert [found.text for found in zxingcpp.read_barcodes(picture)] == [f"http://127.0.0.1:8000/s/{code.slug}"]


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
