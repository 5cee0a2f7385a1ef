"""The naive design: one transaction for each event through the ORM, called in a loop or by one Celery task each."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from celery import Celery
from django.db import connection, transaction
from django.db.models import F

from bench.peers.posting.models import Event, Leg, Txn, Vendor

FEE = 2
app = Celery("bench", broker=os.environ["PEERS_REDIS_URL"])
app.conf.task_ignore_result = True


def fill(events: int, vendors: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE posting_leg, posting_txn, posting_event, posting_vendor RESTART IDENTITY")
    made = Vendor.objects.bulk_create(Vendor() for _ in range(vendors))
    Event.objects.bulk_create(
        (Event(vendor=made[n % vendors], amount=200, body="x" * 1300) for n in range(events)), batch_size=1000
    )


def post(event_id: int) -> None:
    """Books one event: it and its vendor are locked, so that no two workers book it twice."""
    with transaction.atomic():
        event = Event.objects.select_for_update().get(id=event_id)
        if event.status != "pending":
            return
        txn = Txn.objects.create(event=event)
        Leg.objects.create(txn=txn, account="clearing", amount=-event.amount)
        Leg.objects.create(txn=txn, account="fees", amount=FEE)
        Leg.objects.create(txn=txn, account=f"vendor {event.vendor_id}", amount=event.amount - FEE)
        Vendor.objects.filter(id=event.vendor_id).update(balance=F("balance") + event.amount - FEE)
        event.status = "done"
        event.save(update_fields=["status"])


@app.task
def post_one(event_id: int) -> None:
    post(event_id)


def in_a_loop() -> float:
    waiting = list(Event.objects.filter(status="pending").order_by("id").values_list("id", flat=True))
    began = time.perf_counter()
    for event_id in waiting:
        post(event_id)
    return time.perf_counter() - began


def by_tasks() -> float:
    """From the first task that is sent until the last event is booked, by two real worker processes."""
    waiting = list(Event.objects.filter(status="pending").order_by("id").values_list("id", flat=True))
    began = time.perf_counter()
    for event_id in waiting:
        post_one.delay(event_id)
    end = began + 120
    while Txn.objects.count() < len(waiting):
        if time.perf_counter() > end:
            raise RuntimeError(f"{Txn.objects.count()} of {len(waiting)} events were booked in two minutes")
        time.sleep(0.05)
    return time.perf_counter() - began


def check(events: int) -> None:
    assert Txn.objects.count() == events and Leg.objects.count() == 3 * events
    assert sum(Leg.objects.values_list("amount", flat=True)) == 0
    assert sum(Vendor.objects.values_list("balance", flat=True)) == events * (200 - FEE)


def worker() -> subprocess.Popen[bytes]:
    """Celery's own worker with two processes, ready when it answers."""
    program = [sys.executable, "-m", "celery", "-q", "-A", "bench.peers.posting.worker", "worker"]
    process = subprocess.Popen(
        [*program, "--concurrency", "2", "--loglevel", "ERROR", "--without-gossip", "--without-mingle"],
        env={**os.environ, "PYTHONWARNINGS": "ignore"},  # It warns of root, of which benches in a container are.
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
    )
    for _ in range(60):
        if app.control.ping(timeout=0.5):
            return process
    process.kill()
    raise RuntimeError("the Celery worker did not answer in half a minute")
