"""The statement on paper: what its pages say, where its links lead, and that it has the letters of what it says."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.utils import timezone
from django.utils.translation import override
from pypdf import PdfReader
from rest_framework.test import APIClient

from merchants import ids, languages, lettering
from merchants.management.commands import catalogues
from merchants.models import Shop
from payments import chain, statement_file, statement_pdf
from payments.models import LedgerEntry, Payment, PaymentIntent, Seal
from payments.statement import Asked, Basis
from tests.cast import Person, problem
from tests.test_layout import ROOT
from tests.test_ledger import NOON, movement, post
from tests.test_statement import LATER, ask, month_of_trade
from tests.test_statement_csv import ADDRESS, sale, today  # noqa: F401  A fixture.
from tests.test_statement_forms import pdf_rows
from tests.till import assert_books_hold, platform


def paper(asked: Asked) -> PdfReader:
    return PdfReader(io.BytesIO(file_of(asked)), strict=True)


def file_of(asked: Asked, now: object = LATER) -> bytes:
    file = io.BytesIO()
    statement_pdf.write(asked, LATER, file)
    return file.getvalue()


def said(asked: Asked) -> str:
    return "\n".join(page.extract_text() for page in paper(asked).pages)


def links(reader: PdfReader) -> list[str]:
    return [note.get_object()["/A"]["/URI"] for page in reader.pages for note in page.get("/Annots", [])]


def renamed(shop: Shop, name: str, **changes: str) -> Shop:
    Shop.objects.filter(id=shop.id).update(name=name, **changes)
    shop.refresh_from_db()
    return shop


def test_a_page_says_whose_book_it_is_and_what_it_adds_up_to(mei: Person) -> None:
    platform()
    post(movement(mei.shop, 1000), now=NOON - timedelta(days=1))
    post(movement(mei.shop, 250), now=NOON)
    text = said(ask(renamed(mei.shop, "梅姐水果店"), "2026-11-22"))
    for words in (
        "梅姐水果店",
        "Sunday, 22 November 2026",
        "Asia/Shanghai",
        ids.public("shp", mei.shop.id),
        "Opening balance, CNY",
        "+2.50",
        "12.50",
        "Final: the same question",
        "1 movement of 2026-11-22, recorded, as of 2026-11-23T00:00:00+08:00.",
        "0.00 is available and 12.50 still on its way. 0.00 has reached the shop directly.",
    ):
        assert words in text, words


def test_each_line_leads_to_its_receipt_and_to_nobody_else(
    mei: Person,
    sale: Payment,  # noqa: F811
    settings: LazySettings,
) -> None:
    renamed(mei.shop, "https://evil.example/ www.evil.example")
    intent = PaymentIntent.objects.get()
    PaymentIntent.objects.update(description="http://evil.example")
    asked = ask(mei.shop, today(mei.shop), at=timezone.now())
    reader = paper(asked)
    assert links(reader) == [f"{settings.PUBLIC_URL}/r/{intent.receipt}"] * 2
    text = reader.pages[0].extract_text()
    assert ids.public("pay", sale.id) in text
    assert ids.public("rfd", sale.refunds.get().id) in text
    assert "one bad pile" in text
    assert_books_hold()


def test_money_heard_of_late_says_when_it_was(mei: Person) -> None:
    platform()
    post(movement(mei.shop, 70, occurred_at=NOON - timedelta(days=1)), now=NOON)
    assert "of 21 Nov 20:00" in said(ask(mei.shop, "2026-11-22"))
    effective = said(ask(mei.shop, "2026-11-21", Basis.EFFECTIVE))
    assert "Happened" in effective
    assert "of 21 Nov" not in effective


@pytest.mark.parametrize("name", ["សំណាង", "ሰላም ሱቅ"])
def test_a_name_that_has_no_letters_is_its_public_id_and_a_way_to_read_it(mei: Person, name: str) -> None:
    platform()
    text = said(ask(renamed(mei.shop, name), "2026-11-22"))
    assert text.startswith(ids.public("shp", mei.shop.id))
    assert "the print page of the same statement shows them all" in text.replace("\n", " ")
    assert "the print page" not in said(ask(renamed(mei.shop, "Mei 🍎"), "2026-11-22"))


def test_nor_does_a_description_become_boxes(mei: Person, sale: Payment) -> None:  # noqa: F811
    PaymentIntent.objects.update(description="ប៉ោម")
    text = said(ask(mei.shop, today(mei.shop), at=timezone.now()))
    assert "(text on the print page)" in text
    assert "shows them all" in text.replace("\n", " ")


def test_many_pages_are_counted_and_each_has_its_head(mei: Person) -> None:
    platform()
    post(*(movement(mei.shop, amount) for amount in range(1, 201)))
    asked = ask(mei.shop, "2026-11-22")
    pages = paper(asked).pages
    assert len(pages) == 5
    for number, page in enumerate(pages, 1):
        words = page.extract_text()
        assert f"{number} /" in words
        assert "Balance" in words
    assert sum(1 for row in pdf_rows(file_of(asked)) if "Payment" in row.values()) == 201  # And once by kind.


@pytest.mark.parametrize(("country", "size"), [("CN", (595, 841)), ("US", (612, 792)), ("MX", (612, 792))])
def test_paper_is_that_of_the_country(mei: Person, country: str, size: tuple[int, int]) -> None:
    platform()
    box = paper(ask(renamed(mei.shop, "Mei", country=country), "2026-11-22")).pages[0].mediabox
    assert (int(box.width), int(box.height)) == size


def test_numbers_are_written_as_people_there_write_them(mei: Person) -> None:
    platform()
    post(movement(mei.shop, 12_345_678_900))
    for country, number in (("CN", "123,456,789.00"), ("IN", "12,34,56,789.00"), ("DE", "123.456.789,00")):
        assert number in said(ask(renamed(mei.shop, "Mei", country=country), "2026-11-22"))


def test_its_dates_are_the_books_and_not_the_clocks(mei: Person) -> None:
    platform()
    about = paper(ask(renamed(mei.shop, "梅姐水果店"), "2026-11-22")).metadata
    assert about is not None
    assert (about.title, about.author) == ("Statement 2026-11-22 of 梅姐水果店", "梅姐水果店")
    assert about.creation_date == about.modification_date == ask(mei.shop, "2026-11-22").period.end


def test_a_sealed_statement_names_its_link_of_the_chain(real_db: None, mei: Person) -> None:
    platform()
    post(movement(mei.shop, 250))
    asked = ask(mei.shop, "2026-11-22")
    assert "Sealed" not in said(asked)
    chain.seal(now=timezone.now())
    assert f"link 1: {Seal.objects.get().hash}" in said(asked)


def test_a_statement_that_would_be_a_book_of_pages_is_refused(
    api: APIClient, mei: Person, settings: LazySettings
) -> None:
    platform()
    settings.STATEMENT_PDF_LINES_MAX = 3
    now = timezone.now()
    post(*(movement(mei.shop, 1, occurred_at=now) for _ in range(3)), now=now)
    assert api.get(f"{ADDRESS}.pdf?day={today(mei.shop)}").status_code == 200
    post(movement(mei.shop, 1, occurred_at=now), now=now)
    refused = api.get(f"{ADDRESS}.pdf?day={today(mei.shop)}")
    assert problem(refused) == (422, "statement_too_long")
    assert "CSV" in refused.json()["detail"]
    assert api.get(f"{ADDRESS}.csv?day={today(mei.shop)}").status_code == 200
    assert LedgerEntry.objects.count() == 4


def test_scripts_that_are_shaped_give_the_same_bytes_each_time(mei: Person) -> None:
    platform()
    month_of_trade(mei.shop)
    for name in ("शर्मा किराना स्टोर", "متجر الفواكه 12", "ร้านป้าแดง"):
        asked = ask(renamed(mei.shop, name), "2026-11-24")
        assert file_of(asked) == file_of(asked)


@pytest.mark.parametrize("language", catalogues.languages())
def test_our_fonts_have_every_letter_of_its_words_in_every_language(language: str) -> None:
    found = catalogues.wanted(ROOT / "payments")["django"]
    words = [
        text
        for message in catalogues.up_to(found, catalogues.catalogue_path("payments", language, "django"), language)
        if any(place.startswith("payments/statement_") for place, _line in message.locations)
        for text in catalogues.strings(message)
    ]
    assert len(words) > 30
    with override(language):
        words += [languages.day(NOON)]
        words += [statement_file.title(ask(Shop(time_zone="UTC"), name)) for name in ("2026-11-22", "2026-11")]
    assert [text for text in words if lettering.drawable(text) is None] == []
