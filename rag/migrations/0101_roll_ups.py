from django.db import migrations, models

PLACE = ("span", "starts_at", "provider_mode", "module", "corpus", "kind")


def place():
    return [
        ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
        ("span", models.CharField(choices=[("hour", "hour"), ("day", "day")], max_length=4)),
        ("starts_at", models.DateTimeField()),
        ("provider_mode", models.CharField(max_length=10)),
        ("module", models.CharField(max_length=40)),
        ("corpus", models.CharField(max_length=60)),
        ("kind", models.CharField(max_length=20)),
    ]


class Migration(migrations.Migration):
    dependencies = [("rag", "0110_parents_and_turns_of_meaning")]
    operations = [
        migrations.CreateModel(
            name="RollupState",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("zone", models.CharField(help_text="whose days these are", max_length=60)),
                ("last_entry", models.BigIntegerField(default=0)),
                ("last_trace", models.BigIntegerField(default=0)),
                ("entries", models.BigIntegerField(default=0)),
                ("traces", models.BigIntegerField(default=0)),
                ("units", models.BigIntegerField(default=0)),
                ("generation", models.BigIntegerField(default=0)),
                ("rolled_up_at", models.DateTimeField(null=True)),
                ("checked_at", models.DateTimeField(help_text="when they were last held against all rows", null=True)),
            ],
            options={"default_permissions": ()},
        ),
        migrations.CreateModel(
            name="Rollup",
            fields=[
                *place(),
                ("split", models.CharField(max_length=20)),
                ("value", models.CharField(max_length=100)),
                ("units", models.BigIntegerField(default=0)),
                ("calls", models.BigIntegerField(default=0)),
                ("questions", models.BigIntegerField(default=0)),
            ],
            options={
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(fields=(*PLACE, "split", "value"), name="one_rollup_per_place_and_value")
                ],
            },
        ),
        migrations.CreateModel(
            name="LatencyRollup",
            fields=[
                *place(),
                ("way", models.CharField(max_length=10)),
                ("stage", models.CharField(max_length=10)),
                ("bins", models.BinaryField()),
            ],
            options={
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(fields=(*PLACE, "way", "stage"), name="one_rollup_per_place_and_stage")
                ],
            },
        ),
    ]
