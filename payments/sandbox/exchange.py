"""One HTTP request and its answer as plain values, and the careful reading of what a request carries."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from iso4217 import Currency

LONGEST_TEXT = 300
LARGEST_AMOUNT = 10**15  # Far above any sale, far below what 64 bits (SQLite's integers) hold when summed.
REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}")
HOST = re.compile(r"[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]")
SAFE_URL = re.compile(r"[!-~]{1,2000}")


class Refusal(Exception):
    """A request that is answered with an error: an HTTP status, a code for programs, a sentence for people."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass(frozen=True)
class Request:
    """What came in. Header names are lower case; `path` is already unquoted."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes = b""

    def bearer(self) -> str:
        """Return the token of `Authorization: Bearer …`, or an empty text."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""

    def json(self) -> dict[str, Any]:
        """Read the body as a JSON object; 400 `bad_json` when it is anything else."""
        try:
            value = json.loads(self.body or b"{}")
        except (ValueError, RecursionError):
            raise Refusal(400, "bad_json", "The body is not JSON.") from None
        if not isinstance(value, dict):
            raise Refusal(400, "bad_json", "The body must be a JSON object.")
        return value

    def fields(self) -> dict[str, Any]:
        """Read a page's form (repeated fields become a comma list), or a JSON object where the request says so."""
        if self.headers.get("content-type", "").startswith("application/json"):
            return self.json()
        try:
            form = parse_qs(self.body.decode(), max_num_fields=50)
        except ValueError:
            raise Refusal(400, "bad_form", "The form cannot be read.") from None
        return {name: ",".join(values) for name, values in form.items()}


@dataclass(frozen=True)
class Answer:
    """What goes out: a status, a body and headers beside those every answer has."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


def json_answer(status: int, value: object) -> Answer:
    """Answer with a value as compact JSON."""
    return Answer(status, json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())


def error_answer(refusal: Refusal) -> Answer:
    """Answer with the one shape every error of this API has."""
    return json_answer(refusal.status, {"error": {"code": refusal.code, "message": refusal.message}})


def text_of(values: Mapping[str, Any], name: str, default: str | None = None) -> str:
    """Read a text of at most 300 characters without control characters; 422 `invalid` otherwise."""
    value = values.get(name, default)
    if not isinstance(value, str) or len(value) > LONGEST_TEXT or any(ord(sign) < 32 for sign in value):
        raise invalid(name, f"must be a text of at most {LONGEST_TEXT} characters")
    try:
        value.encode()
    except UnicodeEncodeError:  # A lone surrogate from a JSON escape: it could be neither stored nor shown.
        raise invalid(name, "must be Unicode text") from None
    return value


def reference_of(values: Mapping[str, Any], name: str = "reference") -> str:
    """Read a merchant's reference: 1 to 100 letters, digits and `. _ : -`, a letter or digit first."""
    value = values.get(name)
    if not isinstance(value, str) or not REFERENCE.fullmatch(value):
        raise invalid(name, "must be 1 to 100 letters, digits and . _ : - (a letter or digit first)")
    return value


def amount_of(values: Mapping[str, Any], name: str = "amount") -> int:
    """Read a positive whole number of minor units."""
    value = values.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= LARGEST_AMOUNT:
        raise invalid(name, "must be a whole number of minor units, at least 1")
    return value


def currency_of(values: Mapping[str, Any], name: str = "currency") -> str:
    """Read an ISO 4217 code."""
    value = values.get(name)
    try:
        return str(Currency(value).value)
    except ValueError:
        raise invalid(name, "must be an ISO 4217 code such as CNY") from None


def url_of(values: Mapping[str, Any], name: str) -> str:
    """Read an absolute http or https address whose host is plain enough to stand in a security policy."""
    value = values.get(name)
    if isinstance(value, str) and SAFE_URL.fullmatch(value) and origin_of(value):
        return value
    raise invalid(name, "must be an http or https address")


def origin_of(url: str) -> str:
    """Return `scheme://host[:port]` of an http(s) address, or an empty text for any other."""
    try:
        parts = urlsplit(url)
        host, port = parts.netloc, parts.port
    except ValueError:
        return ""
    name = host.removesuffix(f":{port}") if port is not None else host
    return f"{parts.scheme}://{host}" if parts.scheme in ("http", "https") and HOST.fullmatch(name) else ""


def moment_of(values: Mapping[str, Any], name: str) -> datetime:
    """Read an RFC 3339 time that says its offset."""
    value = values.get(name)
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
        if at is not None and at.tzinfo is not None:
            return at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise invalid(name, "must be an RFC 3339 time with its offset") from None
    raise invalid(name, "must be an RFC 3339 time with its offset")


def invalid(name: str, rule: str) -> Refusal:
    """Make the 422 that names a field and the rule it breaks."""
    return Refusal(422, "invalid", f"{name} {rule}.")
