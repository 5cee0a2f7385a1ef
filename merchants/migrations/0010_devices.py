"""Signed-in phones get a name and an id of their own; of those of before, nothing is known but when they signed in."""

from __future__ import annotations

from typing import Any

import django.utils.timezone
from django.db import migrations, models

import merchants.ids


def name_those_of_before(apps: Any, schema_editor: Any) -> None:
    for token in apps.get_model("merchants", "Token").objects.order_by("created").iterator():
        token.device = merchants.ids.new(token.created)
        token.used_at = token.created
        token.save(update_fields=["device", "used_at"])


class Migration(migrations.Migration):
    dependencies = [("merchants", "0009_user_language")]

    operations = [
        migrations.AddField("token", "device", models.UUIDField(null=True)),
        migrations.AddField(
            "token",
            "browser",
            models.CharField(blank=True, help_text="as its User-Agent said when it signed in", max_length=20, default=""),
            preserve_default=False,
        ),
        migrations.AddField(
            "token",
            "system",
            models.CharField(blank=True, help_text="so, too", max_length=20, default=""),
            preserve_default=False,
        ),
        migrations.AddField(
            "token", "used_at", models.DateTimeField(default=django.utils.timezone.now, help_text="right to the hour")
        ),
        migrations.RunPython(name_those_of_before, migrations.RunPython.noop),
        migrations.AlterField(
            "token",
            "device",
            models.UUIDField(
                default=merchants.ids.new,
                editable=False,
                help_text="what others call it: its key is the token's hash",
                unique=True,
            ),
        ),
    ]
