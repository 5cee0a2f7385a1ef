"""Pix, through any bank that offers the Brazilian central bank's API: immediate charges, their refunds, notifications.

The API is the same at every bank (bacen/pix-api); its address and the keys to it are the account's. We name a charge
(`txid`) and a refund (`devolucao`) ourselves, by our references without their underscore, so every call of ours may be
made twice. Nothing in a notification is signed: the bank proves itself by its certificate (see `pix_certificates`).
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
import unicodedata
from base64 import b64encode
from binascii import crc_hqx
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from typing import IO, Any
from urllib.parse import quote, urlencode, urlsplit
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext_noop

from payments import credentials
from payments.models import PaymentIntent, ProviderAccount, Refund
from payments.providers import client, json_lines, pix_certificates, pix_words
from payments.providers.base import (
    Delivery,
    Event,
    Field,
    ProviderError,
    RawLine,
    Ref,
    Reply,
    Started,
    StatementRow,
    UnableToRead,
    Unauthorised,
    Verified,
    Visit,
    answered,
)

TITLE = "Pix"
WALLET = "Pix"
CURRENCIES: frozenset[str] | None = frozenset({"BRL"})
FIELDS = (
    Field("address", gettext_noop("Address of the bank's Pix API"), secret=False, form="address"),
    Field("key", gettext_noop("Pix key (chave) that is paid"), secret=False, names_us=True),
    Field("client_id", gettext_noop("OAuth client id"), secret=False),
    Field("client_secret", gettext_noop("OAuth client secret")),
    Field("token_path", gettext_noop("Path of the token endpoint (/oauth/token)"), secret=False, required=False),
    Field(
        "certificate", gettext_noop("Our certificate for the bank"), secret=False, required=False, form="certificate"
    ),
    Field("private_key", gettext_noop("Its private key"), required=False, form="private_key"),
    Field("psp_authorities", gettext_noop("Who issues the bank's own certificate"), secret=False, form="certificate"),
    Field("psp_name", gettext_noop("Names in the bank's own certificate"), secret=False),
)
APP = None
DESTINATIONS: tuple[str, ...] = ()
FORMATS = {"received": "payments received, with their refunds (JSON lines)"}
STATEMENT_ZONE = ZoneInfo("America/Sao_Paulo")
STATEMENT_READY = timedelta(hours=1)  # The list is the bank's own book as it stands.
STATEMENT_FINAL = timedelta(days=2)
STATEMENT_GROWS = True

_SCOPES = "cob.read cob.write pix.read pix.write"
_TOKEN_PATH = "/oauth/token"  # noqa: S105  A path, not a token.
_TOKEN_SPARE_S = 60  # A token this close to its end is not begun with.
_PAGE_MAX = 1000  # Rows of one page, as the API allows; the pages of a day are bounded, too.
_PAGES_MAX = 2000
_TAKEN = {400, 409, 422}  # "In use already", "not in that state", in the words of one bank or another.
_REMOVED = "REMOVIDA_PELO_USUARIO_RECEBEDOR"


def start(account: ProviderAccount, intent: PaymentIntent, visit: Visit) -> Started:
    """A charge (`cob`) of that amount. The code to scan is also the text to paste ("copia e cola")."""
    txid = _plain(intent.reference)
    body = {
        "calendario": {"expiracao": max(int((intent.expires_at - intent.created_at).total_seconds()), 1)},
        "valor": {"original": pix_words.valor(intent.amount)},
        "chave": credentials.of(account)["key"],
        "solicitacaoPagador": intent.description[:140],
    }
    answer = _send(account, "PUT", f"/cob/{txid}", body)
    if answer.status in _TAKEN:  # It may have been made by an earlier asking, whose answer was lost.
        made = _send(account, "GET", f"/cob/{txid}")
        answer = made if made.ok else answer
    charge = _read(answer)
    content = str(charge.get("pixCopiaECola") or _code(charge, intent))
    return Started(object_id=txid, qr=content, copy=content)


def close(account: ProviderAccount, intent: PaymentIntent) -> Verified:
    txid = _plain(intent.reference)
    removal = _send(account, "PATCH", f"/cob/{txid}", {"status": _REMOVED})
    if removal.ok and (removed := removal.object()).get("status") == _REMOVED:
        return answered({"cob": removed})
    charge = _charge(account, txid)
    if charge is None:
        # It was never started there (the bank was down then), so nobody can pay it: that is closed, too.
        terms = {"txid": txid, "valor": pix_words.valor(intent.amount)}
        return answered({"unknown": terms, "at": timezone.now().isoformat()})
    if charge.get("status") == "ATIVA" and not removal.ok:
        # A bank may refuse to remove what has run out by itself, and goes on calling it active.
        ended_at = pix_words.runs_out_at(charge)
        if ended_at is None or ended_at > timezone.now():
            raise removal.refusal()
        return answered({"cob": charge, "ran_out_at": ended_at.isoformat()})
    return answered({"cob": charge})


def refund(account: ProviderAccount, refund: Refund, payment_object_id: str) -> Verified:
    about = {"endToEndId": payment_object_id, "asked": _plain(refund.reference)}
    path = f"/pix/{_segment(payment_object_id)}/devolucao/{_plain(refund.reference)}"
    asked = _send(account, "PUT", path, {"valor": pix_words.valor(refund.amount)})
    if not asked.ok and asked.status not in _TAKEN:
        raise asked.refusal()
    # How it stands now, only this tells: an asking that was made before may be refused as a repetition.
    stands = _send(account, "GET", path)
    if stands.ok or asked.ok:
        return answered({"devolucao": (stands if stands.ok else asked).object(), **about})
    if stands.status != 404 or b"PixDevolucaoInvalida" not in asked.body:
        raise asked.refusal()
    # The bank's "no" is its word on this refund, and enters the inbox as such.
    told = {"refused": asked.object(), "valor": pix_words.valor(refund.amount), **about}
    return answered({**told, "at": timezone.now().isoformat()})


def verify(account: ProviderAccount, delivery: Delivery, *, now: datetime) -> Verified:
    """By the client certificate of the connection, which our own proxy has checked and passes on; a batch has no id."""
    fingerprint = pix_certificates.proved(delivery.client_certificate, _proofs(account, now), now=now)
    content = hashlib.sha256(delivery.raw).hexdigest()
    return Verified(delivery_id=f"content:{content}", raw=delivery.raw, authority="mtls", key_id=fingerprint)


def normalise(account: ProviderAccount, verified: Verified) -> Sequence[Event]:
    """A notification tells of a batch of payments with their refunds; an answer of a charge, a payment or a refund."""
    return pix_words.events(verified)


def query(account: ProviderAccount, ref: Ref) -> Verified:
    """By our reference, or by an object id: of a payment (`endToEndId`) or of a charge (`txid`)."""
    if not ref.reference and pix_words.END_TO_END_ID.fullmatch(ref.object_id):
        answer = _send(account, "GET", f"/pix/{ref.object_id}")
        return answered({"never_heard_of": ref.object_id} if answer.status == 404 else {"pix": [_read(answer)]})
    txid = _plain(ref.reference) or ref.object_id
    charge = _charge(account, txid) if pix_words.CHARGE_ID.fullmatch(txid) else None
    return answered({"never_heard_of": txid} if charge is None else {"cob": charge})


def statement(account: ProviderAccount, day: date, into: IO[bytes]) -> str:
    """The payments that arrived on that day in Brasília, and what was returned of them, once their number adds up."""
    begin = datetime.combine(day, time_of_day(), STATEMENT_ZONE)
    end = datetime.combine(day + timedelta(days=1), time_of_day(), STATEMENT_ZONE) - timedelta(milliseconds=1)
    payments = _payments(account, {"inicio": begin.isoformat(), "fim": end.isoformat()})
    try:
        written = json_lines.write(json_lines.parts(payments, pix_words.statement_rows), into)
    except ValueError as failure:
        raise ProviderError(str(failure), permanent=False) from failure
    return "received" if written else ""


def lines(account: ProviderAccount, form: str, file: IO[bytes]) -> Iterator[RawLine]:
    return json_lines.read(file, lambda raw: json_lines.row_of(raw, pix_words.statement_rows))


def meaning(account: ProviderAccount, form: str, raw: Mapping[str, Any]) -> StatementRow | None:
    try:
        return json_lines.row_of(raw, pix_words.statement_rows)
    except ValueError as failure:
        raise UnableToRead(str(failure)) from failure


def acknowledge(refusal: str = "") -> Reply:
    return Reply(status=400) if refusal else Reply(status=200)


def _plain(reference: str) -> str:
    """Our reference as the API takes it: letters and digits only."""
    return reference.replace("_", "")


def _segment(text: str) -> str:
    return quote(text, safe="")


def _proofs(account: ProviderAccount, now: datetime) -> Iterator[tuple[str, str]]:
    """By which authorities and names the bank may prove itself; replaced ones are only looked up when they count."""
    given = credentials.of(account)
    yield given.get("psp_authorities", ""), given.get("psp_name", "")
    for older in credentials.accepted(account, now=now)[1:]:
        yield older.get("psp_authorities", ""), older.get("psp_name", "")


# --- The code to scan ------------------------------------------------------------------------------------------------


def _code(charge: dict[str, Any], intent: PaymentIntent) -> str:
    """The dynamic code (BR Code, EMVCo TLV) of a charge whose bank gives only the location of its payload.

    The payer's bank reads all that counts from there; name and city must only be of the right form.
    """
    location = re.sub(r"^https?://", "", str(charge.get("location") or ""))
    if not re.fullmatch(r"[!-~]{1,77}", location):
        raise ProviderError("the bank's charge has neither a code nor a location", permanent=False)
    parts = [
        ("00", "01"),
        ("26", _object("00", "br.gov.bcb.pix") + _object("25", location)),
        ("52", "0000"),
        ("53", "986"),
        ("58", "BR"),
        ("59", _ascii(intent.shop.name)[:25].strip() or "Pix"),
        ("60", "BRASIL"),
        ("62", _object("05", "***")),
    ]
    content = "".join(_object(name, value) for name, value in parts) + "6304"
    return f"{content}{crc_hqx(content.encode(), 0xFFFF):04X}"


def _object(name: str, value: str) -> str:
    return f"{name}{len(value):02d}{value}"


def _ascii(text: str) -> str:
    """Without accents, and without whatever else a payer's bank may not be able to print."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return "".join(letter for letter in plain if letter.isprintable()).strip()


