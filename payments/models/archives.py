"""What has left the database for a file: which partition, how many rows, and the hash that proves them."""

from __future__ import annotations

from django.db import models


class Archive(models.Model):
    """One partition as a file: written, then held against the table row by row, and only then taken from it.

    `sha256` is over the file's lines as they are within its compression, all but the last, which repeats it. The
    columns from `closed_at` on are of months of the ledger, which are closed to readers before they leave.
    """

    partition = models.CharField(max_length=63, primary_key=True)
    table = models.CharField(max_length=63)
    since = models.UUIDField(null=True, help_text="the first id it may hold; of the oldest partition none")
    until = models.UUIDField(help_text="the first id behind it")
    rows = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    file = models.CharField(max_length=500)
    written_at = models.DateTimeField()
    verified_at = models.DateTimeField(null=True, help_text="when the file last agreed with the table")
    retired_at = models.DateTimeField(null=True, help_text="when its rows left the database")
    restored_at = models.DateTimeField(null=True)
    looked_at = models.DateTimeField(null=True, help_text="when its file was last read to its end")
    failure = models.CharField(max_length=500, blank=True, help_text="what was wrong with its file then")
    closed_at = models.DateTimeField(null=True, help_text="since when what needs its entries is refused")
    first_number = models.BigIntegerField(null=True)
    last_number = models.BigIntegerField(null=True)
    seal = models.BigIntegerField(null=True, help_text="the seal of the chain that covers its last entry")
    seal_hash = models.CharField(max_length=64, blank=True)
    sums = models.JSONField(default=dict, help_text="by currency: what its entries move, in minor units")

    def __str__(self) -> str:
        return self.partition
