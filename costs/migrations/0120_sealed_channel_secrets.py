"""The secrets of alert channels are sealed with a key from SECRET_KEY; they stood there as they are before."""

from django.db import migrations, models

import costs.alert_models
from costs import sealing


def seal(apps, schema_editor):
    channels = apps.get_model("costs", "AlertChannel").objects.using(schema_editor.connection.alias)
    for channel in channels.all():
        channel.sealed_secret = sealing.seal(channel.secret)
        channel.save(update_fields=["sealed_secret"])


def unseal(apps, schema_editor):
    channels = apps.get_model("costs", "AlertChannel").objects.using(schema_editor.connection.alias)
    for channel in channels.all():
        channel.secret = sealing.opened(channel.sealed_secret)
        channel.save(update_fields=["secret"])


class Migration(migrations.Migration):
    dependencies = [("costs", "0101_ledger_guards")]
    operations = [
        migrations.AddField("alertchannel", "sealed_secret", models.TextField(default="", editable=False)),
        migrations.RunPython(seal, unseal),
        migrations.RemoveField("alertchannel", "secret"),
        migrations.AlterField(
            "alertchannel",
            "sealed_secret",
            models.TextField(default=costs.alert_models.new_sealed_secret, editable=False),
        ),
    ]
