"""Finds every sentence that is to be translated, and brings the catalogues of all languages up to it.

`manage.py catalogues` reads the templates, Python files and page modules of each app, adds what is new to that app's
`locale/*/LC_MESSAGES/django.po` and `djangojs.po`, takes out what is gone, and compiles `django.mo`. Django's own
`makemessages` does the same by GNU gettext, which a machine with only Python has not; this does it by Babel.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils.translation import to_locale
from django.utils.translation.template import templatize

APPS = ("merchants", "payments", "qr")
_ALONG = {"merchants": ("config",)}  # It is no app, and what it says to everybody belongs with what all share.
_PYTHON = DEFAULT_KEYWORDS | {
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext_lazy": (1, 2),
    "pgettext_lazy": ((1, "c"), 2),
}
# Babel's own rule for Arabic has its last two forms the other way round than CLDR, GNU gettext, Django and browsers.
_PLURALS = {"ar": "nplurals=6; plural=n==0 ? 0 : n==1 ? 1 : n==2 ? 2 : n%100>=3 && n%100<=10 ? 3 : n%100>=11 ? 4 : 5;"}
_MODULES = {"t": None, "count": (2, 3)}


class Command(BaseCommand):
    help = "Bring the translation catalogues up to the code, and compile them"

    def handle(self, *args: Any, **options: Any) -> None:
        for app in APPS:
            for domain, found in wanted(settings.BASE_DIR / app).items():
                for language in languages():
                    path = catalogue_path(app, language, domain)
                    catalogue = up_to(found, path, language)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(written(catalogue))
                    if domain == "django":
                        path.with_suffix(".mo").write_bytes(compiled(catalogue))
                    missing = sum(not all(strings(message)) for message in catalogue if message.id)
                    self.stdout.write(f"{app} {domain} {language}: {len(catalogue)} sentences, {missing} to translate")


def languages() -> list[str]:
    """Every language of the settings that is translated into."""
    return [code for code, _ in settings.LANGUAGES if code != settings.LANGUAGE_CODE]


def catalogue_path(app: str, language: str, domain: str) -> Path:
    return Path(settings.BASE_DIR / app / "locale" / to_locale(language) / "LC_MESSAGES" / f"{domain}.po")


def wanted(app: Path) -> dict[str, Catalog]:
    """The sentences of an app, by domain; a domain that has none is left out. Places are named by file, not by line."""
    found = {"django": Catalog(), "djangojs": Catalog()}
    folders = [app, *(app.parent / name for name in _ALONG.get(app.name, ()))]
    for path in sorted(path for folder in folders for path in folder.rglob("*")):
        place = [(path.relative_to(app.parent).as_posix(), 1)]
        for domain, text, context in _of_file(path):
            found[domain].add(text, locations=place, context=context)
    return {domain: catalogue for domain, catalogue in found.items() if len(catalogue)}


def up_to(found: Catalog, path: Path, language: str) -> Catalog:
    """The catalogue at `path` with exactly the sentences `found`; what was translated stays so."""
    catalogue = Catalog(locale=to_locale(language), fuzzy=False)
    if language in _PLURALS:
        catalogue.mime_headers = [("Plural-Forms", _PLURALS[language])]
    before = read_po(path.open("rb"), locale=to_locale(language)) if path.exists() else None
    for message in filter(lambda message: message.id, found):
        english = message.id if isinstance(message.id, str) else message.id[0]
        known = before.get(english, message.context) if before else None
        translated = known.string if known is not None and known.id == message.id else None
        catalogue.add(message.id, translated, sorted(set(message.locations)), context=message.context)
    return catalogue


def strings(message: Any) -> list[str]:
    """The translation, or each plural form of it."""
    return [message.string or ""] if isinstance(message.string, str | None) else list(message.string)


def written(catalogue: Catalog) -> bytes:
    """The catalogue as a .po file that changes only with its sentences: the tool's own header has dates."""
    file = io.BytesIO()
    write_po(file, catalogue, width=0, omit_header=True, sort_output=True, include_lineno=False)
    head = {
        "Language": catalogue.locale_identifier,
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Transfer-Encoding": "8bit",
        "Plural-Forms": catalogue.plural_forms,
    }
    lines = "".join(f'"{name}: {value}\\n"\n' for name, value in head.items())
    return f'msgid ""\nmsgstr ""\n{lines}\n'.encode() + file.getvalue()


def compiled(catalogue: Catalog) -> bytes:
    catalogue.creation_date = catalogue.revision_date = datetime(2026, 1, 1, tzinfo=UTC)  # As above.
    file = io.BytesIO()
    write_mo(file, catalogue)
    return file.getvalue()


def _of_file(path: Path) -> Iterator[tuple[str, Any, str | None]]:
    if path.suffix == ".py" and "migrations" not in path.parts:
        yield from (("django", *one) for one in _extracted("python", path.read_text(), _PYTHON))
    elif path.suffix == ".html" and "templates" in path.parts:
        # What is left of the markup is spaces and the letter X: its lines must only not look indented.
        code = "\n".join(line.strip() for line in templatize(path.read_text()).splitlines())
        yield from (("django", *one) for one in _extracted("python", code, _PYTHON))
    elif path.suffix == ".js" and path.parent.name == "app":
        yield from (("djangojs", *one) for one in _extracted("javascript", path.read_text(), _MODULES))


def _extracted(method: str, text: str, keywords: Any) -> Iterator[tuple[Any, str | None]]:
    for _, message, _, context in extract(method, io.BytesIO(text.encode()), keywords=keywords):
        if message:
            yield message, context
