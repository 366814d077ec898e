"""From here on the database itself refuses to change or delete ledger entries."""

from django.db import migrations

from costs import guards


def put_up(apps, schema_editor):
    guards.put_up(schema_editor.connection)


def take_down(apps, schema_editor):
    guards.take_down(schema_editor.connection)


class Migration(migrations.Migration):
    dependencies = [("costs", "0100_adjustments")]
    operations = [migrations.RunPython(put_up, take_down)]
