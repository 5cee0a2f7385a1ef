"""What a WSGI server can do at most: the signature checked and nothing kept, and one INSERT for every request.

`nothing` and `insert` are WSGI applications, for the server and with the options that the product runs on.
"""

from __future__ import annotations

import atexit
import base64
import hashlib
import hmac
import json
import os
import uuid
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from psycopg_pool import ConnectionPool

TABLE_SQL = """
CREATE TABLE received (
    id uuid PRIMARY KEY, delivery_id text NOT NULL UNIQUE, raw bytea NOT NULL, headers jsonb NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now()
)
"""
_INSERT_SQL = """
INSERT INTO received (id, delivery_id, raw, headers) VALUES (%s, %s, %s, %s) ON CONFLICT (delivery_id) DO NOTHING
"""
_ANSWER = [("Content-Type", "text/plain"), ("Content-Length", "5")]

Start = Callable[[str, list[tuple[str, str]]], object]


def nothing(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
    _proved(environ)
    start("200 OK", _ANSWER)
    return [b"kept\n"]


def insert(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
    raw = _proved(environ)
    headers = json.dumps({name: environ[name] for name in environ if name.startswith("HTTP_WEBHOOK")})
    with _pool().connection() as connection:
        connection.execute(_INSERT_SQL, [uuid.uuid4(), environ["HTTP_WEBHOOK_ID"], raw, headers])
    start("200 OK", _ANSWER)
    return [b"kept\n"]


def _proved(environ: dict[str, Any]) -> bytes:
    """The body, whose signature by Standard Webhooks is right and whose JSON can be read."""
    raw: bytes = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    signed = f"{environ['HTTP_WEBHOOK_ID']}.{environ['HTTP_WEBHOOK_TIMESTAMP']}.".encode() + raw
    wanted = base64.b64encode(hmac.digest(_key(), signed, hashlib.sha256)).decode()
    if not hmac.compare_digest(environ["HTTP_WEBHOOK_SIGNATURE"], f"v1,{wanted}"):
        raise ValueError("not signed")
    json.loads(raw)
    return raw


@cache
def _key() -> bytes:
    return base64.b64decode(os.environ["WEBHOOK_SECRET"].removeprefix("whsec_"))


@cache
def _pool() -> ConnectionPool:
    pool = ConnectionPool(os.environ["DATABASE_URL"], min_size=1, max_size=8, kwargs={"autocommit": True}, open=True)
    atexit.register(pool.close)
    return pool
