"""Lets mypy read the settings: it runs nothing and connects to nothing, so any well-formed values will do."""

from __future__ import annotations

import os

from mypy.plugin import Plugin

for name, value in {
    "SECRET_KEY": "for the type checker",
    "CREDENTIAL_KEYS": "",
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "SANDBOX_URL": "http://127.0.0.1:1",
    "DEBUG": "1",
}.items():
    os.environ.setdefault(name, value)


def plugin(version: str) -> type[Plugin]:
    """What mypy asks a plugin module for; the work was done above."""
    return Plugin
