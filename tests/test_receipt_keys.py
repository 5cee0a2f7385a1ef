"""Keys of receipts: made on demand, published before they sign, replaced without a gap, withdrawn at once."""

from __future__ import annotations

import base64
import io
from datetime import datetime, timedelta

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from rest_framework.test import APIClient

from merchants.models import OperatorAct
from payments import receipt_keys, tasks
from payments.models import ReceiptKey
from tests.operators import OPERATOR_PHONE, add_operator, quick_passwords  # noqa: F401

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def signers(moment: datetime) -> list[int]:
    """The numbers of the keys that would sign then."""
    keys = ReceiptKey.objects.filter(withdrawn_at=None, signs_from__lte=moment, signs_until__gt=moment)
    return [key.number for key in keys]


def test_the_first_receipt_makes_the_first_key_and_the_second_uses_it(now: datetime) -> None:
    key = receipt_keys.signing(now=now)
    assert (key.number, len(key.public_key), key.withdrawn_at) == (1, 32, None)
    assert receipt_keys.signing(now=now + timedelta(hours=1)) == key
    assert key.signs_until == key.signs_from + 30 * DAY + receipt_keys.CLOCK_SLACK
    assert key.trusted_until == key.signs_until + timedelta(minutes=7)


def test_another_process_whose_clock_is_a_moment_behind_finds_the_same_key(now: datetime) -> None:
    key = receipt_keys.signing(now=now)
    assert receipt_keys.signing(now=now - timedelta(seconds=30)) == key
    assert ReceiptKey.objects.count() == 1


def test_what_a_key_signed_it_verifies_and_nothing_else(now: datetime) -> None:
    key = receipt_keys.signing(now=now)
    signature = receipt_keys.signature(key, b"CNY 4.00")
    assert receipt_keys.signed(key, b"CNY 4.00", signature)
    assert not receipt_keys.signed(key, b"CNY 9.00", signature)
    assert not receipt_keys.signed(key, b"CNY 4.00", bytes(64))
    assert not receipt_keys.signed(key, b"CNY 4.00", b"")


def test_a_private_key_is_sealed_and_is_erased_when_it_signs_no_more(now: datetime) -> None:
    key = receipt_keys.signing(now=now)
    assert bytes(key.sealed_private_key).startswith(b"gAAAA")
    receipt_keys.renew(now=key.signs_until + timedelta(minutes=1))
    key.refresh_from_db()
    assert bytes(key.sealed_private_key) != b""
    receipt_keys.renew(now=key.signs_until + timedelta(minutes=3))
    key.refresh_from_db()
    assert bytes(key.sealed_private_key) == b""


def test_for_a_year_exactly_one_key_signs_and_it_was_published_a_fortnight_before(now: datetime) -> None:
    known: dict[int, datetime] = {}
    for hours in range(0, 24 * 365, 36):
        moment = now + timedelta(hours=hours)
        receipt_keys.renew(now=moment)
        [number] = signers(moment)
        for key in receipt_keys.published(now=moment):
            known.setdefault(key.number, moment)
        assert number == 1 or moment - known[number] >= 12 * DAY
    assert ReceiptKey.objects.count() == 13
    keys = list(ReceiptKey.objects.order_by("number"))
    assert [key.signs_from for key in keys[1:]] == [key.signs_until for key in keys[:-1]]


def test_after_a_long_sleep_a_key_is_made_at_once(now: datetime) -> None:
    receipt_keys.signing(now=now)
    later = now + 100 * DAY
    assert receipt_keys.signing(now=later).number == 2
    assert signers(later) == [2]
    assert receipt_keys.renew(now=later) == 0


def test_a_key_is_trusted_until_its_last_statement_has_expired(now: datetime) -> None:
    key = receipt_keys.signing(now=now)
    assert receipt_keys.trusted(1, now=key.signs_until + timedelta(minutes=6)) == key
    assert receipt_keys.trusted(1, now=key.trusted_until) is None
    assert receipt_keys.trusted(2, now=now) is None
    assert 1 not in {key.number for key in receipt_keys.published(now=key.trusted_until)}


def test_the_beat_makes_the_key_that_follows_in_time(now: datetime) -> None:
    receipt_keys.signing(now=now)
    for days, count in ((10, 1), (17, 2), (20, 2)):
        with time_machine.travel(now + days * DAY):
            tasks.renew_receipt_keys()
        assert ReceiptKey.objects.count() == count


