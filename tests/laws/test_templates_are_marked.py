"""No sentence of a page stays English: what a template says stands in translate or blocktranslate, or in a variable."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.template.base import Lexer, TokenType

ROOT = Path(__file__).resolve().parents[2]
SAID = {
    "alt",
    "title",
    "aria-label",
    "aria-description",
    "placeholder",
    "label",
}  # Attributes that a person reads or hears.
BUTTONS = {"submit", "button", "reset"}
# Filters whose argument is shown in place of the value.
SHOWN = re.compile(r"\|(?:default|default_if_none|yesno|pluralize|add|join):[\"'][^\"']*[^\W\d_]")
NOT_TRANSLATED = {
    "Pushcart": "our name",
    "Pushcart API": "a document for programmers, as its schema is: English",
}


class Reader(HTMLParser):
    """Collects what a person reads or hears of a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.said: list[str] = []
        self._silent = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent = tag in ("script", "style")
        given = dict(attrs)
        spoken = SAID | ({"value"} if tag == "input" and given.get("type") in BUTTONS else set())
        self.said += [value for name, value in attrs if name in spoken and value]

    def handle_endtag(self, tag: str) -> None:
        self._silent = False

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.said.append(data)


def unmarked(source: str) -> list[str]:
    """What a template says in plain text, and what its filters would show."""
    kept, found, marked = [], [], False
    for token in Lexer(source).tokenize():
        name = token.contents.split(" ", 1)[0] if token.token_type == TokenType.BLOCK else ""
        if name in ("blocktranslate", "blocktrans", "comment"):
            marked = True
        elif name in ("endblocktranslate", "endblocktrans", "endcomment"):
            marked = False
        elif token.token_type == TokenType.TEXT and not marked:
            kept.append(token.contents)
        elif token.token_type in (TokenType.VAR, TokenType.BLOCK) and SHOWN.search(token.contents):
            found.append(token.contents)
    reader = Reader()
    reader.feed("".join(kept))
    reader.close()
    said = (" ".join(text.split()) for text in reader.said)
    return [text for text in [*said, *found] if re.search(r"[^\W\d_]", text)]


def templates() -> Iterator[Path]:
    for app in ("merchants", "payments", "qr", "config"):
        yield from sorted(path for path in (ROOT / app).rglob("*.html") if "templates" in path.parts)


def test_every_sentence_of_every_template_is_marked() -> None:
    found = {str(path.relative_to(ROOT)): unmarked(path.read_text()) for path in templates()}
    assert len(found) > 30
    said = {name: [text for text in texts if text not in NOT_TRANSLATED] for name, texts in found.items()}
    assert {name: texts for name, texts in said.items() if texts} == {}
    assert {text for texts in found.values() for text in texts} == set(NOT_TRANSLATED)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("<p>Paid</p>", ["Paid"]),
        ('<p>{% translate "Paid" %} today</p>', ["today"]),
        ("<p>{% blocktranslate %}Paid by {{ name }}{% endblocktranslate %}</p>", []),
        ('<img alt="A code" src="/code.png">', ["A code"]),
        ('<img alt="{% translate "A code" %}" src="/code.png">', []),
        ('<input type="submit" value="Go"><input type="hidden" value="go">', ["Go"]),
        ('<b aria-label="{{ heading }}: all">›</b>', [": all"]),
        ('<p>{{ rule|default:"none" }} {{ size }} {{ at|date:"j M Y" }}</p>', ['rule|default:"none"']),
        ("<p>{% if size %}byte{{ size|pluralize }}{% endif %}</p>", ["byte"]),
        ("{# A comment. #}{% comment %}More.{% endcomment %}<script>let it = 1;</script>–", []),
    ],
)
def test_a_sentence_that_is_not_marked_is_seen(source: str, said: list[str]) -> None:
    assert unmarked(source) == said
