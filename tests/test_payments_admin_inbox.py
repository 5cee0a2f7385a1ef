"""The back office's inbox: what was set aside and why, bodies of strangers shown as text, and replay."""

from __future__ import annotations

import json

import pytest
from django.utils import timezone

from merchants.lists import public_id
from merchants.models import OperatorAct
from payments.admin.inbox import pretty, visible
from payments.models import (
    Discrepancy,
    Payment,
    PaymentIntent,
    ProviderAccount,
    QueuedEvent,
    WebhookEvent,
)
from tests.cast import Person
from tests.operators import Operator, acts, quick_passwords, signed_in  # noqa: F401
from tests.till import assert_books_hold, drain, expect, paid, platform, shop_code

pytestmark = pytest.mark.django_db


@pytest.fixture
def wei() -> Operator:
    """An operator."""
    return signed_in()


@pytest.fixture
def short(mei: Person) -> Discrepancy:
    """Mei asked for 5.00 and got 3.00."""
    platform()
    paid(expect(shop_code(mei.shop), 500), amount=300, object_id="wpy_of_mei").deliver()
    drain()
    return Discrepancy.objects.get()


@pytest.fixture
def unreadable(mei: Person) -> QueuedEvent:
    """A proved notification in a form that the adapter does not know, and with markup of a stranger in it."""
    platform()
    message = paid()
    message.message["data"]["order"] = "<script>alert(1)</script>"
    message.deliver()
    drain()
    return QueuedEvent.objects.get()


def test_the_list_of_what_was_set_aside_filters_by_state_age_attempts_and_words(
    wei: Operator, unreadable: QueuedEvent
) -> None:
    base = "/admin/payments/queuedevent/"

    def count(**chosen: str) -> int:
        return len(wei.client.get(base, chosen).context["cl"].result_list)

    assert (count(), count(state="parked"), count(state="dead")) == (1, 1, 0)
    assert (count(tried="1"), count(tried="2"), count(older="1")) == (1, 0, 0)
    assert (count(q="form we know"), count(q="platform"), count(q=public_id(unreadable.event))) == (1, 1, 1)
    assert count(q="nothing like it") == 0
    QueuedEvent.objects.update(state="queued")
    assert count() == 0


def test_an_events_page_shows_its_bytes_as_text_and_says_why_it_cannot_be_read(
    wei: Operator, unreadable: QueuedEvent
) -> None:
    page = wei.client.get(f"/admin/payments/queuedevent/{unreadable.pk}/change/").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "It cannot be read: the wallet&#x27;s message has not the form we know" in page
    assert "signed: the signature was right" in page
    assert f"Body: {len(bytes(unreadable.event.raw))} bytes" in page
    assert unreadable.event.key_id in page
    assert unreadable.event.headers["webhook-signature"] in page.replace("&#x3D;", "=")


def test_an_events_page_says_what_it_means_and_links_to_what_it_made(wei: Operator, short: Discrepancy) -> None:
    event, payment, intent = WebhookEvent.objects.get(), Payment.objects.get(), PaymentIntent.objects.get()
    page = wei.client.get(f"/admin/payments/webhookevent/{event.pk}/change/").text
    assert f'<a href="/admin/payments/payment/{payment.id}/change/">{public_id(payment)}</a>' in page
    assert "booked by this event" in page
    assert f'<a href="/admin/payments/paymentintent/{intent.id}/change/">{intent.reference}</a>' in page
    assert "CN¥3.00" in page
    assert "wpy_of_mei" in page


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00\xff\xfe",
        b'"\\ud800"',
        b"[" * 100_000,
        b"9" * 5000,
        "\u202egnp.exe".encode(),
        json.dumps(
            {
                "type": "payment.succeeded",
                "occurred_at": "2026-01-01T00:00:00+00:00",
                "data": {
                    "order": {"reference": "\ud800\0"},
                    "payment": {
                        "id": "\0\ud800",
                        "amount": 1,
                        "currency": "???",
                        "occurred_at": "2026-01-01T00:00:00+00:00",
                    },
                },
            }
        ).encode(),
    ],
    ids=range(7),
)
def test_no_body_breaks_its_page(wei: Operator, raw: bytes) -> None:
    event = WebhookEvent.objects.create(
        provider_account=platform(), delivery_id="x", raw=raw, authority="signed", received_at=timezone.now()
    )
    row = QueuedEvent.objects.create(event=event, state="dead", due_at=timezone.now(), received_at=timezone.now())
    answer = wei.client.get(f"/admin/payments/queuedevent/{row.pk}/change/")
    assert answer.status_code == 200
    assert "\u202e" not in answer.text
    assert "\x00" not in answer.text


