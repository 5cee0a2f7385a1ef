"""The life of codes beside the codes themselves: blank ones printed in bulk, how often each is scanned, and alarms."""

from __future__ import annotations

from functools import partial

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from merchants import ids
from merchants.models.people import Shop, Staff, User
from merchants.models.selling import Code


class CodeBatch(models.Model):
    """Blank codes printed in bulk for field agents. A voided batch binds no more; what is bound stays bound."""

    prefix = "bat"
    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    label = models.CharField(max_length=80, help_text="who gets it, or where it goes")
    size = models.PositiveIntegerField()
    made_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="code_batches")
    created_at = models.DateTimeField()
    voided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "code batches"
        constraints = [models.CheckConstraint(name="code_batch_not_empty", condition=Q(size__gt=0))]

    def __str__(self) -> str:
        return self.label


class BlankCode(models.Model):
    """A printed slug that belongs to nobody until a vendor scans it; it becomes one Code, once."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    batch = models.ForeignKey(CodeBatch, on_delete=models.PROTECT, related_name="blanks")
    number = models.PositiveIntegerField(help_text="printed on the sticker")
    slug = models.CharField(max_length=24, unique=True, default=partial(ids.secret, 12))
    code = models.OneToOneField(Code, on_delete=models.PROTECT, null=True, related_name="blank")
    bound_by = models.ForeignKey(Staff, on_delete=models.PROTECT, null=True, related_name="bound_codes")
    bound_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["batch", "number"], name="blank_code_numbered_once"),
            models.CheckConstraint(
                name="blank_code_bound_whole",
                condition=Q(code=None, bound_at=None, bound_by=None)
                | Q(code__isnull=False, bound_at__isnull=False, bound_by__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.batch} {self.number}"

    @property
    def url(self) -> str:
        """What is printed, and stays so once it is a code."""
        return f"{settings.PUBLIC_URL}/s/{self.slug}"


class ScanCount(models.Model):
    """How often a code's pay page was opened by a person's browser within one hour (UTC)."""

    id = models.BigAutoField(primary_key=True)
    code = models.ForeignKey(Code, on_delete=models.CASCADE, related_name="scan_counts")
    hour = models.DateTimeField()
    scans = models.PositiveIntegerField()
    last_at = models.DateTimeField(null=True, help_text="the last of them")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["code", "hour"], name="scan_count_of_an_hour")]
        indexes = [models.Index(fields=["hour"], name="scan_count_by_hour")]


class CodeAlarm(models.Model):
    """A code that behaves as if somebody had put another sticker over it, and what its shop found when it looked."""

    class Kind(models.TextChoices):
        SILENT = "silent", _("Silent")
        UNPAID_SCANS = "unpaid_scans", _("Unpaid Scans")

    class Ending(models.TextChoices):
        """How it ended: the vendor looked and all was well, she found it swapped, or it sells again."""

        FINE = "fine", _("Fine")
        SWAPPED = "swapped", _("Swapped")
        RESUMED = "resumed", _("Resumed")

    prefix = "alm"
    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="code_alarms")
    code = models.ForeignKey(Code, on_delete=models.PROTECT, related_name="alarms")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    evidence = models.JSONField(help_text="the figures it was raised on")
    raised_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    ending = models.CharField(max_length=8, choices=Ending.choices, blank=True)
    ended_by = models.ForeignKey(Staff, on_delete=models.PROTECT, null=True, blank=True, related_name="+")

    class Meta:
        indexes = [models.Index(fields=["shop", "-id"], name="code_alarm_of_shop")]
        constraints = [
            models.UniqueConstraint(fields=["code", "kind"], condition=Q(ended_at=None), name="code_alarm_open_once"),
            models.CheckConstraint(name="code_alarm_kind_known", condition=Q(kind__in=["silent", "unpaid_scans"])),
            models.CheckConstraint(
                name="code_alarm_ends_whole",
                condition=Q(ended_at=None, ending="") | Q(ended_at__isnull=False) & ~Q(ending=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.code}"


class CodeRhythm(models.Model):
    """What is usual for a code, learnt from its last weeks: its silences and its unpaid scans are held against it."""

    id = models.BigAutoField(primary_key=True)
    shop = models.ForeignKey(Shop, on_delete=models.CASCADE, related_name="code_rhythms")
    code = models.ForeignKey(Code, on_delete=models.CASCADE, related_name="rhythms")
    kind = models.CharField(max_length=12, choices=CodeAlarm.Kind.choices)
    learnt_at = models.DateTimeField()
    rhythm = models.JSONField(null=True, help_text="empty while too little is known")
    least = models.PositiveIntegerField(null=True, help_text="fewer missed chances than these are no alarm")
    last_paid = models.UUIDField(null=True, help_text="the newest payment by this code")
    quiet_since = models.DateTimeField(null=True, help_text="when that was recorded")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["code", "kind"], name="code_rhythm_of_a_kind")]
