"""Sums by the hour, those of the payments of before included, and snapshots of the balances of busy shops alone."""

import django.db.models.deletion
from django.db import migrations, models

# What `rollups.add` would have kept; as one writer, in the first slot.
BEFORE = """
INSERT INTO payments_hourrollup (hour, currency, slot, payments, amount)
SELECT date_trunc('hour', recorded_at, 'UTC'), currency, 0, count(*), sum(amount) FROM payments_payment GROUP BY 1, 2
"""


class Migration(migrations.Migration):

    dependencies = [
        ('payments', '0011_partitions'),
    ]

    operations = [
        migrations.CreateModel(
            name='HourRollup',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('hour', models.DateTimeField(help_text='when it began')),
                ('currency', models.CharField(max_length=3)),
                ('slot', models.SmallIntegerField()),
                ('payments', models.BigIntegerField()),
                ('amount', models.BigIntegerField()),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('hour', 'currency', 'slot'), name='hour_rollup_once')],
            },
        ),
        migrations.CreateModel(
            name='StartRollup',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('hour', models.DateTimeField(help_text='when it began')),
                ('starts', models.BigIntegerField()),
                ('failed', models.BigIntegerField()),
                ('provider_account', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='payments.provideraccount')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('hour', 'provider_account'), name='start_rollup_once')],
            },
        ),
        migrations.RunSQL(BEFORE, migrations.RunSQL.noop),
        migrations.RemoveIndex(
            model_name='balancesnapshot',
            name='balance_snapshot_moment',
        ),
        migrations.AddField(
            model_name='balancesnapshot',
            name='whole',
            field=models.BooleanField(db_default=True, default=True, help_text='taken of every account that had moved by then'),
        ),
        migrations.AddIndex(
            model_name='balancesnapshot',
            index=models.Index(condition=models.Q(('whole', True)), fields=['moment'], name='balance_snapshot_whole'),
        ),
    ]