def test_an_event_of_a_provider_that_is_gone_is_shown_all_the_same(wei: Operator, unreadable: QueuedEvent) -> None:
    ProviderAccount.objects.update(provider="bygone")
    page = wei.client.get(f"/admin/payments/queuedevent/{unreadable.pk}/change/").text
    assert "There is no adapter for “bygone”." in page


def test_text_of_strangers_is_made_visible() -> None:
    assert visible("päy 好\n\t") == "päy 好\n\t"
    assert visible("a\u202eb\x00c\u200bd\ud800") == "a\\u202eb\\x00c\\u200bd\\ud800"
    assert pretty(b'{"a": [1]}') == '{\n  "a": [\n    1\n  ]\n}'
    assert pretty(b"no json") == ""


def test_replay_asks_why_and_gives_the_event_a_fresh_start(wei: Operator, unreadable: QueuedEvent) -> None:
    history = wei.client.get(f"/admin/payments/queuedevent/{unreadable.pk}/history/")
    assert history.headers["Location"] == f"/admin/merchants/operatoract/?q={public_id(unreadable.event)}"
    asked = wei.act("payments/queuedevent", unreadable, "replay")
    assert (asked.status_code, "Why is it replayed?" in asked.text) == (200, True)
    assert (QueuedEvent.objects.get().state, acts()) == ("parked", [])

    answer = wei.act("payments/queuedevent", unreadable, "replay", "the adapter was corrected")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/payments/queuedevent/")
    row = QueuedEvent.objects.get()
    assert (row.state, row.attempts, row.reason) == ("queued", 0, "")
    assert acts() == [("replay", "the adapter was corrected")]
    act = OperatorAct.objects.latest("id")
    assert act.subject_id == public_id(unreadable.event)
    assert act.before == {"state": "parked", "attempts": 1, "reason": unreadable.reason}
    assert act.after == {"state": "queued", "attempts": 0, "reason": ""}

    assert wei.act("payments/queuedevent", unreadable, "replay", "once more").status_code == 404
    assert acts() == [("replay", "the adapter was corrected")]


def test_a_replayed_event_that_can_be_read_now_is_booked_once(wei: Operator, mei: Person) -> None:
    platform()
    good = paid(expect(shop_code(mei.shop), 500))
    good.deliver()
    QueuedEvent.objects.update(state="dead", attempts=7, reason="a fault of ours")
    row = QueuedEvent.objects.get()
    assert (drain(), Payment.objects.count()) == (0, 0)
    wei.act_on_list("payments/queuedevent", [row], "replay", "the fault is mended")
    assert (drain(), Payment.objects.get().match) == (1, "exact")
    assert_books_hold()


def test_a_reason_is_not_optional(wei: Operator, unreadable: QueuedEvent) -> None:
    form = {"confirmed": "1", "reason": "   "}
    answer = wei.client.post(f"/admin/payments/queuedevent/{unreadable.pk}/act/replay/", form)
    assert (answer.status_code, "This field is required." in answer.text) == (200, True)
    form["reason"] = "x" * 501
    assert wei.client.post(f"/admin/payments/queuedevent/{unreadable.pk}/act/replay/", form).status_code == 200
    assert (QueuedEvent.objects.get().state, acts()) == ("parked", [])
