"""Lost webhooks: asked about, answered, booked and matched; and what only a file can prove."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from merchants.audit import UnableToAct
from merchants.models import OperatorAct
from payments import inbox, ledger
from payments.models import Discrepancy, Match, Payment, QueuedEvent, Refund, StatementLine, WebhookEvent
from payments.providers.base import UnableToRead, Verified, answered
from payments.settlement import proof, repairs
from tests.cast import Person
from tests.evening import look, lost_sale, outcomes, questions, sale, stated, told
from tests.till import assert_books_hold, drain, platform, total

pytestmark = pytest.mark.django_db


def wallet_answers(
    reference: str, object_id: str, amount: int = 200, refunds: list[dict[str, Any]] | None = None
) -> None:
    """What the wallet says when it is asked about an order: kept as every answer is, and applied."""
    at = (timezone.now() - timedelta(minutes=1)).isoformat()
    payment = {"id": object_id, "amount": amount, "currency": "CNY", "state": "succeeded", "occurred_at": at}
    order = {
        "id": "wor_1", "reference": reference, "amount": amount, "currency": "CNY", "state": "paid", "created_at": at,
        "payments": [payment], "refunds": [],
    }  # fmt: skip
    inbox.keep(account=platform(), verified=answered(order), now=timezone.now())
    drain()


def look_to_the_end(lines: list[StatementLine]) -> None:
    """Every look that is to come, each when it is due."""
    for hours in (0, 1, 2, 4, 8):
        look(timedelta(hours=hours))
        QueuedEvent.objects.update(due_at=timezone.now())  # The look was in the future, and so was what it kept.
        drain()


def test_a_lost_webhook_is_asked_about_booked_and_matched(mei: Person) -> None:
    intent, object_id = lost_sale(mei)
    lines = stated(told(object_id=object_id, reference=intent.reference, fee=1))
    look()
    assert (outcomes(lines), Payment.objects.count()) == (["asked"], 0)
    wallet_answers(intent.reference, object_id)

    look(timedelta(minutes=2))

    match = Match.objects.get()
    assert (outcomes(lines), match.rule, match.why["looks"]) == (["matched"], "object_id", 2)
    assert Payment.objects.get().match == "exact"
    assert (ledger.balance(shop=mei.shop).total, questions()) == (200, [])
    assert_books_hold()


def test_what_the_provider_does_not_answer_its_own_file_proves(mei: Person) -> None:
    intent, object_id = lost_sale(mei)
    lines = stated(told(object_id=object_id, reference=intent.reference))
    look_to_the_end(lines)
    event = WebhookEvent.objects.get(authority="file")
    assert json.loads(bytes(event.raw))["stated"]["object_id"] == object_id
    assert (outcomes(lines), questions()) == (["matched"], [])
    assert Payment.objects.get().match == "exact"
    assert ledger.balance(shop=mei.shop).total == 200
    assert_books_hold()


def test_an_unknown_payment_lands_in_suspense_with_its_question(mei: Person) -> None:
    platform()
    lines = stated(told(object_id="wpy_nobody", reference="nobody", amount=77))
    look_to_the_end(lines)
    assert (outcomes(lines), questions()) == (["matched"], [("unknown_reference", 77)])
    assert total("suspense") == 77
    assert_books_hold()


def test_a_file_that_a_person_brought_proves_nothing_by_itself(mei: Person) -> None:
    intent, object_id = lost_sale(mei)
    lines = stated(told(object_id=object_id, reference=intent.reference), fetched=False, operator=mei.user)
    look_to_the_end(lines)
    assert (outcomes(lines), questions()) == (["missing_in_books"], [("missing_in_books", 200)])
    assert Payment.objects.count() == 0

    repairs.book_from_line(line_id=lines[0].id, operator=mei.user, reason="seen at its desk", now=timezone.now())
    drain()
    look(timedelta(minutes=2))

    assert (outcomes(lines), questions()) == (["matched"], [])
    assert Payment.objects.get().object_id == object_id
    question = Discrepancy.objects.get()
    assert (question.state, question.owner) == ("resolved", None)
    assert OperatorAct.objects.get(act="book_from_line").reason == "seen at its desk"
    assert_books_hold()


@pytest.mark.parametrize(
    ("changed", "outcome", "code"),
    [({}, "matched", "not_missing"), ({"object_id": ""}, "missing_in_books", "says_too_little"),
     ({"kind": "refund", "amount": 200}, "missing_in_books", "says_too_little")],
)  # fmt: skip
def test_only_what_is_missing_and_says_enough_is_booked_from_a_line(
    mei: Person, changed: dict[str, Any], outcome: str, code: str
) -> None:
    (line,) = stated(told(**{"object_id": "wpy_1", "reference": "", **changed}))
    StatementLine.objects.update(outcome=outcome, look_at=None)
    with pytest.raises(UnableToAct) as refusal:
        repairs.book_from_line(line_id=line.id, operator=mei.user, reason="x", now=timezone.now())
    assert (refusal.value.code, WebhookEvent.objects.count(), outcomes([line])) == (code, 0, [outcome])


def test_the_same_thing_is_booked_from_a_file_once(mei: Person) -> None:
    platform()
    lines = stated(*[told(object_id="wpy_1", reference="", amount=77)] * 2, fetched=False, operator=mei.user)
    look_to_the_end(lines)
    repairs.book_from_line(line_id=lines[0].id, operator=mei.user, reason="x", now=timezone.now())
    with pytest.raises(UnableToAct) as refusal:
        repairs.book_from_line(line_id=lines[1].id, operator=mei.user, reason="x", now=timezone.now())
    assert refusal.value.code == "booked_already"
    assert WebhookEvent.objects.filter(authority="file").count() == 1


def test_a_refund_at_the_wallets_own_desk_is_booked_from_its_file(mei: Person) -> None:
    payment = sale(mei)
    lines = stated(
        told(payment),
        told(kind="refund", object_id="wrf_1", parent_object_id=payment.object_id, reference="", amount=-60, fee=-1),
    )
    look_to_the_end(lines)
    refund = Refund.objects.get()
    assert (refund.origin, refund.state, refund.amount) == ("provider", "succeeded", 60)
    assert outcomes(lines) == ["matched", "matched"]
    assert ledger.balance(shop=mei.shop).total == 140
    assert_books_hold()


def test_a_second_refund_is_booked_and_its_excess_asked_about(mei: Person) -> None:
    payment = sale(mei)
    back = {"kind": "refund", "parent_object_id": payment.object_id, "reference": "", "amount": -200}
    lines = stated(told(payment), told(object_id="wrf_1", **back), told(object_id="wrf_2", **back))
    look_to_the_end(lines)
    assert outcomes(lines) == ["matched"] * 3
    assert questions() == [("refund_excess", 200)]
    assert_books_hold()


def test_a_line_is_kept_in_our_words_and_read_again(mei: Person) -> None:
    (row,) = stated(told(object_id="wpy_1", reference="r", amount=5))
    (event,) = proof.read(proof.of_line(repairs.of_row(row)))
    assert (event.kind, event.object_id, event.reference, event.amount) == ("payment.succeeded", "wpy_1", "r", 5)
    assert event.occurred_at == row.occurred_at


@pytest.mark.parametrize(
    "raw", [b"{}", b"not json", b'{"stated": {"kind": "payout", "amount": 1}}', b'{"stated": 5}', b"[]"]
)
def test_what_no_line_could_have_written_is_not_read(raw: bytes) -> None:
    with pytest.raises(UnableToRead):
        proof.read(Verified("file:x", raw, "file"))
