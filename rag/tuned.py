"""The configuration that tuning chose, as a file: what `m5-tuned` and `m6-production` do everywhere, and what they do
differently with single corpora. `manage.py tune` writes it; a broken one is refused when the service starts.
"""

import json
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("tuned.json")
RESTORE = "restore the file that came with this version, or correct it"

Knobs = Mapping[str, Any]
Check = Callable[[Any], bool]
CORPUS_KNOBS = (
    "vector_candidates",
    "bm25_candidates",
    "fusion",
    "rrf_k",
    "dense_weight",
    "lexical_weight",
    "fused_candidates",
    "rerank",
)
"""what may differ between corpora: how candidates are found and ordered, for which nothing has to be ingested again"""
GENERAL_KNOBS = ("chunker", *CORPUS_KNOBS, "transform", "sure_overlap", "top_k", "source_floor")


class TunedFileBroken(ValueError):
    """The file cannot be used; the message says where and what is expected."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """`general` holds every knob; `corpora` holds, by the name of a corpus, those of CORPUS_KNOBS that are its own."""

    general: Knobs
    corpora: Mapping[str, Knobs]


def whole(least: int, most: int) -> tuple[str, Check]:
    return f"a whole number from {least} to {most}", lambda value: type(value) is int and least <= value <= most


def real(least: float, most: float) -> tuple[str, Check]:
    def fits(value: Any) -> bool:
        return type(value) in (int, float) and math.isfinite(value) and least <= value <= most

    return f"a number from {least:g} to {most:g}", fits


def one_of(known: Collection[str]) -> tuple[str, Check]:
    return f"one of {', '.join(known)}", lambda value: type(value) is str and value in known


FINDING: Mapping[str, tuple[str, Check]] = {
    "vector_candidates": whole(1, 100),
    "bm25_candidates": whole(0, 100),
    "rrf_k": whole(0, 1_000),
    "dense_weight": real(0, 100),
    "lexical_weight": real(0, 100),
    "fused_candidates": whole(1, 100),
    "rerank": ("true or false", lambda value: type(value) is bool),
}
SENDING: Mapping[str, tuple[str, Check]] = {
    "top_k": whole(1, 20),
    "sure_overlap": whole(0, 5),
    "source_floor": real(0, 1),
}


def read_tuned(path: Path = FILE, *, choices: Mapping[str, Collection[str]]) -> Tuned:
    """`choices`: the values that the knobs with names for values (`chunker`, `transform`, `fusion`) may have.

    Raises TunedFileBroken for whatever a module could not be made of, naming the place.
    """
    content = read_content(path)
    general = {**FINDING, **SENDING, **{knob: one_of(known) for knob, known in choices.items()}}
    single = {knob: general[knob] for knob in CORPUS_KNOBS}
    try:
        return Tuned(
            general=checked("general", content["general"]["knobs"], general),
            corpora={
                name: checked(f"corpora.{name}", chosen["knobs"], single) for name, chosen in content["corpora"].items()
            },
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise TunedFileBroken(f"{path}: expected `general` and `corpora`, each with `knobs`; {RESTORE}") from error
    except ValueError as error:
        raise TunedFileBroken(f"{path}: {error}; {RESTORE}") from error


def read_content(path: Path) -> dict[str, Any]:
    """The file as it stands, evidence included. Raises TunedFileBroken."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise TunedFileBroken(f"{path} cannot be read: {error}; {RESTORE}") from error
    if not isinstance(content, dict):
        raise TunedFileBroken(f"{path}: expected a JSON object; {RESTORE}")
    return content


def checked(place: str, knobs: Any, known: Mapping[str, tuple[str, Check]]) -> Knobs:
    """Raises ValueError for a knob that is missing, unknown, or out of its range."""
    if not isinstance(knobs, dict):
        raise ValueError(f"{place}: expected an object of knobs, not {knobs!r}")
    for name in sorted(known.keys() ^ knobs.keys()):
        raise ValueError(f"{place}.{name} is {'missing' if name in known else 'no knob'}")
    for name, (expected, fits) in known.items():
        if not fits(knobs[name]):
            raise ValueError(f"{place}.{name} must be {expected}, not {knobs[name]!r}")
    if not knobs["dense_weight"] and not (knobs["lexical_weight"] and knobs["bm25_candidates"]):
        raise ValueError(f"{place}: with these weights nothing is found")
    return knobs
