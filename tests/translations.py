"""Translations for a test, whatever the catalogues of the day hold: Django reads them from a folder of their own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from django.conf import LazySettings
from django.utils.translation import to_locale


def speak(settings: LazySettings, folder: Path, language: str, words: Mapping[str, str]) -> None:
    """From now on these English sentences are said so in that language."""
    catalogue = Catalog(locale=to_locale(language))
    for english, said in words.items():
        catalogue.add(english, said)
    place = folder / to_locale(language) / "LC_MESSAGES" / "django.mo"
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("wb") as file:
        write_mo(file, catalogue)
    settings.LOCALE_PATHS = [*settings.LOCALE_PATHS, str(folder)]
