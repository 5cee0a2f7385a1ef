"""The chain over the ledger: a number for each entry, in the order of their being inserted, and the table of seals."""

from django.db import migrations, models

# The number is the database's own: nobody writes it, and entries that exist already get theirs here. A big table takes
# longer than a statement of ours may otherwise.
NUMBERED = """
SET LOCAL statement_timeout = 0;
ALTER TABLE payments_ledgerentry ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY;
CREATE UNIQUE INDEX ledger_entry_number ON payments_ledgerentry (number);
"""

NOT_NUMBERED = "ALTER TABLE payments_ledgerentry DROP COLUMN number;"

# What the leaves are made of does not shrink: the attempt would only cost time.
APPEND_ONLY = """
ALTER TABLE payments_seal ALTER COLUMN leaves SET STORAGE EXTERNAL;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON payments_seal
    FOR EACH ROW EXECUTE FUNCTION pushcart_append_only();
CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON payments_seal
    FOR EACH STATEMENT EXECUTE FUNCTION pushcart_append_only();
"""

NOT_APPEND_ONLY = """
DROP TRIGGER append_only ON payments_seal;
DROP TRIGGER append_only_whole ON payments_seal;
"""


class Migration(migrations.Migration):
    dependencies = [("payments", "0004_confirmed_refunds")]

    operations = [
        migrations.CreateModel(
            name="Seal",
            fields=[
                (
                    "number",
                    models.BigIntegerField(help_text="1, 2, 3: without a gap", primary_key=True, serialize=False),
                ),
                (
                    "previous",
                    models.CharField(
                        help_text="the hash of the seal before, or 64 zeros", max_length=64, unique=True
                    ),
                ),
                (
                    "hash",
                    models.CharField(
                        help_text="SHA-256 in hex over the other columns", max_length=64, unique=True
                    ),
                ),
                ("first", models.BigIntegerField(help_text="the number of its first entry")),
                ("last", models.BigIntegerField(help_text="the number of its last entry")),
                ("entries", models.BigIntegerField()),
                ("total", models.BigIntegerField(help_text="entries of this seal and of all before it")),
                (
                    "leaves",
                    models.BinaryField(
                        help_text="for each entry its id and the SHA-256 of its canonical form: 48 bytes"
                    ),
                ),
                ("sealed_at", models.DateTimeField()),
            ],
        ),
        migrations.RunSQL(NUMBERED, NOT_NUMBERED),
        migrations.RunSQL(APPEND_ONLY, NOT_APPEND_ONLY),
    ]
