"""What SumUp reports is called a report; its table and columns keep their names, so code of before runs beside it."""

import django.db.models.deletion
from django.contrib.contenttypes.management import RenameContentType
from django.db import migrations, models

OLD, NEW = "sumupevent", "sumupreport"


def renamed(old, new):
    """Who had a permission by the old name has it by the new one."""

    def rename(apps, schema_editor):
        permissions = apps.get_model("auth", "Permission").objects.using(schema_editor.connection.alias)
        for action in ("add", "change", "delete", "view"):
            held = permissions.filter(content_type__app_label="payments", codename=f"{action}_{old}")
            permissions.filter(pk__in=list(held.values_list("pk", flat=True))).update(codename=f"{action}_{new}")

    return rename


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("payments", "0011_owed_reminders"),
    ]
    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RenameModel("SumUpEvent", "SumUpReport"),
                migrations.AlterModelTable("sumupreport", "payments_sumupevent"),
                *[
                    migrations.AlterField(
                        "sumupreport",
                        name,
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="sumup_reports",
                            to=f"payments.{name}",
                            verbose_name=words,
                        ),
                    )
                    for name, words in (("checkout", "payment"), ("refund", "refund"))
                ],
            ]
        ),
        RenameContentType("payments", OLD, NEW),
        migrations.RunPython(renamed(OLD, NEW), renamed(NEW, OLD)),
    ]
