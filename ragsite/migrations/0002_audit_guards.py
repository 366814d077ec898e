"""From here on the database itself refuses to change or delete what the admin recorded."""

from django.db import migrations

from ragsite import audit_guards


def put_up(apps, schema_editor):
    audit_guards.put_up(schema_editor.connection)


def take_down(apps, schema_editor):
    audit_guards.take_down(schema_editor.connection)


class Migration(migrations.Migration):
    dependencies = [("ragsite", "0001_groups")]
    operations = [migrations.RunPython(put_up, take_down)]
