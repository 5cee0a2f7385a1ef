"""The one way out to a provider: every call has timeouts, bounded retries, a circuit, and no secret in what it says.

A module builds its request and signs it; this sends it. Only calls that the provider takes for one when they are made
twice (`safe`) are made again. Neither requests nor their headers are ever logged or put into an error.
"""

from __future__ import annotations

import json
import os
import ssl
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import IO, Any

import requests
from django.conf import settings
from prometheus_client import Counter, Histogram
from urllib3.exceptions import HTTPError, NewConnectionError

from payments import circuit, credentials
from payments.models import ProviderAccount
from payments.providers.base import ProviderError, Unauthorised

_calls = Counter("pushcart_provider_calls", "Calls to providers, by what came of them", ["provider", "outcome"])
_seconds = Histogram("pushcart_provider_seconds", "How long a provider took to answer", ["provider"])

_PASSING = {502, 503, 504}  # What may be gone a moment later.
_CHUNK = 65_536
_NO_ANSWER = (requests.RequestException, OSError, HTTPError)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the provider answered: any status below 500. Header names in lower case."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    secrets: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def object(self) -> dict[str, Any]:
        """The body as a JSON object. Raises ProviderError when it is none."""
        try:
            read = json.loads(self.body)
        except (ValueError, RecursionError) as failure:
            raise ProviderError("the answer is no JSON", permanent=False) from failure
        if not isinstance(read, dict):
            raise ProviderError("the answer is no JSON object", permanent=False)
        return read

    def refusal(self) -> ProviderError:
        """The error for an answer that is a refusal: 401 and 403 are about our credentials, 408, 425 and 429 pass."""
        told = f"refused with {self.status}: {_scrubbed(self.body, self.secrets)}"
        if self.status in (401, 403):
            return Unauthorised(told)
        return ProviderError(told, permanent=self.status not in (408, 425, 429))


class NobodyThere(ProviderError):
    """Nobody listens at that address: a moment later it will be the same."""


def send(
    account: ProviderAccount,
    method: str,
    url: str,
    *,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    safe: bool,
    certificate: tuple[str, str] = ("", ""),
) -> Answer:
    """Makes one call, and makes it again when it is `safe` and the trouble may be gone: it broke off, 502, 503, 504.

    `safe`: twice is the same as once there (a read, or a call under an idempotency key). `certificate`: ours and its
    private key, in PEM, for providers that want to see one. Raises ProviderError for 5xx, no answer, an answer above
    settings.OUTWARD_BYTES_MAX, or an open circuit.
    """
    if not circuit.may_call(account.id):
        _calls.labels(account.provider, "circuit_open").inc()
        raise ProviderError("left alone for a while after many failures", permanent=False)
    pauses = settings.OUTWARD_AGAIN_S if safe else ()
    for pause in (*pauses, None):
        began = time.monotonic()
        try:
            answer = _once(account, method, url, body, headers or {}, certificate)
        except NobodyThere:
            raise
        except ProviderError:
            # One that did not answer in time is not waited for a second time: the payer is waiting too.
            if pause is None or time.monotonic() - began > settings.OUTWARD_TIMEOUT_S[0]:
                raise
        else:
            if answer.status not in _PASSING or pause is None:
                return _judged(account, answer)
        time.sleep(pause)
    raise AssertionError("the last attempt either answers or raises")


def download(
    account: ProviderAccount,
    url: str,
    into: IO[bytes],
    *,
    headers: Mapping[str, str] | None = None,
    certificate: tuple[str, str] = ("", ""),
) -> None:
    """Writes a file of the provider into `into`, in bounded memory, up to settings.STATEMENT_BYTES_MAX."""
    session = _session(*certificate)
    try:
        with session.get(
            url, headers=dict(headers or {}), timeout=settings.OUTWARD_TIMEOUT_S, stream=True, allow_redirects=False
        ) as response:
            if response.status_code != 200:
                text = response.raw.read1(2000, decode_content=True)
                raise Answer(response.status_code, text, {}, _secrets_of(account)).refusal()
            size, end = 0, time.monotonic() + settings.STATEMENT_FOR.total_seconds()
            while chunk := response.raw.read1(_CHUNK, decode_content=True):
                size += len(chunk)
                if size > settings.STATEMENT_BYTES_MAX:
                    raise ProviderError("the file is larger than any we know", permanent=True)
                if time.monotonic() > end:
                    raise ProviderError("the file takes longer than any we know", permanent=False)
                into.write(chunk)
    except _NO_ANSWER as failure:
        raise ProviderError(f"no file: {type(failure).__name__}", permanent=False) from None


