"""What the messages of a Pix bank mean, in every form that the API and its example show, and in every other."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Literal

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from payments.models import ProviderAccount
from payments.providers import pix
from payments.providers.base import Delivery, Event, UnableToRead, UnableToVerify, Verified
from tests.networks.pix import KEY, PixBank, banks
from tests.strange_json import EXAMPLES, changed, documents

E2E = "E12345678202009091221kkkkkkkkkkk"
OWN = banks("current")


def words(events: list[Event]) -> list[tuple[str, int, str, bool]]:
    return [(event.kind, event.amount, event.reference, event.final) for event in events]


def read(message: Any, authority: Literal["mtls", "queried"] = "mtls") -> list[Event]:
    raw = message if isinstance(message, bytes) else json.dumps(message).encode()
    return list(pix.normalise(ProviderAccount(), Verified("x", raw, authority)))


def paid_pix(**other: Any) -> dict[str, Any]:
    return {"endToEndId": E2E, "txid": "a" * 32, "valor": "110.00", "horario": "2020-09-09T20:15:00.358Z", **other}


def test_a_batch_tells_of_every_payment_and_refund() -> None:
    back = {
        "id": "123ABC",
        "rtrId": "D12345678202009091221abcdf098765",
        "valor": "10.00",
        "horario": {"solicitacao": "2020-09-09T20:15:00.358Z"},
        "status": "EM_PROCESSAMENTO",
    }
    ours = {**back, "id": "rfd01jq4s4ky8hwq6na5pxb65b3d3", "status": "DEVOLVIDO"}
    ours["horario"] = {**back["horario"], "liquidacao": "2020-09-09T17:16:00-03:00"}  # type: ignore[dict-item]
    batch = [
        paid_pix(devolucoes=back, componentesValor={"saque": {"valor": "50.00"}}, chave=KEY),
        paid_pix(endToEndId="F" * 32, txid="int01jq4s4ky8hwq6na5pxb65b3d3", devolucoes=[ours], chave=KEY),
    ]
    told = read({"pix": batch})
    assert words(told) == [
        ("payment.succeeded", 11000, "a" * 32, True),
        ("refund.pending", 1000, "", False),
        ("payment.succeeded", 11000, "int_01jq4s4ky8hwq6na5pxb65b3d3", True),
        ("refund.succeeded", 1000, "rfd_01jq4s4ky8hwq6na5pxb65b3d3", True),
    ]
    assert [(e.object_id, e.parent_object_id) for e in told[1::2]] == [
        (back["rtrId"], E2E),
        (back["rtrId"], "F" * 32),
    ]
    assert told[0].occurred_at == datetime(2020, 9, 9, 20, 15, 0, 358000, tzinfo=UTC)
    assert told[3].occurred_at == datetime(2020, 9, 9, 20, 16, tzinfo=UTC)
    assert [dict(e.account) for e in told] == [{"key": KEY}] * 4


def test_a_payment_that_does_not_name_its_key_is_only_a_reason_to_ask() -> None:
    back = {"id": "1", "valor": "1.00", "status": "DEVOLVIDO", "horario": {"solicitacao": "2020-09-09T20:15:01Z"}}
    message = {"pix": [paid_pix(devolucoes=[back])]}
    assert [(e.kind, e.object_id, e.decision) for e in read(message)] == [("payment.succeeded", E2E, "query")]
    assert [e.decision for e in read(message, "queried")] == ["apply", "apply"]


@pytest.mark.parametrize("txid", [None, "", "***"])
def test_a_static_code_names_nothing(txid: str | None) -> None:
    assert read({"pix": [paid_pix(txid=txid)]})[0].reference == ""


@pytest.mark.parametrize("raw", [b"", b" \n", b"{}", b'{"evento":"teste_webhook"}', b'{"pix":[]}', b'{"pix":null}'])
def test_what_a_bank_sends_to_try_the_address_tells_of_nothing(raw: bytes) -> None:
    assert read(raw) == []


def test_a_notification_cannot_pass_for_an_answer() -> None:
    closed = {"unknown": {"txid": "int01jq4s4ky8hwq6na5pxb65b3d3", "valor": "1.00"}, "at": "2020-09-09T20:15:00Z"}
    assert read(closed) == []
    assert [event.kind for event in read(closed, "queried")] == ["payment.closed"]


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        b"[]",
        b'"pix"',
        b"\xff\xfe",
        b"[" * 100_000,
        {"pix": {}},
        {"pix": ["x"]},
        {"pix": [paid_pix(valor=110.0)]},
        {"pix": [paid_pix(valor="110.0")]},
        {"pix": [paid_pix(valor="110,00")]},
        {"pix": [paid_pix(valor="-1.00")]},
        {"pix": [paid_pix(valor="0.00")]},
        {"pix": [paid_pix(valor="12345678901.00")]},
        {"pix": [paid_pix(valor="١.00")]},
        {"pix": [paid_pix(valor="1.00\n")]},
        {"pix": [paid_pix(endToEndId="E1")]},
        {"pix": [paid_pix(endToEndId=E2E + "\n")]},
        {"pix": [paid_pix(txid="with space")]},
        {"pix": [paid_pix(txid=["a"])]},
        {"pix": [paid_pix(horario="2020-09-09T20:15:00")]},
        {"pix": [paid_pix(horario="0001-01-01T00:00:00+23:59")]},
        {"pix": [paid_pix(devolucoes=[{"id": "1", "valor": "1.00", "status": "OUTRO", "horario": {}}])]},
    ],
)
def test_another_form_is_told_and_nothing_else(body: Any) -> None:
    with pytest.raises(UnableToRead):
        read(body)


@pytest.fixture
def account(db: None) -> ProviderAccount:
    return PixBank().account()


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    raw=documents(
        {"pix": [paid_pix(devolucoes=[{"id": "1", "rtrId": "D1", "valor": "1.00", "status": "DEVOLVIDO",
                                       "horario": {"solicitacao": "2020-09-09T20:15:00.358Z"}}])]},
        {"cob": {"txid": "a" * 32, "status": "ATIVA", "valor": {"original": "1.00"}, "chave": KEY,
                 "calendario": {"criacao": "2020-09-09T20:15:00.358Z", "expiracao": 900}, "pix": [paid_pix()]}},
        {"refused": {}, "asked": "rfd01jq4s4ky8hwq6na5pxb65b3d3", "valor": "1.00", "endToEndId": E2E,
         "at": "2020-09-09T20:15:00.358Z"},
    ),
    certificate=st.one_of(st.text(), changed(OWN.certificate), st.just(OWN.certificate)),
    authority=st.sampled_from(["mtls", "queried"]),
)  # fmt: skip
def test_whatever_comes_is_proved_and_read_or_refused_by_name(
    account: ProviderAccount, raw: bytes, certificate: str, authority: Literal["mtls", "queried"]
) -> None:
    try:
        verified = pix.verify(account, Delivery(raw, client_certificate=certificate), now=timezone.now())
        shown = x509.load_pem_x509_certificate(certificate.encode())
        assert verified.key_id == f"sha256:{shown.fingerprint(hashes.SHA256()).hex()}"
    except UnableToVerify:
        assert certificate != OWN.certificate
    try:
        told = read(raw, authority)
    except UnableToRead:
        return
    for event in told:
        assert event.amount > 0 and event.currency == "BRL" and event.occurred_at.tzinfo is not None
        assert len(event.object_id) <= 35
        assert event.decision == ("apply" if authority == "queried" or event.account else "query")
