import django.contrib.postgres.indexes
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations

import events.searching


class Migration(migrations.Migration):
    """Made while the old code sells on; what an interrupted try left behind is dropped first."""

    atomic = False
    dependencies = [("market", "0003_pictures_with_words"), ("events", "0014_fold")]

    operations = [
        migrations.RunSQL("DROP INDEX CONCURRENTLY IF EXISTS product_told", migrations.RunSQL.noop),
        AddIndexConcurrently(
            model_name="product",
            index=django.contrib.postgres.indexes.GinIndex(
                django.contrib.postgres.indexes.OpClass(
                    events.searching.Folded("name", "summary"), name="gin_trgm_ops"
                ),
                name="product_told",
            ),
        ),
    ]
