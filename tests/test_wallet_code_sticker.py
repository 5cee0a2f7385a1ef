"""A printed own wallet code: scanners read the payload, people read that nobody here confirms it, on every label."""

from __future__ import annotations

import pytest
from django.utils import timezone

from merchants.models import Shop, WalletCode
from qr import phrases, sheet
from qr.labels import LAYOUTS
from qr.wallet_code_sticker import UNCONFIRMED, sticker
from tests.cast import Person, problem
from tests.printed import codes, pages, texts
from tests.test_wallet_codes import UPI, added, at

pytestmark = pytest.mark.django_db


def test_it_is_said_in_every_language_of_printed_codes() -> None:
    assert set(UNCONFIRMED) == set(phrases.PHRASES)


def test_one_label_carries_the_code_whose_it_is_and_that_nobody_confirms_it(arjun: Person) -> None:
    code = added(arjun, text=UPI + "&am=20")
    answer = arjun.api().get(at(code, "/sticker.pdf"), {"language": "en"})
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/pdf")
    (page,) = pages(answer.content)
    assert codes(page) == [UPI + "&am=20"]
    said = " ".join(texts(answer.content).split())
    for words in ("Arjun Rao", "₹20.00", "Not confirmed by Pushcart"):
        assert words in said
    assert "Scan to pay" not in said


@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_label_is_too_small_for_saying_so(arjun: Person, layout: str) -> None:
    code = WalletCode(shop=arjun.shop, payload=UPI + "&am=20", label="Tea and sweets of the corner " * 3)
    file = sheet.pdf([sticker(code, language="en")], layout)
    assert "Not confirmed by Pushcart" in " ".join(texts(file).split())


def test_it_speaks_the_shops_language_in_letters_that_there_are(arjun: Person) -> None:
    code = WalletCode(shop=arjun.shop, payload=UPI, label="ចាន់")
    assert sticker(code).caption == "Pushcart ने पुष्टि नहीं की है"
    assert sticker(code).title == "Arjun Rao"
    code.shop.country = "KH"
    assert sticker(code).caption == "Not confirmed by Pushcart"
    assert sticker(code, language="th").caption == UNCONFIRMED["th"]


def test_a_retired_one_is_not_printed_nor_anybody_elses(arjun: Person, mei: Person) -> None:
    code = added(arjun)
    assert problem(mei.api().get(at(code, "/sticker.pdf"))) == (404, "not_found")
    assert problem(arjun.api().get(at(code, "/sticker.pdf"), {"layout": "napkin"})) == (400, "invalid")
    long = added(arjun, text=UPI + "&tn=" + "x" * 400)
    assert problem(arjun.api().get(at(long, "/sticker.pdf"), {"layout": "avery-5160"})) == (422, "label_too_small")
    WalletCode.objects.update(state="retired", retired_at=timezone.now())
    assert problem(arjun.api().get(at(code, "/sticker.pdf"))) == (409, "wallet_code_retired")


def test_letter_is_the_paper_where_it_is_used(arjun: Person) -> None:
    code = added(arjun)
    Shop.objects.update(country="US")
    (page,) = pages(arjun.api().get(at(code, "/sticker.pdf")).content, dpi=72)
    assert page.size == (612, 792)
