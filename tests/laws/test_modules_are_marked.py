"""Every sentence in the phone page's modules is looked up in the reader's language, and is found by the extractor."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from babel.messages.jslexer import Token, tokenize, unquote_string

from merchants.management.commands import catalogues

FOLDER = Path(__file__).parents[2] / "merchants" / "static" / "app"
# spoken.js holds what is said aloud: in the voice's language, which is a choice of its own.
MODULES = [path for path in sorted(FOLDER.glob("*.js")) if path.name != "spoken.js"]
# Two words with a space between them, or one that begins as a sentence does.
SENTENCE = re.compile(r"[^\W\d_][,.:;!?]? +[^\W\d_]|^\W*[A-Z][a-z]+(?=$|[ ,.:;!?…])")
CLASSES = set(re.findall(r"\.([a-z]+)", (FOLDER / "app.css").read_text()))
NOT_READ = {
    "wrong touch": "two classes, of which one has no style",
    "Bearer {}": "a header",
    "Date": "a header",
    "pushcart receipt 10": "what a receipt's signature covers",
    "the catalogue answered {}": "caught: the page is English then",
    "the stream answered {}": "caught: the line is opened again",
    "the page is of another version": "caught by the browser: the older worker stays",
    "Pushcart": "the product's name is one in every language",
    "English": "each language by its own name",
    "Tiếng Việt": "each language by its own name",
}


class Literal(NamedTuple):
    text: str  # Blanks of a template are {}.
    marked: bool
    line: int


def literals(source: str) -> Iterator[Literal]:
    tokens = [token for token in tokenize(source, jsx=False, dotted=False) if "comment" not in token.type]
    for place, token in enumerate(tokens):
        if token.type in {"string", "template_string"}:
            text = re.sub(r"\$\{[^}]*\}", "{}", unquote_string(token.value))
            yield Literal(text, _marked(tokens, place), token.lineno)


def _marked(tokens: list[Token], place: int) -> bool:
    """Alone the first argument of `t`, or the second or third of `count`; always a plain text in double quotes."""
    before = [token.value if token.type != "string" else '""' for token in tokens[max(place - 7, 0) : place]]
    called = any(before[-len(call) :] == call for call in (["t", "("], *_counting(tokens, place)))
    method = before[-3:-2] == ["."]
    return called and not method and tokens[place].value[0] == '"' and tokens[place + 1].value in {",", ")"}


def _counting(tokens: list[Token], place: int) -> list[list[str]]:
    """What stands before the second and the third argument of `count`; the first is a name."""
    numbers = {token.value for token in tokens[max(place - 4, 0) : place] if token.type == "name"}
    return [["count", "(", number, ",", *more] for number in numbers for more in ([], ['""', ","])]


def is_a_sentence(text: str) -> bool:
    return bool(SENTENCE.search(text)) and text not in NOT_READ and not set(text.split()) <= CLASSES


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_every_sentence_of_a_module_is_marked(path: Path) -> None:
    unmarked = [f"{path.name}:{one.line}: {one.text}" for one in literals(path.read_text()) if not one.marked]
    assert [one for one in unmarked if is_a_sentence(one.split(": ", 1)[1])] == [], 'write t("…") or count(n, "…", "…")'


def test_the_extractor_finds_every_marked_sentence_and_nothing_else() -> None:
    found = catalogues.wanted(FOLDER.parents[1])["djangojs"]
    extracted = {
        text for message in found for text in ([message.id] if isinstance(message.id, str) else message.id) if text
    }
    marked = {one.text for path in FOLDER.glob("*.js") for one in literals(path.read_text()) if one.marked}
    assert len(marked) > 100
    assert extracted == marked


@pytest.mark.parametrize(
    ("source", "unmarked"),
    [
        ('h("p", {}, t("Sign in"))', []),
        ('count(paid, "{number} payment", "{number} payments", { time })', []),
        ('h("p", {}, "Sign in")', ["Sign in"]),
        ('h("p", {}, "Welcome")', ["Welcome"]),
        ("h('p', {}, `Paid at ${clock(at)}`)", ["Paid at {}"]),
        ("t(`Paid at ${clock(at)}`)", ["Paid at {}"]),
        ('t("Paid by card" + clock(at))', ["Paid by card"]),
        ('not(paid, "No payment yet")', ["No payment yet"]),
    ],
)
def test_what_is_not_a_whole_sentence_given_to_the_catalogue_is_seen(source: str, unmarked: list[str]) -> None:
    assert [one.text for one in literals(source) if not one.marked and is_a_sentence(one.text)] == unmarked
