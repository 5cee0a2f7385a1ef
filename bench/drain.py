"""Events posted per second by one worker: a full inbox, drained in batches inside this process."""

from __future__ import annotations

import statistics
import sys
import time

from bench import ground

ROUNDS, EVENTS, SHOPS = 5, 5000, 500


def main() -> None:
    with ground.stores():
        from django.db import connection  # noqa: PLC0415  Django is set up only now.
        from django.utils import timezone  # noqa: PLC0415

        from bench import cast  # noqa: PLC0415
        from merchants import ids  # noqa: PLC0415
        from payments import books, reconcile  # noqa: PLC0415
        from payments.models import LedgerEntry, QueuedEvent, WebhookEvent  # noqa: PLC0415

        ground.say_conditions()
        codes, account = cast.shops(SHOPS), cast.account()
        rates, cpu = [], []
        for _ in range(ROUNDS):
            made, now = cast.intents(codes, EVENTS), timezone.now()
            events = []
            for n, intent in enumerate(made):
                request = ground.signed_request("http://bench/x", intent.reference, f"wpy_{intent.id.hex}", cast.AMOUNT)
                raw = request.partition(b"\r\n\r\n")[2]
                events.append(
                    WebhookEvent(
                        id=ids.new(now), provider_account=account, delivery_id=f"{intent.id.hex}-{n}", raw=raw,
                        authority="signed", received_at=now,
                    )
                )  # fmt: skip
            WebhookEvent.objects.bulk_create(events, batch_size=1000)
            QueuedEvent.objects.bulk_create(
                (QueuedEvent(event_id=event.id, due_at=now, received_at=now) for event in events), batch_size=1000
            )
            before = LedgerEntry.objects.count()
            began, cpu_began = time.perf_counter(), time.process_time()
            taken = reconcile.drain(clock=timezone.now)
            took = time.perf_counter() - began
            cpu.append((time.process_time() - cpu_began) / taken * 1e6)
            assert taken == EVENTS == LedgerEntry.objects.count() - before
            rates.append(taken / took)
            print(f"  {taken} events in {took:.2f} s: {rates[-1]:8.0f}/s, {cpu[-1]:5.0f} µs of Python each")
        broken = list(books.breaches())
        print(f"posted: median {statistics.median(rates):.0f} events/s, {statistics.median(cpu):.0f} µs of Python each")
        print("books:", broken or "every law holds")
        connection.close()
        sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
