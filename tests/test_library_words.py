"""A vendor who does something wrong reads why in her language: every sentence of a refusal is in a catalogue."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django
import pytest
import rest_framework
from babel.messages.mofile import read_mo
from django.conf import LazySettings, settings
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from merchants import library_words
from merchants.management.commands import catalogues
from tests.cast import Person
from tests.translations import speak

_BLANK = re.compile(r"%\(\w+\)[sd]|%[sd]|\{[\w:]+\}")
LONG = "x" * 1000
ITEM = {"name": "Apples", "price": {"amount": 200, "currency": "CNY"}}
# One of each kind of refusal that a phone can be given: a method, an address, and what is sent.
WRONG: list[tuple[str, str, Any]] = [
    ("post", "/api/v1/items", {}),
    ("post", "/api/v1/items", {"name": None, "price": 1}),
    ("post", "/api/v1/items", {"name": "", "price": {"amount": 0, "currency": "C"}}),
    ("post", "/api/v1/items", {"name": LONG, "price": {"amount": 10**12, "currency": "XXXXX"}}),
    ("post", "/api/v1/items", {"name": ["a"], "price": {"amount": "many", "currency": "XYZ"}}),
    ("post", "/api/v1/items", {**ITEM, "active": "perhaps"}),
    ("post", "/api/v1/items", {**ITEM, "name": "a\0b"}),
    ("post", "/api/v1/items", {**ITEM, "photo": "no file"}),
    ("post", "/api/v1/items", {**ITEM, "price": {"amount": 1, "currency": "INR"}}),
    ("post", "/api/v1/items", [1]),
    ("post", "/api/v1/codes", {"kind": "unheard-of", "expires_at": "soon"}),
    ("post", "/api/v1/codes", {"kind": "one_time", "expires_at": "2026-11-22"}),
    ("post", "/api/v1/codes", {"kind": "item", "item": "itm_nonsense"}),
    ("post", "/api/v1/codes/mine", {}),
    ("post", "/api/v1/codes/read", {}),
    ("patch", "/api/v1/shop", {"country": "QQ", "colour": "#ffff00", "time_zone": "Mars"}),
    ("post", "/api/v1/wallet-codes", {"text": "hello", "profile": "upi"}),
    ("post", "/api/v1/wallet-codes", {"profile": "upi", "fields": "none"}),
    ("post", "/api/v1/payout-accounts", {"scheme": "iban", "number": "DE00", "holder": "Mei"}),
    ("post", "/api/v1/auth/step-up", {"purpose": "fun"}),
    ("put", "/api/v1/items", {}),
    ("get", "/api/v1/payments/pay_nothing", None),
    ("get", "/api/v1/payments?cursor=nonsense", None),
    ("get", "/api/v1/nowhere", None),
    ("get", "/api/v1/ledger/statement?day=2026-99-99", None),
    ("get", "/api/v1/codes/sheet.pdf", None),
]


def details(answer: Any) -> Iterator[str]:
    problem = answer.json()
    yield problem["detail"]
    for error in problem.get("errors", []):
        yield error["detail"]


def _says(text: str) -> bool:
    blank = _BLANK.search(text)
    return bool(text) and (not blank or len(re.findall(r"\w+", _BLANK.sub(" ", text))) >= 3)


def known(language: str) -> list[re.Pattern[str]]:
    """Every sentence of our catalogues and of Django's own in that language, as a pattern.

    One that is all but blanks ("%(batch)s is %(state)s.") would fit anything, and is left out.
    """
    ours = [catalogues.wanted(settings.BASE_DIR / app)["django"] for app in catalogues.APPS]
    with (Path(django.__file__).parent / "conf/locale" / language / "LC_MESSAGES/django.mo").open("rb") as file:
        theirs = read_mo(file)
    texts = [
        message.id if isinstance(message.id, str) else message.id[1] for some in (*ours, theirs) for message in some
    ]
    return [re.compile("(?s:.*)".join(map(re.escape, _BLANK.split(text)))) for text in texts if _says(text)]


def test_whatever_a_phone_is_refused_for_has_a_sentence_in_the_catalogues(mei: Person, stranger: APIClient) -> None:
    answers = [getattr(mei.api(), method)(address, body) for method, address, body in WRONG]
    empty = SimpleUploadedFile("photo.jpg", b"", "image/jpeg")
    answers += [
        stranger.get("/api/v1/shop"),
        stranger.get("/api/v1/shop", headers={"Authorization": "Bearer nonsense"}),
        stranger.get("/api/v1/shop", headers={"Authorization": "Bearer"}),
        mei.api().post("/api/v1/items", b"{", content_type="application/json"),
        mei.api().post("/api/v1/items", b"<a/>", content_type="text/xml"),
        mei.api().patch("/api/v1/shop", {"photo": empty}, format="multipart"),
    ]
    assert {answer.status_code // 100 for answer in answers} == {4}
    patterns = known("hi")
    assert not any(pattern.fullmatch("This is in no catalogue.") for pattern in patterns)
    said = {detail for answer in answers for detail in details(answer)}
    assert len(said) > 30
    assert [detail for detail in sorted(said) if not any(pattern.fullmatch(detail) for pattern in patterns)] == []


def test_the_list_holds_sentences_that_the_libraries_really_say() -> None:
    folders = [Path(rest_framework.__file__).parent, Path(django.__file__).parent / "core"]
    source = "\n".join(path.read_text() for folder in folders for path in sorted(folder.rglob("*.py")))
    missing = [text for text in (*library_words.REQUESTS, *library_words.FIELDS) if text not in source]
    assert missing == []


@pytest.mark.parametrize(("language", "said"), [("hi", "यह ज़रूरी है।"), ("vi", "Cần có.")])
def test_what_our_catalogue_says_comes_before_a_librarys_word(
    api: APIClient, settings: LazySettings, tmp_path: Path, language: str, said: str
) -> None:
    speak(settings, tmp_path, language, {"This field is required.": said, "Some fields are not right.": "—"})
    answer = api.post("/api/v1/items", {}, headers={"Accept-Language": language})
    assert set(details(answer)) == {said, "—"}
    assert (answer.headers["Content-Language"], answer.json()["code"]) == (language, "invalid")
    assert "Accept-Language" in answer.headers["Vary"]
