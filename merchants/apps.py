"""The app `merchants`: who sells, what, with whom, and how they are told."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy

from merchants import channels


class MerchantsConfig(AppConfig):
    """Refuses to start a process that would send codes where anybody can read them."""

    name = "merchants"
    verbose_name = gettext_lazy("Merchants")

    def ready(self) -> None:
        checks.register(channels.check, checks.Tags.security)
        # `check` is only run by management commands; web, worker and stream must not start either.
        if complaints := channels.complaints():
            raise ImproperlyConfigured(" ".join(complaints))
