"""One Django project for every way: its own tables, in a database of its own on the product's server."""

from __future__ import annotations

import os
from urllib.parse import unquote, urlsplit

_address = urlsplit(os.environ["PEERS_DATABASE_URL"])

SECRET_KEY = "only-for-the-bench"  # It guards nothing.
DEBUG = False
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "mptt",
    "hordak",
    "django_ledger",
    "bench.peers.posting",
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _address.path.lstrip("/"),
        "USER": unquote(_address.username or ""),
        "PASSWORD": unquote(_address.password or ""),
        "HOST": _address.hostname,
        "PORT": _address.port,
        "CONN_MAX_AGE": 600,  # A task that had to connect first would be slower still.
    }
}
DEFAULT_CURRENCY = "CNY"
CURRENCIES = ["CNY"]
HORDAK_CURRENCIES = ["CNY"]
DJANGO_LEDGER_USE_DEPRECATED_BEHAVIOR = False
