from django.contrib.postgres.operations import TrigramExtension
from django.db import migrations

from events.searching import fold_function


class Migration(migrations.Migration):
    """pg_trgm is a trusted extension: who may create in the database may make it."""

    dependencies = [("events", "0013_contact_email")]

    operations = [
        TrigramExtension(),
        migrations.RunSQL(fold_function(), "DROP FUNCTION foyer_fold(text)"),
    ]
