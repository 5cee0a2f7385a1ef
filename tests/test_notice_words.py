"""Notices are worded when they are read: rows keep what happened, and each reader has it in her language."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import LazySettings
from django.utils import timezone
from django.utils.translation import override

from merchants import notice_words, notify
from merchants.notify import Telling
from tests.cast import Person
from tests.translations import speak

SILENT = {"alarm": "alm_1", "code": "cod_1", "label": "Plums", "kind": "silent", "count": 36}
SENTENCE = "Nobody has paid by “Plums” while 36 others paid you. Is another sticker over it?"


def test_an_alarm_gets_its_sentence_and_a_nameless_code_a_name() -> None:
    said = notice_words.worded("code_alarm", SILENT)
    assert said == {"alarm": "alm_1", "code": "cod_1", "label": "Plums", "kind": "silent", "sentence": SENTENCE}
    scanned = notice_words.worded("code_alarm", {**SILENT, "label": "", "kind": "unpaid_scans"})
    assert scanned["label"] == "the code for any amount"
    assert scanned["sentence"] == (
        "“the code for any amount” was opened 36 times, and nobody paid. Is something stuck on it or beside it?"
    )
    assert SILENT["count"] == 36  # The row's own data are left as they are.


def test_a_notice_from_before_keeps_the_sentence_it_was_told_with() -> None:
    before = {"label": "Plums", "kind": "silent", "sentence": "As it was said then."}
    assert notice_words.worded("code_alarm", before) == before


def test_each_reader_has_a_notice_in_her_language(mei: Person, settings: LazySettings, tmp_path: Path) -> None:
    silent = "Nobody has paid by “%(code)s” while %(count)s others paid you. Is another sticker over it?"
    speak(settings, tmp_path, "hi", {silent: "%(code)s पर नहीं: %(count)s", "the batch was canceled": "रद्द"})
    now = timezone.now()
    notify.tell([Telling(mei.shop.id, "code_alarm", SILENT)], now=now)
    notify.tell([Telling(mei.shop.id, "payout_failed", {"failure": "the batch was canceled"})], now=now)
    notify.tell([Telling(mei.shop.id, "payout_failed", {"failure": "AC04 closed"})], now=now)

    def read(language: str) -> list[Any]:
        rows = mei.api().get("/api/v1/notices", headers={"Accept-Language": language}).json()["results"]
        return [row["data"].get("sentence") or row["data"]["failure"] for row in rows]

    assert read("hi") == ["Plums पर नहीं: 36", "रद्द", "AC04 closed"]
    assert read("en") == [SENTENCE, "the batch was canceled", "AC04 closed"]
    with override("hi"):
        assert notice_words.called("Plums") == "Plums"
