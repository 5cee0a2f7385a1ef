"""What the codes in a picture say: an uploaded photo in, one reading for each code out.

The picture is decoded by Pillow within the limits of photos, made small and grey, and searched by `qr.finder`, a
program of its own that is stopped when it takes too long.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.core.files.base import File
from django.utils.translation import gettext as _

from merchants import photos
from merchants.journal import journal
from merchants.refusals import Refused
from qr import payloads
from qr.payloads import epc
from qr.payloads.base import Reading, Violation

EDGE_PIXELS = 1600  # A sticker's code is still found when it is a twentieth of the picture's width.
SECONDS_MAX = 5.0
CODES_MAX = 40

_log = journal(__name__)
_FINDER = Path(__file__).with_name("finder.py")


def picture(file: File[bytes]) -> list[Reading]:
    """The readings of all codes in a picture, from the top down, each text once; [] when there is none.

    Raises Refused as `photos.opened` does, and 422 `picture_too_hard` when the search takes too long.
    """
    grey = photos.opened(file, EDGE_PIXELS).convert("L")
    texts: dict[str, Reading] = {}
    for code in _found(grey.width, grey.height, grey.tobytes())[:CODES_MAX]:
        text, certain = _text(bytes.fromhex(code["bytes"]), code["text"], told=code["charset_told"])
        if text in texts:
            continue
        reading = payloads.read(text)
        if not certain:
            detail = _("Its bytes are no UTF-8: its letters are a guess.")
            reading = replace(reading, violations=(*reading.violations, Violation("letters_guessed", "", detail)))
        texts[text] = reading
    return list(texts.values())


def _found(width: int, height: int, pixels: bytes) -> list[dict[str, Any]]:
    try:
        # -I: neither the environment nor the folder it is started in has a say in what is imported.
        done = subprocess.run(
            [sys.executable, "-I", str(_FINDER)],
            input=f"{width} {height}\n".encode() + pixels,
            capture_output=True,
            timeout=SECONDS_MAX,
            check=True,
        )
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as failure:
        # A picture may have done it, and so may an installation that lacks the library: whoever operates us must see.
        _log.warning("finder_failed", why=str(failure), stderr=(failure.stderr or b"")[-500:].decode(errors="replace"))
        raise Refused(422, "picture_too_hard", _("The codes in this picture could not be found in time.")) from None
    return [json.loads(line) for line in done.stdout.splitlines()]


def _text(data: bytes, guess: str, *, told: bool) -> tuple[str, bool]:
    """The text of a code's bytes, and whether it is certain: by what the symbol or the payload says, or as UTF-8."""
    if told:
        return guess, True
    by_payload = epc.decoded(data)
    if by_payload is not None:
        return by_payload, True
    try:
        return data.decode(), True
    except UnicodeDecodeError:
        return guess, False
