"""Raw events and ledger entries become partitioned by time; what must be unique for ever moves to narrow tables.

Ids are UUIDv7, so a range of ids is a range of time. A table that exists is not rewritten: it is renamed and becomes the
first partition, for everything up to the end of this month. Its rows are read once for that, once to be told by their
delivery or key, and once for an index; statements of ours may otherwise not take that long.
"""

import django.db.models.deletion
from django.db import migrations, models

# What every partition must have is written here once: the migration, the daily task and the restorer of archives call
# it. Row triggers are inherited; these two are not, because they fire for the table that a statement names. A partition
# takes rows only through its parent, where they are numbered and checked.
FUNCTIONS = """
CREATE FUNCTION pushcart_first_of(moment timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT (lpad(to_hex(floor(extract(epoch FROM moment) * 1000)::bigint), 12, '0') || '70008000000000000000')::uuid
$$;

CREATE FUNCTION pushcart_through_parent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is a partition: rows are added through its parent', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE FUNCTION pushcart_partitions(parent text)
RETURNS TABLE (name text, since uuid, until uuid, rest boolean) LANGUAGE sql STABLE AS $$
    SELECT child.relname, substring(bound FROM 'FROM \\(''([0-9a-f-]+)''\\)')::uuid,
           substring(bound FROM 'TO \\(''([0-9a-f-]+)''\\)')::uuid, bound = 'DEFAULT'
      FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid,
           LATERAL pg_get_expr(child.relpartbound, child.oid) AS bound
     WHERE inhparent = parent::regclass
     ORDER BY 4, 3
$$;

CREATE FUNCTION pushcart_guard_partition(named text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER through_parent BEFORE INSERT ON %I
                    FOR EACH STATEMENT EXECUTE FUNCTION pushcart_through_parent()', named);
    EXECUTE format('CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON %I
                    FOR EACH STATEMENT EXECUTE FUNCTION pushcart_append_only()', named);
END $$;

CREATE FUNCTION pushcart_make_default(parent text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES
                    INCLUDING STORAGE INCLUDING COMPRESSION)', parent || '_default', parent);
    PERFORM pushcart_guard_partition(parent || '_default');
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I DEFAULT', parent, parent || '_default');
END $$;

-- Makes a finished table a partition. Writers go on meanwhile: attaching locks the parent against nothing that they do.
-- Only if rows of its range have come to rest in the default partition they wait, while those are moved.
CREATE FUNCTION pushcart_attach_partition(parent text, named text, first uuid, beyond uuid) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    rest text := parent || '_default';
    strayed boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE id >= %L AND id < %L)', rest, first, beyond) INTO strayed;
    IF strayed THEN
        EXECUTE format('ALTER TABLE %I DETACH PARTITION %I', parent, rest);
        EXECUTE format('INSERT INTO %I SELECT * FROM %I WHERE id >= %L AND id < %L', named, rest, first, beyond);
        EXECUTE format('DELETE FROM %I WHERE id >= %L AND id < %L', rest, first, beyond);
    END IF;
    PERFORM pushcart_guard_partition(named);
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, named, first, beyond);
    IF strayed THEN
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I DEFAULT', parent, rest);
    END IF;
END $$;

-- Answers whether it made one: not when another partition covers any of the month already.
CREATE FUNCTION pushcart_make_partition(parent text, month date) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    named text := parent || '_' || to_char(month, 'YYYY_MM');
    first uuid := pushcart_first_of(date_trunc('month', month::timestamp) AT TIME ZONE 'UTC');
    beyond uuid := pushcart_first_of((date_trunc('month', month::timestamp) + interval '1 month') AT TIME ZONE 'UTC');
BEGIN
    -- One at a time: a second maker waits here, and sees then what the first has made.
    PERFORM pg_advisory_xact_lock(hashtext('pushcart_make_partition'), hashtext(parent));
    IF EXISTS (SELECT FROM pushcart_partitions(parent) made
                WHERE NOT made.rest AND (made.since IS NULL OR made.since < beyond) AND made.until > first) THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES
                    INCLUDING STORAGE INCLUDING COMPRESSION)', named, parent);
    PERFORM pushcart_attach_partition(parent, named, first, beyond);
    RETURN true;
END $$;
"""

NO_FUNCTIONS = """
DROP FUNCTION pushcart_make_partition(text, date);
DROP FUNCTION pushcart_attach_partition(text, text, uuid, uuid);
DROP FUNCTION pushcart_make_default(text);
DROP FUNCTION pushcart_guard_partition(text);
DROP FUNCTION pushcart_partitions(text);
DROP FUNCTION pushcart_through_parent();
DROP FUNCTION pushcart_first_of(timestamptz);
"""