# --- Calling the bank ------------------------------------------------------------------------------------------------


def _charge(account: ProviderAccount, txid: str) -> dict[str, Any] | None:
    """The charge as it stands, with its payments; None when the bank knows of none."""
    answer = _send(account, "GET", f"/cob/{txid}")
    if answer.status == 404:
        return None
    charge = _read(answer)
    if charge.get("status") == "CONCLUIDA" and not charge.get("pix"):
        # Some banks leave them out: then they are asked for by themselves.
        now = timezone.now()
        begin = pix_words.made_at(charge) or now - timedelta(days=1)
        charge["pix"] = _payments(account, {"inicio": begin.isoformat(), "fim": now.isoformat(), "txid": txid})
    return charge


def _payments(account: ProviderAccount, span: dict[str, str]) -> list[dict[str, Any]]:
    """Every payment of a span of time, over all pages; raises ProviderError unless there are as many as is said."""
    found: dict[str, dict[str, Any]] = {}
    for page in range(_PAGES_MAX):
        query = {**span, "paginacao.paginaAtual": page, "paginacao.itensPorPagina": _PAGE_MAX}
        told = _read(_send(account, "GET", f"/pix?{urlencode(query)}"))
        try:
            paging = told["parametros"]["paginacao"]
            total, pages = int(paging["quantidadeTotalDeItens"]), int(paging["quantidadeDePaginas"])
            found.update({row["endToEndId"]: row for row in told.get("pix") or []})
        except (KeyError, TypeError, ValueError, AttributeError) as failure:
            raise ProviderError(f"the list has not the form we know: {failure!r}", permanent=False) from failure
        if page + 1 >= pages:
            break
    if len(found) != total:
        raise ProviderError(f"the list does not add up: {len(found)} of {total} payments", permanent=False)
    return list(found.values())


