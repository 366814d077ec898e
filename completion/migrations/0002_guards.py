"""From here on the database itself refuses to change or delete artifacts, revocations and certificates."""

from django.db import migrations

from completion import guards


def put_up(apps, schema_editor):
    guards.put_up(schema_editor.connection)


def take_down(apps, schema_editor):
    guards.take_down(schema_editor.connection)


class Migration(migrations.Migration):
    dependencies = [("completion", "0001_artifacts")]
    operations = [migrations.RunPython(put_up, take_down)]
