"""The same page posted at the same moment, and a one-time code that several people want to pay."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from merchants.models import Code
from payments import checkout
from payments.checkout import UnableToStart
from payments.models import PaymentIntent
from tests.cast import MEI_PHONE, open_shop
from tests.races.together import together
from tests.till import platform, shop_code

pytestmark = pytest.mark.usefixtures("real_db")


def test_one_page_posted_twenty_times_at_once_is_one_intent() -> None:
    mei = open_shop(MEI_PHONE, "Mei's fruit")
    platform()
    code, page, now = shop_code(mei.shop), uuid.uuid4(), timezone.now()

    def post() -> PaymentIntent:
        return checkout.start(code=code, amount=200, quantity=1, page=page, payer="p", now=now)

    answers = together([post] * 20)
    assert {answer.id for answer in answers} == {PaymentIntent.objects.get().id}


def test_of_twenty_people_who_pay_a_one_time_code_at_once_one_may() -> None:
    mei = open_shop(MEI_PHONE, "Mei's fruit")
    platform()
    now = timezone.now()
    code = Code.objects.create(
        shop=mei.shop, kind=Code.Kind.ONE_TIME, amount=500, currency="CNY", expires_at=now + timedelta(minutes=5)
    )

    def post() -> PaymentIntent:
        return checkout.start(code=code, amount=None, quantity=1, page=uuid.uuid4(), payer="p", now=now)

    answers = together([post] * 20)
    started = [answer for answer in answers if isinstance(answer, PaymentIntent)]
    refused = [answer.code for answer in answers if isinstance(answer, UnableToStart)]
    assert (len(started), refused) == (1, ["code_in_use"] * 19)
    assert PaymentIntent.objects.get().amount == 500
