"""The app `payments`: what moved, and the proof."""

from django.apps import AppConfig


class PaymentsConfig(AppConfig):
    name = "payments"
