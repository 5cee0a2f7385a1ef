"""What tasks leave undone: a drain that had to stop rings for the next one, and one that found the end does not."""

from __future__ import annotations

from datetime import timedelta
from unittest import mock

import pytest
from django.conf import LazySettings

from merchants import bell
from payments import inbox, tasks
from payments.models import Payment, QueuedEvent
from tests.cast import Person
from tests.till import assert_books_hold, expect, paid, platform, shop_code


def test_a_drain_that_had_to_stop_rings_for_the_next_and_one_that_found_the_end_does_not_look_again(
    real_db: None, mei: Person, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform()
    code = shop_code(mei.shop)
    for amount in (100, 200, 300):
        paid(expect(code, amount)).deliver()
    settings.DRAIN_BATCH_MAX, settings.DRAIN_FOR = 2, timedelta(0)
    ring = mock.Mock()
    monkeypatch.setattr(bell, "ring", ring)
    tasks.drain_inbox()
    assert (Payment.objects.count(), QueuedEvent.objects.count()) == (2, 1)
    ring.assert_called_once_with(inbox.DRAIN)

    monkeypatch.setattr(inbox, "has_due", mock.Mock(side_effect=AssertionError("nothing can be left")))
    tasks.drain_inbox()
    assert (Payment.objects.count(), QueuedEvent.objects.count()) == (3, 0)
    ring.assert_called_once()
    assert_books_hold()
