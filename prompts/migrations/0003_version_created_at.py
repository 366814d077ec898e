"""A version that is imported from a file may keep the time at which it was written."""

import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("prompts", "0002_shipped_prompts")]
    operations = [
        migrations.AlterField(
            model_name="promptversion",
            name="created_at",
            field=models.DateTimeField(default=django.utils.timezone.now, editable=False),
        ),
    ]
