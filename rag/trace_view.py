"""From a trace's JSON line to the plain values that the trace page shows. Plain Python: no Django, no database.

A line may be older than this code: keys that were added to the schema later are read with a default.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from rag.chunking.keys import parent_key
from rag.generate import BRACKETED
from rag.values import Passage, sha256

Line = Mapping[str, Any]

STAGES = (
    ("vector_candidates", "Vector", "similarity"),
    ("bm25_candidates", "BM25", "BM25 score"),
    ("fused_top_20", "Fused", "reciprocal rank fusion"),
    ("reranked_top_5", "Reranked", "relevance"),
)
ORDER = ("follow_up", "transform", "embed", "vector", "bm25", "fuse", "rerank", "generate")
NAMES = {"follow_up": "understanding", "bm25": "BM25 search", "vector": "vector search", "embed": "embedding"}
REST = "everything else"


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of the answer. With a number it is a citation of the source of that number, from 1."""

    text: str
    source: int | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """`group` is the same for a chunk in every stage, and for what is sent in its place; `source` the number of that among the
    sources, if it became one.

    `document` and `place` are the two halves of the chunk's id, `key`.
    """

    rank: int
    key: str
    document: str
    place: str
    score: str
    group: int
    source: int | None
    cited: bool


@dataclass(frozen=True, slots=True)
class Stage:
    title: str
    unit: str
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """One step of the request. `offset` and `width` are percent of the total time, as CSS takes them."""

    stage: str
    name: str
    milliseconds: str
    offset: str
    width: str


@dataclass(frozen=True, slots=True)
class SeenSource:
    """A source as the model saw it; `found` is the smaller chunk that led to it, where there is one. `state` is `same`,
    `changed` or `gone`, compared with the rows of today. `sent` is false for one that an earlier turn of the conversation had
    brought.
    """

    number: int
    key: str
    found: str | None
    title: str
    score: str
    state: str
    text: str
    url: str | None
    cited: bool
    sent: bool
    group: int


@dataclass(frozen=True, slots=True)
class AttemptRow:
    provider: str
    model: str
    operation: str
    outcome: str
    mode: str
    usage: tuple[tuple[str, str], ...]
    cost: str
    milliseconds: str
    request_id: str
    estimated: bool


@dataclass(frozen=True, slots=True)
class TracePage:
    """Everything of a trace that is shown, in the order of the page; `line` has the scalar fields."""

    line: Line
    cost: str
    avoided: str | None
    answer: tuple[Segment, ...]
    stages: tuple[Stage, ...]
    sources: tuple[SeenSource, ...]
    bars: tuple[Bar, ...]
    total_ms: str
    attempts: tuple[AttemptRow, ...]
    config: tuple[tuple[str, str], ...]


def trace_page(*, line: Line, live: Mapping[str, Passage]) -> TracePage:
    """The page of a trace. `live` holds those of its sources that are still in the database, by id."""
    numbers = {source["id"]: number for number, source in enumerate(line.get("sources", ()), 1)}
    groups = groups_of(line)
    total = (line.get("latencies_ms") or {}).get("total")
    return TracePage(
        line=line,
        cost=dollars(line.get("cost_usd")) if line.get("attempts") else "$0, no provider was called",
        avoided=dollars(line["avoided_usd"]) if line.get("avoided_usd") else None,
        answer=segments(line.get("final_answer") or "", numbers),
        stages=tuple(stages(line, groups, numbers)),
        sources=tuple(seen_sources(line, live, groups)),
        bars=tuple(bars(line.get("latencies_ms") or {})),
        total_ms=milliseconds(total),
        attempts=tuple(attempt_row(attempt) for attempt in line.get("attempts", ())),
        config=tuple((name, str(value)) for name, value in (line.get("config") or {}).items()),
    )


def segments(answer: str, numbers: Mapping[str, int]) -> tuple[Segment, ...]:
    """The answer cut at its citations. Brackets that name no source are text like any other."""
    pieces, written = [], 0
    for match in BRACKETED.finditer(answer):
        key = match.group(1).strip()
        if key in numbers:
            pieces += [Segment(answer[written : match.start()]), Segment(key, numbers[key])]
            written = match.end()
    return tuple(piece for piece in (*pieces, Segment(answer[written:])) if piece.text)


