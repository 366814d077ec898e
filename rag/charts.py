"""What a chart shows, in plain values. Plain Python; `static/costs.js` draws it with Chart.js.

Every chart stands before a table with the same figures, which is what a screen reader is sent to.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Values = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Series:
    """`urls`: where each value leads, or nothing for the chart's own."""

    name: str
    values: Values
    urls: Sequence[str] = ()
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """`shape`: line, bars (lying, the dearest on top), columns (standing side by side), stack (standing on one another).

    `unit`: usd, usd_fine, share (0 to 1), ms, count. A value of None is a gap. `partial`: the last one is not final yet.
    """

    key: str
    title: str
    shape: str
    unit: str
    labels: Sequence[str]
    series: Sequence[Series]
    urls: Sequence[str] = ()
    partial: bool = False

    @property
    def is_empty(self) -> bool:
        return not any(value for each in self.series for value in each.values)

    @property
    def script_id(self) -> str:
        return f"chart-{self.key}"

    def about(self) -> str:
        """What is told in its place."""
        names = ", ".join(each.name for each in self.series)
        return f"Chart: {self.title} ({names}). The figures are in the table that follows."

    def as_json(self) -> dict[str, Any]:
        return {
            "shape": self.shape,
            "unit": self.unit,
            "labels": list(self.labels),
            "urls": list(self.urls),
            "partial": self.partial,
            "series": [
                {"name": each.name, "values": list(each.values), "urls": list(each.urls), "dashed": each.dashed}
                for each in self.series
            ],
        }


def stack(rows: Sequence[Any], labels: Sequence[str], *, at: str, named: str, value: str) -> list[Series]:
    """One series for each name that is found, with 0 where a label has none."""
    found = {(row[at], row[named]): row[value] for row in rows}
    names = dict.fromkeys(row[named] for row in rows)
    return [Series(str(name), [found.get((label, name), 0) for label in labels]) for name in names]
