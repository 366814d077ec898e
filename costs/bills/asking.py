"""Asking a provider for a report: page by page, numbers exact, and every failure as one kind of error."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from typing import Any

import httpx

from costs.bills.values import ReportUnavailable, Span

TIMEOUT_S = 30
MOST_PAGES = 1_000
SHOWN = 200
Params = Mapping[str, str | int]


@contextmanager
def client(*, base_url: str, headers: Mapping[str, str], span: Span) -> Iterator[httpx.Client]:
    """For as long as a report is asked for and read. Raises ReportUnavailable for all that goes wrong meanwhile."""
    try:
        with httpx.Client(base_url=base_url, headers=dict(headers), timeout=TIMEOUT_S) as found:
            yield found
    except httpx.HTTPStatusError as error:
        told = f"{error.response.status_code} {error.response.text[:SHOWN]}"
        raise ReportUnavailable(f"the provider refuses the report of {span}: {told}") from error
    except httpx.HTTPError as error:
        raise ReportUnavailable(f"the provider cannot be asked: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, InvalidOperation) as error:
        raise ReportUnavailable(f"the report of {span} is not of the shape that is known: {error!r}") from error


def buckets(found: httpx.Client, path: str, params: Params) -> Iterator[dict[str, Any]]:
    """Those of all pages. Raises ValueError for a report that does not end."""
    page: dict[str, str] = {}
    for _ in range(MOST_PAGES):
        response = found.get(path, params={**params, **page}).raise_for_status()
        report = json.loads(response.content, parse_float=Decimal)
        yield from report["data"]
        if not report["has_more"]:
            return
        page = {"page": report["next_page"]}
    raise ValueError(f"more than {MOST_PAGES} pages")
