"""The seals of the hash chain over the ledger's entries: a table of its own, to which rows are only added."""

from __future__ import annotations

from django.db import models


class Seal(models.Model):
    """One link of the chain: which entries it covers, what each was, and the hash of the link before.

    Entries are numbered by a column of the database's own (see the migration): a seal covers those whose numbers stand
    behind the last one of the seal before it, up to `last`. Triggers refuse UPDATE, DELETE and TRUNCATE.
    """

    number = models.BigIntegerField(primary_key=True, help_text="1, 2, 3: without a gap")
    previous = models.CharField(max_length=64, unique=True, help_text="the hash of the seal before, or 64 zeros")
    hash = models.CharField(max_length=64, unique=True, help_text="SHA-256 in hex over the other columns")
    first = models.BigIntegerField(help_text="the number of its first entry")
    last = models.BigIntegerField(help_text="the number of its last entry")
    entries = models.BigIntegerField()
    total = models.BigIntegerField(help_text="entries of this seal and of all before it")
    leaves = models.BinaryField(help_text="for each entry its id and the SHA-256 of its canonical form: 48 bytes")
    sealed_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.number} {self.hash}"
