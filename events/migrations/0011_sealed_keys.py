from django.db import migrations

import ledger.sealed


class Migration(migrations.Migration):
    """Keys are read in their old form and written in the new one: the column stays, `rotate_keys` rewrites it."""

    dependencies = [("events", "0010_pictures_with_words")]

    operations = [
        migrations.AlterField(
            model_name="merchant",
            name="api_key",
            field=ledger.sealed.SealedField(blank=True, null=True, verbose_name="secret API key"),
        ),
    ]
