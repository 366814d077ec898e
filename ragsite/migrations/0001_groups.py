"""Three groups that most houses need: who edits, who operates, who only looks. What is changed in them afterwards stays."""

from django.db import migrations

DOCUMENTS = ("corpus", "corpusversion", "corpusactivation", "document", "chunkset", "chunk", "vectorindex", "ingestjob")
PROMPTS = ("prompt", "promptversion", "activation")
MONEY = ("budget", "modelprice", "ledgerentry", "alert", "alertchannel", "alertdelivery", "deliverytry")
LOOKED_AT = {
    "rag": (*DOCUMENTS, "apikey", "outage", "tracesummary", "forgetting"),
    "prompts": PROMPTS,
    "costs": MONEY,
    "evals": ("evalrun", "evalresult"),
    "completion": ("artifact", "revocation"),
    "auth": ("user", "group"),
    "admin": ("logentry",),
}


def views(app, models):
    return {f"{app}.view_{model}" for model in models}


GROUPS = {
    "editor": {
        *views("rag", (*DOCUMENTS, "tracesummary")),
        *views("prompts", PROMPTS),
        *views("evals", ("evalrun",)),
        "rag.ask_corpus",
        "rag.change_corpus",
        "rag.add_ingestjob",
        "evals.add_evalrun",
        "prompts.add_promptversion",
        "prompts.add_activation",
    },
    "operator": {
        *views("rag", (*DOCUMENTS, "apikey", "outage", "tracesummary", "forgetting")),
        *views("prompts", ("prompt", "activation")),
        *views("costs", MONEY),
        *views("evals", ("evalrun",)),
        "rag.ask_corpus",
        "rag.add_apikey",
        "rag.change_apikey",
        "rag.run_drill",
        "costs.add_modelprice",
        "costs.add_budget",
        "costs.change_budget",
        "costs.delete_budget",
        "costs.add_alertchannel",
        "costs.change_alertchannel",
        "costs.change_alertdelivery",
    },
    "auditor": {permission for app, models in LOOKED_AT.items() for permission in views(app, models)},
}


def make(apps, schema_editor):
    """Permissions come after all migrations, by `migrate` itself, which leaves those alone that are there already."""
    alias = schema_editor.connection.alias
    Group = apps.get_model("auth", "Group").objects.using(alias)
    for name, permissions in GROUPS.items():
        group, made = Group.get_or_create(name=name)
        if made:
            group.permissions.set([permission(apps, alias, each) for each in sorted(permissions)])


def permission(apps, alias, named):
    app, codename = named.split(".")
    model = codename.rpartition("_")[2] if codename != "run_drill" else "outage"
    kind, _ = (
        apps.get_model("contenttypes", "ContentType").objects.using(alias).get_or_create(app_label=app, model=model)
    )
    label = apps.get_model(app, model)._meta.verbose_name
    name = OWN.get(named, f"Can {codename.partition('_')[0]} {label}")
    permissions = apps.get_model("auth", "Permission").objects.using(alias)
    return permissions.get_or_create(content_type=kind, codename=codename, defaults={"name": name})[0]


OWN = {
    "rag.ask_corpus": "Can ask questions, which costs money",
    "rag.run_drill": "Can run the drill, which breaks the sandbox's providers for a while",
}


def unmake(apps, schema_editor):
    apps.get_model("auth", "Group").objects.using(schema_editor.connection.alias).filter(name__in=GROUPS).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("admin", "0003_logentry_add_action_flag_choices"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("completion", "0001_artifacts"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("costs", "0120_sealed_channel_secrets"),
        ("evals", "0001_runs_and_results"),
        ("prompts", "0005_activation_share"),
        ("rag", "0120_keys_by_corpus_and_permissions"),
    ]
    operations = [migrations.RunPython(make, unmake)]
