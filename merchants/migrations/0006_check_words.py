"""Every shop has a check word of its own: those that there are get one, and from then on none is without."""

from __future__ import annotations

from itertools import chain
from typing import Any

from django.db import migrations, models

from merchants import check_words


def give(apps: Any, schema_editor: Any) -> None:
    shops = apps.get_model("merchants", "Shop").objects.using(schema_editor.connection.alias)
    taken = set(shops.exclude(check_word=None).values_list("check_word", flat=True))
    for shop in shops.filter(check_word=None).only("id", "country").order_by("id").iterator():
        drawn = chain(check_words.candidates(shop.country), iter(check_words.of_no_language, ""))
        word = next(word for word in drawn if word not in taken)
        taken.add(word)
        shops.filter(id=shop.id).update(check_word=word)


class Migration(migrations.Migration):
    dependencies = [("merchants", "0005_codes")]

    operations = [
        migrations.RunPython(give, migrations.RunPython.noop),
        migrations.AlterField(
            model_name="shop",
            name="check_word",
            field=models.CharField(
                default=check_words.of_no_language,
                editable=False,
                help_text="on her sign and on every pay page of hers, and nobody else's",
                max_length=48,
                unique=True,
            ),
        ),
    ]
