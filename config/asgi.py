"""The event streams' process: one small ASGI application, because open streams would cost the web process threads."""

from __future__ import annotations

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from qr.receipt_stream import application  # noqa: E402  Models can be imported only after the set-up.

__all__ = ["application"]
