"""All tables of an empty database at once: the migrations before, one after another, took several times as long.

A database that has come through all of those goes on behind this one; one that stands in their midst goes through the rest.
"""

import datetime
import django.db.models.deletion
import django.db.models.expressions
import django.db.models.functions.comparison
import django.db.models.functions.text
import django.db.models.lookups
import merchants.ids
from django.conf import settings
from django.db import migrations, models

from merchants.tables_at_once import TablesAtOnce

# What every partition must have is written here once: this migration, the daily task and the restorer of archives call
# it. Row triggers are inherited; the two of `pushcart_guard_partition` are not, because they fire for the table that a
# statement names. A partition takes rows only through its parent, where they are numbered and checked.
FUNCTIONS = r"""
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
    SELECT child.relname, substring(bound FROM 'FROM \(''([0-9a-f-]+)''\)')::uuid,
           substring(bound FROM 'TO \(''([0-9a-f-]+)''\)')::uuid, bound = 'DEFAULT'
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
    EXECUTE format('ALTER TABLE %I SET (autovacuum_vacuum_insert_scale_factor = 0,
                    autovacuum_vacuum_insert_threshold = 500000)', named);
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

-- One check for a whole statement instead of three foreign keys for every row: it also proves the currency. By index,
-- however small the tables were when the session first planned this: it keeps its plan while they grow.
CREATE FUNCTION pushcart_entries_fit() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    IF EXISTS (
        SELECT FROM entered
          LEFT JOIN payments_account debit ON debit.id = entered.debit_id AND debit.currency = entered.currency
          LEFT JOIN payments_account credit ON credit.id = entered.credit_id AND credit.currency = entered.currency
         WHERE debit.id IS NULL OR credit.id IS NULL
    ) THEN
        RAISE EXCEPTION 'an entry names an account that does not exist or has another currency'
            USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
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
DROP FUNCTION pushcart_entries_fit();
"""

# Partitioned by time: ids are UUIDv7, so a range of ids is a range of time. The number of an entry is the database's
# own: nobody writes it.
TABLES = """
CREATE TABLE payments_webhookevent (
    id uuid NOT NULL PRIMARY KEY,
    delivery_id varchar(120) NOT NULL,
    raw bytea NOT NULL,
    headers jsonb NOT NULL,
    key_id varchar(80) NOT NULL,
    authority varchar(13) NOT NULL,
    received_at timestamptz NOT NULL,
    provider_account_id uuid NOT NULL
) PARTITION BY RANGE (id);
CREATE TRIGGER append_only BEFORE UPDATE ON payments_webhookevent
    FOR EACH ROW EXECUTE FUNCTION pushcart_append_only();
CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON payments_webhookevent
    FOR EACH STATEMENT EXECUTE FUNCTION pushcart_append_only();

CREATE TABLE payments_ledgerentry (
    id uuid NOT NULL PRIMARY KEY,
    key varchar(200) NOT NULL,
    kind varchar(20) NOT NULL,
    amount bigint NOT NULL CONSTRAINT ledger_entry_amount_positive CHECK (amount > 0),
    currency varchar(3) NOT NULL,
    payment_id uuid,
    refund_id uuid,
    event_id uuid,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    credit_id bigint NOT NULL,
    debit_id bigint NOT NULL,
    shop_id uuid,
    dispute_id uuid,
    number bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    cause_id uuid,
    CONSTRAINT ledger_entry_two_accounts CHECK (NOT (debit_id = credit_id))
) PARTITION BY RANGE (id);
CREATE INDEX ledger_entry_number ON payments_ledgerentry (number);
CREATE INDEX ledger_entry_of_shop ON payments_ledgerentry (shop_id, id DESC);
CREATE INDEX ledger_entry_cause ON payments_ledgerentry (cause_id) WHERE cause_id IS NOT NULL;
CREATE INDEX ledger_entry_apart ON payments_ledgerentry (shop_id, occurred_at)
    WHERE recorded_at - occurred_at < interval '-1 day' OR recorded_at - occurred_at > interval '2 days';
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON payments_ledgerentry
    FOR EACH ROW EXECUTE FUNCTION pushcart_append_only();
CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON payments_ledgerentry
    FOR EACH STATEMENT EXECUTE FUNCTION pushcart_append_only();
CREATE TRIGGER entries_fit AFTER INSERT ON payments_ledgerentry
    REFERENCING NEW TABLE AS entered FOR EACH STATEMENT EXECUTE FUNCTION pushcart_entries_fit();

-- The first partition is for everything up to the end of this month; its indexes are called as where it was the table.
DO $$
DECLARE
    ending timestamptz := (date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC';
    month date := ending AT TIME ZONE 'UTC';
    parent text;
    earliest text;
    made record;
BEGIN
    FOREACH parent IN ARRAY ARRAY['payments_webhookevent', 'payments_ledgerentry'] LOOP
        earliest := parent || '_before_' || to_char(month, 'YYYY_MM');
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES
                        INCLUDING STORAGE INCLUDING COMPRESSION)', earliest, parent);
        PERFORM pushcart_guard_partition(earliest);
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (MINVALUE) TO (%L)',
                       parent, earliest, pushcart_first_of(ending));
        FOR made IN
            SELECT child.relname AS name, whole.relname AS of_parent
              FROM pg_index JOIN pg_inherits ON inhrelid = indexrelid
              JOIN pg_class child ON child.oid = inhrelid JOIN pg_class whole ON whole.oid = inhparent
             WHERE indrelid = earliest::regclass AND whole.relname <> 'ledger_entry_number'
        LOOP
            EXECUTE format('ALTER INDEX %I RENAME TO %I',
                           made.name, left(made.of_parent, 48) || to_char(month, '_YYYY_MM'));
        END LOOP;
        PERFORM pushcart_make_default(parent);
        PERFORM pushcart_make_partition(parent, (month + ahead * interval '1 month')::date)
           FROM generate_series(0, 2) AS ahead;
    END LOOP;
END $$;

-- Once for all time, whatever becomes of the partitions. One index each: what is asked of them is always the whole key.
CREATE TABLE payments_delivery (
    provider_account_id uuid NOT NULL, delivery_id varchar(120) NOT NULL, event_id uuid NOT NULL,
    PRIMARY KEY (provider_account_id, delivery_id)
);
CREATE TABLE payments_entrykey (key varchar(200) NOT NULL PRIMARY KEY, entry_id uuid NOT NULL);
CREATE TRIGGER append_only BEFORE UPDATE ON payments_delivery
    FOR EACH ROW EXECUTE FUNCTION pushcart_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON payments_entrykey
    FOR EACH ROW EXECUTE FUNCTION pushcart_append_only();
CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON payments_delivery
    FOR EACH STATEMENT EXECUTE FUNCTION pushcart_append_only();
CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON payments_entrykey
    FOR EACH STATEMENT EXECUTE FUNCTION pushcart_append_only();
"""

NO_TABLES = """
DROP TABLE payments_entrykey;
DROP TABLE payments_delivery;
DROP TABLE payments_ledgerentry;
DROP TABLE payments_webhookevent;
"""

# The database itself refuses what the code never does.
LAWS = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON payments_balancesnapshot
    FOR EACH ROW EXECUTE FUNCTION pushcart_append_only();

-- Versions are never changed, and no payout leaves to another's account.
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON payments_feecontract
    FOR EACH ROW EXECUTE FUNCTION pushcart_append_only();
CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON payments_feecontract
    FOR EACH STATEMENT EXECUTE FUNCTION pushcart_append_only();
ALTER TABLE payments_payout ADD CONSTRAINT payout_to_its_own_shop
    FOREIGN KEY (account_id, shop_id) REFERENCES payments_payoutaccount (id, shop_id);

-- What the leaves are made of does not shrink: the attempt would only cost time.
ALTER TABLE payments_seal ALTER COLUMN leaves SET STORAGE EXTERNAL;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON payments_seal
    FOR EACH ROW EXECUTE FUNCTION pushcart_append_only();
CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON payments_seal
    FOR EACH STATEMENT EXECUTE FUNCTION pushcart_append_only();

