"""The shops of new notices are checked once for a statement: cheaper than a key that is checked for each row."""

import django.db.models.deletion
from django.db import migrations, models

# By index, however small the tables were when the session first planned this: it keeps its plan while they grow.
CHECKED = """
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
"""

UNCHECKED = """
DROP TRIGGER was_told ON merchants_shop;
DROP FUNCTION pushcart_shop_was_told();
DROP TRIGGER notices_fit ON merchants_notice;
DROP FUNCTION pushcart_notices_fit();
"""


class Migration(migrations.Migration):
    dependencies = [("merchants", "0011_acknowledgements")]

    operations = [
        migrations.AlterField(
            model_name="notice",
            name="shop",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="notices",
                to="merchants.shop",
            ),
        ),
        migrations.RunSQL(CHECKED, UNCHECKED),
    ]
