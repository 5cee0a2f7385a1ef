"""The files of the vendor's phone page as they are served: without the comments, which are for whoever reads the code.

They are a sixth of what a phone in a street would load. Nothing else is changed, so that what runs is what stands in
`static/app/`; while the product is developed (DEBUG) the files themselves are served.
"""

from __future__ import annotations

import re
from typing import Any

from django.core.files.base import ContentFile, File
from whitenoise.storage import CompressedManifestStaticFilesStorage

# A line that is a comment, one behind a sign of the language, and the spaces that begin a line.
_UNREAD = re.compile(r"^\s*//.*\n|(?<=[;,{}()\[\]>]) //.*$|^ +", re.MULTILINE)


def served(text: str) -> str:
    """A module of the page without its comments and its indentation. Its own texts hold neither (a test says so)."""
    return _UNREAD.sub("", text)


class PageStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # The library has no types.
    """WhiteNoise's storage, which gets the page's modules as they are served."""

    def _save(self, name: str, content: File[Any]) -> str:
        if name.startswith("app/") and name.endswith(".js"):
            content = ContentFile(served(content.read().decode()).encode())
        return str(super()._save(name, content))
