from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("rag", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Outage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "provider",
                    models.CharField(
                        choices=[
                            ("anthropic", "anthropic"),
                            ("voyage", "voyage"),
                            ("openai", "openai"),
                            ("cohere", "cohere"),
                            ("chroma", "chroma"),
                        ],
                        max_length=40,
                    ),
                ),
                ("started_at", models.DateTimeField(help_text="when the first call that failed was begun")),
                ("last_failure_at", models.DateTimeField(help_text="when the latest failure was known")),
                (
                    "ended_at",
                    models.DateTimeField(
                        blank=True, help_text="when the first call that succeeded was begun", null=True
                    ),
                ),
                ("failures", models.PositiveIntegerField(default=1, help_text="requests that met it")),
                ("reason", models.CharField(help_text="the outcome of the first call that failed", max_length=40)),
                ("first_trace_id", models.CharField(max_length=40, verbose_name="first trace")),
            ],
            options={
                "indexes": [models.Index(fields=["-started_at"], name="outage_newest")],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("ended_at", None)),
                        fields=("provider",),
                        name="one_open_outage_per_provider",
                    )
                ],
            },
        ),
    ]
