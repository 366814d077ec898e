from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("rag", "0101_roll_ups")]
    operations = [
        migrations.AddIndex(
            model_name="tracesummary",
            index=models.Index(fields=["prompt_version", "-timestamp"], name="trace_of_prompt"),
        ),
        migrations.AddIndex(
            model_name="tracesummary",
            index=models.Index(fields=["status", "-timestamp"], condition=~models.Q(status=200), name="trace_not_ok"),
        ),
    ]
