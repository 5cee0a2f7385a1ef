"""The statement that a receipt carries: true for a moment, and worthless once anybody changes a bit of it."""

from __future__ import annotations

import base64
import os
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from io import BytesIO
from typing import Any
from uuid import UUID

import pytest
import time_machine
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import LazySettings
from django.test import Client
from django.utils import timezone
from PIL import Image

from merchants import seals
from payments import receipt_keys, refunds
from payments.models import Payment, PaymentIntent, ReceiptKey, Refund
from qr import proofs
from tests import readers
from tests.cast import Person
from tests.operators import add_operator, quick_passwords  # noqa: F401
from tests.till import drain, expect, paid, platform, refund_told, shop_code

pytestmark = pytest.mark.django_db
FUZZ_EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "300"))

# The first test key of RFC 8032 §7.1 and what it signs here; merchants/static/app/proof.js is held to the same bytes
# (tests/browser/test_check.py).
RFC_8032_SECRET = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
VECTOR = (
    "EQAAAAcBk7YGq4BwAIAAAAAAAAABAZO2BquAcACAAAAAAAAAAgAAAAABkAAAAAAAAENOWWkhrqBpIa6sADyhukxceVo97FWJmLSJUjjdVbMg"
    "I8U6bWFJIEkhy3dck83oca4qn39n0p4q2I9LidWCcBKuhGNIZn7AeIBdZr0F"
)


@pytest.fixture
def intent(mei: Person) -> PaymentIntent:
    """Four yuan that were paid a moment ago."""
    platform()
    asked = expect(shop_code(mei.shop), 400)
    paid(asked).deliver()
    drain()
    return PaymentIntent.objects.get()


def made(intent: PaymentIntent, *, life: timedelta = proofs.MOVING_LIFE, now: datetime | None = None) -> str:
    """The token of a receipt's statement, or "" where it has none."""
    payments = list(intent.payments.all())
    back = list(Refund.objects.filter(payment__in=payments))
    return proofs.address(intent, payments, back, life=life, now=now or timezone.now()).rpartition("/")[2]


def verdict(token: str, now: datetime | None = None) -> str:
    return proofs.check(token, now=now or timezone.now())[0]


