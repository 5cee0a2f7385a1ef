"""What `celery -A` loads: Django first, then the task."""

from __future__ import annotations

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bench.peers.posting.settings")
django.setup()

from bench.peers.posting.by_hand import app  # noqa: E402

__all__ = ["app"]
