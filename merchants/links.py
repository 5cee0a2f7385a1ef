"""Our own links as they stand in codes: the slug behind a scanned text, or nothing for whatever only resembles one."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from django.conf import settings

TEXT_MAX = 2000  # More than any symbol of ours holds, and as much as a phone may hand us.

# Twelve letters of those that `ids.secret` writes. Slugs are told apart by case: nothing is folded.
SLUG = "[2-9A-HJ-NP-Za-km-z]{12}"
_BARE = re.compile(SLUG)
# What stands behind the site: the slug alone decides, so a query or a fragment that a reader added changes nothing.
_PATH = re.compile(f"/s/({SLUG})/?(?:[?#][!-~]*)?")


def slug_of(text: str) -> str | None:
    """The slug that a scanned (or typed) text means: our own link, or the bare slug.

    Scheme and host may be written in any case, as browsers read them. Everything else is exact: another host, another
    port, a name or a percent sign in front of it, letters that only look like ours are not our link.
    """
    text = text.strip(" \t\r\n")
    if len(text) > TEXT_MAX or not text.isascii():
        return None
    if _BARE.fullmatch(text):
        return text
    home = urlsplit(settings.PUBLIC_URL)
    site = f"{home.scheme}://{home.netloc}"
    if text[: len(site)].lower() != site.lower() or not text[len(site) :].startswith(home.path):
        return None
    found = _PATH.fullmatch(text[len(site) + len(home.path) :])
    return found[1] if found else None
