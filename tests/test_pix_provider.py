"""Pix against a bank that keeps to the public API, real certificates, and messages of every form."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client, override_settings
from django.utils import timezone

from merchants.models import Shop
from payments import asking, checkout, circuit, credentials, inbox, reconcile, refunds
from payments.models import Dispute, LedgerEntry, Payment, PaymentIntent, ProviderAccount, Refund
from payments.models import WebhookEvent as Kept
from payments.providers import pix
from payments.providers.base import (
    Delivery,
    Event,
    ProviderError,
    Ref,
    UnableToRead,
    Unauthorised,
    Verified,
    Visit,
)
from tests.cast import Person, open_shop
from tests.networks import pix as bank_side
from tests.networks.base import Response
from tests.networks.pix import KEY, PixBank
from tests.settlement_files import rows_of_day
from tests.till import assert_books_hold, drain, shop_code, total

VISIT = Visit(return_url="https://shop.example/r/1")
E2E = "E12345678202009091221kkkkkkkkkkk"


@pytest.fixture
def ana(database: None) -> Person:
    """Ana sells juice in Recife."""
    return open_shop("+5581961234567", "Sucos da Ana & Irmãos – Boa Viagem")


@pytest.fixture
def bank() -> Iterator[PixBank]:
    with PixBank().set() as network:
        yield network


@pytest.fixture
def account(bank: PixBank, ana: Person) -> ProviderAccount:
    return bank.account()


def begin(shop: Shop, amount: int = 1250) -> PaymentIntent:
    """A customer chooses Pix."""
    page = uuid.uuid4()
    return checkout.start(
        code=shop_code(shop),
        amount=amount,
        quantity=1,
        page=page,
        payer=page.hex,
        now=timezone.now(),
        wallet="pix",
    )


def deliver(account: ProviderAccount, delivery: Delivery) -> bool:
    return inbox.receive(provider="pix", account=account.name, delivery=delivery, now=timezone.now())


def words(events: list[Event] | Any) -> list[tuple[str, int, str, bool]]:
    return [(event.kind, event.amount, event.reference, event.final) for event in events]


# --- Start, close, ask -----------------------------------------------------------------------------------------------


def test_a_charge_is_made_once_and_leads_to_its_code(bank: PixBank, account: ProviderAccount, ana: Person) -> None:
    intent = begin(ana.shop)
    txid = intent.reference.replace("_", "")
    charge = bank.charges[txid]
    assert intent.provider_object_id == txid
    assert intent.handover == {"qr": charge["pixCopiaECola"], "copy": charge["pixCopiaECola"]}
    assert (charge["valor"]["original"], charge["calendario"]["expiracao"]) == ("12.50", 900)
    assert pix.start(account, intent, VISIT).qr == charge["pixCopiaECola"]
    assert len(bank.charges) == 1


def test_a_charge_whose_answer_was_lost_is_found_again(bank: PixBank, account: ProviderAccount, ana: Person) -> None:
    bank.lose_answers = 1
    intent = begin(ana.shop)
    assert (intent.start_failure, bool(intent.handover)) == ("", True)
    paths = [line for line in bank.requests if "/cob/" in line]
    assert [line.split()[0] for line in paths] == ["PUT", "PUT", "GET"]


def test_a_bank_that_gives_only_a_location_is_shown_as_a_code(
    bank: PixBank, account: ProviderAccount, ana: Person
) -> None:
    bank.gives_code = False
    intent = begin(ana.shop)
    location = bank.charges[intent.provider_object_id]["location"]
    expected = (
        f"000201 26{18 + 4 + len(location)} 0014br.gov.bcb.pix 25{len(location)}{location} 52040000 5303986 5802BR"
        " 5925Sucos da Ana & Irmaos  Bo 6006BRASIL 62070503*** 6304"
    )
    content = intent.handover["qr"]
    # As the spaces between the parts above are not those of the name.
    assert content[:-4].replace(" ", "") == expected.replace(" ", "")
    assert content[-4:] == f"{_crc(content[:-4]):04X}"


def _crc(text: str) -> int:
    """CRC-16/CCITT-FALSE by its definition, bit by bit."""
    crc = 0xFFFF
    for byte in text.encode():
        crc ^= byte << 8
        for _ in range(8):
            crc = ((crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


def test_the_check_sum_is_the_one_of_the_standard() -> None:
    assert _crc("123456789") == 0x29B1


def test_a_charge_is_closed_once_and_for_all(bank: PixBank, account: ProviderAccount, ana: Person) -> None:
    intent = begin(ana.shop)
    first, again = pix.close(account, intent), pix.close(account, intent)
    for answer in (first, again):
        assert words(pix.normalise(account, answer)) == [("payment.closed", 1250, intent.reference, True)]
    assert bank.charges[intent.provider_object_id]["status"] == "REMOVIDA_PELO_USUARIO_RECEBEDOR"


def test_closing_what_was_paid_tells_of_the_payment(bank: PixBank, account: ProviderAccount, ana: Person) -> None:
    intent = begin(ana.shop)
    bank.pay(intent.reference)
    assert words(pix.normalise(account, pix.close(account, intent))) == [
        ("payment.succeeded", 1250, intent.reference, True)
    ]


def test_closing_what_the_bank_never_heard_of_is_closed(bank: PixBank, account: ProviderAccount, ana: Person) -> None:
    intent = begin(ana.shop)
    bank.charges.clear()
    assert words(pix.normalise(account, pix.close(account, intent))) == [
        ("payment.closed", 1250, intent.reference, True)
    ]
    assert words(pix.normalise(account, pix.query(account, Ref(intent.reference)))) == []


def test_a_charge_that_ran_out_and_cannot_be_removed_is_closed(
    bank: PixBank, account: ProviderAccount, ana: Person
) -> None:
    intent = begin(ana.shop)
    bank.run_out(intent.reference)
    assert words(pix.normalise(account, pix.close(account, intent))) == [
        ("payment.closed", 1250, intent.reference, True)
    ]
    assert words(pix.normalise(account, pix.query(account, Ref(intent.reference)))) == [
        ("payment.pending", 1250, intent.reference, False)
    ]


def test_a_charge_is_asked_about_in_every_state(bank: PixBank, account: ProviderAccount, ana: Person) -> None:
    intent = begin(ana.shop)
    ref = Ref(intent.reference, intent.provider_object_id)
    assert words(pix.normalise(account, pix.query(account, ref))) == [
        ("payment.pending", 1250, intent.reference, False)
    ]
    payment = bank.pay(intent.reference, amount=1300)
    returned = bank.refund_at_desk(payment, 300)
    for told in (ref, Ref(object_id=intent.provider_object_id), Ref(object_id=payment)):
        events = pix.normalise(account, pix.query(account, told))
        assert words(events) == [
            ("payment.succeeded", 1300, intent.reference, True),
            ("refund.succeeded", 300, "", True),
        ]
        assert [(e.object_id, e.parent_object_id) for e in events] == [(payment, ""), (returned, payment)]
        assert [e.account for e in events] == [{"key": KEY}] * 2
    bank.tells_payments = False
    assert pix.query(account, ref).raw.count(b"endToEndId") == 1
    for unknown in ("E" * 32, "nobody", "x/../y", "../cob", ""):
        assert pix.normalise(account, pix.query(account, Ref(object_id=unknown))) == []


# --- Refunds ---------------------------------------------------------------------------------------------------------


def paid(bank: PixBank, account: ProviderAccount, shop: Shop, amount: int = 1250) -> Payment:
    """Paid at the bank, told by its notification, and booked."""
    intent = begin(shop, amount)
    for sent in bank.sent(bank.pay(intent.reference)):
        assert deliver(account, sent.delivery)
    drain()
    return Payment.objects.select_related("provider_account").get(intent=intent)


def ask_back(ana: Person, payment: Payment, amount: int) -> Refund:
    return refunds.request(staff=ana.staff, payment=payment, amount=amount, reason="", now=timezone.now())


def test_refunds_and_their_notifications_count_once(bank: PixBank, account: ProviderAccount, ana: Person) -> None:
    payment = paid(bank, account, ana.shop)
    for amount in (300, 950):
        refund = ask_back(ana, payment, amount)
        assert refunds.send_due(now=timezone.now()) == 1
        for sent in bank.sent(payment.object_id) * 2:
            deliver(account, sent.delivery)
        drain()
        refund.refresh_from_db()
        assert (refund.state, refund.object_id[0]) == ("succeeded", "D")
    assert Refund.objects.count() == 2
    assert (total("shop_pending", "BRL", shop=ana.shop), total("provider_receivable", "BRL", account=account)) == (0, 0)
    assert_books_hold()


def test_a_refund_under_way_ends_as_the_bank_says(bank: PixBank, account: ProviderAccount, ana: Person) -> None:
    bank.refunds_wait = True
    payment = paid(bank, account, ana.shop)
    for status, state in (("NAO_REALIZADO", "failed"), ("DEVOLVIDO", "succeeded")):
        refund = ask_back(ana, payment, 500)
        answer = pix.refund(account, refund, payment.object_id)
        assert words(pix.normalise(account, answer)) == [("refund.pending", 500, refund.reference, False)]
        assert pix.refund(account, refund, payment.object_id) == answer
        bank.end_refund(payment.object_id, refund.reference.replace("_", ""), status=status)
        deliver(account, bank.sent(payment.object_id)[-1].delivery)
        drain()
        refund.refresh_from_db()
        assert refund.state == state
    assert_books_hold()


def test_a_refund_that_the_bank_refuses_has_failed(bank: PixBank, account: ProviderAccount, ana: Person) -> None:
    payment = paid(bank, account, ana.shop)
    refund = ask_back(ana, payment, 1000)
    bank.refund_at_desk(payment.object_id, 500)
    told = pix.normalise(account, pix.refund(account, refund, payment.object_id))
    assert words(told) == [("refund.failed", 1000, refund.reference, True)]
    assert told[0].parent_object_id == payment.object_id
    with pytest.raises(ProviderError) as unknown:
        pix.refund(account, refund, "E" * 32)
    assert unknown.value.permanent


def test_a_refund_whose_answer_was_lost_is_made_once(bank: PixBank, account: ProviderAccount, ana: Person) -> None:
    payment = paid(bank, account, ana.shop)
    refund = ask_back(ana, payment, 1000)
    bank.lose_answers = 1
    told = pix.normalise(account, pix.refund(account, refund, payment.object_id))
    assert words(told) == [("refund.succeeded", 1000, refund.reference, True)]
    assert len(bank.payments[payment.object_id]["devolucoes"]) == 1


# --- Money that comes in ---------------------------------------------------------------------------------------------


def test_a_notification_over_http_through_the_proxy_is_booked(
    bank: PixBank, account: ProviderAccount, ana: Person
) -> None:
    intent = begin(ana.shop)
    sent = bank.sent(bank.pay(intent.reference))[0]
    address = f"/webhooks/pix/{account.name}/{sent.ending}"
    headers = {name: value for name, value in sent.delivery.headers.items() if name != "content-type"}
    from_anybody = Client(headers=headers, REMOTE_ADDR="192.0.2.7")
    refused = from_anybody.post(address, sent.delivery.raw, content_type="application/json")
    assert (refused.status_code, refused.json()["code"]) == (400, "certificate_missing")
    assert Kept.objects.count() == 0
    by_our_proxy = Client(headers=headers, REMOTE_ADDR="127.0.0.1")
    for _ in range(2):
        answer = by_our_proxy.post(address, sent.delivery.raw, content_type="application/json")
        assert (answer.status_code, answer.content) == (200, b"")
    drain()
    booked = Payment.objects.get()
    assert (booked.intent_id, booked.amount, booked.match) == (intent.id, 1250, "exact")
    assert Kept.objects.get().key_id.startswith("sha256:")
    assert_books_hold()


def test_what_was_never_notified_is_found_by_asking(bank: PixBank, account: ProviderAccount, ana: Person) -> None:
    intent = begin(ana.shop)
    bank.refund_at_desk(bank.pay(intent.reference), 250)
    later = intent.created_at + timedelta(seconds=10)
    assert asking.query_silent(now=later) == 1
    reconcile.drain(clock=lambda: later)
    assert (Payment.objects.get().match, Refund.objects.get().amount) == ("exact", 250)
    assert total("provider_receivable", "BRL", account=account) == -1000
    assert_books_hold()


def test_money_for_a_code_on_paper_has_no_reference(bank: PixBank, account: ProviderAccount) -> None:
    deliver(account, bank.sent(bank.pay_static(700))[0].delivery)
    drain()
    assert Payment.objects.count() == 0  # It does not say which key was paid, so the bank is asked first.
    asking.inquire(now=timezone.now())
    drain()
    assert (Payment.objects.get().match, Payment.objects.get().intent_id) == ("unexpected", None)


def test_what_the_same_bank_tells_of_another_client_of_its_own_is_not_booked(
    bank: PixBank, account: ProviderAccount, ana: Person
) -> None:
    """Whoever has a key at that bank can give it our address, and make a charge of his own under our txid."""
    intent = begin(ana.shop)
    theirs = {"endToEndId": E2E, "txid": intent.reference.replace("_", ""), "valor": "12.50"}
    back = {"id": "1", "valor": "1.00", "status": "DEVOLVIDO", "horario": {"solicitacao": "2026-09-09T20:15:01Z"}}
    told = {"pix": [{**theirs, "horario": "2026-09-09T20:15:00Z", "devolucoes": [back]}]}
    deliver(account, bank.sign(json.dumps(told).encode(), at=timezone.now()))
    drain()
    assert asking.inquire(now=timezone.now()) == 1
    drain()
    intent.refresh_from_db()
    assert (intent.state, Payment.objects.count(), LedgerEntry.objects.count()) == ("open", 0, 0)


def test_a_payment_to_another_key_is_not_booked(bank: PixBank, account: ProviderAccount, ana: Person) -> None:
    intent = begin(ana.shop)
    body = json.loads(bank.sent(bank.pay(intent.reference))[0].delivery.raw)
    body["pix"][0]["chave"] = "somebody@else.example"
    deliver(account, bank.sign(json.dumps(body).encode(), at=timezone.now()))
    drain()
    assert (Payment.objects.count(), LedgerEntry.objects.count(), Dispute.objects.count()) == (0, 0, 0)


# --- Statements ------------------------------------------------------------------------------------------------------


def test_the_day_of_brasilia_is_read_over_all_pages(bank: PixBank, account: ProviderAccount, ana: Person) -> None:
    payments = [bank.pay_static(100 + number) for number in range(7)]
    intent = begin(ana.shop)
    payments.append(bank.pay(intent.reference))
    returned = bank.refund_at_desk(payments[-1], 250)
    midnight = datetime(2026, 3, 2, tzinfo=ZoneInfo("America/Sao_Paulo"))
    moments = [midnight - timedelta(milliseconds=1), *[midnight + timedelta(hours=n) for n in range(6)]]
    moments.append(midnight + timedelta(days=1, milliseconds=-1))
    for payment, moment in zip(payments, moments, strict=True):
        bank.payments[payment]["horario"] = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    bank.page_max = 3
    rows = list(rows_of_day(account, date(2026, 3, 2)))
    assert [(row.kind, row.object_id, row.amount, row.reference) for row in rows] == [
        *[("payment", payment, 101 + number, "") for number, payment in enumerate(payments[1:7])],
        ("payment", payments[7], 1250, intent.reference),
        ("refund", returned, -250, ""),
    ]
    assert (rows[-1].parent_object_id, {row.fee for row in rows}) == (payments[7], {0})
    assert list(rows_of_day(account, date(2026, 3, 4))) == []
    bank.hidden = 1
    with pytest.raises(ProviderError, match="does not add up: 4 of 7"):
        list(rows_of_day(account, date(2026, 3, 2)))


# --- Getting in ------------------------------------------------------------------------------------------------------


def test_a_token_is_kept_until_it_ends_or_is_no_longer_taken(bank: PixBank, account: ProviderAccount) -> None:
    ref = Ref(object_id="E" * 32)
    pix.query(account, ref)
    pix.query(account, ref)
    assert bank.tokens_asked == 1
    bank.tokens.clear()
    assert pix.normalise(account, pix.query(account, ref)) == []
    assert bank.tokens_asked == 2
    account.sealed_credentials = credentials.sealed({**credentials.of(account), "psp_name": "another"})
    pix.query(account, ref)
    assert bank.tokens_asked == 3
    bank.token_life_s = 60
    bank.tokens.clear()
    for asked in (4, 5):
        pix.query(account, ref)
        assert bank.tokens_asked == asked


def test_credentials_that_are_not_taken_are_said_to_be_so(bank: PixBank, account: ProviderAccount, ana: Person) -> None:
    bank.knows_us = False
    with pytest.raises(Unauthorised):
        pix.query(account, Ref(object_id="E" * 32))
    intent = begin(ana.shop)
    assert intent.start_failure.startswith("refused with 400")
    assert bank_side.CLIENT[1] not in intent.start_failure


STRANGE = [
    b"",
    b"null",
    b"[" * 50_000,
    b'{"pix":7,"calendario":7,"status":"ATIVA"}',
    b'{"pix":[7],"status":"CONCLUIDA"}',
    b'{"parametros":{"paginacao":7}}',
]


@pytest.mark.parametrize("status", [200, 400, 404])
def test_whatever_pix_answers_is_an_answer_or_its_failure(
    bank: PixBank, account: ProviderAccount, ana: Person, status: int
) -> None:
    intent = begin(ana.shop)
    asked = Refund(amount=100, currency="BRL")
    for body in STRANGE:
        bank.says = Response(status, body)
        for call in (
            lambda: pix.start(account, intent, VISIT),
            lambda: pix.close(account, intent),
            lambda: pix.refund(account, asked, "E" * 32),
            lambda: pix.query(account, Ref(intent.reference, intent.provider_object_id)),
            lambda: pix.query(account, Ref(intent.reference)),
            lambda: pix.query(account, Ref(object_id="E" * 32)),
            lambda: list(rows_of_day(account, date(2026, 3, 2))),
        ):
            circuit.succeeded(account.id)
            with suppress(ProviderError):
                answer = call()
                with suppress(UnableToRead):
                    assert not isinstance(answer, Verified) or pix.normalise(account, answer) is not None


def test_only_addresses_that_the_settings_allow_are_called(bank: PixBank, account: ProviderAccount) -> None:
    given = credentials.of(account)
    for wrong in ({"address": "http://127.0.0.1:9"}, {"token_path": f"{bank.url}/elsewhere"}):
        account.sealed_credentials = credentials.sealed({**given, **wrong})
        with pytest.raises(ProviderError, match="not among those that are allowed"):
            pix.query(account, Ref(object_id="E" * 32))
    assert bank.requests == []
    account.sealed_credentials = credentials.sealed({**given, "token_path": f"{bank.url}/oauth/token"})
    with override_settings(PIX_URL=[given["address"], f"{bank.url}/oauth/token"]):
        assert pix.query(account, Ref(object_id="E" * 32))
