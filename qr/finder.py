"""A program of its own that finds QR codes in a picture: grey pixels on stdin, a line of JSON for each on stdout.

The decoder is native code that strangers' pictures are given to. Here it can crash, or take its time, alone: whoever
started it stops it. It imports nothing of ours; the first line of its input says width and height.
"""

from __future__ import annotations

import json
import resource
import sys
from contextlib import suppress

import zxingcpp

MEMORY_MAX = 1 << 30  # Bytes of address space.
SECONDS_MAX = 10  # Of a core, should whoever started it be gone.


def main() -> None:
    """Reads one picture and answers with its codes from the top down."""
    for limit, most in ((resource.RLIMIT_AS, MEMORY_MAX), (resource.RLIMIT_CPU, SECONDS_MAX)):
        with suppress(ValueError, OSError):  # Not every system has every limit.
            resource.setrlimit(limit, (most, most))
    width, height = (int(number) for number in sys.stdin.buffer.readline().split())
    pixels = memoryview(sys.stdin.buffer.read()).cast("B", (height, width))
    found = zxingcpp.read_barcodes(
        pixels,
        formats=zxingcpp.barcode_formats_from_str("QRCode|MicroQRCode|RMQRCode"),
        text_mode=zxingcpp.TextMode.Plain,
    )
    for code in sorted(found, key=lambda code: (code.position.top_left.y, code.position.top_left.x)):
        # "]Q2" and what follows it: the symbol itself says how its bytes are letters (ECI).
        told = code.symbology_identifier[:3] in {"]Q2", "]Q4", "]Q6"}
        sys.stdout.write(json.dumps({"bytes": code.bytes.hex(), "text": code.text, "charset_told": told}) + "\n")


if __name__ == "__main__":
    main()
