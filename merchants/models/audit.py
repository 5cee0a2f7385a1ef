"""The operators' trail: one row for every act in the back office, with before and after."""

from __future__ import annotations

from django.db import models

from merchants import ids
from merchants.models.people import User


class OperatorAct(models.Model):
    """Who did what to which object, why, and what it changed. Rows are only added."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    operator = models.ForeignKey(User, on_delete=models.PROTECT, related_name="acts")
    act = models.CharField(max_length=40)
    subject_type = models.CharField(max_length=40)
    subject_id = models.CharField(max_length=64)
    reason = models.CharField(max_length=500, blank=True)
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["subject_type", "subject_id", "-id"], name="operator_act_on")]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.act} {self.subject_type} {self.subject_id}"
