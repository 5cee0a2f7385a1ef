"""What a web server can do at most: the signature checked and nothing kept, and one INSERT for every request.

`nothing` is an ASGI application in the loop, for the server and with the options that the product runs on. `insert` is
a WSGI application for threads of the same server: the design in which each request waits for its own commit.
"""

from __future__ import annotations

import atexit
import base64
import hashlib
import hmac
import json
import os
import threading
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
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
Start = Callable[[str, list[tuple[str, str]]], object]


async def nothing(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    pieces = [(await receive())["body"]]
    while sum(map(len, pieces)) < int(headers["content-length"]):
        pieces.append((await receive())["body"])
    _prove(b"".join(pieces), headers)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"kept\n", "more_body": False})


def insert(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
    raw: bytes = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): environ[name]
        for name in environ
        if name.startswith("HTTP_WEBHOOK")
    }
    _prove(raw, headers)
    with _pool().connection() as connection:
        connection.execute(_INSERT_SQL, [uuid.uuid4(), headers["webhook-id"], raw, json.dumps(headers)])
    start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"kept\n"]


def _prove(raw: bytes, headers: Mapping[str, str]) -> None:
    """Its signature by Standard Webhooks is right, and its JSON can be read."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + raw
    wanted = base64.b64encode(hmac.digest(_key(), signed, hashlib.sha256)).decode()
    if not hmac.compare_digest(headers["webhook-signature"], f"v1,{wanted}"):
        raise ValueError("not signed")
    json.loads(raw)


@cache
def _key() -> bytes:
    return base64.b64decode(os.environ["WEBHOOK_SECRET"].removeprefix("whsec_"))


_making = threading.Lock()


def _pool() -> ConnectionPool:
    with _making:  # The first requests come together, and `cache` alone would let each make one.
        return _made_pool()


@cache
def _made_pool() -> ConnectionPool:
    pool = ConnectionPool(os.environ["DATABASE_URL"], min_size=1, max_size=8, kwargs={"autocommit": True}, open=True)
    atexit.register(pool.close)
    return pool
