"""The web process: everything but the event stream, with the notifications' short way in front of it."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

_django = get_wsgi_application()

from payments import front_door  # noqa: E402  Models can be imported only after the set-up.

application = front_door.before(_django)
