"""A phone is signed out while it subscribes to push: it is told nothing more, whichever was first."""

from __future__ import annotations

import time

import pytest
from rest_framework.test import APIClient

from merchants.models import PushSubscription, Token
from tests.cast import Person
from tests.push_service import Browser
from tests.races.together import slow_after, together, without_row_locks

pytestmark = pytest.mark.usefixtures("real_db")

WRITTEN = "merchants.pushing._fields"  # Called when the token was found good and the subscription is about to be kept.


def both(mei: Person) -> tuple[int, int]:
    """What the phone that subscribes is answered, and the one that signs it out meanwhile."""
    phone = Browser("https://updates.push.services.mozilla.com/wpush/v2/abc")

    def client() -> APIClient:
        made = mei.api()
        made.raise_request_exception = False
        return made

    def sign_out() -> int:
        time.sleep(0.2)
        return client().delete("/api/v1/devices?this_one_too=true").status_code

    with slow_after(WRITTEN, callers=2):
        subscribed, out = together(
            [lambda: client().post("/api/v1/push", phone.subscription()).status_code, sign_out]
        )  # fmt: skip
    return subscribed, out


def test_without_the_lock_of_its_token_it_would_break(mei: Person) -> None:
    with without_row_locks():
        subscribed, _out = both(mei)
    assert subscribed == 500


def test_the_subscription_that_was_first_goes_with_its_token(mei: Person) -> None:
    assert both(mei) == (201, 200)
    assert not PushSubscription.objects.exists()
    assert not Token.objects.exists()