-- What payments name is checked once for a statement.
CREATE FUNCTION pushcart_payments_fit() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    IF EXISTS (
        SELECT FROM made
          LEFT JOIN payments_provideraccount account ON account.id = made.provider_account_id
          LEFT JOIN merchants_shop shop ON shop.id = made.shop_id
          LEFT JOIN payments_paymentintent intent ON intent.id = made.intent_id AND intent.shop_id = made.shop_id
         WHERE account.id IS NULL OR (made.shop_id IS NOT NULL AND shop.id IS NULL)
            OR (made.intent_id IS NOT NULL AND intent.id IS NULL)
    ) THEN
        RAISE EXCEPTION 'a payment names an account, a shop or an intent of this shop that does not exist'
            USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER payments_fit AFTER INSERT ON payments_payment
    REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION pushcart_payments_fit();

CREATE FUNCTION pushcart_was_paid() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    paid boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM payments_payment WHERE %I = $1)', TG_ARGV[0]) INTO paid USING OLD.id;
    IF paid THEN
        RAISE EXCEPTION '%', 'payments name this row of ' || TG_TABLE_NAME USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER was_paid BEFORE DELETE ON payments_paymentintent
    FOR EACH ROW EXECUTE FUNCTION pushcart_was_paid('intent_id');
CREATE TRIGGER was_paid BEFORE DELETE ON payments_provideraccount
    FOR EACH ROW EXECUTE FUNCTION pushcart_was_paid('provider_account_id');
CREATE TRIGGER was_paid BEFORE DELETE ON merchants_shop
    FOR EACH ROW EXECUTE FUNCTION pushcart_was_paid('shop_id');
