"""What the cost page is asked for: a form that the pages and the JSON share."""

from datetime import date, timedelta
from typing import Any

from django import forms
from django.utils import timezone

from costs.spend import current_mode
from rag import clock
from rag.models import Corpus
from rag.modules import MODULES

SPANS = (("1", "today"), ("2", "2 days"), ("7", "7 days"), ("30", "30 days"), ("90", "90 days"))
DEFAULT_SPAN = "30"
MODES = (("live", "real"), ("simulated", "simulated"))
KINDS = ("ask", "eval", "judge", "ingest", "traffic", "try", "preview")
LONGEST_SPAN = 366


def with_all(names: Any) -> list[tuple[str, str]]:
    return [("", "all"), *((name, name) for name in names)]


class CostChoice(forms.Form):
    """Days are those of TIME_ZONE, both included. `first` and `last` count before `days`, which end today."""

    days = forms.ChoiceField(label="Days", choices=SPANS, required=False)
    first = forms.DateField(label="or from", required=False, widget=forms.DateInput(attrs={"type": "date"}))
    last = forms.DateField(label="to", required=False, widget=forms.DateInput(attrs={"type": "date"}))
    provider_mode = forms.ChoiceField(label="Money", choices=MODES, required=False)
    module = forms.ChoiceField(choices=with_all(MODULES), required=False)
    corpus = forms.ChoiceField(required=False)
    kind = forms.ChoiceField(label="Kind", choices=with_all(KINDS), required=False)

    def __init__(self, given: Any) -> None:
        super().__init__({"days": DEFAULT_SPAN, "provider_mode": current_mode()} | {k: given[k] for k in given})
        corpora = self.fields["corpus"]
        assert isinstance(corpora, forms.ChoiceField)  # noqa: S101 - for the type
        corpora.choices = with_all(Corpus.objects.order_by("slug").values_list("slug", flat=True))

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        first, last = self.days_of(given)
        if first > last:
            raise forms.ValidationError("The first day is after the last one.")
        if (last - first).days >= LONGEST_SPAN:
            raise forms.ValidationError(f"At most {LONGEST_SPAN} days at once.")
        return given

    def days_of(self, given: dict[str, Any]) -> tuple[date, date]:
        today = timezone.localdate(clock.now(), timezone.get_default_timezone())
        last = given.get("last") or max(today, given.get("first") or today)
        return given.get("first") or last - timedelta(days=int(given.get("days") or DEFAULT_SPAN) - 1), last

    def asked(self) -> dict[str, Any]:
        """The arguments of `cost_report.report`."""
        given = self.cleaned_data
        first, last = self.days_of(given)
        return {
            "first": first,
            "last": last,
            "provider_mode": given["provider_mode"] or current_mode(),
            "module": given["module"] or None,
            "corpus": given["corpus"] or None,
            "kinds": (given["kind"],) if given["kind"] else None,
        }
