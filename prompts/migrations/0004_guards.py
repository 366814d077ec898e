"""From here on the database itself refuses to change or delete versions and activations."""

from django.db import migrations

from prompts import guards


def put_up(apps, schema_editor):
    guards.put_up(schema_editor.connection)


def take_down(apps, schema_editor):
    guards.take_down(schema_editor.connection)


class Migration(migrations.Migration):
    dependencies = [("prompts", "0003_version_created_at")]
    operations = [migrations.RunPython(put_up, take_down)]
