"""The key of a payment begins with its object, which finds one row, where an account may have millions of them."""

from django.db import migrations, models

NO_LIMIT = "SET LOCAL statement_timeout = 0"  # A large table's index takes longer than statements of ours otherwise do.


class Migration(migrations.Migration):
    dependencies = [("payments", "0016_ledger_months")]

    operations = [
        migrations.RunSQL(NO_LIMIT, migrations.RunSQL.noop),
        migrations.RemoveConstraint("payment", "payment_economic_key"),
        migrations.AddConstraint(
            "payment",
            models.UniqueConstraint(fields=("object_id", "provider_account"), name="payment_economic_key"),
        ),
    ]
