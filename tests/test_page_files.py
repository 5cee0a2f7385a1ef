"""The phone page as it is served: the same program without its comments, and small enough for a street's network."""

from __future__ import annotations

import gzip
from pathlib import Path

import brotli
import pytest
from babel.messages.jslexer import tokenize
from django.core.files.base import ContentFile
from django.test import Client

from merchants import phone_page
from merchants.management.commands.catalogues import languages
from merchants.page_files import PageStorage, served

FOLDER = Path(phone_page.__file__).parent / "static" / "app"
MODULES = sorted(FOLDER.glob("*.js"))


def program(text: str) -> list[tuple[str, str]]:
    tokens = tokenize(text, jsx=False, dotted=False)
    return [(token.type, token.value) for token in tokens if "comment" not in token.type]


@pytest.mark.parametrize("path", MODULES, ids=[path.name for path in MODULES])
def test_a_module_without_its_comments_is_the_same_program(path: Path) -> None:
    assert program(served(path.read_text())) == program(path.read_text())
    assert "\n//" not in served(path.read_text())


def test_what_is_collected_is_what_the_service_worker_expects(tmp_path: Path) -> None:
    storage = PageStorage(location=tmp_path)
    module, style = FOLDER / "dom.js", FOLDER / "app.css"
    storage.save("app/dom.js", ContentFile(module.read_bytes()))
    storage.save("app/app.css", ContentFile(style.read_bytes()))
    assert (tmp_path / "app/dom.js").read_text() == served(module.read_text()) != module.read_text()
    assert (tmp_path / "app/app.css").read_bytes() == style.read_bytes()


def test_the_page_and_its_modules_are_small(client: Client) -> None:
    """Over TLS they travel by Brotli. What lies in vendor/ is loaded apart, by browsers that lack the thing itself."""
    files = [*MODULES, FOLDER / "app.css", FOLDER / "icon.svg", FOLDER / "manifest.webmanifest"]
    texts = {path.name: served(path.read_text()) if path.suffix == ".js" else path.read_text() for path in files}
    sizes = {name: len(brotli.compress(text.encode())) for name, text in texts.items()}
    sizes["document"] = len(brotli.compress(client.get("/app/").content))
    print(sum(sizes.values()), sizes)
    assert sum(sizes.values()) <= 60_000, sizes
    assert sum(len(gzip.compress(path.read_bytes())) for path in FOLDER.glob("vendor/*.js")) <= 20_000


def test_the_words_of_a_language_are_small_and_travel_compressed(client: Client) -> None:
    for language in languages():
        answer = client.get(f"/app/words/{language}.json", headers={"Accept-Encoding": "gzip"})
        assert answer["Content-Encoding"] == "gzip"
        assert len(answer.content) <= 12_000, language
