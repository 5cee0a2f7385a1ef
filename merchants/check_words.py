"""The check word of a shop: two words that stand on her sign and on every pay page of hers, and on nobody else's.

It is drawn, never chosen, so that nobody can ask for a word that looks like a neighbour's. The lists stand in `words/`,
a file for each language: qualities, an empty line, things. Words of one list are easy to tell apart, read or spoken.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from merchants import countries

LENGTH = 48
_FOLDER = Path(__file__).parent / "words"
_THING_FIRST = frozenset(["es", "id", "pt"])
# With half of all pairs given away, eight draws in a row are taken once in 256 times; a third word ends the search.
_PAIRS_TRIED, _TRIPLES_TRIED = 8, 24


def language(country: str) -> str:
    """The language of most streets there, as far as there is a list of it; English otherwise.

    Our list of Chinese is in simplified characters, and our fonts draw no others.
    """
    tongue, _, rest = countries.locale(country).partition("_")
    if tongue == "zh" and not rest.startswith("Hans"):
        return "en"
    return tongue if tongue in languages() else "en"


def candidates(country: str) -> Iterator[str]:
    """Words for a shop there, at random: whoever takes one asks whether it is free, and goes on when it is not."""
    tongue = language(country)
    for _ in range(_PAIRS_TRIED):
        yield _phrase(tongue, 1)
    for _ in range(_TRIPLES_TRIED):
        yield _phrase(tongue, 2)


def of_no_language() -> str:
    """Four words, of which nobody draws the same twice: for rows that no sign-up made."""
    return f"{_phrase('en', 1)} {_phrase('en', 1)}"


@cache
def languages() -> frozenset[str]:
    """The languages of which there is a list."""
    return frozenset(path.stem for path in _FOLDER.glob("*.txt"))


@cache
def words(tongue: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The qualities and the things of a language."""
    qualities, things = (_FOLDER / f"{tongue}.txt").read_text(encoding="utf-8").split("\n\n")
    return tuple(qualities.split()), tuple(things.split())


def _phrase(tongue: str, count: int) -> str:
    """A quality and so many different things, in the order in which that language says them."""
    qualities, things = words(tongue)
    named = secrets.SystemRandom().sample(things, count)
    parts = [*named, secrets.choice(qualities)] if tongue in _THING_FIRST else [secrets.choice(qualities), *named]
    return " ".join(parts)
