"""One address."""

from __future__ import annotations

from django.urls import path

from bench.peers.naive.views import WebhookView

urlpatterns = [path("webhooks/sandbox/bench", WebhookView.as_view())]
