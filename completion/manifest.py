"""The facts of an artifact, as the JSON that is embedded in its PDF and signed with it. Plain Python.

Page, Markdown and verification page tell what stands here and nothing else. Times are ISO 8601 in UTC. Sums of money are
decimal texts; scores and costs a question are the scoreboard's own numbers.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, TypedDict

import rfc8785

FORMAT = "ragsite-completion/1"
FILE_NAME = "manifest.json"
PRODUCTION = "m6-production"


class Interval(TypedDict):
    """A mean with its 95 % interval; null where it has none."""

    value: float | None
    low: float | None
    high: float | None


class ModuleRow(TypedDict):
    module: str
    eval_run_id: int
    questions: int
    failed: int
    prompt_version: str
    metrics: dict[str, Interval]
    cost_per_query_usd: float | None
    latency_ms: dict[str, float | None]


class GateRow(TypedDict):
    name: str
    passed: bool
    measured: str
    needed: str
    why: str


class GateFacts(TypedDict):
    passed: bool
    lines: list[GateRow]


class Board(TypedDict):
    """What `evals.scoreboard.Scoreboard.as_json` makes."""

    made_at: str
    commit: str
    provider_mode: str
    dataset: dict[str, Any]
    corpus: dict[str, Any]
    modules: list[ModuleRow]
    gate: GateFacts


class Cost(TypedDict):
    """The ledger up to `until`: what was paid, and what the sandbox made up. `*_unpriced` calls are in no sum."""

    live_usd: str
    live_calls: int
    live_unpriced: int
    simulated_usd: str
    simulated_calls: int
    simulated_unpriced: int
    since: str | None
    until: str


class Work(TypedDict):
    """Hours of the repository whose newest commit is `head`; the numbers behind `commits` were left out."""

    hours: str
    sessions: int
    commits: int
    merges: int
    bots: int
    duplicates: int
    first_at: str | None
    last_at: str | None
    head: str
    rule: str


class RunEvidence(TypedDict):
    module: str
    eval_run_id: int
    run_sha256: str
    config_sha256: str
    prompts: dict[str, Any]
    models: dict[str, str]
    commit: str


class OpenDay(TypedDict):
    """The lines that a day's trace file had when the artifact was issued; later ones stand behind them."""

    day: str
    lines: int
    sha256: str


class Evidence(TypedDict):
    """Hashes of what the facts rest on; docs/artifact.md says what each is made over."""

    scoreboard_sha256: str
    dataset_sha256: str
    runs: list[RunEvidence]
    price_table_sha256: str
    trace_chain_head: str
    trace_chain_entries: int
    trace_open_days: list[OpenDay]
    traces_sha256: str
    commit: str


class Issuer(TypedDict):
    name: str
    certificate_sha256: str
    site: str


class Manifest(TypedDict):
    format: str
    id: str
    name: str
    issued_at: str
    issuer: Issuer
    verify_url: str
    scoreboard: Board
    cost: Cost
    work: Work
    evidence: Evidence


class NotAManifest(Exception):
    """Bytes that are no manifest of ours in canonical form."""


def canonical(told: Any) -> bytes:
    """RFC 8785: the same facts are always the same bytes. Raises ValueError for what JSON has no exact form of."""
    return rfc8785.dumps(told)


def sha256_of(told: Any) -> str:
    """Of the canonical form, in hex."""
    return hashlib.sha256(canonical(told)).hexdigest()


def read(data: bytes) -> Manifest:
    """Raises NotAManifest."""
    try:
        told = json.loads(data)
        exact = canonical(told) == data
    except (ValueError, RecursionError) as error:
        raise NotAManifest("the manifest is no JSON") from error
    if not isinstance(told, Mapping) or told.get("format") != FORMAT:
        raise NotAManifest(f"the manifest is not in the format {FORMAT}")
    if not exact:
        raise NotAManifest("the manifest is not in canonical form")
    return told  # type: ignore[return-value]  # written by us: who signed it is checked elsewhere