def groups_of(line: Line) -> dict[str, int]:
    """A small number for every chunk that any stage saw, that of its parent where it has one: ids come from documents and must
    not end up in markup.
    """
    lists = [line.get(field) or () for field, _, _ in STAGES] + [line.get("sources") or ()]
    keys = dict.fromkeys(parent_key(hit["id"]) for hits in lists for hit in hits)
    return {key: number for number, key in enumerate(keys)}


def stages(line: Line, groups: Mapping[str, int], numbers: Mapping[str, int]) -> Iterator[Stage]:
    cited = set(line.get("citations", ()))
    for field, title, unit in STAGES:
        hits: Sequence[Line] = line.get(field) or ()
        candidates = (candidate(rank, hit, groups, numbers, cited) for rank, hit in enumerate(hits, 1))
        yield Stage(title, unit, tuple(candidates))


def candidate(
    rank: int, hit: Line, groups: Mapping[str, int], numbers: Mapping[str, int], cited: Set[str]
) -> Candidate:
    key = hit["id"]
    document, _, place = key.rpartition("/")
    return Candidate(
        rank=rank,
        key=key,
        document=document,
        place=place,
        score=score(hit["score"]),
        group=groups[parent_key(key)],
        source=numbers.get(parent_key(key)),
        cited=parent_key(key) in cited,
    )


def seen_sources(line: Line, live: Mapping[str, Passage], groups: Mapping[str, int]) -> Iterator[SeenSource]:
    cited = set(line.get("citations", ()))
    in_conversation = line.get("request_sha256") and line.get("session_id")
    sent = set(line["sources_sent"] if in_conversation else (source["id"] for source in line.get("sources", ())))
    for number, source in enumerate(line.get("sources", ()), 1):
        passage = live.get(source["id"])
        yield SeenSource(
            number=number,
            key=source["id"],
            found=source.get("found"),
            title=(passage.heading if passage else "") or source["title"],
            score=score(source["score"]),
            state=state_of(passage, source["sha256"]),
            text=passage.text if passage else "",
            url=web_url(passage.url) if passage else None,
            cited=source["id"] in cited,
            sent=source["id"] in sent,
            group=groups[source["id"]],
        )


def state_of(passage: Passage | None, expected: str) -> str:
    if passage is None:
        return "gone"
    return "same" if sha256(passage.text) == expected else "changed"


def web_url(url: str | None) -> str | None:
    """The url, if a browser may be sent there: a template could say `javascript:`."""
    return url if url and url.startswith(("https://", "http://")) else None


def bars(latencies: Mapping[str, float | None]) -> Iterator[Bar]:
    """One bar a step, each beginning where the one before ended: the steps of a request run one after another."""
    spent = {stage: ms for stage, ms in latencies.items() if ms is not None and stage != "total"}
    total = max(latencies.get("total") or 0.0, sum(spent.values())) or 1.0
    order = [stage for stage in ORDER if stage in spent] + sorted(spent.keys() - set(ORDER))
    start = 0.0
    for stage in order:
        yield bar(stage, NAMES.get(stage, stage), start, spent[stage], total)
        start += spent[stage]
    if latencies.get("total") is not None:
        yield bar("rest", REST, start, max(total - start, 0.0), total)


def bar(stage: str, name: str, start: float, spent: float, total: float) -> Bar:
    return Bar(stage, name, milliseconds(spent), f"{100 * start / total:.2f}", f"{100 * spent / total:.2f}")


def attempt_row(attempt: Line) -> AttemptRow:
    return AttemptRow(
        provider=attempt["provider"],
        model=attempt["model"],
        operation=attempt["operation"],
        outcome=attempt["outcome"],
        mode=attempt["provider_mode"],
        usage=tuple((name.replace("_", " "), f"{count:,}") for name, count in attempt["usage"].items() if count),
        cost=dollars(attempt["cost_usd"]),
        milliseconds=milliseconds(attempt["latency_ms"]),
        request_id=attempt.get("request_id", ""),
        estimated=bool(attempt.get("estimated")),
    )


def score(value: float) -> str:
    return f"{value:.4f}"


def milliseconds(value: float | None) -> str:
    """For people: `0.42 ms`, `17.3 ms`, `1,204 ms`; `?` where it was not measured."""
    if value is None:
        return "?"
    places = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{places}f} ms"


def dollars(amount: float | None) -> str:
    """To the eight places of the ledger; `unpriced` where no price was known."""
    return "unpriced" if amount is None else f"${amount:.8f}"
