from django.db import migrations


class Migration(migrations.Migration):
    """The table of django.core.cache.backends.db, so that `migrate` alone is enough."""

    dependencies = [("accounts", "0001_initial")]

    operations = [
        migrations.RunSQL(
            """
            CREATE TABLE foyer_cache (
                cache_key varchar(255) PRIMARY KEY,
                value text NOT NULL,
                expires timestamp with time zone NOT NULL
            );
            CREATE INDEX foyer_cache_expires ON foyer_cache (expires);
            """,
            "DROP TABLE foyer_cache",
        )
    ]
