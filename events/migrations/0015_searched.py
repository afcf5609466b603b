import django.contrib.postgres.indexes
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

import events.searching


class Migration(migrations.Migration):
    """Made while the old code sells on; what an interrupted try left behind is dropped first."""

    atomic = False
    dependencies = [("events", "0014_fold")]

    operations = [
        migrations.RunSQL("DROP INDEX CONCURRENTLY IF EXISTS entry_told", migrations.RunSQL.noop),
        AddIndexConcurrently(
            model_name="calendarentry",
            index=django.contrib.postgres.indexes.GinIndex(
                django.contrib.postgres.indexes.OpClass(
                    events.searching.Folded("title", "summary", "place"), name="gin_trgm_ops"
                ),
                condition=models.Q(("kind", "event")),
                name="entry_told",
            ),
        ),
    ]
