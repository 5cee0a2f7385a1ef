"""`manage.py qr read`: what a person at a terminal is told of a code."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from qr import draw

UPI = "upi://pay?pa=shop@ybl&pn=Asha&am=20&cu=INR"
TOLD = """\
UPI
  It says that it pays “Asha”, to “shop@ybl”.
  It asks for ₹20.00.
  No server tells us when this code is paid: look into your own wallet.
"""


def read(*arguments: str) -> str:
    out = io.StringIO()
    call_command("qr", "read", *arguments, stdout=out)
    return out.getvalue()


def test_a_text_is_told_line_by_line() -> None:
    assert read(UPI) == TOLD


def test_it_is_read_from_stdin_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{UPI}\n"))
    assert read("-") == TOLD


def test_what_nobody_should_pay_by_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    out = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("qr", "read", "upi://pay?pn=Asha", stdout=out)
    assert ended.value.code == 1
    assert out.getvalue().splitlines()[-2:] == ["  ! Do not pay by this code.", "  ! It does not say who is paid."]


def test_a_picture_is_told(tmp_path: Path) -> None:
    (tmp_path / "code.png").write_bytes(draw.png(UPI, 400))
    assert read("--image", str(tmp_path / "code.png")) == TOLD


def test_a_picture_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "no.png").write_bytes(b"no picture")
    for name, said in (("no.png", "cannot be read"), ("none.png", "cannot be opened")):
        with pytest.raises(CommandError, match=said):
            read("--image", str(tmp_path / name))
