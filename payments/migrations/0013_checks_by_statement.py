"""What payments name is checked once for a statement, and rows that every payment changes have fewer indexes."""

import django.db.models.deletion
from django.db import migrations, models

# By index, however small the tables were when the session first planned this: it keeps its plan while they grow.
CHECKED = """
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

ALTER FUNCTION pushcart_entries_fit() SET enable_seqscan = off;
ALTER FUNCTION pushcart_entries_fit() SET enable_hashjoin = off;
ALTER FUNCTION pushcart_entries_fit() SET enable_mergejoin = off;
"""

UNCHECKED = """
ALTER FUNCTION pushcart_entries_fit() RESET ALL;
DROP TRIGGER was_paid ON merchants_shop;
DROP TRIGGER was_paid ON payments_provideraccount;
DROP TRIGGER was_paid ON payments_paymentintent;
DROP FUNCTION pushcart_was_paid();
DROP TRIGGER payments_fit ON payments_payment;
DROP FUNCTION pushcart_payments_fit();
"""


def _named(to: str, related: str, **options: object) -> models.ForeignKey:
    return models.ForeignKey(
        on_delete=django.db.models.deletion.PROTECT, related_name=related, to=to, **options
    )


class Migration(migrations.Migration):
    dependencies = [("merchants", "0012_notices_by_statement"), ("payments", "0012_rollups")]

    operations = [
        migrations.AlterField(
            "payment",
            "provider_account",
            _named("payments.provideraccount", "payments", db_constraint=False, db_index=False),
        ),
        migrations.AlterField(
            "payment", "shop", _named("merchants.shop", "payments", db_constraint=False, db_index=False, null=True)
        ),
        migrations.AlterField(
            "payment", "intent", _named("payments.paymentintent", "payments", db_constraint=False, null=True)
        ),
        migrations.RunSQL(CHECKED, UNCHECKED),
        # No question of ours goes by these, and every one is written again when an intent is paid.
        migrations.AlterField("paymentintent", "shop", _named("merchants.shop", "intents", db_index=False)),
        migrations.AlterField(
            "paymentintent", "staff", _named("merchants.staff", "intents", db_index=False, null=True)
        ),
        migrations.AlterField(
            "paymentintent", "provider_account", _named("payments.provideraccount", "intents", db_index=False)
        ),
        migrations.RemoveIndex("queuedevent", "queued_event_due"),
        migrations.AddIndex(
            "queuedevent",
            models.Index(
                fields=["event"],
                name="queued_event_waits",
                condition=models.Q(("state__in", ["queued", "parked"])),
            ),
        ),
    ]
