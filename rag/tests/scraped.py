"""A page of metrics, read as Prometheus reads it."""

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from rag.metrics_page import page


def samples(text: str | None = None) -> list[Sample]:
    """Of the page given, or of this process's own."""
    told = page("")[0].decode() if text is None else text
    return [sample for family in text_string_to_metric_families(told) for sample in family.samples]


def total(name: str, text: str | None = None, **labels: str) -> float:
    """The sum over all series of that name which carry these labels."""
    return sum(
        sample.value for sample in samples(text) if sample.name == name and labels.items() <= sample.labels.items()
    )
