"""What of a trace line is personal: masking it before it is written, and taking it out altogether.

TRACE_REDACTOR names a function (dotted path) that gets each line as an object and returns the one to be written. It must keep
the keys; `masked_contacts` is one. What the files, the rows and the pages show is what it returned.
"""

import logging
import re
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

log = logging.getLogger(__name__)

Line = dict[str, Any]
Redactor = Callable[[Line], Line]

CONTENT: dict[str, Any] = {
    "query": "",
    "standalone": None,
    "hypothetical": None,
    "sub_queries": [],
    "final_answer": None,
    "vector_candidates": [],
    "bm25_candidates": [],
    "fused_top_20": [],
    "reranked_top_5": [],
    "sources": [],
    "sources_sent": [],
    "citations": [],
    "warnings": [],
    "request_sha256": None,
}
"""What tells what was asked or answered, and what stands there once it is gone. Numbers, versions and money stay."""
EMAIL = re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+")
PHONE = re.compile(r"(?<![\w.])(?:\+|\(?0)[\d(][\d\s()/.-]{5,18}\d(?![\w.]\d)|(?<![\w.-])\d{3}[ -]\d{3}[ -]\d{4}(?!\w)")


def redacted(line: Line) -> Line:
    """The line as it is to be written; it says so where it is not what was seen.

    A redactor that fails must neither cost the trace nor let it through unmasked: the line is written without its content.
    """
    if not settings.TRACE_REDACTOR:
        return line
    redactor: Redactor = import_string(settings.TRACE_REDACTOR)
    try:
        masked = redactor(deepcopy(line))
    except Exception:  # noqa: BLE001 - somebody else's function; whatever it raises, the line must be written
        log.exception(
            "the redactor failed: the trace is written without its content", extra={"trace_id": line["trace_id"]}
        )
        masked = without_content(line)
    return line if masked == line else masked | {"redacted": True}


def without_content(line: Line) -> Line:
    """The line with every text that tells what was asked or answered taken out, and without its salt."""
    kept = {key: deepcopy(CONTENT[key]) if key in CONTENT else value for key, value in line.items() if key != "salt"}
    if kept.get("error"):
        kept["error"] = kept["error"] | {"message": ""}
    return kept


def masked_contacts(line: Line) -> Line:
    """A redactor: e-mail addresses become `[e-mail]` and what looks like a telephone number `[phone]`, in all content."""
    masked = {key: masked_text(value) if key in CONTENT else value for key, value in line.items()}
    masked["error"] = masked_text(line["error"])
    return masked


def masked_text(value: Any) -> Any:
    """The same for every text within lists and objects."""
    if isinstance(value, str):
        return PHONE.sub("[phone]", EMAIL.sub("[e-mail]", value))
    if isinstance(value, list):
        return [masked_text(each) for each in value]
    if isinstance(value, dict):
        return {key: masked_text(each) for key, each in value.items()}
    return value
