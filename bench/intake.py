"""Webhooks accepted per second, and the time from the 2xx to the posting and to the vendor's stream.

The whole product runs as `make up` starts it; the load generator shares its two cores.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import Sequence

import requests

from bench import ground
from bench.ground import Sent


def main() -> None:
    with ground.product():
        from django.conf import settings  # noqa: PLC0415  Django is set up only now.
        from django.db import connection  # noqa: PLC0415

        from bench import cast  # noqa: PLC0415
        from payments import books  # noqa: PLC0415
        from payments.models import Payment, QueuedEvent  # noqa: PLC0415

        ground.say_conditions()
        cast.account()
        url = f"{settings.PUBLIC_URL}/webhooks/sandbox/bench"
        codes = cast.shops(200)
        _accepted(url, codes, 3000)  # Warms the write-ahead log; not counted.
        rates = [_accepted(url, codes, 3000) for _ in range(5)]
        print(f"accepted: median {sorted(rates)[2]:.0f} webhooks/s of {', '.join(f'{rate:.0f}' for rate in rates)}")
        while QueuedEvent.objects.exists():
            time.sleep(0.1)
        for rate in (50, 200, 500):
            _latency(url, rate)
        broken = list(books.breaches())
        print(f"{Payment.objects.count()} payments;", broken or "every law holds")
        connection.close()
        sys.exit(1 if broken else 0)


def _accepted(url: str, codes: Sequence[object], count: int) -> float:
    from bench import cast  # noqa: PLC0415

    requests_ = [
        (intent.receipt, ground.signed_request(url, intent.reference, f"wpy_{intent.id.hex}", cast.AMOUNT))
        for intent in cast.intents(list(codes), count)  # type: ignore[arg-type]
    ]
    began = time.perf_counter()
    done = asyncio.run(ground.send_all(url, requests_, connections=16))
    took = time.perf_counter() - began
    print(
        "  " + ground.spread(f"{count / took:.0f}/s at 16 connections", [_ms(s.sent_at, s.answered_at) for s in done])
    )
    return count / took


def _latency(url: str, rate: int) -> None:
    """Open loop at a fixed rate for one shop whose stream we hear; posting is timed by the entry's own time."""
    from bench import cast  # noqa: PLC0415
    from merchants.models import Staff, Token, User  # noqa: PLC0415
    from payments.models import Payment  # noqa: PLC0415

    (code,) = cast.shops(1)
    user = User.objects.create_user(f"+861390013{rate:04d}")
    Staff.objects.create(user=user, shop=code.shop, role="owner")
    _, token = Token.objects.create(user, shop=code.shop)
    count = rate * 10
    made = cast.intents([code], count)
    requests_ = [
        (intent.receipt, ground.signed_request(url, intent.reference, f"wpy_{intent.id.hex}", cast.AMOUNT))
        for intent in made
    ]
    heard = _Ear(token, count)
    wall_less_perf = time.time() - time.perf_counter()
    done = {sent.object_id: sent for sent in asyncio.run(ground.send_all(url, requests_, connections=8, rate=rate))}
    heard.wait(60)
    decided = {
        receipt: recorded_at.timestamp() - wall_less_perf
        for receipt, recorded_at in Payment.objects.filter(shop=code.shop).values_list("intent__receipt", "recorded_at")
    }
    _print(rate, done, decided, heard.at)


def _print(rate: int, done: dict[str, Sent], decided: dict[str, float], heard: dict[str, float]) -> None:
    print(f"at {rate}/s offered:")
    print("  " + ground.spread("request → 2xx", [_ms(sent.sent_at, sent.answered_at) for sent in done.values()]))
    print("  " + ground.spread("2xx → decided", [max(_ms(s.answered_at, decided[key]), 0) for key, s in done.items()]))
    print(
        "  " + ground.spread("2xx → the vendor's stream", [_ms(s.answered_at, heard[key]) for key, s in done.items()])
    )


class _Ear:
    """The vendor's stream, heard in a thread: when each receipt was told."""

    def __init__(self, token: str, expected: int) -> None:
        from django.conf import settings  # noqa: PLC0415

        self.at: dict[str, float] = {}
        self._all = threading.Event()
        self._expected = expected
        headers = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream"}
        self._stream = requests.get(
            f"{settings.STREAM_URL}/api/v1/notices/stream", headers=headers, stream=True, timeout=90
        )
        self._stream.raise_for_status()
        threading.Thread(target=self._hear, daemon=True).start()

    def wait(self, seconds: float) -> None:
        if not self._all.wait(seconds):
            raise RuntimeError(f"only {len(self.at)} of {self._expected} payments were heard")

    def _hear(self) -> None:
        for line in self._stream.iter_lines(chunk_size=1):
            if line.startswith(b"data:"):
                self.at[json.loads(line[5:])["data"]["receipt"]] = time.perf_counter()
                if len(self.at) == self._expected:
                    self._all.set()


def _ms(began: float, ended: float) -> float:
    return (ended - began) * 1000


if __name__ == "__main__":
    main()
