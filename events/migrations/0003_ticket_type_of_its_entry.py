from django.db import migrations

# Django has no foreign key over two columns: a ticket's type belongs to the ticket's own event.
FORWARD = """
ALTER TABLE events_ticket ADD CONSTRAINT ticket_type_is_of_its_entry
    FOREIGN KEY (ticket_type_id, entry_id) REFERENCES events_tickettype (id, entry_id) DEFERRABLE INITIALLY IMMEDIATE
"""


class Migration(migrations.Migration):
    dependencies = [("events", "0002_initial")]
    operations = [
        migrations.RunSQL(FORWARD, "ALTER TABLE events_ticket DROP CONSTRAINT ticket_type_is_of_its_entry"),
    ]
