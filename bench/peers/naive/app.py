"""Names the app to Django."""

from __future__ import annotations

from django.apps import AppConfig


class Naive(AppConfig):
    name = "bench.peers.naive"
    label = "naive"
    default_auto_field = "django.db.models.BigAutoField"