def _read(answer: client.Answer) -> dict[str, Any]:
    if not answer.ok:
        raise answer.refusal()
    return answer.object()


def _send(account: ProviderAccount, method: str, path: str, body: dict[str, Any] | None = None) -> client.Answer:
    """One call with a token that is still good; one that the bank no longer takes is replaced once."""
    raw = pix_words.written(body) if body is not None else b""
    for fresh in (False, True):
        headers = {"Authorization": f"Bearer {_token(account, fresh=fresh)}", "Content-Type": "application/json"}
        answer = client.send(
            account,
            method,
            _address(account) + path,
            body=raw,
            headers=headers,
            safe=True,  # We name what is made: the same call twice is the same as once.
            certificate=_certificate(account),
        )
        if answer.status != 401:
            return answer
    raise answer.refusal()


_tokens: dict[UUID, tuple[bytes, str, float]] = {}  # By account: for which credentials, the token, and its end.
_tokens_lock = threading.Lock()


def _token(account: ProviderAccount, *, fresh: bool) -> str:
    """An access token (OAuth 2, RFC 6749 §4.4), kept in this process until a minute before it ends."""
    sealed = bytes(account.sealed_credentials)
    with _tokens_lock:
        kept = _tokens.get(account.id)
    if not fresh and kept and kept[0] == sealed and kept[2] > time.monotonic():
        return kept[1]
    given = credentials.of(account)
    client_of_theirs = b64encode(f"{given['client_id']}:{given['client_secret']}".encode()).decode()
    headers = {"Authorization": f"Basic {client_of_theirs}", "Content-Type": "application/x-www-form-urlencoded"}
    form = urlencode({"grant_type": "client_credentials", "scope": _SCOPES}).encode()
    address, certificate = _token_address(account), _certificate(account)
    answer = client.send(account, "POST", address, body=form, headers=headers, safe=True, certificate=certificate)
    if answer.status == 400:  # By RFC 6749 §5.2 the answer to a wrong client may be a 400 as well.
        raise Unauthorised(str(answer.refusal()))
    told = _read(answer)
    try:
        token, life = str(told["access_token"]), float(told["expires_in"])
    except (KeyError, TypeError, ValueError) as failure:
        raise ProviderError("the token has not the form we know", permanent=False) from failure
    with _tokens_lock:
        _tokens[account.id] = (sealed, token, time.monotonic() + life - _TOKEN_SPARE_S)
    return token


def _address(account: ProviderAccount) -> str:
    """The bank's address, which must be one that the settings allow: an account never says by itself what we call."""
    address = credentials.of(account)["address"].rstrip("/")
    if address not in settings.PIX_URL:
        raise ProviderError("the bank's address is not among those that are allowed", permanent=True)
    return address


def _token_address(account: ProviderAccount) -> str:
    """The token endpoint: a path at the bank's host, or another address that the settings allow."""
    path = credentials.of(account).get("token_path") or _TOKEN_PATH
    if path.startswith("/"):
        parts = urlsplit(_address(account))
        return f"{parts.scheme}://{parts.netloc}{path}"
    if path.rstrip("/") not in settings.PIX_URL:
        raise ProviderError("the token's address is not among those that are allowed", permanent=True)
    return path


def _certificate(account: ProviderAccount) -> tuple[str, str]:
    given = credentials.of(account)
    return given.get("certificate", ""), given.get("private_key", "")
