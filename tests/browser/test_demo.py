"""`manage.py demo` against the running product, as a stranger starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.browser.conftest import Product

pytestmark = pytest.mark.xdist_group("browser")


def demo(**environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return subprocess.run(
        [sys.executable, "manage.py", "demo"],
        capture_output=True,
        text=True,
        env={**kept, **environment},
        cwd=Path(__file__).parents[2],
        timeout=120,
        check=False,
    )


def test_the_whole_walk_goes_through_and_is_told_step_by_step(product: Product) -> None:
    played = demo(DATA_DIR=str(product.data), PORT=product.url.rpartition(":")[2])
    assert played.returncode == 0, played.stdout + played.stderr
    assert f"a scanner reads {product.url}/s/" in played.stdout
    assert "notice 1: CN¥2.00 received, exact" in played.stdout
    assert "total CN¥1.50" in played.stdout
    assert played.stdout.endswith("The whole walk went through.\n")


def test_without_a_running_product_it_says_what_to_do(tmp_path: Path) -> None:
    played = demo(DATA_DIR=str(tmp_path))
    assert played.returncode != 0
    assert "Start it with `make up`" in played.stderr
