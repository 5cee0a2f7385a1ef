"""The second lock on the operators' trail: the database itself refuses what the code never does."""

from django.db import migrations

APPEND_ONLY = """
CREATE FUNCTION pushcart_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: a mistake is corrected by a new row', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON merchants_operatoract
    FOR EACH ROW EXECUTE FUNCTION pushcart_append_only();
CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON merchants_operatoract
    FOR EACH STATEMENT EXECUTE FUNCTION pushcart_append_only();
"""

UNDO = """
DROP TRIGGER append_only ON merchants_operatoract;
DROP TRIGGER append_only_whole ON merchants_operatoract;
DROP FUNCTION pushcart_append_only();
"""


class Migration(migrations.Migration):
    dependencies = [("merchants", "0001_initial")]

    operations = [migrations.RunSQL(APPEND_ONLY, UNDO)]
