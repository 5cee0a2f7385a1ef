"""Months of the ledger may leave the database: what is kept of them, and a guard against booking into one that is gone."""

from django.db import migrations, models

# Only rows that find no month come to the default partition, so nobody else pays for looking.
GUARD = """
CREATE FUNCTION pushcart_month_is_here() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.id < (SELECT until FROM payments_archive WHERE "table" = 'payments_ledgerentry' AND closed_at IS NOT NULL
                  ORDER BY until DESC LIMIT 1) THEN
        RAISE EXCEPTION 'the month of entry % is in an archive', NEW.id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER month_is_here BEFORE INSERT ON payments_ledgerentry_default
    FOR EACH ROW EXECUTE FUNCTION pushcart_month_is_here();
"""

# Without its boundary, a book whose months are gone would answer with sums of what is left of it.
NO_GUARD = """
DO $$ BEGIN
    IF EXISTS (SELECT FROM payments_archive WHERE "table" = 'payments_ledgerentry' AND closed_at IS NOT NULL) THEN
        RAISE EXCEPTION 'months of the ledger are in archives: bring them back first (restore_partition)';
    END IF;
END $$;
DROP TRIGGER month_is_here ON payments_ledgerentry_default;
DROP FUNCTION pushcart_month_is_here();
"""

# As before, and with the guard: whoever makes the default partition anew makes it whole.
MAKE_DEFAULT = """
CREATE OR REPLACE FUNCTION pushcart_make_default(parent text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES
                    INCLUDING STORAGE INCLUDING COMPRESSION)', parent || '_default', parent);
    PERFORM pushcart_guard_partition(parent || '_default');
    {more}EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I DEFAULT', parent, parent || '_default');
END $$;
"""
MAKE_GUARDED = MAKE_DEFAULT.replace(
    "{more}",
    """IF parent = 'payments_ledgerentry' THEN
        EXECUTE format('CREATE TRIGGER month_is_here BEFORE INSERT ON %I
                        FOR EACH ROW EXECUTE FUNCTION pushcart_month_is_here()', parent || '_default');
    END IF;
    """,
)
MAKE_UNGUARDED = MAKE_DEFAULT.replace("{more}", "")


class Migration(migrations.Migration):
    dependencies = [("payments", "0015_timers")]

    operations = [
        migrations.AddField(
            model_name="archive",
            name="looked_at",
            field=models.DateTimeField(help_text="when its file was last read to its end", null=True),
        ),
        migrations.AddField(
            model_name="archive",
            name="failure",
            field=models.CharField(blank=True, help_text="what was wrong with its file then", max_length=500, default=""),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="archive",
            name="closed_at",
            field=models.DateTimeField(help_text="since when what needs its entries is refused", null=True),
        ),
        migrations.AddField(
            model_name="archive", name="first_number", field=models.BigIntegerField(null=True)
        ),
        migrations.AddField(model_name="archive", name="last_number", field=models.BigIntegerField(null=True)),
        migrations.AddField(
            model_name="archive",
            name="seal",
            field=models.BigIntegerField(help_text="the seal of the chain that covers its last entry", null=True),
        ),
        migrations.AddField(
            model_name="archive",
            name="seal_hash",
            field=models.CharField(blank=True, max_length=64, default=""),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="archive",
            name="sums",
            field=models.JSONField(
                default=dict, help_text="by currency: what its entries move, in minor units"
            ),
        ),
        migrations.AddField(
            model_name="adjustment",
            name="explains",
            field=models.BigIntegerField(
                help_text="what its entry credits to a provider, less debits; kept when that leaves the database",
                null=True,
            ),
        ),
        migrations.RunSQL(GUARD, NO_GUARD),
        migrations.RunSQL(MAKE_GUARDED, MAKE_UNGUARDED),
    ]
