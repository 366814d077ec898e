"""An activation may take a share of the traffic. SQLite rebuilds the table for it, so the guards are put up again."""

from django.db import migrations, models
from django.db.models import Q

from prompts import guards


def put_up(apps, schema_editor):
    guards.put_up(schema_editor.connection)


class Migration(migrations.Migration):
    dependencies = [("prompts", "0004_guards")]
    operations = [
        migrations.AddField(
            model_name="activation",
            name="share",
            field=models.PositiveSmallIntegerField(default=100, help_text="percent of the traffic"),
        ),
        migrations.AddConstraint(
            model_name="activation",
            constraint=models.CheckConstraint(
                condition=Q(share__gte=1, share__lte=100), name="a_share_is_a_percentage"
            ),
        ),
        migrations.AddConstraint(
            model_name="activation",
            constraint=models.CheckConstraint(
                condition=Q(share=100) | Q(previous__isnull=False), name="a_trial_has_another_arm"
            ),
        ),
        migrations.RunPython(put_up, put_up),
    ]
