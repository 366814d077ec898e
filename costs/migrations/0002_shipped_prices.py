"""The shipped price list becomes rows; taking it back removes those rows that no ledger entry uses."""

from django.db import migrations

from costs.price_list import read_price_list


def install(apps, schema_editor):
    model = apps.get_model("costs", "ModelPrice")
    model.objects.bulk_create([model(**row) for row in read_price_list()], ignore_conflicts=True)


def remove(apps, schema_editor):
    entries = apps.get_model("costs", "LedgerEntry").objects.exclude(price=None).values("price")
    apps.get_model("costs", "ModelPrice").objects.exclude(id__in=entries).delete()


class Migration(migrations.Migration):
    dependencies = [("costs", "0001_initial")]
    operations = [migrations.RunPython(install, remove)]
