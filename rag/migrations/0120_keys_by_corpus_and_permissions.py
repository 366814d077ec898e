"""API keys for some corpora alone; permissions to ask and to run the drill; links of sources are links."""

import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("rag", "0100_forgetting")]
    operations = [
        migrations.AlterModelOptions(
            name="corpus",
            options={
                "permissions": [("ask_corpus", "Can ask questions, which costs money")],
                "verbose_name_plural": "corpora",
            },
        ),
        migrations.AlterModelOptions(
            name="outage",
            options={
                "permissions": [("run_drill", "Can run the drill, which breaks the sandbox's providers for a while")]
            },
        ),
        migrations.AddField(
            model_name="apikey",
            name="corpora",
            field=models.JSONField(blank=True, default=list, help_text="the only ones it may ask about; none: all"),
        ),
        migrations.AlterField(
            model_name="corpus",
            name="url_template",
            field=models.CharField(
                blank=True,
                help_text="link of a source; {source} and {slug} are replaced. Empty: no link.",
                max_length=300,
                validators=[
                    django.core.validators.RegexValidator("^(https?://|/)", "A link begins with https://, http:// or /")
                ],
            ),
        ),
    ]
