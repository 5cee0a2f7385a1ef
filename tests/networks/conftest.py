"""What tests of the networks share: the process that holds their software for Node."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.networks.node import Peer, missing


@pytest.fixture(scope="session")
def peer() -> Iterator[Peer]:
    """One process for all of them; where it cannot be had, the test is skipped and says what is missing."""
    if reason := missing():
        pytest.skip(reason)
    with Peer() as running:
        yield running


@pytest.fixture(scope="session")
def codes() -> Iterator[Peer]:
    """One process of the packages that write and read payment codes."""
    if reason := missing():
        pytest.skip(reason)
    with Peer("codes.mjs") as running:
        yield running
