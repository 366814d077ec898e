"""An adjustment may take tokens away, and says what it rests on. The guards are down meanwhile: SQLite builds the table anew."""

from django.db import migrations, models

from costs import guards

KINDS = ("input_tokens", "cache_write_5m", "cache_write_1h", "cache_read", "output_tokens", "search_units")


def put_up(apps, schema_editor):
    guards.put_up(schema_editor.connection)


def take_down(apps, schema_editor):
    guards.take_down(schema_editor.connection)


class Migration(migrations.Migration):
    dependencies = [("costs", "0120_sealed_channel_secrets")]
    operations = [
        migrations.RunPython(take_down, put_up),
        *(migrations.AlterField("ledgerentry", kind, models.IntegerField(default=0)) for kind in KINDS),
        migrations.AddField(
            "ledgerentry",
            "reason",
            models.CharField(blank=True, help_text="of an adjustment: what it rests on", max_length=120, default=""),
            preserve_default=False,
        ),
        migrations.AddConstraint(
            "ledgerentry",
            models.CheckConstraint(
                condition=models.Q(correction__gte=1) | models.Q(**{f"{kind}__gte": 0 for kind in KINDS}),
                name="only_an_adjustment_takes_tokens_away",
            ),
        ),
        migrations.RunPython(put_up, take_down),
    ]
