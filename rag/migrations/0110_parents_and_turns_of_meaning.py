import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("rag", "0120_keys_by_corpus_and_permissions")]

    operations = [
        migrations.AddField(
            model_name="chunkset",
            name="parent_size",
            field=models.PositiveIntegerField(default=0, help_text="0: what is found is sent itself"),
        ),
        migrations.AlterField(
            model_name="chunkset",
            name="chunker",
            field=models.CharField(help_text="the name of the recipe", max_length=20),
        ),
        migrations.AlterField(
            model_name="ingestjob",
            name="chunkers",
            field=models.CharField(blank=True, max_length=200),
        ),
        migrations.CreateModel(
            name="ParentChunk",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.CharField(max_length=500)),
                ("heading", models.CharField(max_length=1000)),
                ("text", models.TextField()),
                ("start", models.PositiveIntegerField()),
                ("end", models.PositiveIntegerField()),
                (
                    "chunk_set",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="parents",
                        to="rag.chunkset",
                    ),
                ),
                (
                    "document",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to="rag.document"),
                ),
            ],
        ),
        migrations.CreateModel(
            name="TurnsOfMeaning",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("embedder", models.CharField(max_length=200)),
                ("distances", models.JSONField(help_text="key of the gap -> distance")),
                (
                    "chunk_set",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="turns_of_meaning",
                        to="rag.chunkset",
                    ),
                ),
                (
                    "document",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to="rag.document"),
                ),
            ],
            options={"verbose_name_plural": "turns of meaning"},
        ),
        migrations.AddConstraint(
            model_name="parentchunk",
            constraint=models.UniqueConstraint(fields=("chunk_set", "key"), name="one_parent_per_key"),
        ),
    ]
