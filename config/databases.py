"""The addresses of the database as Django is told them: the primary, of several hosts whichever writes, and a replica.

An address is `postgresql://user:password@host:port,host:port/name?option=value`: its options are libpq's own
(https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS), for example `sslmode=verify-full`.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

# No statement of ours is long: what exceeds these is stuck, and must not hold locks for ever.
_SESSION = "-c statement_timeout=30s -c lock_timeout=10s -c idle_in_transaction_session_timeout=60s"
# Of a machine that is gone nothing says so: these end the wait for it, where the kernel's own would take hours.
_ENDS = {
    "connect_timeout": "3",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
}


def databases(primary: str, replica: str, *, connections_max: int) -> dict[str, dict[str, Any]]:
    """Django's DATABASES: `default` writes, and `replica` is there when it has an address.

    A request that finds no connection fails clearly, instead of waiting for ever: in 5 s, and of a replica at once,
    because the primary can answer in its stead. While a server is away each new request tries it anew (a pool that
    pauses ever longer would be late when another has taken its place).
    """
    pool = {"min_size": 1, "max_size": connections_max, "timeout": 5, "reconnect_timeout": 2}
    found = {"default": _database("DATABASE_URL", primary, pool)}
    if replica:
        pool = {**pool, "min_size": 0, "timeout": 1}
        found["replica"] = {**_database("REPLICA_URL", replica, pool), "TEST": {"MIRROR": "default"}}
    return found


def _database(variable: str, url: str, pool: dict[str, int]) -> dict[str, Any]:
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise ImproperlyConfigured(f"{variable} must begin with postgresql://: no other database is supported")
    hosts, ports = _hosts(parts)
    options = dict(parse_qsl(parts.query))
    if "," in hosts and variable == "DATABASE_URL":
        # Of several servers one is the primary: a session with another would only learn so at its first INSERT.
        options.setdefault("target_session_attrs", "read-write")
    return {
        "ENGINE": "config.postgresql",
        "NAME": unquote(parts.path.lstrip("/")) or "postgres",
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": hosts,
        "PORT": ports,
        "OPTIONS": {**(_ENDS if hosts else {}), "pool": pool, "options": _SESSION, **options},
    }


def _hosts(parts: SplitResult) -> tuple[str, str]:
    """The hosts and their ports as libpq takes them: one each, by commas; no port is the usual one."""
    pairs = [_host(one) for one in parts.netloc.rpartition("@")[2].split(",")]
    hosts, ports = (",".join(side) for side in zip(*pairs, strict=True))
    return hosts, ports if ports.strip(",") else ""


def _host(text: str) -> tuple[str, str]:
    """`db1:5433`, `db1`, `[::1]:5433`."""
    one = urlsplit(f"//{text}")
    try:
        return one.hostname or "", str(one.port or "")
    except ValueError as wrong:
        raise ImproperlyConfigured(f"{text} is no host and port of a database") from wrong