def test_the_database_refuses_times_that_do_not_follow(now: datetime) -> None:
    key = receipt_keys.signing(now=now)
    for field, moment in (("signs_until", key.signs_from), ("trusted_until", key.signs_until - DAY)):
        with pytest.raises(IntegrityError), transaction.atomic():
            ReceiptKey.objects.filter(number=1).update(**{field: moment})


class TestWithdrawing:
    def test_trust_ends_now_and_another_signs_from_the_same_moment(self, now: datetime) -> None:
        operator = add_operator().user
        first = receipt_keys.signing(now=now)
        statement = receipt_keys.signature(first, b"paid")
        later = now + 20 * DAY
        receipt_keys.renew(now=later)
        key = receipt_keys.withdraw(number=1, reason="a stolen disk", operator=operator, now=later)
        assert receipt_keys.signed(key, b"paid", statement)
        assert receipt_keys.trusted(1, now=later) is None
        assert [key.number for key in receipt_keys.published(now=later)] == [3, 2]
        assert signers(later) == [3]
        assert ReceiptKey.objects.get(number=3).signs_until == ReceiptKey.objects.get(number=2).signs_from
        assert bytes(ReceiptKey.objects.get(number=1).sealed_private_key) == b""
        act = OperatorAct.objects.get(act="withdraw_receipt_key")
        assert (act.operator, act.reason, act.before["withdrawn_at"]) == (operator, "a stolen disk", None)
        assert act.after == {"number": 1, "withdrawn_at": later.isoformat()}

    def test_by_the_command(self, now: datetime) -> None:
        add_operator()
        receipt_keys.signing(now=now)
        output = io.StringIO()
        call_command("withdraw_receipt_key", "1", reason="a leak", operator=OPERATOR_PHONE, stdout=output)
        assert output.getvalue() == "Receipt key 1 is withdrawn; key 2 signs.\n"
        assert OperatorAct.objects.get(act="withdraw_receipt_key").reason == "a leak"

    @pytest.mark.parametrize(
        ("number", "reason", "operator", "says"),
        [
            (7, "a leak", OPERATOR_PHONE, "There is no receipt key 7."),
            (1, "  ", OPERATOR_PHONE, "Please say why, for the operators' trail."),
            (1, "a leak", "+8613800138000", "+8613800138000 is no operator (manage.py add_operator makes one)."),
        ],
    )
    def test_the_command_refuses_and_nothing_has_changed(
        self, now: datetime, number: int, reason: str, operator: str, says: str
    ) -> None:
        add_operator()
        receipt_keys.signing(now=now)
        with pytest.raises(CommandError, match="^" + says.replace("(", r"\(").replace(")", r"\)").replace("+", r"\+")):
            call_command("withdraw_receipt_key", str(number), reason=reason, operator=operator)
        assert [key.withdrawn_at for key in ReceiptKey.objects.all()] == [None]
        assert not OperatorAct.objects.filter(act="withdraw_receipt_key").exists()

    def test_twice_is_refused(self, now: datetime) -> None:
        operator = add_operator().user
        receipt_keys.signing(now=now)
        receipt_keys.withdraw(number=1, reason="a leak", operator=operator, now=now)
        with pytest.raises(CommandError, match="Receipt key 1 was withdrawn already"):
            call_command("withdraw_receipt_key", "1", reason="again", operator=OPERATOR_PHONE)
        assert OperatorAct.objects.filter(act="withdraw_receipt_key").count() == 1
        assert ReceiptKey.objects.count() == 2


def test_anybody_reads_the_public_halves_and_nothing_else(stranger: APIClient, now: datetime) -> None:
    answer = stranger.get("/api/v1/receipt-keys")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-cache")
    [told] = answer.json()["results"]
    key = ReceiptKey.objects.get()
    assert set(told) == {"number", "public_key", "signs_from", "trusted_until"}
    assert base64.urlsafe_b64decode(told["public_key"] + "=") == bytes(key.public_key)
    assert told["number"] == 1
    assert datetime.fromisoformat(told["trusted_until"]) == key.trusted_until
    assert stranger.get("/api/v1/receipt-keys").json() == answer.json()


def test_an_old_token_of_a_phone_does_not_keep_it_from_the_keys(stranger: APIClient) -> None:
    stranger.credentials(HTTP_AUTHORIZATION="Bearer of-yesterday")
    assert stranger.get("/api/v1/receipt-keys").status_code == 200
