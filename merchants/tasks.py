"""What Celery does for this app: sends pushes and texts, keeps counted scans, and forgets what has expired."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from merchants import bell, expired, payment_texts, pushing, scans, texts


@shared_task(name=texts.SEND_TASK)
def send_texts() -> None:
    bell.answered(texts.SEND_TASK)
    texts.send_due(now=timezone.now())


@shared_task(name=pushing.SEND_TASK)
def send_pushes() -> None:
    bell.answered(pushing.SEND_TASK)
    pushing.send_due(now=timezone.now())
    if pushing.has_due(now=timezone.now()):
        bell.ring(pushing.SEND_TASK)


@shared_task(name=payment_texts.TELL_TASK)
def text_payments() -> None:
    bell.answered(payment_texts.TELL_TASK)
    payment_texts.tell_due(now=timezone.now())


@shared_task(name="merchants.forget_expired")
def forget_expired() -> None:
    expired.forget(now=timezone.now())


@shared_task(name=scans.FLUSH_TASK)
def flush_scans() -> None:
    scans.flush()
