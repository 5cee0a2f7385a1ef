"""`manage.py qr read`: says in plain words what a code is, whose, and what is wrong with it: a text, or a picture."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.files.base import ContentFile
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from merchants.refusals import Refused
from qr import payloads, read
from qr.payloads import words
from qr.payloads.base import Reading


class Command(BaseCommand):
    help = (
        "Says what a payment code is, whose it is and what is wrong with it. Ends with 1 when nobody should pay by it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        does = parser.add_subparsers(dest="does", required=True)
        reads = does.add_parser("read", help="one text, or all codes in a picture")
        given = reads.add_mutually_exclusive_group(required=True)
        given.add_argument("text", nargs="?", help="what the code holds; - reads it from stdin")
        given.add_argument("--image", type=Path, help="a JPEG, PNG or WebP")

    def handle(self, *args: Any, **options: Any) -> None:
        readings = self._readings(options["text"], options["image"])
        if not readings:
            raise CommandError("There is no code in this picture.")
        for number, reading in enumerate(readings):
            self.stdout.write(("\n" if number else "") + told(reading))
        if not all(reading.sound for reading in readings):
            sys.exit(1)

    def _readings(self, text: str | None, image: Path | None) -> list[Reading]:
        if image is None:
            return [payloads.read(sys.stdin.read().rstrip("\r\n") if text == "-" else text or "")]
        try:
            return read.picture(ContentFile(image.read_bytes(), image.name))
        except OSError as unread:
            raise CommandError(f"{image} cannot be opened: {unread.strerror}.") from None
        except Refused as refusal:
            raise CommandError(str(refusal.detail)) from None


def told(reading: Reading) -> str:
    """Its title, then a line for each sentence; what is wrong comes last, after an exclamation mark."""
    now = timezone.now()
    said = [f"  {sentence}" for sentence in words.sentences(reading, now=now)]
    return "\n".join([reading.title, *said, *(f"  ! {sentence}" for sentence in words.wrong(reading))])
