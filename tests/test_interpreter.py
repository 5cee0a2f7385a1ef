"""The interpreter is as it was once a batch is over, even when the batch failed."""

from __future__ import annotations

import gc
import sys

import pytest

from merchants import interpreter


def test_while_batches_are_worked_on_there_is_no_collector_and_turns_are_short() -> None:
    usual = sys.getswitchinterval()
    with pytest.raises(ZeroDivisionError), interpreter.busy_with_batches():
        assert not gc.isenabled()
        assert sys.getswitchinterval() == pytest.approx(usual / 10)
        raise ZeroDivisionError
    assert gc.isenabled()
    assert sys.getswitchinterval() == pytest.approx(usual)
