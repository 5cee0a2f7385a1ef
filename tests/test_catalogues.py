"""Every sentence that a person reads is marked, is in every catalogue, and is translated there with the same blanks."""

from __future__ import annotations

import re
from functools import cache

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po
from django.conf import settings
from django.utils.translation import to_locale

from merchants.management.commands import catalogues

pytestmark = pytest.mark.xdist_group("catalogues")  # One worker reads all of the code, once.

LANGUAGES = catalogues.languages()


@cache
def in_the_code() -> dict[tuple[str, str], Catalog]:
    return {
        (app, domain): found
        for app in catalogues.APPS
        for domain, found in catalogues.wanted(settings.BASE_DIR / app).items()
    }


def catalogue(app: str, language: str, domain: str) -> Catalog:
    with catalogues.catalogue_path(app, language, domain).open("rb") as file:
        return read_po(file, locale=to_locale(language))


def blanks(text: str) -> set[str]:
    return set(re.findall(r"%\(\w+\)[a-z]|\{\w*\}|%[sd]", text))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_is_translated_with_the_same_blanks(language: str) -> None:
    for app, domain in in_the_code():
        for message in catalogue(app, language, domain):
            if not message.id:
                continue
            english = [message.id] if isinstance(message.id, str) else list(message.id)
            told = catalogues.strings(message)
            assert all(told), f"{app} {language}: {english[0]!r} is not translated"
            assert not message.fuzzy, english
            known = set().union(*map(blanks, english))
            if len(english) == 1:
                assert blanks(told[0]) == known, f"{app} {language}: {english[0]!r}"
            else:  # "One payment" may leave its number out.
                assert set().union(*map(blanks, told)) == known, f"{app} {language}: {english[0]!r}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_one_english_sentence_is_one_sentence_in_every_app(language: str) -> None:
    told: dict[object, object] = {}
    for app, domain in in_the_code():
        for message in catalogue(app, language, domain):
            if message.id:
                key = (message.id, message.context)
                assert told.setdefault(key, message.string) == message.string, f"{app} {language}: {message.id!r}"


def test_the_settings_and_the_page_name_the_same_languages() -> None:
    words = (settings.BASE_DIR / "merchants/static/app/words.js").read_text()
    listed = words[words.index("LANGUAGES = {") : words.index("};")]
    assert re.findall(r'"?([a-z-]+)"?: "([^"]+)"', listed) == settings.LANGUAGES


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_catalogues_hold_exactly_the_sentences_of_the_code(language: str) -> None:
    for (app, domain), found in in_the_code().items():
        kept = catalogues.up_to(found, catalogues.catalogue_path(app, language, domain), language)
        path = catalogues.catalogue_path(app, language, domain)
        assert path.read_bytes() == catalogues.written(kept), f"{path}: run `manage.py catalogues`"
        if domain == "django":
            assert path.with_suffix(".mo").read_bytes() == catalogues.compiled(kept), (
                f"{path}: run `manage.py catalogues`"
            )


def test_a_new_sentence_is_added_and_a_gone_one_taken_out_while_others_stay() -> None:
    path = catalogues.catalogue_path("qr", "pt", "django")
    found = Catalog()
    found.add("Refunded", locations=[("qr/receipts.py", 1)])
    found.add("Not yet there", locations=[("qr/receipts.py", 1)])
    kept = catalogues.up_to(found, path, "pt")
    assert sorted(message.id for message in kept if message.id) == ["Not yet there", "Refunded"]
    assert [catalogues.strings(message) for message in kept if message.id == "Not yet there"] == [[""]]
