"""What waits for its moment moves to narrow tables, so that intents and payments are rewritten in place when they end.

A page keeps half of itself free for that: one batch pays most of the intents of a page, or releases most of its payments,
and their old rows cannot be taken away before it ends. The new column is computed, so the table of intents is written
anew once, with that room; payments get it on new pages.
"""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q

# Building indexes and writing a table anew may take longer than statements of ours otherwise do.
NO_LIMIT = "SET LOCAL statement_timeout = 0"

MOVE = """
INSERT INTO payments_intenttimer (intent_id, provider_account_id, queries, next_query_at, next_close_at)
SELECT id, provider_account_id, queries, next_query_at, CASE WHEN state = 'open' THEN next_close_at END
  FROM payments_paymentintent
 WHERE next_query_at IS NOT NULL OR (state = 'open' AND next_close_at IS NOT NULL);
INSERT INTO payments_pendingrelease (payment_id, shop_id, due_at)
SELECT id, shop_id, due_at FROM payments_payment WHERE due_at IS NOT NULL;
"""

MOVE_BACK = """
UPDATE payments_paymentintent AS intent
   SET queries = timer.queries, next_query_at = timer.next_query_at, next_close_at = timer.next_close_at
  FROM payments_intenttimer timer WHERE timer.intent_id = intent.id;
"""

# Both narrow tables live and die with what is open and pending: what was deleted is taken away soon, or whoever looks for
# the first that is due would step over it.
ROOM = """
ALTER TABLE payments_paymentintent SET (fillfactor = 50);
ALTER TABLE payments_payment SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE payments_intenttimer SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
ALTER TABLE payments_pendingrelease SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
"""

NO_ROOM = """
ALTER TABLE payments_paymentintent SET (fillfactor = 85);
ALTER TABLE payments_payment RESET (fillfactor, autovacuum_vacuum_scale_factor);
"""


class Migration(migrations.Migration):
    dependencies = [("merchants", "0012_notices_by_statement"), ("payments", "0014_archives")]

    operations = [
        migrations.RunSQL(NO_LIMIT, migrations.RunSQL.noop),
        migrations.RemoveIndex("payment", "payment_due"),
        migrations.RemoveIndex("paymentintent", "intent_silent"),
        migrations.RemoveIndex("paymentintent", "intent_to_close"),
        migrations.CreateModel(
            name="IntentTimer",
            fields=[
                (
                    "intent",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="timer",
                        serialize=False,
                        to="payments.paymentintent",
                    ),
                ),
                (
                    "provider_account",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="payments.provideraccount",
                    ),
                ),
                ("queries", models.PositiveSmallIntegerField(db_default=0, default=0)),
                ("next_query_at", models.DateTimeField(null=True)),
                ("next_close_at", models.DateTimeField(null=True)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(("next_query_at__isnull", False), ("next_close_at__isnull", False), _connector="OR"),
                        name="intent_timer_waits",
                    )
                ],
                "indexes": [
                    models.Index(
                        condition=Q(("next_query_at__isnull", False)), fields=["next_query_at"], name="intent_silent"
                    ),
                    models.Index(
                        condition=Q(("next_close_at__isnull", False)), fields=["next_close_at"], name="intent_to_close"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="PendingRelease",
            fields=[
                (
                    "payment",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="payments.payment",
                    ),
                ),
                (
                    "shop",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="merchants.shop",
                    ),
                ),
                ("due_at", models.DateTimeField()),
            ],
            options={"indexes": [models.Index(fields=["due_at"], name="pending_release_due")]},
        ),
        migrations.RunSQL(MOVE, MOVE_BACK),
        migrations.RemoveField("paymentintent", "queries"),
        migrations.RemoveField("paymentintent", "next_query_at"),
        migrations.RemoveField("paymentintent", "next_close_at"),
        migrations.RunSQL(ROOM, NO_ROOM),
        migrations.RemoveConstraint("paymentintent", "intent_one_for_a_one_time_code"),
        migrations.AddField(
            "paymentintent",
            "given_up",
            models.GeneratedField(
                db_persist=True,
                expression=Q(("state__in", ["expired", "canceled"])),
                output_field=models.BooleanField(),
            ),
        ),
        migrations.AddConstraint(
            "paymentintent",
            models.UniqueConstraint(
                condition=Q(("given_up", False), ("single_use", True)),
                fields=("code",),
                name="intent_one_for_a_one_time_code",
            ),
        ),
        migrations.RunSQL(migrations.RunSQL.noop, NO_LIMIT),
    ]