# Once for all time, whatever becomes of the partitions. One index each: what is asked of them is always the whole key.
# Nobody writes from here to the end: an entry whose key was not filled in could be booked again.
NARROW = """
SET LOCAL statement_timeout = 0;
LOCK TABLE payments_webhookevent, payments_ledgerentry IN ACCESS EXCLUSIVE MODE;
CREATE TABLE payments_delivery (
    provider_account_id uuid NOT NULL, delivery_id varchar(120) NOT NULL, event_id uuid NOT NULL
);
INSERT INTO payments_delivery SELECT provider_account_id, delivery_id, id FROM payments_webhookevent;
ALTER TABLE payments_delivery ADD PRIMARY KEY (provider_account_id, delivery_id);
CREATE TABLE payments_entrykey (key varchar(200) NOT NULL, entry_id uuid NOT NULL);
INSERT INTO payments_entrykey SELECT key, id FROM payments_ledgerentry;
ALTER TABLE payments_entrykey ADD PRIMARY KEY (key);
CREATE TRIGGER append_only BEFORE UPDATE ON payments_delivery
    FOR EACH ROW EXECUTE FUNCTION pushcart_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON payments_entrykey
    FOR EACH ROW EXECUTE FUNCTION pushcart_append_only();
CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON payments_delivery
    FOR EACH STATEMENT EXECUTE FUNCTION pushcart_append_only();
CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON payments_entrykey
    FOR EACH STATEMENT EXECUTE FUNCTION pushcart_append_only();
"""

NOT_NARROW = "DROP TABLE payments_delivery; DROP TABLE payments_entrykey;"

EVENT_TRIGGERS = """
CREATE TRIGGER append_only BEFORE UPDATE ON payments_webhookevent
    FOR EACH ROW EXECUTE FUNCTION pushcart_append_only();
CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON payments_webhookevent
    FOR EACH STATEMENT EXECUTE FUNCTION pushcart_append_only();
"""
ENTRY_TRIGGERS = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON payments_ledgerentry
    FOR EACH ROW EXECUTE FUNCTION pushcart_append_only();
CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON payments_ledgerentry
    FOR EACH STATEMENT EXECUTE FUNCTION pushcart_append_only();
CREATE TRIGGER entries_fit AFTER INSERT ON payments_ledgerentry
    REFERENCING NEW TABLE AS entered FOR EACH STATEMENT EXECUTE FUNCTION pushcart_entries_fit();
"""
TRIGGERS = {"payments_webhookevent": EVENT_TRIGGERS, "payments_ledgerentry": ENTRY_TRIGGERS}
UNIQUE = {
    "payments_webhookevent": (
        "ADD CONSTRAINT webhook_event_delivered_once UNIQUE (provider_account_id, delivery_id)"
    ),
    "payments_ledgerentry": "ADD CONSTRAINT payments_ledgerentry_key_key UNIQUE (key)",
}
NUMBER_INDEX = "CREATE {} INDEX ledger_entry_number ON payments_ledgerentry (number)"


def partition(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        for table in TRIGGERS:
            _partition(cursor, table)


def _partition(cursor, table):
    # This month's end, or that of the newest row's month: a clock may once have run ahead.
    cursor.execute(
        f"SELECT date_trunc('month', greatest(now(), to_timestamp(('x' || lpad(left(replace((SELECT id::text FROM {table}"
        " WHERE id < '10000000-0000-0000-0000-000000000000' ORDER BY id DESC LIMIT 1), '-', ''), 12), 16, '0'))::bit(64)::bigint"
        " / 1000.0)) AT TIME ZONE 'UTC') + interval '1 month'"
    )
    end = cursor.fetchone()[0]
    old = f"{table}_before_{end:%Y_%m}"
    for name in ("entries_fit", "append_only", "append_only_whole"):
        cursor.execute(f"DROP TRIGGER IF EXISTS {name} ON {table}")
    after = _unnumber(cursor, table) if table == "payments_ledgerentry" else None
    for name in _unique_constraints(cursor, table):
        cursor.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
    indexes = _indexes(cursor, table)
    for name in (*indexes, f"{table}_pkey"):
        # Named anew, because their names go to the parent's.
        cursor.execute(f'ALTER INDEX "{name}" RENAME TO "{name[:48]}_{end:%Y_%m}"')
    cursor.execute(f"ALTER TABLE {table} RENAME TO {old}")
    cursor.execute(
        f"CREATE TABLE {table} (LIKE {old} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE"
        " INCLUDING COMPRESSION) PARTITION BY RANGE (id)"
    )
    cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT {table}_pkey PRIMARY KEY (id)")
    for statement in indexes.values():
        cursor.execute(statement)
    if after:
        cursor.execute(NUMBER_INDEX.format(""))
        cursor.execute(f"ALTER TABLE {table} ALTER number ADD GENERATED ALWAYS AS IDENTITY (START WITH {after})")
    cursor.execute(TRIGGERS[table])
    cursor.execute(
        f"SELECT pushcart_guard_partition('{old}'), format('ALTER TABLE {table} ATTACH PARTITION {old}"
        f" FOR VALUES FROM (MINVALUE) TO (%L)', pushcart_first_of('{end:%Y-%m-%d}Z'))"
    )
    cursor.execute(cursor.fetchone()[1])
    cursor.execute(f"SELECT pushcart_make_default('{table}')")
    for month in range(3):
        cursor.execute(f"SELECT pushcart_make_partition('{table}', ('{end:%Y-%m-%d}'::date + interval '{month} month')::date)")


def _unnumber(cursor, table):
    """The next number; the column keeps its numbers, and stops to be numbered by itself."""
    cursor.execute(f"SELECT last_value + is_called::int FROM {table}_number_seq")
    after = cursor.fetchone()[0]
    cursor.execute("DROP INDEX ledger_entry_number")
    cursor.execute(f"ALTER TABLE {table} ALTER number DROP IDENTITY")
    return after


def _unique_constraints(cursor, table):
    cursor.execute(f"SELECT conname FROM pg_constraint WHERE conrelid = '{table}'::regclass AND contype = 'u'")
    return [name for (name,) in cursor.fetchall()]


def _indexes(cursor, table):
    """How each index but the primary key's was made; without that for LIKE over the key, which is asked no more."""
    cursor.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema()"
        f" AND tablename = '{table}' AND indexname <> '{table}_pkey'"
    )
    found = dict(cursor.fetchall())
    for name in [name for name, statement in found.items() if "varchar_pattern_ops" in statement]:
        cursor.execute(f'DROP INDEX "{name}"')
        del found[name]
    return found


