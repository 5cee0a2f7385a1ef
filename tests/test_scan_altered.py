"""Altered slugs: whatever one letter, one look-alike or one trick of addresses makes of a link, no pay page opens."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from django.test import Client

from merchants import ids, links, mine
from merchants.models import Code
from tests.cast import Person
from tests.till import platform

EXAMPLES = int(os.environ.get("ALTERED_SLUGS", "60"))
LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
# Of letters that slugs have: Cyrillic, Greek, full-width, mathematical, and those that slugs leave out.
ALIKE = {
    "A": "АΑＡ𝐀", "B": "ВΒＢ8", "C": "СϹＣ", "E": "ЕΕＥ", "H": "НΗＨ", "K": "КΚK", "M": "МΜＭ", "P": "РΡＰ",
    "T": "ТΤＴ", "X": "ХΧＸ", "a": "аａ𝑎", "c": "сⅽ", "e": "еｅℯ", "i": "і1lI", "j": "ј", "o": "оο0O", "p": "рρ",
    "s": "ѕſ", "x": "хⅹ", "y": "уγ", "2": "２₂", "5": "５S", "8": "８B",
}  # fmt: skip


@pytest.fixture
def stall(mei: Person) -> Code:
    platform()
    code = Code.objects.get(shop=mei.shop)
    Code.objects.filter(id=code.id).update(slug="7kQm2xWp9RtB")
    code.refresh_from_db()
    return code


def every_change_of_one_letter(slug: str) -> Iterator[str]:
    for place in range(len(slug)):
        for letter in LETTERS:
            if letter != slug[place]:
                yield slug[:place] + letter + slug[place + 1 :]


def other_ways(slug: str) -> Iterator[str]:
    """As a path behind /s/, percent-encoded where need be."""
    yield from (slug.upper(), slug.lower(), slug.swapcase(), slug[::-1], "", " ", ".", "..", "%")
    for place, letter in enumerate(slug):
        head, tail = slug[:place], slug[place + 1 :]
        yield from (head + tail, head + letter.swapcase() + tail, head + letter * 2 + tail)
        yield from (head + alike + tail for alike in ALIKE.get(letter, ""))
        if place:
            yield from (
                f"{head}{mark}{letter}{tail}" for mark in ("/", "-", "\u200b", "\u00ad", "\u202e", "%2F", "%0A")
            )
    for mark in ("x", "%00", "%20", "%0a", "%2f", "/", "//", ".", "\u200d", ";", "=", "'", "%ff", "%25", "\\", "%"):
        yield from (slug + mark, mark + slug)
    yield from (
        f"{slug}{slug}",
        f"{slug}/pay/",
        f"../s/{slug}x",
        f"{slug}%",
        quote(quote(f"{slug} ")),
        f"{slug}' OR '1'='1",
    )


def opens(client: Client, path: str) -> bool:
    answer = client.get(f"/s/{path}")
    return answer.status_code == 200 or b"<form" in getattr(answer, "content", b"")


def test_no_trick_of_addresses_opens_a_page(client: Client, stall: Code) -> None:
    assert opens(client, stall.slug)
    assert [path for path in other_ways(stall.slug) if path != stall.slug and opens(client, path)] == []


def test_no_change_of_one_letter_opens_a_page(client: Client, stall: Code) -> None:
    changes = list(every_change_of_one_letter(stall.slug))
    assert len(changes) == len(set(changes)) == 12 * 56
    tried = random.Random(1).sample(changes, min(EXAMPLES, len(changes)))
    assert [path for path in tried if opens(client, path)] == []
    # All of them, where it costs one question: none is a code.
    assert Code.objects.filter(slug__in=changes).count() == 0


def test_a_percent_sign_that_means_the_same_letter_is_the_same_link(client: Client, stall: Code) -> None:
    """Browsers undo it before anybody looks: this is the link itself, not another one."""
    assert opens(client, "%37" + stall.slug[1:])


def test_what_is_told_of_altered_links_is_that_they_are_not_ours(mei: Person, stall: Code) -> None:
    site = stall.url.removesuffix(stall.slug)
    for altered in other_ways(stall.slug):
        texts = [site + altered] if altered != stall.slug else []
        for text in texts:
            if links.slug_of(text) != stall.slug:
                assert mine.tell(text=text, shop=mei.shop, now=stall.created_at).answer == "not_ours", text
            else:
                assert text == f"{stall.url}/"


def test_a_slug_is_one_of_more_than_two_to_the_sixty_ninth() -> None:
    assert {letter for _ in range(EXAMPLES * 10) for letter in ids.secret(12)} <= set(LETTERS)
    assert len(set(LETTERS)) ** 12 > 2**69
