"""Printed forms over the API: for the shop's own codes only, drawn once, refused before anything is drawn."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from merchants import codes, ids, items
from merchants.models import Code, Item
from qr.printing import CODES_MAX, STICKERS_MAX
from tests import printed, readers
from tests.cast import Person, field_problems, problem

SHEET, PAGE = "/api/v1/codes/sheet.pdf", "/api/v1/codes/print.html"


@pytest.fixture
def code(apples: Item) -> Code:
    return apples.codes.get()


def id_of(code: Code) -> str:
    return ids.public(Code.prefix, code.id)


def poster(code: Code, kind: str = "poster") -> str:
    return f"/api/v1/codes/{id_of(code)}/{kind}.pdf"


def test_a_sheet_carries_each_code_as_often_as_it_is_asked_for(api: APIClient, code: Code, mei: Person) -> None:
    own = Code.objects.get(shop=mei.shop, kind="shop")
    answer = api.get(f"{SHEET}?ids={id_of(code)},{id_of(own)}&copies=2&start=3", HTTP_ACCEPT="image/*")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/pdf")
    assert answer.headers["Content-Disposition"] == 'inline; filename="stickers.pdf"'
    assert printed.boxes(answer.content) == [[0, 0, 210, 297]]
    assert printed.codes(printed.pages(answer.content)[0]) == [code.url] * 2 + [own.url] * 2
    text = printed.texts(answer.content)
    assert "Apples" in text
    assert "¥2.00 / pile" in text
    assert "扫码付款" in text


def test_a_sheet_takes_the_labels_the_paper_and_the_language_that_are_named(api: APIClient, code: Code) -> None:
    asked = {"ids": id_of(code), "layout": "avery-5163", "language": "en", "price": "false"}
    file = api.get(SHEET, asked).content
    assert printed.boxes(file) == [[0, 0, 215.9, 279.4]]
    assert "Scan to pay" in printed.texts(file)
    assert "¥" not in printed.texts(file)
    plain = api.get(SHEET, {"ids": id_of(code), "paper": "letter"}).content
    assert printed.boxes(plain) == [[0, 0, 215.9, 279.4]]


def test_a_sheet_of_more_stickers_than_labels_has_more_pages(api: APIClient, code: Code) -> None:
    file = api.get(f"{SHEET}?ids={id_of(code)}&copies=50&layout=avery-l7160").content
    assert [len(printed.codes(page)) for page in printed.pages(file)] == [21, 21, 8]


def test_a_single_code_fills_its_sheet(api: APIClient, code: Code, mei: Person) -> None:
    file = api.get(f"{SHEET}?ids={id_of(code)}&layout=avery-l7165&start=3").content
    assert [len(printed.codes(page)) for page in printed.pages(file)] == [6]
    page = api.get(f"{PAGE}?ids={id_of(code)}&layout=avery-l7165").content.decode()
    assert page.count("<use") == 8
    own = Code.objects.get(shop=mei.shop, kind="shop")
    both = api.get(f"{SHEET}?ids={id_of(code)},{id_of(own)}").content
    assert printed.codes(printed.pages(both)[0]) == [code.url, own.url]


def test_what_does_not_fit_together_is_refused_by_its_field(api: APIClient, code: Code) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"layout": "avery-9999"}, "layout"),
        ({"layout": "avery-l7160", "paper": "letter"}, "paper"),
        ({"layout": "avery-5164", "start": 7}, "start"),
        ({"start": 0}, "start"),
        ({"copies": STICKERS_MAX + 1}, "copies"),
        ({"copies": "many"}, "copies"),
        ({"language": "tlh"}, "language"),
        ({"ids": " , "}, "ids"),
        ({"ids": ",".join([id_of(code)] * (CODES_MAX + 1))}, "ids"),
        ({"ids": ",".join([id_of(code)] * 6), "copies": 84}, "copies"),
    ]
    for asked, field in wrong:
        for address in (SHEET, PAGE):
            assert list(field_problems(api.get(address, {"ids": id_of(code), **asked}))) == [field], asked
    assert list(field_problems(api.get(SHEET))) == ["ids"]
    assert list(field_problems(api.get(poster(code), {"paper": "a5"}))) == ["paper"]
    assert list(field_problems(api.get(poster(code, "tent"), {"paper": "a3"}))) == ["paper"]


@pytest.mark.parametrize("address", [SHEET, PAGE])
def test_one_code_that_is_not_hers_and_nothing_is_printed(
    arjun: Person, api: APIClient, code: Code, address: str
) -> None:
    his = Code.objects.get(shop=arjun.shop, kind="shop")
    unknown = "cod_00000000000000000000000000"
    for other in (id_of(his), unknown, "nonsense", "itm_00000000000000000000000000"):
        assert problem(api.get(address, {"ids": f"{id_of(code)},{other}"})) == (404, "not_found")
    assert problem(arjun.api().get(poster(code))) == (404, "not_found")
    assert problem(arjun.api().get(poster(code, "tent"))) == (404, "not_found")


def test_nobody_prints_without_a_token(stranger: APIClient, code: Code) -> None:
    for address in (f"{SHEET}?ids={id_of(code)}", f"{PAGE}?ids={id_of(code)}", poster(code), poster(code, "tent")):
        assert problem(stranger.get(address))[0] == 401


def test_a_retired_code_is_printed_no_more(api: APIClient, code: Code) -> None:
    codes.change(code=code, state="retired", now=timezone.now())
    assert problem(api.get(SHEET, {"ids": id_of(code)})) == (409, "code_retired")
    assert problem(api.get(poster(code))) == (409, "code_retired")


def test_what_is_printed_is_asked_for_again_by_its_tag_until_it_would_say_something_else(
    api: APIClient, code: Code, apples: Item
) -> None:
    for address, asked in ((SHEET, {"ids": id_of(code)}), (PAGE, {"ids": id_of(code)}), (poster(code), {})):
        first = api.get(address, asked)
        assert first.headers["Cache-Control"] == "private, no-cache"
        assert first.headers["Vary"] == "Authorization, Accept-Language"
        again = api.get(address, asked, HTTP_IF_NONE_MATCH=first.headers["ETag"])
        assert (again.status_code, again.content) == (304, b"")
        assert api.get(address, asked).content == first.content
        other = api.get(address, {**asked, "language": "en"}, HTTP_IF_NONE_MATCH=first.headers["ETag"])
        assert other.status_code == 200
    tag = api.get(poster(code)).headers["ETag"]
    items.update(item=apples, amount=300, currency="CNY")
    assert api.get(poster(code), HTTP_IF_NONE_MATCH=tag).status_code == 200


def test_a_poster_says_the_pile_in_the_language_of_its_shop(api: APIClient, code: Code, apples: Item) -> None:
    items.update(item=apples, unit="堆")
    text = printed.texts(api.get(poster(code)).content)
    assert "扫一扫，这一堆 ¥2.00" in text
    english = api.get(poster(code), {"language": "en", "price": "false"}).content
    assert "Scan me to pay" in printed.texts(english)
    assert "¥" not in printed.texts(english)
    assert printed.boxes(api.get(poster(code), {"paper": "a3"}).content) == [[0, 0, 297, 420]]
    assert printed.boxes(api.get(poster(code), {"marks": "true"}).content, "trimbox") == [[9, 9, 219, 306]]


def test_a_shops_own_code_becomes_its_sign_with_the_check_word(api: APIClient, mei: Person) -> None:
    mei.shop.check_word = "blue dolphin"
    mei.shop.save()
    own = Code.objects.get(shop=mei.shop, kind="shop")
    file = api.get(poster(own), {"language": "en"}).content
    text = printed.texts(file)
    for said in ("Mei's fruit", "Scan me and type the amount", "Your pay page must show this word:", "blue dolphin"):
        assert said in text
    assert readers.texts(printed.pages(file, 72)[0]) == [own.url]
    tent = printed.texts(api.get(poster(own, "tent"), {"language": "en", "paper": "letter"}).content)
    assert tent.count("blue dolphin") == 2
    stickers = printed.texts(api.get(SHEET, {"ids": id_of(own), "language": "en"}).content)
    assert "Check word: blue dolphin" in stickers


@pytest.mark.parametrize("name", ["ប៉ោម", "🍎🍎"])
def test_a_name_that_our_fonts_do_not_draw_is_printed_by_the_page(
    api: APIClient, apples: Item, code: Code, name: str
) -> None:
    items.update(item=apples, name=name)
    for address in (f"{SHEET}?ids={id_of(code)}", poster(code), poster(code, "tent")):
        refused = api.get(address)
        assert problem(refused) == (422, "letters_not_drawable")
        assert PAGE in refused.json()["detail"]
    for layout in ("avery-5160", "poster"):
        page = api.get(PAGE, {"ids": id_of(code), "layout": layout})
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        assert name in page.content.decode()


def test_a_code_that_is_too_fine_for_the_label_is_refused(api: APIClient, code: Code, settings: Any) -> None:
    settings.PUBLIC_URL = "https://" + "long-name." * 20 + "example.com"
    for address in (SHEET, PAGE):
        asked = {"ids": id_of(code), "layout": "avery-5160"}
        assert problem(api.get(address, asked)) == (422, "label_too_small")
        assert api.get(address, {**asked, "layout": "avery-l7165"}).status_code == 200
