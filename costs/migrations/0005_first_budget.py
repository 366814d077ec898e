"""The first budget, from the setting. A migration and not `prepare`, so that every deployment gets it, and gets it once: a
budget that staff delete or change does not come back."""

from django.conf import settings
from django.db import migrations


def make(apps, schema_editor):
    if settings.DAILY_BUDGET_USD > 0:
        apps.get_model("costs", "Budget").objects.create(period="day", limit_usd=settings.DAILY_BUDGET_USD)


class Migration(migrations.Migration):
    dependencies = [("costs", "0004_budgets_and_alerts")]
    operations = [migrations.RunPython(make, migrations.RunPython.noop)]
