"""Python's interpreter while threads work on batches: without the collector, and in short turns."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_USUAL_S = sys.getswitchinterval()
_SHORT_S = 0.0005


@contextmanager
def busy_with_batches() -> Iterator[None]:
    """Without the collector: a batch makes some ten thousand small objects and no cycles, and one that walks through
    all of them, and through all of Django, again and again finds nothing in them.

    And with short turns: a thread whose answer has come sends its next statement at once, so that the database has
    something to do while another thread decides.
    """
    gc.disable()
    sys.setswitchinterval(_SHORT_S)
    try:
        yield
    finally:
        sys.setswitchinterval(_USUAL_S)
        gc.enable()