"""

NO_LAWS = """
DROP FUNCTION pushcart_was_paid() CASCADE;
DROP FUNCTION pushcart_payments_fit() CASCADE;
ALTER TABLE payments_payout DROP CONSTRAINT payout_to_its_own_shop;
"""

# A row that is changed over and over stays on its page when there is room, without touching an index (HOT). What has
# none of its columns changed that are indexed gains: balances and counters most, the queue with each lease. Of intents
# and payments a page keeps half of itself free: one batch pays most of the intents of a page, or releases most of its
# payments, and their old rows cannot be taken away before it ends.
ROOM = """
ALTER TABLE payments_accountbalance SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE merchants_noticecounter SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
-- The queue lives and dies by the minute: what was deleted is taken away after a batch or two, not after a fifth of what
-- is there, or the drain would step over dead rows. Its statistics are of a moment that is over: planned by them it
-- would now and then be read whole, so they are renewed as often.
ALTER TABLE payments_queuedevent SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
-- Only ever added to: vacuum has nothing to take away, but marks pages as visible to all, which index-only reads need, and
-- freezes them in good time. By steps of rows, not by a share of the whole that grows with it.
ALTER TABLE payments_delivery SET (autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 500000);
ALTER TABLE payments_entrykey SET (autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 500000);
-- Both narrow tables live and die with what is open and pending: what was deleted is taken away soon, or whoever looks
-- for the first that is due would step over it.
ALTER TABLE payments_paymentintent SET (autovacuum_vacuum_scale_factor = 0.05, fillfactor = 50);
ALTER TABLE payments_payment SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE payments_intenttimer SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
ALTER TABLE payments_pendingrelease SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
"""

NO_ROOM = "ALTER TABLE merchants_noticecounter RESET (fillfactor, autovacuum_vacuum_scale_factor)"


class Migration(migrations.Migration):

    initial = True

    replaces = [
        ('payments', '0001_initial'),
        ('payments', '0002_laws'),
        ('payments', '0003_every_wallet'),
        ('payments', '0004_confirmed_refunds'),
        ('payments', '0005_chain'),
        ('payments', '0006_evening_book'),
        ('payments', '0007_evening_book_laws'),
        ('payments', '0008_codes'),
        ('payments', '0009_payment_search'),
        ('payments', '0010_refund_reviews'),
        ('payments', '0011_partitions'),
        ('payments', '0012_rollups'),
        ('payments', '0013_checks_by_statement'),
        ('payments', '0014_archives'),
        ('payments', '0015_timers'),
    ]

    dependencies = [
        ('merchants', '0012_notices_by_statement'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RunSQL(FUNCTIONS, NO_FUNCTIONS),
        TablesAtOnce([
            migrations.CreateModel(
                name='ProviderAccount',
                fields=[
                    ('id', models.UUIDField(default=merchants.ids.new, editable=False, primary_key=True, serialize=False)),
                    ('provider', models.CharField(max_length=20)),
                    ('name', models.SlugField(help_text='the last part of the webhook address', max_length=40)),
                    ('funds', models.CharField(choices=[('held', 'Held'), ('direct', 'Direct')], max_length=6)),
                    ('sealed_credentials', models.BinaryField()),
                    ('active', models.BooleanField(default=True)),
                    ('created_at', models.DateTimeField(auto_now_add=True)),
                    ('shop', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='provider_accounts', to='merchants.shop')),
                    ('identity', models.JSONField(default=dict, help_text='what is no secret of its credentials: ids, public keys')),
                ],
                options={
                    'constraints': [
                        models.UniqueConstraint(fields=('provider', 'name'), name='provider_account_named_once'),
                        models.CheckConstraint(condition=models.Q(('funds', 'held'), models.Q(('funds', 'direct'), ('shop__isnull', False)), _connector='OR'), name='provider_account_direct_has_shop'),
                    ],
                },
            ),
            migrations.CreateModel(
                name='Account',
                fields=[
                    ('id', models.BigAutoField(primary_key=True, serialize=False)),
                    ('key', models.CharField(help_text='the columns below in one word, for one index', max_length=160, unique=True)),
                    ('kind', models.CharField(choices=[('provider_receivable', 'Provider Receivable'), ('shop_pending', 'Shop Pending'), ('shop_available', 'Shop Available'), ('settled_direct', 'Settled Direct'), ('refunds_in_flight', 'Refunds In Flight'), ('payouts_in_flight', 'Payouts In Flight'), ('disputes_held', 'Disputes Held'), ('fee_income', 'Fee Income'), ('provider_fees', 'Provider Fees'), ('bank', 'Bank'), ('suspense', 'Suspense'), ('adjustments', 'Adjustments')], max_length=20)),
                    ('currency', models.CharField(max_length=3)),
                    ('funds', models.CharField(blank=True, choices=[('held', 'Held'), ('direct', 'Direct')], help_text="a shop's held and direct money stand apart: direct money is never paid out", max_length=6)),
                    ('shop', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='accounts', to='merchants.shop')),
                    ('provider_account', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='accounts', to='payments.provideraccount')),
                ],
                options={
                    'constraints': [
                        models.UniqueConstraint(fields=('kind', 'currency', 'funds', 'shop', 'provider_account'), name='account_once', nulls_distinct=False),
                    ],
                },
            ),
            migrations.SeparateDatabaseAndState(
                [migrations.RunSQL(TABLES, NO_TABLES)],
                [
                    migrations.CreateModel(
                        name='WebhookEvent',
                        fields=[
                            ('id', models.UUIDField(default=merchants.ids.new, editable=False, primary_key=True, serialize=False)),
                            ('delivery_id', models.CharField(max_length=120)),
                            ('raw', models.BinaryField()),
                            ('headers', models.JSONField(default=dict)),
                            ('key_id', models.CharField(blank=True, max_length=80)),
                            ('authority', models.CharField(choices=[('signed', 'Signed'), ('mtls', 'Mtls'), ('unsigned_hint', 'Unsigned Hint'), ('queried', 'Queried'), ('file', 'stated in a settlement file')], max_length=13)),
                            ('received_at', models.DateTimeField()),
                            ('provider_account', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='events', to='payments.provideraccount')),
                        ],
                    ),
                    migrations.CreateModel(
                        name='LedgerEntry',
                        fields=[
                            ('id', models.UUIDField(default=merchants.ids.new, editable=False, primary_key=True, serialize=False)),
                            ('key', models.CharField(help_text='what makes this movement happen once', max_length=200)),
                            ('kind', models.CharField(choices=[('paid', 'Paid'), ('due', 'Due'), ('fee', 'Fee'), ('refund_asked', 'Refund Asked'), ('refund_confirmed', 'Refund Confirmed'), ('refund_failed', 'Refund Failed'), ('refund_reported', 'Refund Reported'), ('dispute_held', 'Dispute Held'), ('dispute_released', 'Dispute Released'), ('dispute_lost', 'Dispute Lost'), ('adjusted', 'Adjusted'), ('provider_fee', 'Provider Fee'), ('settled', 'Settled'), ('credited', 'Credited'), ('payout_asked', 'Payout Asked'), ('payout_paid', 'Payout Paid'), ('payout_failed', 'Payout Failed'), ('payout_returned', 'Payout Returned'), ('reversed', 'Reversed')], max_length=20)),
                            ('amount', models.BigIntegerField()),
                            ('currency', models.CharField(max_length=3)),
                            ('payment_id', models.UUIDField(null=True)),
                            ('refund_id', models.UUIDField(null=True)),
                            ('event_id', models.UUIDField(null=True)),
                            ('occurred_at', models.DateTimeField()),
                            ('recorded_at', models.DateTimeField()),
                            ('credit', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='payments.account')),
                            ('debit', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='payments.account')),
                            ('shop', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='entries', to='merchants.shop')),
                            ('dispute_id', models.UUIDField(null=True)),
                            ('cause_id', models.UUIDField(help_text='the match, payout or adjustment it was posted for; of a fee its contract', null=True)),
                        ],
                        options={
                            'verbose_name_plural': 'ledger entries',
                            'indexes': [
                                models.Index(fields=['shop', '-id'], name='ledger_entry_of_shop'),
                                models.Index(condition=models.Q(('cause_id__isnull', False)), fields=['cause_id'], name='ledger_entry_cause'),
                                models.Index(condition=models.Q(django.db.models.lookups.LessThan(django.db.models.expressions.CombinedExpression(models.F('recorded_at'), '-', models.F('occurred_at')), datetime.timedelta(days=-1)), django.db.models.lookups.GreaterThan(django.db.models.expressions.CombinedExpression(models.F('recorded_at'), '-', models.F('occurred_at')), datetime.timedelta(days=2)), _connector='OR'), fields=['shop', 'occurred_at'], name='ledger_entry_apart'),
                            ],
                            'constraints': [
                                models.CheckConstraint(condition=models.Q(('amount__gt', 0)), name='ledger_entry_amount_positive'),
                                models.CheckConstraint(condition=models.Q(('debit', models.F('credit')), _negated=True), name='ledger_entry_two_accounts'),
                            ],
                        },
                    ),
                    migrations.CreateModel(
                        name='Delivery',
                        fields=[
                            ('pk', models.CompositePrimaryKey('provider_account_id', 'delivery_id', blank=True, editable=False, primary_key=True, serialize=False)),
                            ('delivery_id', models.CharField(max_length=120)),
                            ('event_id', models.UUIDField()),
                            ('provider_account', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='payments.provideraccount')),
                        ],
                        options={
                            'verbose_name_plural': 'deliveries',
                        },
                    ),
                    migrations.CreateModel(
                        name='EntryKey',
                        fields=[
                            ('key', models.CharField(max_length=200, primary_key=True, serialize=False)),
                            ('entry_id', models.UUIDField()),
                        ],
                    ),
                ],
            ),
            migrations.CreateModel(
                name='AccountBalance',
                fields=[
                    ('account', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='balance', serialize=False, to='payments.account')),
                    ('debits', models.BigIntegerField(default=0)),
                    ('credits', models.BigIntegerField(default=0)),
                ],
            ),
            migrations.CreateModel(
                name='PaymentIntent',
                fields=[
                    ('id', models.UUIDField(default=merchants.ids.new, editable=False, primary_key=True, serialize=False)),
                    ('amount', models.BigIntegerField()),
                    ('currency', models.CharField(max_length=3)),
                    ('quantity', models.PositiveIntegerField(default=1)),
                    ('description', models.CharField(max_length=120)),
                    ('state', models.CharField(choices=[('open', 'Open'), ('paid', 'Paid'), ('expired', 'Expired'), ('canceled', 'Canceled')], default='open', max_length=8)),
                    ('closing', models.CharField(blank=True, choices=[('', 'None'), ('expired', 'Expired'), ('frozen', 'Frozen'), ('refused', 'Refused')], default='', max_length=8)),
                    ('single_use', models.BooleanField(default=False)),
                    ('page', models.UUIDField(help_text='the id of the pay page it was started from', unique=True)),
                    ('payer', models.CharField(help_text="a hash of the payer's cookie", max_length=64)),
                    ('receipt', models.CharField(max_length=32, unique=True)),
                    ('redirect_url', models.TextField(blank=True)),
                    ('start_failure', models.CharField(blank=True, max_length=200)),
                    ('created_at', models.DateTimeField()),
                    ('expires_at', models.DateTimeField()),
                    ('closed_at', models.DateTimeField(null=True)),
                    ('code', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='intents', to='merchants.code')),
                    ('item', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='intents', to='merchants.item')),
                    ('shop', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='intents', to='merchants.shop')),
                    ('staff', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='intents', to='merchants.staff')),
                    ('provider_account', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='intents', to='payments.provideraccount')),
                    ('handover', models.JSONField(default=dict, help_text='how the payer gets to her wallet, beside the redirect')),
                    ('provider_object_id', models.CharField(blank=True, help_text='what it was started as, there', max_length=120)),
                    ('given_up', models.GeneratedField(db_persist=True, expression=models.Q(('state__in', ['expired', 'canceled'])), output_field=models.BooleanField())),
                ],
                options={
                    'indexes': [
                        models.Index(fields=['shop', '-id'], name='intent_of_shop'),
                    ],
                    'constraints': [
                        models.CheckConstraint(condition=models.Q(('amount__gt', 0)), name='intent_amount_positive'),
                        models.UniqueConstraint(condition=models.Q(('given_up', False), ('single_use', True)), fields=('code',), name='intent_one_for_a_one_time_code'),
                    ],
                },
            ),
            migrations.CreateModel(
                name='Payment',
                fields=[
                    ('id', models.UUIDField(default=merchants.ids.new, editable=False, primary_key=True, serialize=False)),
                    ('object_id', models.CharField(max_length=80)),
                    ('amount', models.BigIntegerField()),
                    ('currency', models.CharField(max_length=3)),
                    ('match', models.CharField(choices=[('exact', 'Exact'), ('short', 'Short'), ('over', 'Over'), ('late', 'Late'), ('double', 'Double'), ('unexpected', 'Unexpected')], max_length=10)),
                    ('placed', models.BooleanField(help_text='booked to the shop; otherwise it waits in suspense')),
                    ('occurred_at', models.DateTimeField()),
                    ('recorded_at', models.DateTimeField()),
                    ('due_at', models.DateTimeField(help_text='when it turns from pending to available; empty once it has', null=True)),
                    ('shop', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='payments', to='merchants.shop')),
                    ('intent', models.ForeignKey(db_constraint=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='payments', to='payments.paymentintent')),
                    ('provider_account', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='payments', to='payments.provideraccount')),
                    ('fee_amount', models.BigIntegerField(db_default=0, default=0, help_text='what we charged for it when it became available')),
                ],
                options={
                    'indexes': [
                        models.Index(fields=['shop', '-id'], name='payment_of_shop'),
                        models.Index(fields=['provider_account', 'occurred_at'], name='payment_of_account'),
                        models.Index(fields=['shop', '-occurred_at', '-id'], name='payment_happened'),
                        models.Index(fields=['shop', 'provider_account', '-occurred_at', '-id'], name='payment_by_wallet'),
                        models.Index(fields=['shop', 'amount', '-occurred_at', '-id'], name='payment_by_amount'),
                        models.Index(condition=models.Q(models.Q(('match', 'exact'), _negated=True), ('placed', False), _connector='OR'), fields=['shop', '-occurred_at', '-id'], name='payment_wants_look'),
                        models.Index(models.F('shop'), django.db.models.functions.text.Right(django.db.models.functions.comparison.Cast('intent', models.TextField()), 5), name='payment_receipt_tail'),
                    ],
                    'constraints': [
                        models.UniqueConstraint(fields=('provider_account', 'object_id'), name='payment_economic_key'),
                        models.CheckConstraint(condition=models.Q(('amount__gt', 0)), name='payment_amount_positive'),
                        models.CheckConstraint(condition=models.Q(('placed', False), ('shop__isnull', False), _connector='OR'), name='payment_placed_has_shop'),
                    ],
                },
            ),
            migrations.CreateModel(
                name='QueuedEvent',
                fields=[
                    ('event', models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='queued', serialize=False, to='payments.webhookevent')),
                    ('state', models.CharField(choices=[('queued', 'Queued'), ('parked', 'Parked'), ('quarantined', 'Quarantined'), ('dead', 'Dead')], default='queued', max_length=11)),
                    ('attempts', models.PositiveSmallIntegerField(default=0)),
                    ('due_at', models.DateTimeField()),
                    ('reason', models.CharField(blank=True, max_length=300)),
                    ('received_at', models.DateTimeField()),
                ],
                options={
                    'indexes': [
                        models.Index(condition=models.Q(('state__in', ['queued', 'parked'])), fields=['event'], name='queued_event_waits'),
                    ],
                },
            ),
            migrations.CreateModel(
                name='Refund',
                fields=[
                    ('id', models.UUIDField(default=merchants.ids.new, editable=False, primary_key=True, serialize=False)),
                    ('origin', models.CharField(choices=[('shop', 'Shop'), ('provider', 'Provider'), ('operator', 'by us, of money that nobody could place')], default='shop', max_length=8)),
                    ('object_id', models.CharField(blank=True, help_text='its id at the provider, once known', max_length=80)),
                    ('amount', models.BigIntegerField()),
                    ('currency', models.CharField(max_length=3)),
                    ('reason', models.CharField(blank=True, max_length=200)),
                    ('state', models.CharField(choices=[('requested', 'Requested'), ('succeeded', 'Succeeded'), ('failed', 'Failed')], default='requested', max_length=9)),
                    ('pending_amount', models.BigIntegerField(default=0, help_text="how much of it was drawn from the shop's pending money; the rest came from the available")),
                    ('failure', models.CharField(blank=True, max_length=200)),
                    ('created_at', models.DateTimeField()),
                    ('settled_at', models.DateTimeField(null=True)),
                    ('attempts', models.PositiveSmallIntegerField(default=0)),
                    ('next_call_at', models.DateTimeField(help_text='when the provider is asked (again)', null=True)),
                    ('payment', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='refunds', to='payments.payment')),
                    ('requested_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='refunds', to='merchants.staff')),
                    ('shop', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='refunds', to='merchants.shop')),
                    ('confirmed', models.BooleanField(default=False, help_text='by a code that was sent to the phone of who asked for it')),
                    ('refusal', models.CharField(blank=True, db_default='', default='', help_text='why an operator refused it, for the shop', max_length=500)),
                    ('review', models.CharField(blank=True, choices=[('', 'not needed'), ('waiting', 'waits for an operator'), ('approved', 'approved'), ('refused', 'refused')], db_default='', default='', max_length=8)),
                    ('reviewed_at', models.DateTimeField(null=True)),
                    ('reviewed_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='reviewed_refunds', to=settings.AUTH_USER_MODEL)),
                ],
                options={
                    'indexes': [
                        models.Index(fields=['payment'], name='refund_of_payment'),
                        models.Index(condition=models.Q(('next_call_at__isnull', False)), fields=['next_call_at'], name='refund_to_call'),
                        models.Index(fields=['shop', '-id'], name='refund_of_shop'),
                        models.Index(condition=models.Q(('object_id', ''), _negated=True), fields=['object_id'], name='refund_of_object'),
                        models.Index(condition=models.Q(('state', 'succeeded')), fields=['settled_at'], name='refund_settled'),
                        models.Index(condition=models.Q(('review', 'waiting'), ('state', 'requested')), fields=['id'], name='refund_to_review'),
                    ],
                    'constraints': [
                        models.CheckConstraint(condition=models.Q(('amount__gt', 0)), name='refund_amount_positive'),
                        models.UniqueConstraint(condition=models.Q(('object_id', ''), _negated=True), fields=('payment', 'object_id'), name='refund_object_once'),
                        models.CheckConstraint(condition=models.Q(models.Q(('review', 'waiting'), _negated=True), ('next_call_at__isnull', True), _connector='OR'), name='refund_held_is_not_sent'),
                    ],
                },
            ),
            migrations.CreateModel(
                name='BalanceSnapshot',
                fields=[
                    ('id', models.BigAutoField(primary_key=True, serialize=False)),
                    ('moment', models.DateTimeField()),
                    ('debits', models.BigIntegerField()),
                    ('credits', models.BigIntegerField()),
                    ('account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='snapshots', to='payments.account')),
                    ('whole', models.BooleanField(db_default=True, default=True, help_text='taken of every account that had moved by then')),
                ],
                options={
                    'indexes': [
                        models.Index(condition=models.Q(('whole', True)), fields=['moment'], name='balance_snapshot_whole'),
                    ],
                    'constraints': [
                        models.UniqueConstraint(fields=('account', 'moment'), name='balance_snapshot_once'),
                    ],
                },
            ),
            migrations.CreateModel(
                name='OldCredentials',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('sealed_credentials', models.BinaryField()),
                    ('replaced_at', models.DateTimeField()),
                    ('accepted_until', models.DateTimeField(help_text='empty: revoked, proves nothing any more', null=True)),
                    ('provider_account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='old_credentials', to='payments.provideraccount')),
                ],
                options={
                    'verbose_name_plural': 'old credentials',
                },
            ),
            migrations.CreateModel(
                name='CredentialChange',
                fields=[
                    ('id', models.UUIDField(default=merchants.ids.new, editable=False, primary_key=True, serialize=False)),
                    ('provider', models.CharField(max_length=20)),
                    ('identity', models.JSONField(default=dict)),
                    ('sealed_credentials', models.BinaryField()),
                    ('state', models.CharField(choices=[('waiting', 'Waiting'), ('applied', 'Applied'), ('canceled', 'Canceled')], default='waiting', max_length=8)),
                    ('requested_at', models.DateTimeField()),
                    ('effective_at', models.DateTimeField()),
                    ('ended_at', models.DateTimeField(null=True)),
                    ('requested_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='merchants.staff')),
                    ('shop', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='credential_changes', to='merchants.shop')),
                ],
                options={
                    'indexes': [
                        models.Index(condition=models.Q(('state', 'waiting')), fields=['effective_at'], name='credential_change_due'),
                    ],
                    'constraints': [
                        models.UniqueConstraint(condition=models.Q(('state', 'waiting')), fields=('shop', 'provider'), name='credential_change_one_waits'),
                    ],
                },
            ),
            migrations.CreateModel(
                name='Dispute',
                fields=[
                    ('id', models.UUIDField(default=merchants.ids.new, editable=False, primary_key=True, serialize=False)),
                    ('object_id', models.CharField(help_text='its id at the provider', max_length=80)),
                    ('amount', models.BigIntegerField(help_text='held while it is open; lost when it is lost')),
                    ('currency', models.CharField(max_length=3)),
                    ('state', models.CharField(choices=[('open', 'Open'), ('won', 'Won'), ('lost', 'Lost'), ('closed', 'Closed')], default='open', max_length=6)),
                    ('pending_amount', models.BigIntegerField(default=0, help_text='how much of it was drawn from the pending money')),
                    ('evidence_due_at', models.DateTimeField(help_text='until when the shop may answer it', null=True)),
                    ('reminded_at', models.DateTimeField(null=True)),
                    ('told_at', models.DateTimeField(help_text="of the provider's latest word, by its own time")),
                    ('opened_at', models.DateTimeField()),
                    ('closed_at', models.DateTimeField(null=True)),
                    ('payment', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='disputes', to='payments.payment')),
                    ('shop', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='disputes', to='merchants.shop')),
                ],
                options={
                    'indexes': [
                        models.Index(fields=['shop', '-id'], name='dispute_of_shop'),
                        models.Index(condition=models.Q(('evidence_due_at__isnull', False), ('reminded_at__isnull', True), ('state', 'open')), fields=['evidence_due_at'], name='dispute_to_remind'),
                        models.Index(fields=['object_id'], name='dispute_of_object'),
                        models.Index(condition=models.Q(('state', 'lost')), fields=['told_at'], name='dispute_lost'),
                    ],
                    'constraints': [
                        models.CheckConstraint(condition=models.Q(('amount__gt', 0)), name='dispute_amount_positive'),
                        models.UniqueConstraint(fields=('payment', 'object_id'), name='dispute_object_once'),
                    ],
                },
            ),
            migrations.CreateModel(
                name='Inquiry',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('object_id', models.CharField(help_text="what is asked about, as the provider's module names it", max_length=120)),
                    ('attempts', models.PositiveSmallIntegerField(default=0)),
                    ('due_at', models.DateTimeField(help_text='empty: given up', null=True)),
                    ('failure', models.CharField(blank=True, max_length=200)),
                    ('asked_at', models.DateTimeField()),
                    ('provider_account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='inquiries', to='payments.provideraccount')),
                ],
                options={
                    'verbose_name_plural': 'inquiries',
                    'indexes': [
                        models.Index(condition=models.Q(('due_at__isnull', False)), fields=['due_at'], name='inquiry_due'),
                    ],
                    'constraints': [
                        models.UniqueConstraint(fields=('provider_account', 'object_id'), name='inquiry_once'),
                    ],
                },
            ),
            migrations.CreateModel(
                name='ProviderKey',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('key_id', models.CharField(max_length=80)),
                    ('pem', models.TextField()),
                    ('fetched_at', models.DateTimeField()),
                    ('expires_at', models.DateTimeField(null=True)),
                    ('provider_account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='keys', to='payments.provideraccount')),
                ],
                options={
                    'constraints': [
                        models.UniqueConstraint(fields=('provider_account', 'key_id'), name='provider_key_once'),
                    ],
                },
            ),
            migrations.CreateModel(
                name='Seal',
                fields=[
                    ('number', models.BigIntegerField(help_text='1, 2, 3: without a gap', primary_key=True, serialize=False)),
                    ('previous', models.CharField(help_text='the hash of the seal before, or 64 zeros', max_length=64, unique=True)),
                    ('hash', models.CharField(help_text='SHA-256 in hex over the other columns', max_length=64, unique=True)),
                    ('first', models.BigIntegerField(help_text='the number of its first entry')),
                    ('last', models.BigIntegerField(help_text='the number of its last entry')),
                    ('entries', models.BigIntegerField()),
                    ('total', models.BigIntegerField(help_text='entries of this seal and of all before it')),
                    ('leaves', models.BinaryField(help_text='for each entry its id and the SHA-256 of its canonical form: 48 bytes')),
                    ('sealed_at', models.DateTimeField()),
                ],
            ),
            migrations.CreateModel(
                name='BankAccount',
                fields=[
                    ('id', models.UUIDField(default=merchants.ids.new, editable=False, primary_key=True, serialize=False)),
                    ('name', models.SlugField(max_length=40, unique=True)),
                    ('holder', models.CharField(help_text='as the bank writes it: who pays out, in a batch file', max_length=140)),
                    ('number', models.CharField(help_text="IBAN, or the bank's own number", max_length=34, unique=True)),
                    ('bank_code', models.CharField(blank=True, help_text='BIC, or the national code of the bank', max_length=35)),
                    ('currency', models.CharField(max_length=3)),
                    ('active', models.BooleanField(default=True)),
                    ('created_at', models.DateTimeField(auto_now_add=True)),
                ],
            ),
            migrations.CreateModel(
                name='FeeContract',
                fields=[
                    ('id', models.UUIDField(default=merchants.ids.new, editable=False, primary_key=True, serialize=False)),
                    ('side', models.CharField(choices=[('charge', 'what we charge a shop'), ('cost', 'what a provider charges')], max_length=6)),
                    ('provider', models.CharField(max_length=20)),
                    ('currency', models.CharField(max_length=3)),
                    ('version', models.PositiveIntegerField()),
                    ('valid_from', models.DateTimeField()),
                    ('parts_per_million', models.PositiveIntegerField(default=0, help_text='6000 is 0.6 %')),
                    ('fixed_amount', models.BigIntegerField(default=0, help_text='minor units, for each payment')),
                    ('floor_amount', models.BigIntegerField(default=0, help_text='never less than this')),
                    ('cap_amount', models.BigIntegerField(blank=True, help_text='never more than this; empty: no cap', null=True)),
                    ('tiers', models.JSONField(blank=True, default=list, help_text='for payments from an amount on, other rates: [{"from_amount": 100000, "parts_per_million": 5000, "fixed_amount": 0}]')),
                    ('tolerance_amount', models.BigIntegerField(default=0, help_text='cost: a difference up to this is booked by itself')),
                    ('note', models.CharField(max_length=500)),
                    ('made_at', models.DateTimeField()),
                    ('made_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                    ('provider_account', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='fee_contracts', to='payments.provideraccount')),
                    ('shop', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='fee_contracts', to='merchants.shop')),
                ],
                options={
                    'constraints': [
                        models.UniqueConstraint(fields=('side', 'provider', 'currency', 'shop', 'provider_account', 'version'), name='fee_contract_version_once', nulls_distinct=False),
                        models.CheckConstraint(condition=models.Q(models.Q(('provider_account', None), ('side', 'charge')), models.Q(('shop', None), ('side', 'cost')), _connector='OR'), name='fee_contract_scope'),
                        models.CheckConstraint(condition=models.Q(('fixed_amount__gte', 0), ('floor_amount__gte', 0), ('tolerance_amount__gte', 0), models.Q(('cap_amount', None), ('cap_amount__gte', models.F('floor_amount')), _connector='OR')), name='fee_contract_amounts'),
                        models.CheckConstraint(condition=models.Q(('parts_per_million__lte', 1000000)), name='fee_contract_below_the_whole'),
                    ],
                },
            ),
            migrations.CreateModel(
                name='Holiday',
                fields=[
                    ('id', models.BigAutoField(primary_key=True, serialize=False)),
                    ('calendar', models.CharField(max_length=12)),
                    ('day', models.DateField()),
                    ('name', models.CharField(max_length=80)),
                    ('working', models.BooleanField(default=False, help_text='a weekend day on which banks work instead')),
                ],
                options={
                    'constraints': [
                        models.UniqueConstraint(fields=('calendar', 'day'), name='holiday_once'),
                    ],
                },
            ),
            migrations.CreateModel(
                name='Match',
                fields=[
                    ('id', models.UUIDField(default=merchants.ids.new, editable=False, primary_key=True, serialize=False)),
                    ('rule', models.CharField(choices=[('object_id', "by the provider's own id"), ('reference', 'by our reference'), ('settlement_id', "by the settlement's id"), ('amount', 'by the amount, alone among those of its days'), ('sum', 'several together make the amount'), ('by_hand', 'by a person'), ('none', 'fits nothing that is known: in suspense')], max_length=14)),
                    ('payout_id', models.UUIDField(null=True)),
                    ('why', models.JSONField(default=dict, help_text='what was compared, on both sides')),
                    ('made_at', models.DateTimeField()),
                    ('undone_at', models.DateTimeField(null=True)),
                    ('undone_reason', models.CharField(blank=True, max_length=500)),
                    ('dispute', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='matches', to='payments.dispute')),
                    ('made_by', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                    ('payment', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='matches', to='payments.payment')),
                    ('provider_account', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='matches', to='payments.provideraccount')),
                    ('refund', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='matches', to='payments.refund')),
                    ('undone_by', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ],
                options={
                    'verbose_name_plural': 'matches',
                    'constraints': [
                        models.UniqueConstraint(condition=models.Q(('dispute', None), ('payment__isnull', False), ('refund', None), ('undone_at', None)), fields=('payment',), name='match_of_payment_once'),
                        models.UniqueConstraint(condition=models.Q(('refund__isnull', False), ('undone_at', None)), fields=('refund',), name='match_of_refund_once'),
                        models.UniqueConstraint(condition=models.Q(('dispute__isnull', False), ('undone_at', None)), fields=('dispute',), name='match_of_dispute_once'),
                        models.UniqueConstraint(condition=models.Q(('payout_id__isnull', False), ('undone_at', None)), fields=('payout_id',), name='match_of_payout_once'),
                    ],
                },
            ),
            migrations.CreateModel(
                name='PayoutAccount',
                fields=[
                    ('id', models.UUIDField(default=merchants.ids.new, editable=False, primary_key=True, serialize=False)),
                    ('currency', models.CharField(max_length=3)),
                    ('scheme', models.CharField(choices=[('iban', 'IBAN'), ('local', 'account number and bank code')], max_length=5)),
                    ('country', models.CharField(max_length=2)),
                    ('bank_code', models.CharField(blank=True, max_length=35)),
                    ('holder', models.CharField(max_length=140)),
                    ('tail', models.CharField(help_text='the last letters of the number: all of it that is shown', max_length=4)),
                    ('sealed_number', models.BinaryField()),
                    ('state', models.CharField(choices=[('waiting', 'Waiting'), ('active', 'Active'), ('replaced', 'Replaced'), ('canceled', 'Canceled')], default='waiting', max_length=8)),
                    ('requested_at', models.DateTimeField()),
                    ('effective_at', models.DateTimeField()),
                    ('verified_at', models.DateTimeField(null=True)),
                    ('verification', models.CharField(blank=True, help_text='how it was proved, or why it is not', max_length=200)),
                    ('ended_at', models.DateTimeField(null=True)),
                    ('requested_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='merchants.staff')),
                    ('shop', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='payout_accounts', to='merchants.shop')),
                    ('verified_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ],
                options={
                    'indexes': [
                        models.Index(condition=models.Q(('state', 'waiting')), fields=['effective_at'], name='payout_account_due'),
                    ],
                    'constraints': [
                        models.UniqueConstraint(condition=models.Q(('state', 'waiting')), fields=('shop', 'currency'), name='payout_account_one_waits'),
                        models.UniqueConstraint(condition=models.Q(('state', 'active')), fields=('shop', 'currency'), name='payout_account_one_active'),
                        models.UniqueConstraint(fields=('id', 'shop'), name='payout_account_of_shop'),
                        models.CheckConstraint(condition=models.Q(models.Q(('state', 'active'), _negated=True), ('verified_at__isnull', False), _connector='OR'), name='payout_account_verified'),
                    ],
                },
            ),
            migrations.CreateModel(
                name='PayoutBatch',
                fields=[
                    ('id', models.UUIDField(default=merchants.ids.new, editable=False, primary_key=True, serialize=False)),
                    ('channel', models.CharField(max_length=12)),
                    ('currency', models.CharField(max_length=3)),
                    ('execution_day', models.DateField()),
                    ('state', models.CharField(choices=[('prepared', 'Prepared'), ('released', 'Released'), ('canceled', 'Canceled')], default='prepared', max_length=8)),
                    ('prepared_at', models.DateTimeField()),
                    ('approved_at', models.DateTimeField(null=True)),
                    ('released_at', models.DateTimeField(null=True)),
                    ('sha256', models.CharField(blank=True, help_text='of its file, the same each time it is made', max_length=64)),
                    ('approved_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                    ('bank_account', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='batches', to='payments.bankaccount')),
                    ('provider_account', models.ForeignKey(help_text='ours at the API that pays', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='payout_batches', to='payments.provideraccount')),
                    ('released_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ],
                options={
                    'verbose_name_plural': 'payout batches',
                    'constraints': [
                        models.UniqueConstraint(condition=models.Q(('approved_by', None), ('state', 'prepared')), fields=('channel', 'currency', 'execution_day'), name='payout_batch_one_open'),
                        models.CheckConstraint(condition=models.Q(('approved_by', None), ('released_by', None), models.Q(('released_by', models.F('approved_by')), _negated=True), _connector='OR'), name='payout_batch_four_eyes'),
                    ],
                },
            ),
            migrations.CreateModel(
                name='Payout',
                fields=[
                    ('id', models.UUIDField(default=merchants.ids.new, editable=False, primary_key=True, serialize=False)),
                    ('earned_day', models.DateField(help_text='what was earned until the cut-off of this day is in it')),
                    ('amount', models.BigIntegerField()),
                    ('currency', models.CharField(max_length=3)),
                    ('state', models.CharField(choices=[('prepared', 'Prepared'), ('sent', 'Sent'), ('paid', 'Paid'), ('failed', 'Failed'), ('returned', 'Returned')], default='prepared', max_length=8)),
                    ('object_id', models.CharField(blank=True, help_text='its id at the channel, once known', max_length=80)),
                    ('failure', models.CharField(blank=True, max_length=200)),
                    ('created_at', models.DateTimeField()),
                    ('sent_at', models.DateTimeField(null=True)),
                    ('settled_at', models.DateTimeField(null=True)),
                    ('attempts', models.PositiveSmallIntegerField(default=0)),
                    ('next_call_at', models.DateTimeField(help_text='when the channel is asked (again)', null=True)),
                    ('shop', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='payouts', to='merchants.shop')),
                    ('account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='payouts', to='payments.payoutaccount')),
                    ('batch', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='payouts', to='payments.payoutbatch')),
                ],
                options={
                    'indexes': [
                        models.Index(fields=['shop', '-id'], name='payout_of_shop'),
                        models.Index(fields=['batch', 'id'], name='payout_of_batch'),
                        models.Index(condition=models.Q(('next_call_at__isnull', False)), fields=['next_call_at'], name='payout_to_call'),
                        models.Index(condition=models.Q(('state__in', ['prepared', 'sent'])), fields=['state', 'currency'], name='payout_under_way'),
                    ],
                    'constraints': [
                        models.CheckConstraint(condition=models.Q(('amount__gt', 0)), name='payout_amount_positive'),
                        models.UniqueConstraint(condition=models.Q(('state__in', ['failed', 'returned']), _negated=True), fields=('shop', 'currency', 'earned_day'), name='payout_once_a_day'),
                    ],
                },
            ),
            migrations.CreateModel(
                name='PayoutTerms',
                fields=[
                    ('id', models.BigAutoField(primary_key=True, serialize=False)),
                    ('currency', models.CharField(max_length=3)),
                    ('minimum_amount', models.BigIntegerField(default=1, help_text='less than this waits for more')),
                    ('delay_days', models.PositiveSmallIntegerField(default=1, help_text='working days after the day it was earned')),
                    ('cut_off', models.TimeField(help_text="on the shop's clock: what is earned later counts for the next day")),
                    ('channel', models.CharField(help_text='`file` (pain.001), or the name of an API', max_length=12)),
                    ('calendar', models.CharField(help_text='whose holidays count: a country, or a system as TARGET', max_length=12)),
                    ('shop', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='payout_terms', to='merchants.shop')),
                ],
                options={
                    'verbose_name_plural': 'payout terms',
                    'constraints': [
                        models.UniqueConstraint(fields=('shop', 'currency'), name='payout_terms_once', nulls_distinct=False),
                        models.CheckConstraint(condition=models.Q(('minimum_amount__gte', 1)), name='payout_terms_minimum'),
                    ],
                },
            ),
            migrations.CreateModel(
                name='Settlement',
                fields=[
                    ('id', models.UUIDField(default=merchants.ids.new, editable=False, primary_key=True, serialize=False)),
                    ('reference', models.CharField(help_text='its id at the provider', max_length=120)),
                    ('currency', models.CharField(max_length=3)),
                    ('told_amount', models.BigIntegerField(help_text='what the provider says it paid; empty until it does', null=True)),
                    ('lines_amount', models.BigIntegerField(default=0, help_text='the net of the lines that name it')),
                    ('arrived_amount', models.BigIntegerField(default=0, help_text='what our bank says arrived for it')),
                    ('state', models.CharField(choices=[('in_transit', 'In Transit'), ('arrived', 'Arrived'), ('differs', 'Differs'), ('overdue', 'Overdue')], default='in_transit', max_length=10)),
                    ('told_at', models.DateTimeField(null=True)),
                    ('look_at', models.DateTimeField(help_text='when its silence becomes a question', null=True)),
                    ('created_at', models.DateTimeField()),
                    ('provider_account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='settlements', to='payments.provideraccount')),
                ],
                options={
                    'indexes': [
                        models.Index(condition=models.Q(('look_at__isnull', False)), fields=['look_at'], name='settlement_to_look_at'),
                        models.Index(fields=['currency', 'state'], name='settlement_state'),
                    ],
                    'constraints': [
                        models.UniqueConstraint(fields=('provider_account', 'reference', 'currency'), name='settlement_once'),
                    ],
                },
            ),
            migrations.CreateModel(
                name='SettlementMatch',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('amount', models.BigIntegerField(help_text='of the credit, for this settlement')),
                    ('match', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='settlements', to='payments.match')),
                    ('settlement', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='matches', to='payments.settlement')),
                ],
                options={
                    'constraints': [
                        models.UniqueConstraint(fields=('match', 'settlement'), name='settlement_match_once'),
                    ],
                },
            ),
            migrations.CreateModel(
                name='Statement',
                fields=[
                    ('id', models.UUIDField(default=merchants.ids.new, editable=False, primary_key=True, serialize=False)),
                    ('format', models.CharField(blank=True, help_text='by which its rows are read', max_length=24)),
                    ('day', models.DateField(help_text="of the provider's own calendar; empty when the file spans several", null=True)),
                    ('state', models.CharField(choices=[('wanted', 'Wanted'), ('imported', 'Imported'), ('refused', 'Refused'), ('replaced', 'Replaced')], default='wanted', max_length=8)),
                    ('name', models.CharField(blank=True, help_text='of the file, as it came', max_length=200)),
                    ('sha256', models.CharField(blank=True, max_length=64)),
                    ('size', models.BigIntegerField(default=0, help_text='in bytes')),
                    ('line_count', models.PositiveIntegerField(default=0)),
                    ('heading', models.JSONField(default=dict, help_text='what stands in it outside of its rows')),
                    ('fetched', models.BooleanField(help_text='by us, from the provider itself; otherwise a person brought it')),
                    ('failure', models.CharField(blank=True, max_length=300)),
                    ('attempts', models.PositiveSmallIntegerField(default=0)),
                    ('due_at', models.DateTimeField(help_text='when it is fetched (again)', null=True)),
                    ('created_at', models.DateTimeField()),
                    ('imported_at', models.DateTimeField(null=True)),
                    ('sought_at', models.DateTimeField(help_text='when all of our book of its day was held against statements', null=True)),
                    ('bank_account', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='statements', to='payments.bankaccount')),
                    ('provider_account', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='statements', to='payments.provideraccount')),
                    ('uploaded_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ],
                options={
                    'indexes': [
                        models.Index(condition=models.Q(('due_at__isnull', False)), fields=['due_at'], name='statement_due'),
                        models.Index(condition=models.Q(('state', 'wanted')), fields=['created_at'], name='statement_wanted'),
                        models.Index(condition=models.Q(('day__isnull', False), ('provider_account__isnull', False), ('sought_at', None), ('state', 'imported')), fields=['day'], name='statement_to_seek'),
                    ],
                    'constraints': [
                        models.CheckConstraint(condition=models.Q(models.Q(('bank_account', None), ('provider_account__isnull', False)), models.Q(('bank_account__isnull', False), ('provider_account', None)), _connector='OR'), name='statement_of_one_source'),
                        models.CheckConstraint(condition=models.Q(('fetched', True), ('uploaded_by__isnull', False), _connector='OR'), name='statement_brought_or_fetched'),
                        models.UniqueConstraint(condition=models.Q(('line_count__gt', 0), ('provider_account__isnull', False), ('state', 'imported')), fields=('provider_account', 'sha256'), name='statement_of_provider_once'),
                        models.UniqueConstraint(condition=models.Q(('bank_account__isnull', False), ('line_count__gt', 0), ('state', 'imported')), fields=('bank_account', 'sha256'), name='statement_of_bank_once'),
                        models.UniqueConstraint(condition=models.Q(('fetched', True), ('state__in', ['wanted', 'imported'])), fields=('provider_account', 'format', 'day'), name='statement_of_day_once'),
                    ],
                },
            ),
            migrations.CreateModel(
                name='StatementLine',
                fields=[
                    ('id', models.BigAutoField(primary_key=True, serialize=False)),
                    ('number', models.PositiveIntegerField(help_text='its line in the file')),
                    ('raw', models.JSONField()),
                    ('kind', models.CharField(blank=True, choices=[('payment', 'Payment'), ('refund', 'Refund'), ('fee', 'Fee'), ('chargeback', 'Chargeback'), ('payout', 'Payout'), ('adjustment', 'Adjustment'), ('credit', 'Credit'), ('debit', 'Debit'), ('nothing', 'moves no money')], default='', max_length=10)),
                    ('object_id', models.CharField(blank=True, default='', max_length=120)),
                    ('parent_object_id', models.CharField(blank=True, default='', max_length=120)),
                    ('reference', models.CharField(blank=True, default='', max_length=200)),
                    ('settlement_id', models.CharField(blank=True, default='', max_length=120)),
                    ('amount', models.BigIntegerField(default=0)),
                    ('fee', models.BigIntegerField(default=0)),
                    ('currency', models.CharField(blank=True, default='', max_length=3)),
                    ('occurred_at', models.DateTimeField(null=True)),
                    ('outcome', models.CharField(blank=True, choices=[('matched', 'Matched'), ('missing_in_books', 'Missing In Books'), ('amount_differs', 'Amount Differs'), ('currency_differs', 'Currency Differs'), ('fee_differs', 'Fee Differs'), ('duplicate', 'Duplicate'), ('timing', 'Timing'), ('asked', 'the provider is being asked'), ('unreadable', 'Unreadable'), ('nothing', 'moves no money'), ('undone', 'its match was undone by a person')], default='', max_length=16)),
                    ('look_at', models.DateTimeField(help_text='when it is looked at (again)', null=True)),
                    ('looks', models.PositiveSmallIntegerField(default=0)),
                    ('match', models.ForeignKey(db_constraint=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='lines', to='payments.match')),
                    ('provider_account', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='payments.provideraccount')),
                    ('statement', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='lines', to='payments.statement')),
                ],
                options={
                    'indexes': [
                        models.Index(condition=models.Q(('object_id', ''), _negated=True), fields=['provider_account', 'kind', 'object_id'], name='statement_line_object'),
                        models.Index(condition=models.Q(('look_at__isnull', False)), fields=['look_at', 'id'], name='statement_line_due'),
                        models.Index(condition=models.Q(('settlement_id', ''), _negated=True), fields=['provider_account', 'settlement_id'], name='statement_line_settled'),
                        models.Index(condition=models.Q(('outcome__in', ['missing_in_books', 'amount_differs', 'currency_differs', 'fee_differs', 'duplicate', 'timing', 'asked', 'unreadable', 'undone'])), fields=['outcome', '-id'], name='statement_line_open'),
                        models.Index(condition=models.Q(('kind', 'payment'), ('object_id', '')), fields=['provider_account', 'currency', 'amount'], name='statement_line_nameless'),
                    ],
                    'constraints': [
                        models.UniqueConstraint(fields=('statement', 'number'), name='statement_line_once'),
                    ],
                },
            ),
            migrations.CreateModel(
                name='Discrepancy',
                fields=[
                    ('id', models.UUIDField(default=merchants.ids.new, editable=False, primary_key=True, serialize=False)),
                    ('key', models.CharField(max_length=200, unique=True)),
                    ('reason', models.CharField(choices=[('short', 'the payer paid less than asked'), ('over', 'the payer paid more than asked'), ('late', 'paid after the intent was closed'), ('double', 'paid twice'), ('unexpected', 'a payment that no intent announced'), ('unknown_reference', 'a payment with a reference that is not ours'), ('wrong_currency', 'paid in another currency than asked'), ('other_account', "an event of one account about another account's intent"), ('contradiction', 'the provider tells two different stories of one payment'), ('refund_excess', 'refunded more than was received'), ('refund_differs', 'refunded another amount than asked'), ('refund_refused', 'the provider will not carry out a refund that was asked for'), ('dispute_excess', 'contested and refunded more than was received'), ('wrong_account', 'a proved event about another account at the provider'), ('suspect', 'a proved event that contradicts itself'), ('missing_in_books', 'a statement has what our book does not know'), ('missing_at_provider', 'our book has what no statement confirms'), ('amount_differs', 'a statement has another amount than our book'), ('currency_differs', 'a statement has another currency than our book'), ('fee_differs', 'the provider kept another fee than agreed'), ('stated_twice', 'a statement has the same thing twice'), ('stated_otherwise', 'a fee or a correction that is about nothing of ours'), ('line_unreadable', 'a line of a statement that makes no sense to us'), ('settlement_differs', "the bank got another amount than the provider's lines make"), ('settlement_overdue', 'a settlement that has not reached the bank'), ('unknown_credit', 'money at the bank that nobody announced'), ('unknown_debit', 'money that left the bank and was not sent by us'), ('payout_failed', 'a payout that did not reach its shop')], max_length=20)),
                    ('event_id', models.UUIDField(null=True)),
                    ('amount', models.BigIntegerField(help_text='what does not fit, in minor units')),
                    ('currency', models.CharField(max_length=3)),
                    ('details', models.JSONField(default=dict)),
                    ('state', models.CharField(choices=[('open', 'Open'), ('resolved', 'Resolved')], default='open', max_length=8)),
                    ('opened_at', models.DateTimeField()),
                    ('resolved_at', models.DateTimeField(blank=True, null=True)),
                    ('resolution', models.CharField(blank=True, max_length=500)),
                    ('owner', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='discrepancies', to=settings.AUTH_USER_MODEL)),
                    ('shop', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='discrepancies', to='merchants.shop')),
                    ('payment', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='discrepancies', to='payments.payment')),
                    ('intent', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='discrepancies', to='payments.paymentintent')),
                    ('provider_account', models.ForeignKey(help_text='empty for a question about our bank alone', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='discrepancies', to='payments.provideraccount')),
                    ('refund', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='discrepancies', to='payments.refund')),
                    ('payout', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='discrepancies', to='payments.payout')),
                    ('settlement', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='discrepancies', to='payments.settlement')),
                    ('line', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='discrepancies', to='payments.statementline')),
                ],
                options={
                    'verbose_name_plural': 'discrepancies',
                    'indexes': [
                        models.Index(condition=models.Q(('state', 'open')), fields=['opened_at'], name='discrepancy_open'),
                    ],
                },
            ),
            migrations.CreateModel(
                name='Adjustment',
                fields=[
                    ('id', models.UUIDField(default=merchants.ids.new, editable=False, primary_key=True, serialize=False)),
                    ('remedy', models.CharField(max_length=24)),
                    ('amount', models.BigIntegerField()),
                    ('currency', models.CharField(max_length=3)),
                    ('note', models.CharField(max_length=500)),
                    ('state', models.CharField(choices=[('proposed', 'Proposed'), ('posted', 'Posted'), ('refused', 'Refused')], default='proposed', max_length=8)),
                    ('proposed_at', models.DateTimeField()),
                    ('decided_at', models.DateTimeField(null=True)),
                    ('four_eyes', models.BooleanField(help_text='above the limit: who proposes it cannot agree to it')),
                    ('decided_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                    ('discrepancy', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='adjustments', to='payments.discrepancy')),
                    ('proposed_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                    ('shop', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='adjustments', to='merchants.shop')),
                ],
                options={
                    'constraints': [
                        models.CheckConstraint(condition=models.Q(('amount__gt', 0)), name='adjustment_amount_positive'),
                        models.UniqueConstraint(condition=models.Q(('state', 'proposed')), fields=('discrepancy',), name='adjustment_one_waits'),
                        models.CheckConstraint(condition=models.Q(('four_eyes', False), models.Q(('state', 'posted'), _negated=True), models.Q(('decided_by', models.F('proposed_by')), _negated=True), _connector='OR'), name='adjustment_four_eyes'),
                    ],
                },
            ),
            migrations.CreateModel(
                name='ReceiptKey',
                fields=[
                    ('id', models.UUIDField(default=merchants.ids.new, editable=False, primary_key=True, serialize=False)),
                    ('number', models.PositiveIntegerField(help_text='how a statement names its key', unique=True)),
                    ('public_key', models.BinaryField(max_length=32)),
                    ('sealed_private_key', models.BinaryField()),
                    ('created_at', models.DateTimeField()),
                    ('signs_from', models.DateTimeField()),
                    ('signs_until', models.DateTimeField()),
                    ('trusted_until', models.DateTimeField()),
                    ('withdrawn_at', models.DateTimeField(null=True)),
                ],
                options={
                    'constraints': [
                        models.CheckConstraint(condition=models.Q(('signs_from__lt', models.F('signs_until')), ('signs_until__lte', models.F('trusted_until'))), name='receipt_key_times_follow'),
                    ],
                },
            ),
            migrations.CreateModel(
                name='ReportedSale',
                fields=[
                    ('id', models.UUIDField(default=merchants.ids.new, editable=False, primary_key=True, serialize=False)),
                    ('amount', models.BigIntegerField()),
                    ('currency', models.CharField(max_length=3)),
                    ('note', models.CharField(blank=True, max_length=80)),
                    ('reported_at', models.DateTimeField()),
                    ('withdrawn_at', models.DateTimeField(blank=True, null=True)),
                    ('shop', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='reported_sales', to='merchants.shop')),
                    ('staff', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='reported_sales', to='merchants.staff')),
                    ('wallet_code', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='reported_sales', to='merchants.walletcode')),
                ],
                options={
                    'indexes': [
                        models.Index(fields=['shop', '-id'], name='reported_sale_of_shop'),
                    ],
                    'constraints': [
                        models.CheckConstraint(condition=models.Q(('amount__gt', 0)), name='reported_sale_positive'),
                    ],
                },
            ),
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
                    'constraints': [
                        models.UniqueConstraint(fields=('hour', 'currency', 'slot'), name='hour_rollup_once'),
                    ],
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
                    'constraints': [
                        models.UniqueConstraint(fields=('hour', 'provider_account'), name='start_rollup_once'),
                    ],
                },
            ),
            migrations.CreateModel(
                name='Archive',
                fields=[
                    ('partition', models.CharField(max_length=63, primary_key=True, serialize=False)),
                    ('table', models.CharField(max_length=63)),
                    ('since', models.UUIDField(help_text='the first id it may hold; of the oldest partition none', null=True)),
                    ('until', models.UUIDField(help_text='the first id behind it')),
                    ('rows', models.BigIntegerField()),
                    ('sha256', models.CharField(max_length=64)),
                    ('file', models.CharField(max_length=500)),
                    ('written_at', models.DateTimeField()),
                    ('verified_at', models.DateTimeField(help_text='when the file last agreed with the table', null=True)),
                    ('retired_at', models.DateTimeField(help_text='when its rows left the database', null=True)),
                    ('restored_at', models.DateTimeField(null=True)),
                ],
            ),
            migrations.CreateModel(
                name='IntentTimer',
                fields=[
                    ('intent', models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='timer', serialize=False, to='payments.paymentintent')),
                    ('provider_account', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='payments.provideraccount')),
                    ('queries', models.PositiveSmallIntegerField(db_default=0, default=0)),
                    ('next_query_at', models.DateTimeField(null=True)),
                    ('next_close_at', models.DateTimeField(null=True)),
                ],
                options={
                    'constraints': [
                        models.CheckConstraint(condition=models.Q(('next_query_at__isnull', False), ('next_close_at__isnull', False), _connector='OR'), name='intent_timer_waits'),
                    ],
                    'indexes': [
                        models.Index(condition=models.Q(('next_query_at__isnull', False)), fields=['next_query_at'], name='intent_silent'),
                        models.Index(condition=models.Q(('next_close_at__isnull', False)), fields=['next_close_at'], name='intent_to_close'),
                    ],
                },
            ),
            migrations.CreateModel(
                name='PendingRelease',
                fields=[
                    ('payment', models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='+', serialize=False, to='payments.payment')),
                    ('shop', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='merchants.shop')),
                    ('due_at', models.DateTimeField()),
                ],
                options={
                    'indexes': [
                        models.Index(fields=['due_at'], name='pending_release_due'),
                    ],
                },
            ),
        ]),
        migrations.RunSQL(LAWS, NO_LAWS),
        migrations.RunSQL(ROOM, NO_ROOM),
    ]
