"""A bank's Pix API as the tests meet it: charges, payments and refunds, checked against the public schema's patterns.

There is no software of the network's own to check with; the patterns and rules here are those of bacen/pix-api (openapi
2.9). Certificates are made with `cryptography`: of the bank, of the authority before, and of somebody else.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, ClassVar
from urllib.parse import parse_qsl, quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier
from django.conf import settings

from payments.providers.base import Delivery
from tests.networks.base import Key, Network, Request, Response, Sent

KEY = "5f84a4c5-c5cb-4599-9f13-7eb4d419dacc"  # The chave that is paid: a random one, as most shops use.
BANK = "pix.bank.example"
CLIENT = ("client-of-the-tests", "secret-of-the-tests-only")
_TXID = re.compile(r"[a-zA-Z0-9]{26,35}")
_REFUND_ID = re.compile(r"[a-zA-Z0-9]{1,35}")
_VALOR = re.compile(r"\d{1,10}\.\d{2}")


@dataclass(frozen=True)
class Holder:
    """A certificate with its key, both in PEM."""

    certificate: str
    private_key: str
    made: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def certify(
    name: str,
    issuer: Holder | None = None,
    *,
    begin: datetime | None = None,
    end: datetime | None = None,
    usages: tuple[ObjectIdentifier, ...] = (ExtendedKeyUsageOID.CLIENT_AUTH,),
    other_names: tuple[str, ...] = (),
    authority: bool | None = None,
    addresses: tuple[x509.GeneralName, ...] = (),
) -> Holder:
    """A certificate of that name by `issuer`, or by itself as an authority; in time from 2020 to 2120 if not told."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    is_authority = issuer is None if authority is None else authority
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.made.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin or datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(end or datetime(2120, 1, 1, tzinfo=UTC))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if issuer:
        known = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
        builder = builder.add_extension(known, critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False) if usages else builder
    if names := [*(x509.DNSName(other) for other in other_names), *addresses]:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    made = builder.sign(issuer.key if issuer else key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Holder(made.public_bytes(serialization.Encoding.PEM).decode(), private.decode(), made, key)


def authority(name: str = "Authority of the tests") -> Holder:
    return _authority(name)


@cache
def _authority(name: str) -> Holder:
    return certify(name)


@cache
def banks(key: Key) -> Holder:
    """The bank's certificate of now, the one by the authority before, and that of a bank which is not ours."""
    issuers: dict[Key, str] = {
        "current": "Authority of the tests",
        "previous": "Authority before",
        "other": "Authority of somebody else",
    }
    return certify(BANK, authority(issuers[key]))


class PixBank(Network):
    """One bank. `lose_answers`: so many requests are carried out and answered with 504; `page_max`: rows of a page."""

    provider: ClassVar[str] = "pix"
    currency: ClassVar[str] = "BRL"
    timestamped: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self.charges: dict[str, dict[str, Any]] = {}
        self.payments: dict[str, dict[str, Any]] = {}
        self.told: dict[str, list[bytes]] = {}
        self.tokens: set[str] = set()
        self.tokens_asked = 0
        self.token_life_s = 3600
        self.knows_us = True
        self.gives_code = True
        self.tells_payments = True  # Whether a paid charge lists its payments.
        self.refunds_wait = False  # Whether refunds are first under way.
        self.lose_answers = 0
        self.page_max = 1000
        self.hidden = 0  # Payments that a list counts and does not show.
        self.says: Response | None = None  # What it answers to everything but the question for a token.
        self.requests: list[str] = []

    # --- What it answers ---

    def answer(self, request: Request) -> Response:
        self.requests.append(f"{request.method} {request.path}")
        if request.path == "/oauth/token":
            return self._token(request)
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            return _problem(401, "NaoAutorizado")
        if self.says:
            return self.says
        response = self._carried_out(request)
        if self.lose_answers:
            self.lose_answers -= 1
            return Response(504, b"the answer was lost")
        return response

    def _carried_out(self, request: Request) -> Response:
        parts = request.path.removeprefix("/api/v2/").split("/")
        match [request.method, *parts]:
            case [method, "cob", txid]:
                assert _TXID.fullmatch(txid), f"not a txid: {txid}"
                return getattr(self, f"_{method.lower()}_charge")(txid, request)  # type: ignore[no-any-return]
            case ["GET", "pix"]:
                return self._listed(request.query)
            case ["GET", "pix", end_to_end_id]:
                found = self.payments.get(end_to_end_id)
                return _json(200, found) if found else _problem(404, "PixNaoEncontrado")
            case [method, "pix", end_to_end_id, "devolucao", refund_id]:
                assert _REFUND_ID.fullmatch(refund_id), f"not the id of a refund: {refund_id}"
                return self._refund(method, end_to_end_id, refund_id, request)
        raise AssertionError(f"no such address: {request.method} {request.target}")

    def _token(self, request: Request) -> Response:
        form = dict(parse_qsl(request.body.decode()))
        assert form == {"grant_type": "client_credentials", "scope": "cob.read cob.write pix.read pix.write"}, form
        scheme, _, given = request.headers["authorization"].partition(" ")
        assert scheme == "Basic"
        self.tokens_asked += 1
        if not self.knows_us or base64.b64decode(given).decode() != ":".join(CLIENT):
            return _json(400, {"error": "invalid_client"})
        self.tokens.add(token := secrets.token_urlsafe(24))
        return _json(200, {"access_token": token, "token_type": "Bearer", "expires_in": self.token_life_s})

    def _get_charge(self, txid: str, request: Request) -> Response:
        charge = self.charges.get(txid)
        if charge is None:
            return _problem(404, "CobNaoEncontrada")
        shown = {**charge, "pix": [row for row in self.payments.values() if row.get("txid") == txid]}
        return _json(200, shown if shown["pix"] and self.tells_payments else charge)

    def _put_charge(self, txid: str, request: Request) -> Response:
        body = json.loads(request.body)
        assert set(body) == {"calendario", "valor", "chave", "solicitacaoPagador"}, body
        assert isinstance(body["calendario"]["expiracao"], int) and body["calendario"]["expiracao"] > 0, body
        assert _VALOR.fullmatch(body["valor"]["original"]), body
        assert body["chave"] == KEY and len(body["solicitacaoPagador"]) <= 140, body
        if txid in self.charges:
            return _problem(400, "CobOperacaoInvalida")
        location = f"{BANK}/qr/v2/{secrets.token_hex(16)}"
        body["calendario"]["criacao"] = _text(datetime.now(UTC))
        self.charges[txid] = {**body, "txid": txid, "revisao": 0, "status": "ATIVA", "location": location}
        if self.gives_code:
            self.charges[txid]["pixCopiaECola"] = f"00020126…{location}…6304ABCD"
        return _json(201, self.charges[txid])

    def _patch_charge(self, txid: str, request: Request) -> Response:
        assert json.loads(request.body) == {"status": "REMOVIDA_PELO_USUARIO_RECEBEDOR"}
        charge = self.charges.get(txid)
        if charge is None:
            return _problem(404, "CobNaoEncontrada")
        ends = datetime.fromisoformat(charge["calendario"]["criacao"]) + timedelta(
            seconds=charge["calendario"]["expiracao"]
        )
        if charge["status"] != "ATIVA" or ends < datetime.now(UTC):
            return _problem(400, "CobOperacaoInvalida")
        charge["status"] = "REMOVIDA_PELO_USUARIO_RECEBEDOR"
        charge["revisao"] += 1
        return _json(200, charge)

    def _listed(self, query: dict[str, str]) -> Response:
        begin, end = (datetime.fromisoformat(query[name]) for name in ("inicio", "fim"))
        rows = [
            row
            for row in self.payments.values()
            if begin <= datetime.fromisoformat(row["horario"]) <= end
            and query.get("txid", row.get("txid")) == row.get("txid")
        ]
        page, size = int(query["paginacao.paginaAtual"]), min(int(query["paginacao.itensPorPagina"]), self.page_max)
        paging = {
            "paginaAtual": page,
            "itensPorPagina": size,
            "quantidadeDePaginas": -(-len(rows) // size),
            "quantidadeTotalDeItens": len(rows),
        }
        shown = rows[page * size : (page + 1) * size][self.hidden :]
        return _json(200, {"parametros": {**query, "paginacao": paging}, "pix": shown})

    def _refund(self, method: str, end_to_end_id: str, refund_id: str, request: Request) -> Response:
        payment = self.payments.get(end_to_end_id)
        if payment is None:
            return _problem(404, "PixNaoEncontrado")
        made = next((row for row in payment.get("devolucoes", []) if row["id"] == refund_id), None)
        if method == "GET":
            return _json(200, made) if made else _problem(404, "PixDevolucaoNaoEncontrada")
        body = json.loads(request.body)
        assert method == "PUT" and set(body) == {"valor"} and _VALOR.fullmatch(body["valor"]), body
        back = sum(_centavos(row["valor"]) for row in payment.get("devolucoes", []) if row["status"] != "NAO_REALIZADO")
        if made or back + _centavos(body["valor"]) > _centavos(payment["valor"]):
            return _problem(400, "PixDevolucaoInvalida")
        return _json(201, self._give_back(payment, refund_id, body["valor"], done=not self.refunds_wait))

    # --- What happens there ---

    def settings(self) -> dict[str, Any]:
        return {"PIX_URL": [f"{self.url}/api/v2"], "TRUSTED_PROXIES": ["127.0.0.1"]}

    def credentials(self) -> dict[str, str]:
        return {
            "address": f"{self.url}/api/v2",
            "key": KEY,
            "client_id": CLIENT[0],
            "client_secret": CLIENT[1],
            "token_path": "",
            "certificate": "",
            "private_key": "",
            "psp_authorities": authority().certificate + authority("Authority before").certificate,
            "psp_name": f"other.bank.example {BANK}",
        }

    def pay(self, reference: str, *, amount: int | None = None) -> str:
        charge = self.charges[reference.replace("_", "")]
        value = f"{amount // 100}.{amount % 100:02d}" if amount is not None else charge["valor"]["original"]
        charge["status"] = "CONCLUIDA"
        return self._receive({"txid": charge["txid"], "valor": value, "chave": KEY})

    def pay_static(self, amount: int) -> str:
        """Somebody pays a code on paper that names no charge."""
        return self._receive({"valor": f"{amount // 100}.{amount % 100:02d}"})

    def refund_at_desk(self, object_id: str, amount: int) -> str:
        refund_id = f"mesa{secrets.token_hex(4)}"
        value = f"{amount // 100}.{amount % 100:02d}"
        return str(self._give_back(self.payments[object_id], refund_id, value, done=True)["rtrId"])

    def end_refund(self, object_id: str, refund_id: str, *, status: str) -> None:
        """A refund that was under way comes to its end."""
        payment = self.payments[object_id]
        row = next(row for row in payment["devolucoes"] if row["id"] == refund_id)
        row["status"] = status
        row["horario"]["liquidacao"] = _text(datetime.now(UTC))
        self._tell(payment)

    def run_out(self, reference: str) -> None:
        """The time of a charge is over; the bank goes on calling it active."""
        charge = self.charges[reference.replace("_", "")]
        charge["calendario"]["criacao"] = _text(datetime.now(UTC) - timedelta(days=2))

    def sent(self, object_id: str) -> list[Sent]:
        return [Sent(self.sign(raw, at=datetime.now(UTC)), "pix") for raw in self.told[object_id]]

    def sign(self, raw: bytes, *, at: datetime, key: Key = "current") -> Delivery:
        return passed_on(raw, banks(key).certificate)

    def sample(self) -> bytes:
        payment = {"endToEndId": _end_to_end_id(), "txid": "c3e0e7a4e7f1469a9f782d3d4999343c", "valor": "110.00"}
        return json.dumps({"pix": [{**payment, "horario": "2026-09-09T20:15:00.358Z", "chave": KEY}]}).encode()

    def _receive(self, payment: dict[str, Any]) -> str:
        end_to_end_id = _end_to_end_id()
        self.payments[end_to_end_id] = {
            "endToEndId": end_to_end_id,
            **payment,
            "horario": _text(datetime.now(UTC)),
            "infoPagador": "",
        }
        self.told[end_to_end_id] = []
        self._tell(self.payments[end_to_end_id])
        return end_to_end_id

    def _give_back(self, payment: dict[str, Any], refund_id: str, value: str, *, done: bool) -> dict[str, Any]:
        times = {"solicitacao": _text(datetime.now(UTC))}
        row = {
            "id": refund_id,
            "rtrId": "D" + _end_to_end_id()[1:],
            "valor": value,
            "horario": {**times, **({"liquidacao": _text(datetime.now(UTC))} if done else {})},
            "status": "DEVOLVIDO" if done else "EM_PROCESSAMENTO",
        }
        payment.setdefault("devolucoes", []).append(row)
        if done:
            self._tell(payment)
        return row

    def _tell(self, payment: dict[str, Any]) -> None:
        self.told[payment["endToEndId"]].append(json.dumps({"pix": [payment]}).encode())


def passed_on(raw: bytes, certificate: str) -> Delivery:
    """A delivery as our own proxy passes it on, for the inbox and for a walk over HTTP alike."""
    headers = {"content-type": "application/json", settings.CLIENT_CERTIFICATE_HEADER: quote(certificate)}
    return Delivery(raw=raw, headers=headers, client_certificate=certificate)


def _json(status: int, body: Any) -> Response:
    return Response(status, json.dumps(body).encode(), {"Content-Type": "application/json"})


def _problem(status: int, kind: str) -> Response:
    body = {"type": f"https://pix.bcb.gov.br/api/v2/error/{kind}", "title": kind, "status": status}
    return Response(status, json.dumps(body).encode(), {"Content-Type": "application/problem+json"})


def _end_to_end_id() -> str:
    return f"E12345678{datetime.now(UTC):%Y%m%d%H%M}{secrets.token_hex(6)[:11]}"


def _text(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _centavos(value: str) -> int:
    return int(value.replace(".", ""))
