"""Indexes for what a vendor asks of her payments, and for entries that our book learned long after they happened."""

import datetime
import django.db.models.deletion
import django.db.models.expressions
import django.db.models.functions.comparison
import django.db.models.functions.text
import django.db.models.lookups
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('merchants', '0008_push_subscriptions'),
        ('payments', '0008_codes'),
    ]

    operations = [
        migrations.AlterField(
            model_name='payment',
            name='provider_account',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='payments', to='payments.provideraccount'),
        ),
        migrations.AlterField(
            model_name='payment',
            name='shop',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='payments', to='merchants.shop'),
        ),
        migrations.AddIndex(
            model_name='ledgerentry',
            index=models.Index(condition=models.Q(django.db.models.lookups.LessThan(django.db.models.expressions.CombinedExpression(models.F('recorded_at'), '-', models.F('occurred_at')), datetime.timedelta(days=-1)), django.db.models.lookups.GreaterThan(django.db.models.expressions.CombinedExpression(models.F('recorded_at'), '-', models.F('occurred_at')), datetime.timedelta(days=2)), _connector='OR'), fields=['shop', 'occurred_at'], name='ledger_entry_apart'),
        ),
        migrations.AddIndex(
            model_name='payment',
            index=models.Index(fields=['shop', '-occurred_at', '-id'], name='payment_happened'),
        ),
        migrations.AddIndex(
            model_name='payment',
            index=models.Index(fields=['shop', 'provider_account', '-occurred_at', '-id'], name='payment_by_wallet'),
        ),
        migrations.AddIndex(
            model_name='payment',
            index=models.Index(fields=['shop', 'amount', '-occurred_at', '-id'], name='payment_by_amount'),
        ),
        migrations.AddIndex(
            model_name='payment',
            index=models.Index(condition=models.Q(models.Q(('match', 'exact'), _negated=True), ('placed', False), _connector='OR'), fields=['shop', '-occurred_at', '-id'], name='payment_wants_look'),
        ),
        migrations.AddIndex(
            model_name='payment',
            index=models.Index(models.F('shop'), django.db.models.functions.text.Right(django.db.models.functions.comparison.Cast('intent', models.TextField()), 5), name='payment_receipt_tail'),
        ),
    ]
