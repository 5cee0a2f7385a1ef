"""What it costs to prove and to read one notification of each provider: RSA, AES-GCM, HMAC, certificates.

The limit beside it is the bare primitive of the same scheme over the same bytes, in the same run.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

from bench import ground
from bench.rounds import Arm, Figures, compare, size

EVENTS = size(300, 20)


def main() -> None:
    with ground.stores(), ExitStack() as stack:
        from django.db import connection  # noqa: PLC0415  Django is set up only now.

        from tests.networks.every import EVERY  # noqa: PLC0415

        body = b"x" * 1500
        bare = partial(hmac.digest, b"k" * 32, body, hashlib.sha256)
        compare(
            "providers",
            [
                *(Arm(name, "product", _notification(name, of, stack)) for name, of in EVERY.items()),
                Arm("HMAC of 1,500 bytes", "limit", lambda: {"together_us": _microseconds(bare)}),
            ],
            title="Proving and reading a notification of each provider",
            figure="together_us",
            notes=["RSA, AES-GCM, HMAC or certificates, as the provider has it; keys are read and opened once."],
        )
        connection.close()


def _notification(name: str, network_of: Any, stack: ExitStack) -> Callable[[], Figures]:
    from django.utils import timezone  # noqa: PLC0415

    from payments import credentials, providers  # noqa: PLC0415

    network = stack.enter_context(network_of().set())
    account, provider, now = network.account(), providers.named(name), timezone.now()
    delivery = network.sign(network.sample(), at=now)
    credentials.of(account)  # Opened once, as in a process that has run for a while.
    verified = provider.verify(account, delivery, now=now)

    def measure() -> Figures:
        proving = _microseconds(partial(provider.verify, account, delivery, now=now))
        reading = _microseconds(partial(provider.normalise, account, verified))
        return {
            "together_us": proving + reading, "verify_us": proving, "normalise_us": reading,
            "body_bytes": len(delivery.raw),
        }  # fmt: skip

    return measure


def _microseconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    for _ in range(EVENTS):
        work()
    return (time.process_time() - began) / EVENTS * 1e6


if __name__ == "__main__":
    main()
