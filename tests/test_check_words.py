"""Check words: drawn from lists whose words nobody confuses, and given to one shop only."""

from __future__ import annotations

import threading
import unicodedata
from datetime import datetime
from functools import partial
from importlib import import_module
from itertools import combinations

import pytest
from django.apps import apps
from django.db import connection, transaction

from merchants import check_words, lettering, shops
from merchants.models import OperatorAct, Shop
from tests.cast import Person, open_shop
from tests.operators import add_operator, quick_passwords  # noqa: F401
from tests.races.together import together

LANGUAGES = sorted(check_words.languages())


def plain(word: str) -> str:
    """Latin letters without their accents, as somebody in a hurry reads them."""
    letters = unicodedata.normalize("NFD", word) if word[0] < "\u0250" else word
    return "".join(letter for letter in letters if not unicodedata.combining(letter) or letter > "\u0900")


def edits(one: str, other: str) -> int:
    """The Levenshtein distance."""
    row = list(range(len(other) + 1))
    for number, letter in enumerate(one, start=1):
        before, row[0] = row[0], number
        for place, against in enumerate(other, start=1):
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, before + (letter != against))
    return row[-1]


def alike(one: str, other: str, tongue: str) -> bool:
    if tongue == "zh":  # Two signs of these lists have no character in common but the two that mean nothing alone.
        return bool(set(one) & set(other) - set("色子"))
    one, other = plain(one), plain(other)
    return edits(one, other) < (3 if one[:4] == other[:4] else 2)


def test_there_are_lists_for_the_languages_that_we_can_write_well() -> None:
    assert LANGUAGES == ["en", "es", "hi", "id", "pt", "zh"]


@pytest.mark.parametrize("tongue", LANGUAGES)
def test_no_two_words_of_a_list_are_alike_and_none_stands_twice(tongue: str) -> None:
    for part in check_words.words(tongue):
        assert [pair for pair in combinations(part, 2) if alike(*pair, tongue)] == []
    qualities, things = check_words.words(tongue)
    assert set(qualities) & set(things) == set()


@pytest.mark.parametrize("tongue", LANGUAGES)
def test_a_language_has_words_for_a_quarter_of_a_million_shops_and_more(tongue: str) -> None:
    qualities, things = check_words.words(tongue)
    pairs = len(qualities) * len(things)
    assert pairs >= 4_000
    assert pairs * len(things) >= 250_000
    longest = max(map(len, qualities)) + 2 * max(map(len, things)) + 2
    assert longest <= check_words.LENGTH


@pytest.mark.parametrize("tongue", LANGUAGES)
def test_every_word_can_be_printed(tongue: str) -> None:
    every = [word for part in check_words.words(tongue) for word in part]
    assert [word for word in every if lettering.drawable(word) != word] == []


@pytest.mark.parametrize(
    ("country", "tongue"),
    [("CN", "zh"), ("HK", "en"), ("TW", "en"), ("IN", "hi"), ("BR", "pt"), ("MX", "es"), ("ID", "id"), ("KE", "en")],
)
def test_a_word_is_of_the_language_of_the_street(country: str, tongue: str) -> None:
    assert check_words.language(country) == tongue
    qualities, things = map(set, check_words.words(tongue))
    first, *_rest, long = drawn = [word.split() for word in check_words.candidates(country)]
    assert len(first) == 2
    assert len(long) == 3
    assert len(drawn) == 32
    if tongue in {"pt", "es", "id"}:
        assert all(words[-1] in qualities and things.issuperset(words[:-1]) for words in drawn)
    else:
        assert all(words[0] in qualities and things.issuperset(words[1:]) for words in drawn)


@pytest.mark.django_db
def test_two_shops_never_have_the_same_word(mei: Person, arjun: Person) -> None:
    assert len(mei.shop.check_word.split()) == 2
    assert len({mei.shop.check_word, arjun.shop.check_word}) == 2
    assert mei.api().get("/api/v1/shop").json()["check_word"] == mei.shop.check_word
    mei.api().patch("/api/v1/shop", {"check_word": arjun.shop.check_word, "name": "Arjun's tea"})
    assert Shop.objects.get(id=mei.shop.id).check_word == mei.shop.check_word


@pytest.mark.django_db
def test_when_the_pairs_run_out_a_third_word_is_added(mei: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    quality, thing = mei.shop.check_word.split()
    few = ((quality,), (thing, "风筝"))
    monkeypatch.setattr(check_words, "words", lambda tongue: few)
    found = {open_shop(f"+861380013800{number}", "").shop.check_word for number in range(1, 4)}
    assert found == {f"{quality} 风筝", f"{quality} {thing} 风筝", f"{quality} 风筝 {thing}"}
    with pytest.raises(RuntimeError, match="no check word is free in CN"):
        open_shop("+8613800138009", "")
    assert Shop.objects.count() == 4


@pytest.mark.django_db
def test_another_word_is_given_by_an_operator_only_and_with_a_reason(mei: Person, now: datetime) -> None:
    operator = add_operator().user
    word = shops.give_check_word(shop_id=mei.shop.id, operator=operator, reason="her sign was copied", now=now)
    assert word == Shop.objects.get().check_word != mei.shop.check_word
    act = OperatorAct.objects.get(act="give_check_word")
    assert (act.reason, act.before, act.after) == (
        "her sign was copied", {"check_word": mei.shop.check_word}, {"check_word": word},
    )  # fmt: skip


def test_two_sign_ups_that_draw_the_same_word_at_once_get_two(real_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both find it free; the second is refused by the table, and takes the next."""
    monkeypatch.setattr(check_words, "candidates", lambda country: iter(["金色 熊猫", "红色 石榴"]))
    waits = threading.Barrier(2)

    def sign_up(name: str) -> str:
        def write(word: str) -> str:
            if word == "金色 熊猫":
                waits.wait(20)  # Both have asked, and neither has written.
            return Shop.objects.create(name=name, country="CN", currency="CNY", time_zone="UTC", check_word=word).name

        with transaction.atomic():
            return shops.with_check_word("CN", write)

    assert together([partial(sign_up, "one"), partial(sign_up, "two")]) == ["one", "two"]
    assert set(Shop.objects.values_list("check_word", flat=True)) == {"金色 熊猫", "红色 石榴"}


def test_without_the_second_draw_one_of_them_would_be_turned_away(
    real_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_words, "candidates", lambda country: iter(["金色 熊猫"]))
    waits = threading.Barrier(2)

    def sign_up(name: str) -> str:
        def write(word: str) -> str:
            waits.wait(20)
            return Shop.objects.create(name=name, country="CN", currency="CNY", time_zone="UTC", check_word=word).name

        with transaction.atomic():
            return shops.with_check_word("CN", write)

    answers = together([partial(sign_up, "one"), partial(sign_up, "two")])
    assert {str(answer) for answer in answers} & {"no check word is free in CN"}
    assert Shop.objects.count() == 1


@pytest.mark.django_db
def test_the_migration_gives_a_word_to_every_shop_that_has_none(mei: Person) -> None:
    """The function of the migration, upon the table as it was before: the word may be missing."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE merchants_shop ALTER COLUMN check_word DROP NOT NULL")
        cursor.execute("UPDATE merchants_shop SET check_word = NULL")
    give = import_module("merchants.migrations.0006_check_words").give
    with connection.schema_editor() as editor:
        give(apps, editor)
    quality, thing = Shop.objects.get().check_word.split()
    qualities, things = check_words.words("zh")
    assert quality in qualities
    assert thing in things
