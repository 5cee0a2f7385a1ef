"""What it costs to prove and to read one notification of each provider: RSA, AES-GCM, HMAC, certificates.

The limit beside it is the bare primitive of the same scheme over the same bytes, in the same run.
"""

from __future__ import annotations

import hashlib
import hmac
import statistics
import time
from collections.abc import Callable
from functools import partial

from bench import ground

ROUNDS, EVENTS = 5, 300


def main() -> None:
    with ground.stores():
        from django.db import connection  # noqa: PLC0415  Django is set up only now.
        from django.utils import timezone  # noqa: PLC0415

        from payments import credentials, providers  # noqa: PLC0415
        from tests.networks.every import EVERY  # noqa: PLC0415

        ground.say_conditions()
        print(f"µs, median of {ROUNDS} rounds of {EVENTS}")
        print(f"{'':12} {'bytes':>6} {'verify':>9} {'normalise':>10} {'together':>9}")
        for name, network_of in EVERY.items():
            with network_of().set() as network:
                account, provider = network.account(), providers.named(name)
                now = timezone.now()
                delivery = network.sign(network.sample(), at=now)
                credentials.of(account)  # Opened once, as in a process that has run for a while.
                verified = provider.verify(account, delivery, now=now)
                prove = partial(provider.verify, account, delivery, now=now)
                read = partial(provider.normalise, account, verified)
                proving = [_microseconds(prove) for _ in range(ROUNDS)]
                reading = [_microseconds(read) for _ in range(ROUNDS)]
                both = [one + other for one, other in zip(proving, reading, strict=True)]
                print(
                    f"{name:12} {len(delivery.raw):6} {statistics.median(proving):9.1f}"
                    f" {statistics.median(reading):10.1f} {statistics.median(both):9.1f}"
                )
        body = b"x" * 1500
        limit = [_microseconds(lambda: hmac.new(b"k" * 32, body, hashlib.sha256).hexdigest()) for _ in range(ROUNDS)]
        print(f"{'HMAC alone':12} {len(body):6} {statistics.median(limit):9.1f}")
        connection.close()


def _microseconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    for _ in range(EVENTS):
        work()
    return (time.perf_counter() - began) / EVENTS * 1e6


if __name__ == "__main__":
    main()
