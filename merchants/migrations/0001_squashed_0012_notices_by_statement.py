"""All tables of an empty database at once: the migrations before, one after another, took several times as long.

A database that has come through all of those goes on behind this one; one that stands in their midst goes through the rest.
"""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.utils.timezone
import functools
import merchants.check_words
import merchants.ids
from django.conf import settings
from django.db import migrations, models

from merchants.tables_at_once import TablesAtOnce

# The database itself refuses what the code never does.
LAWS = """
CREATE FUNCTION pushcart_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: a mistake is corrected by a new row', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON merchants_operatoract
    FOR EACH ROW EXECUTE FUNCTION pushcart_append_only();
CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON merchants_operatoract
    FOR EACH STATEMENT EXECUTE FUNCTION pushcart_append_only();

-- The shops of new notices are checked once for a statement. By index, however small the tables were when the session
-- first planned this: it keeps its plan while they grow.
CREATE FUNCTION pushcart_notices_fit() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    IF EXISTS (SELECT FROM told LEFT JOIN merchants_shop shop ON shop.id = told.shop_id WHERE shop.id IS NULL) THEN
        RAISE EXCEPTION 'a notice names a shop that does not exist' USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER notices_fit AFTER INSERT ON merchants_notice
    REFERENCING NEW TABLE AS told FOR EACH STATEMENT EXECUTE FUNCTION pushcart_notices_fit();

CREATE FUNCTION pushcart_shop_was_told() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM merchants_notice WHERE shop_id = OLD.id) THEN
        RAISE EXCEPTION 'there are notices for this shop' USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER was_told BEFORE DELETE ON merchants_shop FOR EACH ROW EXECUTE FUNCTION pushcart_shop_was_told();

-- As it is called where it was added to the tables of before.
ALTER TABLE merchants_token RENAME CONSTRAINT merchants_token_device_key TO merchants_token_device_abe82e60_uniq;
"""

NO_LAWS = """
DROP FUNCTION pushcart_shop_was_told() CASCADE;
DROP FUNCTION pushcart_notices_fit() CASCADE;
DROP FUNCTION pushcart_append_only() CASCADE;
"""


