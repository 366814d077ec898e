"""The shipped library becomes version 1 of every prompt, active."""

from django.db import migrations

from prompts.library import read_library
from prompts.texts import content_hash


def install(apps, schema_editor):
    prompts, versions, activations = (
        apps.get_model("prompts", name) for name in ("Prompt", "PromptVersion", "Activation")
    )
    for file in read_library():
        if file.number != 1:
            continue
        prompt = prompts.objects.create(name=file.prompt, purpose=file.purpose)
        version = versions.objects.create(
            prompt=prompt,
            number=file.number,
            instructions=file.instructions,
            examples=file.examples,
            note=file.note,
            content_hash=content_hash(instructions=file.instructions, examples=file.examples),
        )
        activations.objects.create(prompt=prompt, version=version, previous=None, why="shipped default")


def remove(apps, schema_editor):
    for name in ("Activation", "PromptVersion", "Prompt"):
        apps.get_model("prompts", name).objects.all().delete()


class Migration(migrations.Migration):
    dependencies = [("prompts", "0001_initial")]
    operations = [migrations.RunPython(install, remove)]
