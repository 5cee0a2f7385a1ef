"""What the journal says, and what it must not."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from merchants.journal import journal, json_formatter


@pytest.fixture
def written(caplog: pytest.LogCaptureFixture) -> Any:
    """The lines that were written, as the processes write them."""
    formatter = json_formatter()

    def lines() -> list[dict[str, Any]]:
        return [json.loads(formatter.format(record)) for record in caplog.records]

    with caplog.at_level(logging.INFO):
        yield lines


def test_a_line_is_one_json_object_with_its_time_level_and_place(written: Any) -> None:
    journal("payments.example").info("event_parked", event_id="evt_1", attempts=2)
    [line] = written()
    assert (line["event"], line["event_id"], line["attempts"]) == ("event_parked", "evt_1", 2)
    assert (line["level"], line["logger"]) == ("info", "payments.example")
    assert line["timestamp"].endswith("Z")


@pytest.mark.parametrize(
    "field", ["code", "token", "authorization", "password", "api_key", "webhook_secret", "secret", "body"]
)
def test_a_secret_is_masked_by_the_name_of_its_field(written: Any, field: str) -> None:
    journal("merchants.example").warning("refused", **{field: "314159"})
    [line] = written()
    assert line[field] == "***"
    assert "314159" not in json.dumps(line)


def test_a_phone_number_is_masked_wherever_it_stands(written: Any) -> None:
    journal("merchants.example").warning("not sent to +8613800138000", phone="+8613800138000")
    [line] = written()
    assert (line["event"], line["phone"]) == ("not sent to +861…00", "+861…00")


def test_a_request_is_told_without_its_query(written: Any) -> None:
    journal("merchants.example").warning("refused", request="GET /r/7/payer?code=314159&state=1")
    [line] = written()
    assert line["request"] == "GET /r/7/payer"


def test_the_lines_of_libraries_are_masked_too(written: Any) -> None:
    logging.getLogger("celery.worker").error("task of +8613800138000 failed")
    [line] = written()
    assert (line["event"], line["level"]) == ("task of +861…00 failed", "error")
