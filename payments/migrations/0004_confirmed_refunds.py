from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('payments', '0003_every_wallet'),
    ]

    operations = [
        migrations.AddField(
            model_name='refund',
            name='confirmed',
            field=models.BooleanField(default=False, help_text='by a code that was sent to the phone of who asked for it'),
        ),
        migrations.AddIndex(
            model_name='refund',
            index=models.Index(fields=['shop', '-id'], name='refund_of_shop'),
        ),
    ]
