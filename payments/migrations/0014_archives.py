"""Archives of partitions; and storage settings for rows that are changed much, and for parts that are only added to."""

from django.db import migrations, models

# A row that is changed over and over stays on its page when there is room, without touching an index (HOT). What has
# none of its columns changed that are indexed gains: balances and counters most, the queue with each lease (its index on
# the time does change), intents once or twice in their life.
ROOM = """
ALTER TABLE payments_accountbalance SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE merchants_noticecounter SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE payments_paymentintent SET (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05);
-- The queue lives and dies by the minute: what was deleted is taken away after a batch or two, not after a fifth of what
-- is there, or the drain would step over dead rows. Its statistics are of a moment that is over: planned by them it
-- would now and then be read whole, so they are renewed as often.
ALTER TABLE payments_queuedevent SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
-- Only ever added to: vacuum has nothing to take away, but marks pages as visible to all, which index-only reads need, and
-- freezes them in good time. By steps of rows, not by a share of the whole that grows with it.
ALTER TABLE payments_delivery SET (autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 500000);
ALTER TABLE payments_entrykey SET (autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 500000);
"""

NO_ROOM = """
ALTER TABLE payments_accountbalance RESET (fillfactor, autovacuum_vacuum_scale_factor);
ALTER TABLE merchants_noticecounter RESET (fillfactor, autovacuum_vacuum_scale_factor);
ALTER TABLE payments_paymentintent RESET (fillfactor, autovacuum_vacuum_scale_factor);
ALTER TABLE payments_queuedevent RESET (fillfactor, autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold,
    autovacuum_analyze_scale_factor, autovacuum_analyze_threshold, autovacuum_vacuum_cost_delay);
ALTER TABLE payments_delivery RESET (autovacuum_vacuum_insert_scale_factor, autovacuum_vacuum_insert_threshold);
ALTER TABLE payments_entrykey RESET (autovacuum_vacuum_insert_scale_factor, autovacuum_vacuum_insert_threshold);
"""

# Every partition, those that are there and those that will be made.
GUARDED = """
CREATE OR REPLACE FUNCTION pushcart_guard_partition(named text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER through_parent BEFORE INSERT ON %I
                    FOR EACH STATEMENT EXECUTE FUNCTION pushcart_through_parent()', named);
    EXECUTE format('CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON %I
                    FOR EACH STATEMENT EXECUTE FUNCTION pushcart_append_only()', named);
    EXECUTE format('ALTER TABLE %I SET (autovacuum_vacuum_insert_scale_factor = 0,
                    autovacuum_vacuum_insert_threshold = 500000)', named);
END $$;
DO $$
DECLARE part text;
BEGIN
    FOR part IN SELECT name FROM pushcart_partitions('payments_webhookevent')
          UNION SELECT name FROM pushcart_partitions('payments_ledgerentry') LOOP
        EXECUTE format('ALTER TABLE %I SET (autovacuum_vacuum_insert_scale_factor = 0,
                        autovacuum_vacuum_insert_threshold = 500000)', part);
    END LOOP;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("payments", "0013_checks_by_statement")]

    operations = [
        migrations.CreateModel(
            name="Archive",
            fields=[
                ("partition", models.CharField(max_length=63, primary_key=True, serialize=False)),
                ("table", models.CharField(max_length=63)),
                (
                    "since",
                    models.UUIDField(help_text="the first id it may hold; of the oldest partition none", null=True),
                ),
                ("until", models.UUIDField(help_text="the first id behind it")),
                ("rows", models.BigIntegerField()),
                ("sha256", models.CharField(max_length=64)),
                ("file", models.CharField(max_length=500)),
                ("written_at", models.DateTimeField()),
                (
                    "verified_at",
                    models.DateTimeField(help_text="when the file last agreed with the table", null=True),
                ),
                ("retired_at", models.DateTimeField(help_text="when its rows left the database", null=True)),
                ("restored_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.RunSQL(ROOM, NO_ROOM),
        migrations.RunSQL(GUARDED, migrations.RunSQL.noop),
    ]
