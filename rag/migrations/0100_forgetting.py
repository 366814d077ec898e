from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("rag", "0003_sessions")]
    operations = [
        migrations.CreateModel(
            name="Forgetting",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField(auto_now_add=True)),
                ("what", models.CharField(max_length=100)),
                ("lines", models.PositiveIntegerField()),
            ],
            options={"indexes": [models.Index(fields=["at"], name="forgetting_newest")]},
        ),
    ]