def _once(
    account: ProviderAccount,
    method: str,
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    certificate: tuple[str, str],
) -> Answer:
    session = _session(*certificate)
    try:
        with (
            _seconds.labels(account.provider).time(),
            session.request(
                method,
                url,
                data=body or None,
                headers=dict(headers),
                timeout=settings.OUTWARD_TIMEOUT_S,
                stream=True,
                allow_redirects=False,  # A redirect would carry our credentials to wherever it says.
            ) as response,
        ):
            read = _all_of(response)
    except _NO_ANSWER as failure:
        _calls.labels(account.provider, "no_answer").inc()
        circuit.failed(account.id, account.provider)
        # The failure's own text may hold the address with what we signed: its kind is enough.
        refused = isinstance(getattr(next(iter(failure.args), None), "reason", None), NewConnectionError)
        told = f"cannot be reached: {type(failure).__name__}"
        raise (NobodyThere if refused else ProviderError)(told, permanent=False) from None
    if len(read) > settings.OUTWARD_BYTES_MAX:
        raise ProviderError("the answer is larger than any we know", permanent=False)
    names = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status_code, read, names, _secrets_of(account))


def _all_of(response: requests.Response) -> bytes:
    """The body, up to one byte more than we take; one that only trickles is given up when it has had its time."""
    read, end = bytearray(), time.monotonic() + settings.OUTWARD_FOR.total_seconds()
    while len(read) <= settings.OUTWARD_BYTES_MAX:
        chunk = response.raw.read1(_CHUNK, decode_content=True)
        if not chunk:
            break
        read += chunk
        if time.monotonic() > end:
            raise requests.ReadTimeout
    return bytes(read[: settings.OUTWARD_BYTES_MAX + 1])


def _judged(account: ProviderAccount, answer: Answer) -> Answer:
    _calls.labels(account.provider, f"{answer.status // 100}xx").inc()
    if answer.status >= 500:
        circuit.failed(account.id, account.provider)
        raise ProviderError(f"failed with {answer.status}: {_scrubbed(answer.body, answer.secrets)}", permanent=False)
    circuit.succeeded(account.id)
    return answer


def _secrets_of(account: ProviderAccount) -> tuple[str, ...]:
    return tuple(part for value in credentials.of(account).values() for part in value.split() if len(part) >= 6)


def _scrubbed(body: bytes, secrets: tuple[str, ...]) -> str:
    """The beginning of an answer as one line, with whatever of our own credentials it repeats taken out."""
    text = " ".join(body[:2000].decode("utf-8", "replace").split())
    for secret in secrets:
        text = text.replace(secret, "…")
    return text[:150]


@lru_cache(maxsize=64)
def _session(certificate: str, private_key: str) -> requests.Session:
    """One pool of connections for each certificate of ours (and one without)."""
    session = requests.Session()
    session.auth = _as_it_stands
    adapter = _CertifiedAdapter(certificate, private_key) if certificate else requests.adapters.HTTPAdapter(16, 16)
    session.mount("https://", adapter)
    if not certificate:
        session.mount("http://", requests.adapters.HTTPAdapter(16, 16))
    return session


def _as_it_stands(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keeps a `.netrc` of this machine from putting other credentials in the place of ours."""
    return request


class _CertifiedAdapter(requests.adapters.HTTPAdapter):
    """Shows our certificate to the provider. Python reads one from files only: they live for that moment."""

    def __init__(self, certificate: str, private_key: str) -> None:
        self._context = ssl.create_default_context(cafile=os.environ.get("REQUESTS_CA_BUNDLE"))
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as chain:  # Only its owner may read such a file.
            chain.write(f"{certificate}\n{private_key}\n")
            chain.flush()
            self._context.load_cert_chain(chain.name)
        super().__init__(16, 16)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options, ssl_context=self._context)
