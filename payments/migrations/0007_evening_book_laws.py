"""The second lock on contracts and payouts: versions are never changed, and no payout leaves to another's account."""

from django.db import migrations

LAWS = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON payments_feecontract
    FOR EACH ROW EXECUTE FUNCTION pushcart_append_only();
CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON payments_feecontract
    FOR EACH STATEMENT EXECUTE FUNCTION pushcart_append_only();
ALTER TABLE payments_payout ADD CONSTRAINT payout_to_its_own_shop
    FOREIGN KEY (account_id, shop_id) REFERENCES payments_payoutaccount (id, shop_id);
"""

UNDONE = """
DROP TRIGGER append_only ON payments_feecontract;
DROP TRIGGER append_only_whole ON payments_feecontract;
ALTER TABLE payments_payout DROP CONSTRAINT payout_to_its_own_shop;
"""


class Migration(migrations.Migration):
    dependencies = [("payments", "0006_evening_book")]

    operations = [migrations.RunSQL(LAWS, UNDONE)]