class Migration(migrations.Migration):

    initial = True

    replaces = [
        ('merchants', '0001_initial'),
        ('merchants', '0002_laws'),
        ('merchants', '0003_every_wallet'),
        ('merchants', '0004_evening_book'),
        ('merchants', '0005_codes'),
        ('merchants', '0006_check_words'),
        ('merchants', '0007_code_rhythms'),
        ('merchants', '0008_push_subscriptions'),
        ('merchants', '0009_user_language'),
        ('merchants', '0010_devices'),
        ('merchants', '0011_acknowledgements'),
        ('merchants', '0012_notices_by_statement'),
    ]

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
    ]

    operations = [
        TablesAtOnce([
            migrations.CreateModel(
                name='Shop',
                fields=[
                    ('id', models.UUIDField(default=merchants.ids.new, editable=False, primary_key=True, serialize=False)),
                    ('name', models.CharField(max_length=80)),
                    ('country', models.CharField(max_length=2)),
                    ('currency', models.CharField(max_length=3)),
                    ('time_zone', models.CharField(max_length=64)),
                    ('photo', models.ImageField(blank=True, upload_to='shops/')),
                    ('state', models.CharField(choices=[('active', 'Active'), ('restricted', 'Restricted'), ('frozen', 'Frozen'), ('closed', 'Closed')], default='active', max_length=10)),
                    ('state_reason', models.CharField(blank=True, max_length=200)),
                    ('currency_locked_at', models.DateTimeField(blank=True, null=True)),
                    ('created_at', models.DateTimeField(auto_now_add=True)),
                    ('check_word', models.CharField(default=merchants.check_words.of_no_language, editable=False, help_text="on her sign and on every pay page of hers, and nobody else's", max_length=48, unique=True)),
                    ('colour', models.CharField(blank=True, help_text='of the dark modules of its codes: #rrggbb', max_length=7)),
                    ('logo', models.ImageField(blank=True, help_text='stands in the middle of printed codes', upload_to='logos/')),
                ],
                options={
                    'constraints': [
                        models.CheckConstraint(condition=models.Q(('state__in', ['active', 'restricted', 'frozen', 'closed'])), name='shop_state_known'),
                        models.CheckConstraint(condition=models.Q(('currency__regex', '^[A-Z]{3}$')), name='shop_currency_code'),
                    ],
                },
            ),
            migrations.CreateModel(
                name='Item',
                fields=[
                    ('id', models.UUIDField(default=merchants.ids.new, editable=False, primary_key=True, serialize=False)),
                    ('name', models.CharField(max_length=80)),
                    ('amount', models.BigIntegerField()),
                    ('currency', models.CharField(max_length=3)),
                    ('unit', models.CharField(blank=True, help_text='what the price buys: "pile", "kg", "cup"', max_length=20)),
                    ('photo', models.ImageField(blank=True, upload_to='items/')),
                    ('active', models.BooleanField(default=True)),
                    ('created_at', models.DateTimeField(auto_now_add=True)),
                    ('deleted_at', models.DateTimeField(blank=True, null=True)),
                    ('shop', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='items', to='merchants.shop')),
                ],
                options={
                    'indexes': [
                        models.Index(fields=['shop', '-id'], name='item_of_shop'),
                    ],
                    'constraints': [
                        models.CheckConstraint(condition=models.Q(('amount__gt', 0)), name='item_price_positive'),
                    ],
                },
            ),
            migrations.CreateModel(
                name='Notice',
                fields=[
                    ('id', models.UUIDField(default=merchants.ids.new, editable=False, primary_key=True, serialize=False)),
                    ('number', models.BigIntegerField()),
                    ('kind', models.CharField(max_length=24)),
                    ('data', models.JSONField(default=dict)),
                    ('about', models.UUIDField(help_text='the payment it tells of', null=True)),
                    ('created_at', models.DateTimeField()),
                    ('shop', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='notices', to='merchants.shop')),
                ],
                options={
                    'constraints': [
                        models.UniqueConstraint(fields=('shop', 'number'), name='notice_numbered_once'),
                    ],
                },
            ),
            migrations.CreateModel(
                name='OneTimeCode',
                fields=[
                    ('id', models.UUIDField(default=merchants.ids.new, editable=False, primary_key=True, serialize=False)),
                    ('phone', models.CharField(max_length=16)),
                    ('purpose', models.CharField(choices=[('sign_in', 'Sign In'), ('refund', 'Refund'), ('account', 'Account'), ('payout', 'Payout')], max_length=10)),
                    ('digest', models.BinaryField(max_length=32)),
                    ('attempts', models.PositiveSmallIntegerField(default=0)),
                    ('expires_at', models.DateTimeField()),
                    ('redeemed_at', models.DateTimeField(null=True)),
                    ('created_at', models.DateTimeField()),
                ],
                options={
                    'indexes': [
                        models.Index(fields=['phone', 'purpose', '-id'], name='one_time_code_latest'),
                    ],
                },
            ),
            migrations.CreateModel(
                name='TextMessage',
                fields=[
                    ('id', models.UUIDField(default=merchants.ids.new, editable=False, primary_key=True, serialize=False)),
                    ('phone', models.CharField(max_length=16)),
                    ('sealed_body', models.BinaryField()),
                    ('state', models.CharField(choices=[('queued', 'Queued'), ('sent', 'Sent'), ('failed', 'Failed'), ('expired', 'Expired')], default='queued', max_length=8)),
                    ('attempts', models.PositiveSmallIntegerField(default=0)),
                    ('due_at', models.DateTimeField()),
                    ('expires_at', models.DateTimeField()),
                    ('created_at', models.DateTimeField()),
                    ('sent_at', models.DateTimeField(blank=True, null=True)),
                    ('failure', models.CharField(blank=True, max_length=200)),
                ],
                options={
                    'indexes': [
                        models.Index(condition=models.Q(('state', 'queued')), fields=['due_at'], name='text_message_due'),
                    ],
                },
            ),
            migrations.CreateModel(
                name='User',
                fields=[
                    ('password', models.CharField(max_length=128, verbose_name='password')),
                    ('last_login', models.DateTimeField(blank=True, null=True, verbose_name='last login')),
                    ('is_superuser', models.BooleanField(default=False, help_text='Designates that this user has all permissions without explicitly assigning them.', verbose_name='superuser status')),
                    ('id', models.UUIDField(default=merchants.ids.new, editable=False, primary_key=True, serialize=False)),
                    ('phone', models.CharField(help_text='E.164, for example +8613800138000', max_length=16, unique=True)),
                    ('name', models.CharField(blank=True, max_length=80)),
                    ('is_active', models.BooleanField(default=True)),
                    ('is_staff', models.BooleanField(default=False, verbose_name='operator')),
                    ('created_at', models.DateTimeField(auto_now_add=True)),
                    ('groups', models.ManyToManyField(blank=True, help_text='The groups this user belongs to. A user will get all permissions granted to each of their groups.', related_name='user_set', related_query_name='user', to='auth.group', verbose_name='groups')),
                    ('user_permissions', models.ManyToManyField(blank=True, help_text='Specific permissions for this user.', related_name='user_set', related_query_name='user', to='auth.permission', verbose_name='user permissions')),
                    ('language', models.CharField(blank=True, default='', help_text='in which she is written to', max_length=10)),
                ],
                options={
                    'abstract': False,
                },
            ),
            migrations.CreateModel(
                name='OperatorAct',
                fields=[
                    ('id', models.UUIDField(default=merchants.ids.new, editable=False, primary_key=True, serialize=False)),
                    ('act', models.CharField(max_length=40)),
                    ('subject_type', models.CharField(max_length=40)),
                    ('subject_id', models.CharField(max_length=64)),
                    ('reason', models.CharField(blank=True, max_length=500)),
                    ('before', models.JSONField(default=dict)),
                    ('after', models.JSONField(default=dict)),
                    ('at', models.DateTimeField()),
                    ('operator', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='acts', to=settings.AUTH_USER_MODEL)),
                ],
                options={
                    'ordering': ['-id'],
                    'indexes': [
                        models.Index(fields=['subject_type', 'subject_id', '-id'], name='operator_act_on'),
                    ],
                },
            ),
            migrations.CreateModel(
                name='Staff',
                fields=[
                    ('id', models.UUIDField(default=merchants.ids.new, editable=False, primary_key=True, serialize=False)),
                    ('role', models.CharField(choices=[('owner', 'Owner'), ('manager', 'Manager'), ('assistant', 'Assistant')], max_length=10)),
                    ('created_at', models.DateTimeField(auto_now_add=True)),
                    ('shop', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='staff', to='merchants.shop')),
                    ('user', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='roles', to=settings.AUTH_USER_MODEL)),
                ],
                options={
                    'verbose_name_plural': 'staff',
                    'constraints': [
                        models.UniqueConstraint(fields=('user', 'shop'), name='staff_once_per_shop'),
                        models.CheckConstraint(condition=models.Q(('role__in', ['owner', 'manager', 'assistant'])), name='staff_role_known'),
                    ],
                },
            ),
            migrations.CreateModel(
                name='Token',
                fields=[
                    ('digest', models.CharField(max_length=128, primary_key=True, serialize=False)),
                    ('token_key', models.CharField(db_index=True, max_length=25)),
                    ('created', models.DateTimeField(auto_now_add=True)),
                    ('expiry', models.DateTimeField(blank=True, null=True)),
                    ('shop', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='tokens', to='merchants.shop')),
                    ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='auth_token_set', to=settings.AUTH_USER_MODEL)),
                    ('device', models.UUIDField(default=merchants.ids.new, editable=False, help_text="what others call it: its key is the token's hash", unique=True)),
                    ('browser', models.CharField(blank=True, help_text='as its User-Agent said when it signed in', max_length=20)),
                    ('system', models.CharField(blank=True, help_text='so, too', max_length=20)),
                    ('used_at', models.DateTimeField(default=django.utils.timezone.now, help_text='right to the hour')),
                ],
                options={
                    'abstract': False,
                },
            ),
            migrations.CreateModel(
                name='IdempotentReply',
                fields=[
                    ('id', models.UUIDField(default=merchants.ids.new, editable=False, primary_key=True, serialize=False)),
                    ('caller', models.CharField(max_length=100)),
                    ('key', models.CharField(max_length=255)),
                    ('fingerprint', models.BinaryField(max_length=32)),
                    ('status', models.PositiveSmallIntegerField()),
                    ('body', models.JSONField(null=True)),
                    ('created_at', models.DateTimeField()),
                    ('language', models.CharField(default='', help_text='of the words in it', max_length=10)),
                ],
                options={
                    'indexes': [
                        models.Index(fields=['created_at'], name='idempotent_reply_age'),
                    ],
                    'constraints': [
                        models.UniqueConstraint(fields=('caller', 'key'), name='idempotent_reply_once'),
                    ],
                },
            ),
            migrations.CreateModel(
                name='Code',
                fields=[
                    ('id', models.UUIDField(default=merchants.ids.new, editable=False, primary_key=True, serialize=False)),
                    ('kind', models.CharField(choices=[('shop', 'Shop'), ('item', 'Item'), ('one_time', 'One Time')], max_length=10)),
                    ('slug', models.CharField(default=functools.partial(merchants.ids.secret, *(12,), **{}), max_length=24, unique=True)),
                    ('amount', models.BigIntegerField(blank=True, null=True)),
                    ('currency', models.CharField(blank=True, max_length=3)),
                    ('label', models.CharField(blank=True, max_length=80)),
                    ('state', models.CharField(choices=[('active', 'Active'), ('suspended', 'Suspended'), ('retired', 'Retired')], default='active', max_length=10)),
                    ('expires_at', models.DateTimeField(blank=True, null=True)),
                    ('created_at', models.DateTimeField(auto_now_add=True)),
                    ('retired_at', models.DateTimeField(blank=True, null=True)),
                    ('item', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='codes', to='merchants.item')),
                    ('shop', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='codes', to='merchants.shop')),
                    ('staff', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='codes', to='merchants.staff')),
                    ('replaced_by', models.ForeignKey(blank=True, help_text='where it leads now', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='replaces', to='merchants.code')),
                    ('forwards', models.BooleanField(default=False, help_text='whether who scans it is led on to what replaced it')),
                    ('held', models.BooleanField(default=False, help_text='suspended by an operator, whom alone it waits for')),
                ],
                options={
                    'indexes': [
                        models.Index(fields=['shop', '-id'], name='code_of_shop'),
                    ],
                    'constraints': [
                        models.CheckConstraint(condition=models.Q(models.Q(('amount__isnull', True), ('item__isnull', True), ('kind', 'shop')), models.Q(('amount__isnull', True), ('item__isnull', False), ('kind', 'item')), models.Q(('amount__gt', 0), ('expires_at__isnull', False), ('kind', 'one_time'), models.Q(('currency', ''), _negated=True)), _connector='OR'), name='code_kind_fits'),
                        models.CheckConstraint(condition=models.Q(('state__in', ['active', 'suspended', 'retired'])), name='code_state_known'),
                        models.CheckConstraint(condition=models.Q(models.Q(('forwards', False), ('replaced_by', None)), models.Q(('replaced_by__isnull', False), ('state', 'retired'), models.Q(('replaced_by', models.F('id')), _negated=True)), _connector='OR'), name='code_replaced_is_retired'),
                        models.CheckConstraint(condition=models.Q(('held', False), ('state', 'suspended'), _connector='OR'), name='code_held_is_suspended'),
                    ],
                },
            ),
            migrations.CreateModel(
                name='NoticeCounter',
                fields=[
                    ('shop', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='notice_counter', serialize=False, to='merchants.shop')),
                    ('last', models.BigIntegerField(default=0)),
                ],
            ),
            migrations.CreateModel(
                name='CodeBatch',
                fields=[
                    ('id', models.UUIDField(default=merchants.ids.new, editable=False, primary_key=True, serialize=False)),
                    ('label', models.CharField(help_text='who gets it, or where it goes', max_length=80)),
                    ('size', models.PositiveIntegerField()),
                    ('created_at', models.DateTimeField()),
                    ('voided_at', models.DateTimeField(blank=True, null=True)),
                    ('made_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='code_batches', to=settings.AUTH_USER_MODEL)),
                ],
                options={
                    'verbose_name_plural': 'code batches',
                    'constraints': [
                        models.CheckConstraint(condition=models.Q(('size__gt', 0)), name='code_batch_not_empty'),
                    ],
                },
            ),
            migrations.CreateModel(
                name='BlankCode',
                fields=[
                    ('id', models.UUIDField(default=merchants.ids.new, editable=False, primary_key=True, serialize=False)),
                    ('number', models.PositiveIntegerField(help_text='printed on the sticker')),
                    ('slug', models.CharField(default=functools.partial(merchants.ids.secret, *(12,), **{}), max_length=24, unique=True)),
                    ('bound_at', models.DateTimeField(null=True)),
                    ('bound_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='bound_codes', to='merchants.staff')),
                    ('code', models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='blank', to='merchants.code')),
                    ('batch', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='blanks', to='merchants.codebatch')),
                ],
                options={
                    'constraints': [
                        models.UniqueConstraint(fields=('batch', 'number'), name='blank_code_numbered_once'),
                        models.CheckConstraint(condition=models.Q(models.Q(('bound_at', None), ('bound_by', None), ('code', None)), models.Q(('bound_at__isnull', False), ('bound_by__isnull', False), ('code__isnull', False)), _connector='OR'), name='blank_code_bound_whole'),
                    ],
                },
            ),
            migrations.CreateModel(
                name='ScanCount',
                fields=[
                    ('id', models.BigAutoField(primary_key=True, serialize=False)),
                    ('hour', models.DateTimeField()),
                    ('scans', models.PositiveIntegerField()),
                    ('last_at', models.DateTimeField(help_text='the last of them', null=True)),
                    ('code', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='scan_counts', to='merchants.code')),
                ],
                options={
                    'indexes': [
                        models.Index(fields=['hour'], name='scan_count_by_hour'),
                    ],
                    'constraints': [
                        models.UniqueConstraint(fields=('code', 'hour'), name='scan_count_of_an_hour'),
                    ],
                },
            ),
            migrations.CreateModel(
                name='WalletCode',
                fields=[
                    ('id', models.UUIDField(default=merchants.ids.new, editable=False, primary_key=True, serialize=False)),
                    ('profile', models.CharField(help_text='the kind of payload, as `qr.payloads` names it', max_length=20)),
                    ('payload', models.TextField(help_text='what is drawn')),
                    ('payee', models.CharField(help_text='whose it says it is', max_length=200)),
                    ('account', models.CharField(help_text='what receives the money, as far as the payload says', max_length=200)),
                    ('label', models.CharField(blank=True, max_length=80)),
                    ('state', models.CharField(choices=[('active', 'Active'), ('retired', 'Retired')], default='active', max_length=10)),
                    ('created_at', models.DateTimeField()),
                    ('retired_at', models.DateTimeField(blank=True, null=True)),
                    ('shop', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='wallet_codes', to='merchants.shop')),
                    ('staff', models.ForeignKey(help_text='who entered it', on_delete=django.db.models.deletion.PROTECT, related_name='wallet_codes', to='merchants.staff')),
                ],
                options={
                    'indexes': [
                        models.Index(fields=['shop', '-id'], name='wallet_code_of_shop'),
                    ],
                    'constraints': [
                        models.CheckConstraint(condition=models.Q(('state__in', ['active', 'retired'])), name='wallet_code_state_known'),
                    ],
                },
            ),
            migrations.CreateModel(
                name='CodeAlarm',
                fields=[
                    ('id', models.UUIDField(default=merchants.ids.new, editable=False, primary_key=True, serialize=False)),
                    ('kind', models.CharField(choices=[('silent', 'Silent'), ('unpaid_scans', 'Unpaid Scans')], max_length=12)),
                    ('evidence', models.JSONField(help_text='the figures it was raised on')),
                    ('raised_at', models.DateTimeField()),
                    ('ended_at', models.DateTimeField(blank=True, null=True)),
                    ('ending', models.CharField(blank=True, choices=[('fine', 'Fine'), ('swapped', 'Swapped'), ('resumed', 'Resumed')], max_length=8)),
                    ('code', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='alarms', to='merchants.code')),
                    ('ended_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='merchants.staff')),
                    ('shop', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='code_alarms', to='merchants.shop')),
                ],
                options={
                    'indexes': [
                        models.Index(fields=['shop', '-id'], name='code_alarm_of_shop'),
                    ],
                    'constraints': [
                        models.UniqueConstraint(condition=models.Q(('ended_at', None)), fields=('code', 'kind'), name='code_alarm_open_once'),
                        models.CheckConstraint(condition=models.Q(('kind__in', ['silent', 'unpaid_scans'])), name='code_alarm_kind_known'),
                        models.CheckConstraint(condition=models.Q(models.Q(('ended_at', None), ('ending', '')), models.Q(('ended_at__isnull', False), models.Q(('ending', ''), _negated=True)), _connector='OR'), name='code_alarm_ends_whole'),
                    ],
                },
            ),
            migrations.CreateModel(
                name='CodeRhythm',
                fields=[
                    ('id', models.BigAutoField(primary_key=True, serialize=False)),
                    ('kind', models.CharField(choices=[('silent', 'Silent'), ('unpaid_scans', 'Unpaid Scans')], max_length=12)),
                    ('learnt_at', models.DateTimeField()),
                    ('rhythm', models.JSONField(help_text='empty while too little is known', null=True)),
                    ('least', models.PositiveIntegerField(help_text='fewer missed chances than these are no alarm', null=True)),
                    ('last_paid', models.UUIDField(help_text='the newest payment by this code', null=True)),
                    ('quiet_since', models.DateTimeField(help_text='when that was recorded', null=True)),
                    ('code', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='rhythms', to='merchants.code')),
                    ('shop', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='code_rhythms', to='merchants.shop')),
                ],
                options={
                    'constraints': [
                        models.UniqueConstraint(fields=('code', 'kind'), name='code_rhythm_of_a_kind'),
                    ],
                },
            ),
            migrations.CreateModel(
                name='PushSubscription',
                fields=[
                    ('id', models.UUIDField(default=merchants.ids.new, editable=False, primary_key=True, serialize=False)),
                    ('address_digest', models.BinaryField(help_text='SHA-256 of the address', max_length=32, unique=True)),
                    ('sealed_address', models.BinaryField(help_text='the address and keys, until it has ended')),
                    ('language', models.CharField(max_length=5)),
                    ('quiet_from', models.TimeField(help_text="in the shop's time zone", null=True)),
                    ('quiet_until', models.TimeField(null=True)),
                    ('big_amount', models.BigIntegerField(help_text='minor units; from here on quiet hours do not count', null=True)),
                    ('told', models.BigIntegerField(help_text='the number of the last notice that was pushed, or passed over')),
                    ('due_at', models.DateTimeField(help_text='not before; ahead while it is being sent to, or after a failure')),
                    ('failures', models.PositiveSmallIntegerField(default=0, help_text='in a row')),
                    ('last_success', models.DateTimeField(null=True)),
                    ('created_at', models.DateTimeField()),
                    ('ended_at', models.DateTimeField(null=True)),
                    ('ended_why', models.CharField(blank=True, choices=[('asked', 'Asked'), ('gone', 'Gone'), ('left', 'Left'), ('unreachable', 'Unreachable')], max_length=11)),
                    ('shop', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='push_subscriptions', to='merchants.shop')),
                    ('token', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='push_subscription', to=settings.KNOX_TOKEN_MODEL)),
                    ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='push_subscriptions', to=settings.AUTH_USER_MODEL)),
                    ('test_asked', models.BooleanField(default=False, help_text='she wants to see what a push looks like')),
                ],
                options={
                    'indexes': [
                        models.Index(condition=models.Q(('ended_at', None)), fields=['shop'], name='push_of_shop'),
                    ],
                    'constraints': [
                        models.CheckConstraint(condition=models.Q(models.Q(('quiet_from', None), ('quiet_until', None)), models.Q(('quiet_from__isnull', False), ('quiet_until__isnull', False)), _connector='OR'), name='push_quiet_hours_whole'),
                    ],
                },
            ),
            migrations.CreateModel(
                name='PaymentTexts',
                fields=[
                    ('staff', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='payment_texts', serialize=False, to='merchants.staff')),
                    ('language', models.CharField(max_length=5)),
                    ('from_amount', models.BigIntegerField(default=0, help_text='minor units; less is not texted')),
                    ('a_day', models.PositiveSmallIntegerField(help_text='texts at most on one day of the shop')),
                    ('quiet_from', models.TimeField(help_text="in the shop's time zone", null=True)),
                    ('quiet_until', models.TimeField(null=True)),
                    ('heard', models.BigIntegerField(default=0, help_text='up to this number a phone of hers heard every notice')),
                    ('heard_apart', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), default=list, help_text='and these numbers above it', size=None)),
                    ('judged', models.BigIntegerField(help_text='the number of the last notice that was texted, or passed over')),
                    ('day', models.DateField(help_text="the shop's day on which she was last texted", null=True)),
                    ('sent', models.PositiveSmallIntegerField(default=0, help_text='texts on that day')),
                    ('created_at', models.DateTimeField()),
                ],
                options={
                    'verbose_name_plural': 'payment texts',
                    'constraints': [
                        models.CheckConstraint(condition=models.Q(models.Q(('quiet_from', None), ('quiet_until', None)), models.Q(('quiet_from__isnull', False), ('quiet_until__isnull', False)), _connector='OR'), name='payment_texts_quiet_hours_whole'),
                    ],
                },
            ),
        ]),
        migrations.RunSQL(LAWS, NO_LAWS),
    ]
