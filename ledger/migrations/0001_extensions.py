from django.contrib.postgres.operations import BtreeGistExtension
from django.db import migrations


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    # For the exclusion constraint over a room (equality) and its blocked time (overlap).
    operations = [BtreeGistExtension()]
