"""`replay_events`: applies stored raw events again, as a corrected adapter understands them now."""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from merchants import ids
from payments import archive, inbox, reconcile
from payments.models import WebhookEvent


class Command(BaseCommand):
    help = "Applies stored events again, oldest first. What was booked right is not changed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--provider", help="only events of this provider")
        parser.add_argument(
            "--since", type=datetime.fromisoformat, help="only events received since (ISO 8601 with zone)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        events = WebhookEvent.objects.order_by("id")
        if options["provider"]:
            events = events.filter(provider_account__provider=options["provider"])
        if options["since"]:
            events = events.filter(received_at__gte=options["since"])
        for name in archive.retired(ids.first_of(options["since"]) if options["since"] else UUID(int=0)):
            self.stderr.write(f"{name} is in an archive and is not applied: `restore_partition {name}` brings it back")
        count = 0
        waiting = events.values_list("id", flat=True).iterator()
        while some := list(islice(waiting, settings.DRAIN_BATCH_MAX)):
            inbox.requeue(event_ids=some, now=timezone.now())
            reconcile.drain(clock=timezone.now)
            count += len(some)
        self.stdout.write(f"{count} events applied again")