def make_whole(apps, schema_editor):
    """Back to one table: the only way there is to copy it."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        for table in TRIGGERS:
            cursor.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            numbered = table == "payments_ledgerentry"
            if numbered:
                cursor.execute(f"SELECT last_value + is_called::int FROM {table}_number_seq")
                after = cursor.fetchone()[0]
                cursor.execute("DROP INDEX ledger_entry_number")
            indexes = {name: made.replace(" ON ONLY ", " ON ") for name, made in _indexes(cursor, table).items()}
            cursor.execute(f"ALTER TABLE {table} RENAME TO {table}_parts")
            cursor.execute(
                f"CREATE TABLE {table} (LIKE {table}_parts INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE"
                " INCLUDING COMPRESSION)"
            )
            cursor.execute(f"INSERT INTO {table} SELECT * FROM {table}_parts")
            cursor.execute(f"DROP TABLE {table}_parts")
            cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT {table}_pkey PRIMARY KEY (id), {UNIQUE[table]}")
            for statement in indexes.values():
                cursor.execute(statement)
            if numbered:
                cursor.execute(NUMBER_INDEX.format("UNIQUE"))
                cursor.execute(f"ALTER TABLE {table} ALTER number ADD GENERATED ALWAYS AS IDENTITY (START WITH {after})")
            cursor.execute(TRIGGERS[table])


class Migration(migrations.Migration):
    dependencies = [("payments", "0010_refund_reviews")]

    operations = [
        migrations.RunSQL(FUNCTIONS, NO_FUNCTIONS),
        migrations.SeparateDatabaseAndState(
            [migrations.RunSQL(NARROW, NOT_NARROW)],
            [
                migrations.CreateModel(
                    name="Delivery",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "provider_account_id",
                                "delivery_id",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("delivery_id", models.CharField(max_length=120)),
                        ("event_id", models.UUIDField()),
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
                    ],
                    options={"verbose_name_plural": "deliveries"},
                ),
                migrations.CreateModel(
                    name="EntryKey",
                    fields=[
                        ("key", models.CharField(max_length=200, primary_key=True, serialize=False)),
                        ("entry_id", models.UUIDField()),
                    ],
                ),
            ],
        ),
        migrations.SeparateDatabaseAndState(
            [migrations.RunPython(partition, make_whole)],
            [
                migrations.RemoveConstraint(model_name="webhookevent", name="webhook_event_delivered_once"),
                migrations.AlterField(
                    model_name="ledgerentry",
                    name="key",
                    field=models.CharField(help_text="what makes this movement happen once", max_length=200),
                ),
            ],
        ),
    ]