def text(answer: Any) -> str:
    body = re.sub(r"<style>.*?</style>", "", answer.content.decode(), flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def edited(token: str, place: int, *new: int) -> str:
    raw = bytearray(base64.urlsafe_b64decode(token))
    raw[place : place + len(new)] = bytes(new)
    return base64.urlsafe_b64encode(raw).decode()


class TestTheStatement:
    def test_it_says_what_was_paid_to_whom_and_when(self, intent: PaymentIntent, settings: LazySettings) -> None:
        now = timezone.now().replace(microsecond=0)
        [payment] = intent.payments.all()
        url = proofs.address(intent, [payment], [], life=timedelta(seconds=60), now=now)
        assert url.startswith(f"{settings.PUBLIC_URL}/p/")
        token = url.rpartition("/")[2]
        assert len(token) == proofs.LENGTH == 168
        assert proofs.check(token, now=now) == (
            "real",
            proofs.Statement(
                key=1, shop=intent.shop_id, payment=payment.id, amount=400, refunded=0, currency="CNY",
                paid_at=payment.occurred_at.replace(microsecond=0), issued_at=now,
                expires_at=now + timedelta(seconds=60), pretend=True,
            ),
        )  # fmt: skip

    def test_its_bytes_are_those_that_the_phone_is_held_to(self, intent: PaymentIntent) -> None:
        issued = datetime(2025, 11, 22, 12, 38, 4, tzinfo=UTC)
        private = Ed25519PrivateKey.from_private_bytes(RFC_8032_SECRET)
        ReceiptKey.objects.all().delete()
        ReceiptKey.objects.create(
            number=7, public_key=private.public_key().public_bytes_raw(), created_at=issued,
            sealed_private_key=seals.seal(base64.b64encode(RFC_8032_SECRET).decode()), signs_from=issued,
            signs_until=issued + timedelta(days=30), trusted_until=issued + timedelta(days=31),
        )  # fmt: skip
        [payment] = intent.payments.all()
        payment.id = UUID("0193b606-ab80-7000-8000-000000000002")
        payment.shop_id = intent.shop_id = UUID("0193b606-ab80-7000-8000-000000000001")
        payment.occurred_at = issued - timedelta(seconds=12)
        assert (
            proofs.address(intent, [payment], [], life=timedelta(seconds=60), now=issued).rpartition("/")[2] == VECTOR
        )

    @pytest.mark.parametrize("seconds", [-119, 0, 59])
    def test_it_is_real_while_it_is_good(self, intent: PaymentIntent, seconds: int) -> None:
        now = timezone.now().replace(microsecond=0)
        assert verdict(made(intent, now=now), now + timedelta(seconds=seconds)) == "real"

    @pytest.mark.parametrize(
        ("life", "seconds", "says"),
        [
            (proofs.MOVING_LIFE, 60, "expired"),
            (proofs.STILL_LIFE, 299, "real"),
            (proofs.STILL_LIFE, 300, "expired"),
            (proofs.STILL_LIFE, 86_400, "expired"),
            (proofs.MOVING_LIFE, -121, "early"),
        ],
    )
    def test_then_it_is_too_old_and_before_it_is_too_early(
        self, intent: PaymentIntent, life: timedelta, seconds: int, says: str
    ) -> None:
        now = timezone.now().replace(microsecond=0)
        assert verdict(made(intent, life=life, now=now), now + timedelta(seconds=seconds)) == says


class TestWhatIsChanged:
    def test_another_amount_is_refused(self, intent: PaymentIntent) -> None:
        token = made(intent)
        assert verdict(token) == "real"
        assert verdict(edited(token, 41, 0x03, 0xE8)) == "forged"  # CN¥10.00 instead of CN¥4.00.

    def test_another_shop_is_refused(self, intent: PaymentIntent, arjun: Person) -> None:
        assert verdict(edited(made(intent), 5, *arjun.shop.id.bytes)) == "forged"

    def test_a_key_of_nobodys_is_unknown(self, intent: PaymentIntent) -> None:
        assert proofs.check(edited(made(intent), 1, 0, 0, 0, 9), now=timezone.now()) == ("unknown_key", None)

    def test_a_signature_by_the_key_that_follows_is_not_one_by_this(self, intent: PaymentIntent, now: datetime) -> None:
        first = receipt_keys.signing(now=now)
        receipt_keys.renew(now=now + timedelta(days=20))
        token = made(intent)
        second = ReceiptKey.objects.get(number=2)
        body = base64.urlsafe_b64decode(token)[:62]
        foreign = base64.urlsafe_b64encode(body + receipt_keys.signature(second, proofs.CONTEXT + body)).decode()
        assert (first.number, verdict(token), verdict(foreign)) == (1, "real", "forged")

    def test_a_signature_over_the_bytes_without_their_context_is_none(self, intent: PaymentIntent) -> None:
        token = made(intent)
        body = base64.urlsafe_b64decode(token)[:62]
        bare = base64.urlsafe_b64encode(body + receipt_keys.signature(ReceiptKey.objects.get(), body)).decode()
        assert verdict(bare) == "forged"

    def test_a_key_that_was_withdrawn_proves_nothing_more(self, intent: PaymentIntent) -> None:
        token = made(intent)
        receipt_keys.withdraw(number=1, reason="a leak", operator=add_operator().user, now=timezone.now())
        assert proofs.check(token, now=timezone.now()) == ("unknown_key", None)
        assert verdict(made(intent)) == "real"

    def test_every_single_bit_matters(self, intent: PaymentIntent) -> None:
        token, key = made(intent), ReceiptKey.objects.get()
        assert proofs.genuine(token, key) is not None
        raw = base64.urlsafe_b64decode(token)
        for bit in range(len(raw) * 8):
            flipped = bytearray(raw)
            flipped[bit // 8] ^= 1 << bit % 8
            changed = base64.urlsafe_b64encode(flipped).decode()
            assert proofs.genuine(changed, key) is None, bit

    def test_every_other_letter_and_every_shorter_text_is_refused(self, intent: PaymentIntent) -> None:
        token, key = made(intent), ReceiptKey.objects.get()
        for place in range(len(token)):
            for letter in ("A" if token[place] != "A" else "B", "=", "é", " "):
                assert proofs.genuine(token[:place] + letter + token[place + 1 :], key) is None
            assert proofs.genuine(token[:place], key) is None
        for strange in (token + "A", token + "\n", token.upper(), f" {token}", token + token):
            assert verdict(strange) == "forged"

    def test_no_bytes_break_it(self, intent: PaymentIntent) -> None:
        made(intent)
        now, key = timezone.now(), ReceiptKey.objects.get()
        for length in [126] * FUZZ_EXAMPLES + list(range(140)):
            raw = bytearray(os.urandom(length))
            raw[:5] = b"\x10\0\0\0\1"[: len(raw)]  # Past the version and the key, so that the rest is looked at.
            assert proofs.genuine(base64.urlsafe_b64encode(raw).decode(), key) is None
            assert proofs.genuine(os.urandom(84).hex(), key) is None
        assert proofs.check(base64.urlsafe_b64encode(raw).decode(), now=now) == ("forged", None)


class TestWhatIsProvable:
    def test_what_waits_for_money_is_not(self, mei: Person) -> None:
        platform()
        assert made(expect(shop_code(mei.shop), 400)) == ""

    @pytest.mark.parametrize("match", ["short", "over", "late", "double", "unexpected"])
    def test_money_that_does_not_fit_is_not(self, intent: PaymentIntent, match: str) -> None:
        Payment.objects.update(match=match)
        assert made(intent) == ""

    def test_money_in_suspense_is_not(self, intent: PaymentIntent) -> None:
        Payment.objects.update(placed=False)
        assert made(intent) == ""

    def test_what_is_paid_twice_is_not_while_it_is_being_checked(self, intent: PaymentIntent) -> None:
        paid(intent).deliver()
        drain()
        assert intent.payments.count() == 2
        assert made(intent) == ""

    def test_a_part_that_was_refunded_is_said_and_the_whole_ends_it(self, intent: PaymentIntent, mei: Person) -> None:
        [payment] = intent.payments.all()
        for amount, left in ((150, "real"), (250, "")):
            refunds.request(staff=mei.staff, payment=payment, amount=amount, reason="", now=timezone.now())
            assert proofs.check(made(intent), now=timezone.now())[0] == "real"  # Only asked for: it is still hers.
            refund = Refund.objects.get(state="requested")
            refund_told(payment, "succeeded", amount=amount, refund=refund).deliver()
            drain()
            token = made(intent)
            assert bool(token) is bool(left)
            if token:
                statement = proofs.check(token, now=timezone.now())[1]
                assert statement is not None
                assert (statement.amount, statement.refunded) == (400, 150)

    def test_an_hour_later_it_is_no_more(self, intent: PaymentIntent) -> None:
        [payment] = intent.payments.all()
        assert made(intent, now=payment.occurred_at + timedelta(minutes=59, seconds=59)) != ""
        assert made(intent, now=payment.occurred_at + timedelta(hours=1)) == ""


class TestOnTheReceipt:
    def test_it_is_a_code_of_level_m_that_is_signed_at_every_look_and_kept_by_nobody(
        self, client: Client, intent: PaymentIntent
    ) -> None:
        lives = []
        for query in ("", "?moving=3"):
            answer = client.get(f"/r/{intent.receipt}/proof.png{query}")
            assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/png")
            assert answer.headers["Cache-Control"] == "no-store"
            assert len(answer.content) < 1500
            [read] = readers.codes(Image.open(BytesIO(answer.content)).convert("L"))
            assert read.ec_level == "M"
            found, statement = proofs.check(read.text.rpartition("/")[2], now=timezone.now())
            assert (found, statement is not None) == ("real", True)
            lives.append(statement and statement.expires_at - statement.issued_at)
        assert lives == [timedelta(minutes=5), timedelta(seconds=60)]

    def test_the_page_shows_it_with_and_without_script_under_its_policy(
        self, client: Client, intent: PaymentIntent
    ) -> None:
        answer = client.get(f"/r/{intent.receipt}")
        page = answer.content.decode()
        assert '<h2 class="or" id="show">Show this to the shop</h2>' in page
        assert f'<noscript><img class="code" src="/r/{intent.receipt}/proof.png"' in page
        assert page.count("<script>") == 1
        assert re.search(r"script-src 'sha256-[^']+'; img-src 'self';", answer.headers["Content-Security-Policy"])
        assert len(answer.content) <= 10_000

    def test_where_there_is_nothing_to_prove_there_is_no_code(self, client: Client, intent: PaymentIntent) -> None:
        Payment.objects.update(occurred_at=timezone.now() - timedelta(hours=2))
        answer = client.get(f"/r/{intent.receipt}")
        assert b'id="show"' not in answer.content
        assert f"/r/{intent.receipt}/proof.png".encode() not in answer.content
        assert client.get(f"/r/{intent.receipt}/proof.png").status_code == 404
        assert client.get("/r/23456789ABCDEFGHJKLMNP/proof.png").status_code == 404


class TestThePageOfAStatement:
    def test_real_it_says_so_with_amount_shop_and_the_shops_own_time(
        self, client: Client, intent: PaymentIntent
    ) -> None:
        Payment.objects.update(occurred_at=datetime(2026, 11, 22, 2, 2, tzinfo=UTC))
        with time_machine.travel(datetime(2026, 11, 22, 2, 5, tzinfo=UTC)):
            answer = client.get(f"/p/{made(intent)}")
        assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
        assert "Real CN¥4.00 Paid to Mei's fruit , Nov 22, 2026, 10:02 AM" in text(answer)
        assert "Pretend wallet" in text(answer)
        assert len(answer.content) <= 10_000
        assert b"<script" not in answer.content
        for secret in (intent.receipt, intent.reference, str(intent.shop.photo or "no photo")):
            assert secret not in answer.content.decode()

    def test_too_old_it_says_so(self, client: Client, intent: PaymentIntent) -> None:
        token = made(intent)
        with time_machine.travel(timezone.now() + timedelta(minutes=2)):
            answer = client.get(f"/p/{token}")
        assert (answer.status_code, "Too old CN¥4.00 Paid to Mei's fruit" in text(answer)) == (410, True)

    def test_edited_it_shows_nothing_of_what_it_claims(self, client: Client, intent: PaymentIntent) -> None:
        answer = client.get(f"/p/{edited(made(intent), 41, 0x03, 0xE8)}")
        assert (answer.status_code, "Not a receipt of ours" in text(answer)) == (404, True)
        assert "10.00" not in text(answer)
        assert "Mei" not in text(answer)

    @pytest.mark.parametrize("token", ["x", "A" * 168, "%00" * 4, "É" * 168])
    def test_whatever_else_is_written_there_has_a_polite_page(self, client: Client, token: str) -> None:
        answer = client.get(f"/p/{token}")
        assert answer.status_code in {400, 404}

    def test_a_withdrawn_key_is_said_to_be_one(self, client: Client, intent: PaymentIntent) -> None:
        token = made(intent)
        receipt_keys.withdraw(number=1, reason="a leak", operator=add_operator().user, now=timezone.now())
        answer = client.get(f"/p/{token}")
        assert (answer.status_code, "We cannot vouch for this" in text(answer)) == (404, True)
        assert "4.00" not in text(answer)

    def test_a_part_that_was_sent_back_is_said(self, client: Client, intent: PaymentIntent) -> None:
        [payment] = intent.payments.all()
        part = Refund(payment=payment, amount=150, currency="CNY", state="succeeded")
        url = proofs.address(intent, [payment], [part], life=proofs.MOVING_LIFE, now=timezone.now())
        assert "CN¥1.50 of it was sent back." in text(client.get(f"/p/{url.rpartition('/')[2]}"))
        assert proofs.provable(intent, [payment], [replace_amount(part, 400)], now=timezone.now()) is False


def replace_amount(refund: Refund, amount: int) -> Refund:
    return Refund(payment=refund.payment, amount=amount, currency=refund.currency, state=refund.state)
