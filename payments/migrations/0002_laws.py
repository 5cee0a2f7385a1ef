"""The second lock on the book: the database itself refuses what the code never does."""

from django.db import migrations

APPEND_ONLY = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON payments_ledgerentry
    FOR EACH ROW EXECUTE FUNCTION pushcart_append_only();
CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON payments_ledgerentry
    FOR EACH STATEMENT EXECUTE FUNCTION pushcart_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON payments_balancesnapshot
    FOR EACH ROW EXECUTE FUNCTION pushcart_append_only();
CREATE TRIGGER append_only BEFORE UPDATE ON payments_webhookevent
    FOR EACH ROW EXECUTE FUNCTION pushcart_append_only();
CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON payments_webhookevent
    FOR EACH STATEMENT EXECUTE FUNCTION pushcart_append_only();
"""

# One check for a whole statement instead of three foreign keys for every row: it also proves the currency.
ENTRIES_FIT = """
CREATE FUNCTION pushcart_entries_fit() RETURNS trigger LANGUAGE plpgsql AS $$
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

CREATE TRIGGER entries_fit AFTER INSERT ON payments_ledgerentry
    REFERENCING NEW TABLE AS entered FOR EACH STATEMENT EXECUTE FUNCTION pushcart_entries_fit();
"""

UNDO = """
DROP TRIGGER entries_fit ON payments_ledgerentry;
DROP TRIGGER append_only ON payments_ledgerentry;
DROP TRIGGER append_only_whole ON payments_ledgerentry;
DROP TRIGGER append_only ON payments_balancesnapshot;
DROP TRIGGER append_only ON payments_webhookevent;
DROP TRIGGER append_only_whole ON payments_webhookevent;
DROP FUNCTION pushcart_entries_fit();
"""


class Migration(migrations.Migration):
    dependencies = [("payments", "0001_initial"), ("merchants", "0002_laws")]

    operations = [migrations.RunSQL(APPEND_ONLY + ENTRIES_FIT, UNDO)]
