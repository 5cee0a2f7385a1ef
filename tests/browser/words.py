"""What the product says in a language: a test names a sentence in English, and finds it by the catalogues."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any

from babel.messages.pofile import read_po
from django.utils.translation import gettext, override, to_locale

from merchants.management.commands import catalogues

_BLANK = re.compile(r"%\((\w+)\)[sd]|\{(\w+)\}")
_PAIR = re.compile(r"[A-Za-z]{2,}(?:[ ’'-]+[A-Za-z]{2,})+")


@dataclass(frozen=True)
class Words:
    """A language that the product speaks, and whose speaker its browser says it is."""

    language: str
    locale: str

    @property
    def turned(self) -> bool:
        return self.language == "ar"

    def __call__(self, english: str, **values: str) -> str:
        """That sentence as a page says it. A blank in Arabic keeps its own order by marks that nobody sees."""
        said = _said(self.language).get(english)
        if not said:
            with override(self.language):
                said = gettext(english)  # A sentence of Django's own, or one that nobody has translated yet.
        isolated = self.turned and "%(" not in english
        filled = {name: f"\u2068{value}\u2069" if isolated else value for name, value in values.items()}
        return _BLANK.sub(lambda blank: filled.get(blank[1] or blank[2], blank[0]), said)

    def english_in(self, texts: list[str], names: list[str]) -> list[str]:
        """Those that are still English: two Latin words in a row that are no name, and no gap of a catalogue."""
        if self.language == "en":
            return []
        found = []
        for text in dict.fromkeys(texts):
            rest = functools.reduce(lambda text, name: text.replace(name, "…"), names, text)
            if _PAIR.search(rest) and not any(gap.search(text) for gap in _gaps(self.language)):
                found.append(text)
        return found


ENGLISH = Words("en", "en")
ARABIC = Words("ar", "ar-AE")
CHINESE = Words("zh-hans", "zh-CN")


@functools.cache
def _said(language: str) -> dict[str, str]:
    """English to that language, of every app; the phone's own words come before the server's."""
    said: dict[str, str] = {}
    for domain in ("django", "djangojs"):
        for app in catalogues.APPS:
            path = catalogues.catalogue_path(app, language, domain)
            if not path.exists():
                continue
            with path.open("rb") as file:
                messages: Any = read_po(file, locale=to_locale(language))
            for message in messages:
                if message.id:
                    english = message.id if isinstance(message.id, str) else message.id[0]
                    said[english] = catalogues.strings(message)[0]
    return said


@functools.cache
def _gaps(language: str) -> list[re.Pattern[str]]:
    """The sentences that nobody has translated yet, with anything in their blanks."""
    return [
        re.compile(".+?".join(re.escape(part) for part in _BLANK.sub("\0", english).split("\0")))
        for english, said in _said(language).items()
        if not said and _PAIR.search(_BLANK.sub("", english))
    ]
