"""The app `qr`: what a customer sees and touches."""

from __future__ import annotations

from django.apps import AppConfig


class QrConfig(AppConfig):
    name = "qr"
