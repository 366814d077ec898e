"""A bill as a CSV file, for providers without a report to ask for: exported from their pages, or typed off an invoice.

A row is what one model of one provider counted and cost, in one UTC day (`at` 2026-11-20) or at a moment
(2026-11-20T10:15:00Z).
"""

import csv
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

from costs.bills.values import DAY, TOTAL, Bill, ReportUnavailable, Span, base_name
from costs.usage import KINDS, Usage

NEEDED = ("at", "provider", "model", "cost_usd")
COLUMNS = (*NEEDED[:3], *KINDS, NEEDED[3])


@dataclass(frozen=True, slots=True)
class Line:
    """`ends`: when what it tells of is over, the beginning itself for a single moment."""

    begins: datetime
    ends: datetime
    provider: str
    model: str
    usage: Usage
    usd: Decimal


def read(*, path: Path, span: Span, providers: Collection[str]) -> dict[str, Bill]:
    """The bills of the span, by provider, for those that the file names anywhere. Raises ReportUnavailable.

    `providers` are those that there are. A day that the span takes only a part of cannot be used.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = list(lines_of(file, providers))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ReportUnavailable(f"the bill {path} cannot be read: {error}") from error
    except ValueError as error:
        raise ReportUnavailable(f"the bill {path}: {error}") from error
    whole = [line for line in lines if line.begins < span.until and line.ends > span.since and line.ends > line.begins]
    if any(line.begins < span.since or line.ends > span.until for line in whole):
        raise ReportUnavailable(f"the bill {path} counts by the day: it cannot be held against {span}")
    told = {line.provider: line for line in lines}
    return {name: bill_of(line for line in lines if line.provider == name and span.holds(line.begins)) for name in told}


def bill_of(lines: Iterator[Line]) -> Bill:
    usage: dict[str, Usage] = defaultdict(Usage)
    usd: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for line in lines:
        usage[line.model] += line.usage
        usd[line.model, TOTAL] += line.usd
    return Bill(dict(usage), dict(usd))


def lines_of(file: Iterator[str], providers: Collection[str]) -> Iterator[Line]:
    """Raises ValueError, with the number of the line, for what is not as it should be."""
    rows = csv.DictReader(file)
    heads = [head.strip() for head in rows.fieldnames or ()]
    rows.fieldnames = heads
    if lacking := [name for name in NEEDED if name not in heads]:
        raise ValueError(f"the column {lacking[0]} is missing; there are: {', '.join(COLUMNS)}")
    if strange := [name for name in heads if name not in COLUMNS]:
        raise ValueError(f"nobody knows the column {strange[0]!r}; there are: {', '.join(COLUMNS)}")
    for row in rows:
        try:
            yield line_of(row, providers)
        except ValueError as error:
            raise ValueError(f"line {rows.line_num}: {error}") from error


def line_of(row: Mapping[str, str], providers: Collection[str]) -> Line:
    if None in row or None in row.values():
        raise ValueError("there are more or fewer values than columns")
    provider, model = row["provider"].strip().lower(), row["model"].strip()
    if provider not in providers:
        raise ValueError(f"there is no provider {provider!r}: {', '.join(sorted(providers))}")
    if not model:
        raise ValueError("the model is missing")
    begins, ends = times_of(row["at"].strip())
    usage = Usage(**{kind: counted(kind, (row.get(kind) or "0").strip() or "0") for kind in KINDS})
    return Line(begins, ends, provider, base_name(model), usage, amount(row["cost_usd"].strip()))


def times_of(text: str) -> tuple[datetime, datetime]:
    """A day from its beginning to its end; a moment twice. What names no zone is UTC."""
    try:
        day = date.fromisoformat(text) if len(text) <= len("2026-11-20") else None
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"at {text!r} is neither a day (2026-11-20) nor a moment (2026-11-20T10:15:00Z)") from error
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment, moment + DAY if day is not None else moment


def counted(kind: str, text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ValueError(f"{kind} {text!r} is not a whole number, 0 or more")
    return int(text)


def amount(text: str) -> Decimal:
    try:
        usd = Decimal(text)
    except InvalidOperation as error:
        raise ValueError(f"cost_usd {text!r} is not a number") from error
    if not usd.is_finite() or usd < 0:
        raise ValueError(f"cost_usd {text!r} is not an amount of USD, 0 or more")
    return usd
