"""An artifact in words: as JSON for machines, as rows for the verification page, as Markdown for a gist or a post."""

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from completion.figures import (
    METRICS,
    SIMULATED,
    cost_note,
    counted,
    day,
    dollars,
    gate_told,
    hours,
    interval,
    left_out,
    per_query,
    score,
    seconds,
    simulated,
)
from completion.manifest import GateRow, Manifest, read
from completion.models import Artifact
from completion.registry import TOLD, Checked, Standing

SPECIAL = re.compile(r"([\\`*_{}\[\]<>#!|~&@]|^[-+.:()]|:(?=\S)|(?<=www)\.)", re.IGNORECASE)
"""Begins markup inside a line, or links by itself. A dot, a hyphen or brackets in the midst of a text do neither."""


def manifest_of(artifact: Artifact) -> Manifest:
    return read(artifact.manifest.encode("utf-8"))


def standing_as_json(standing: Standing) -> dict[str, Any]:
    told: dict[str, Any] = {"sha256": standing.sha256, "status": standing.state.value, "answer": TOLD[standing.state]}
    if standing.artifact:
        told |= {
            "number": standing.artifact.number,
            "manifest_sha256": standing.artifact.manifest_sha256,
            "manifest": manifest_of(standing.artifact),
        }
    if standing.revocation:
        told |= {"revoked_at": standing.revocation.at.isoformat(), "reason": standing.revocation.reason}
    return told


def checked_as_json(checked: Checked) -> dict[str, Any]:
    examination = checked.examination
    return {
        "verdict": checked.verdict,
        "answer": checked.answer,
        "detail": examination.detail,
        "sha256": examination.sha256,
        "status": checked.standing.state.value,
        "number": checked.standing.artifact.number if checked.standing.artifact else None,
        "signer": examination.signer,
        "certificate_sha256": examination.certificate_sha256,
        "signed_at": examination.signed_at,
    }


def facts(manifest: Manifest) -> list[tuple[str, str]]:
    """(what, value) each."""
    work, cost, board = manifest["work"], manifest["cost"], manifest["scoreboard"]
    mode = "simulated providers" if simulated(manifest) else "live providers"
    return [
        ("Name", manifest["name"]),
        ("Number", manifest["id"]),
        ("Issued", f"{day(manifest['issued_at'])} by {manifest['issuer']['name']}"),
        ("Ship gate", f"{gate_told(manifest)}, {day(board['made_at'])}"),
        ("Measured with", mode),
        ("Questions", f"{board['dataset']['name']} ({counted(board['dataset']['questions'], 'question')})"),
        (
            "Hours of work",
            f"{hours(manifest)} ({counted(work['commits'], 'commit')}, {counted(work['sessions'], 'session')})",
        ),
        ("Rule of the hours", f"{work['rule']} {left_out(manifest)}"),
        ("Spent, real providers", f"{dollars(Decimal(cost['live_usd']))} ({cost_note(cost, 'live')})"),
        ("Simulated, nobody paid it", f"{dollars(Decimal(cost['simulated_usd']))} ({cost_note(cost, 'simulated')})"),
    ]


def hashes(manifest: Manifest) -> list[tuple[str, str]]:
    evidence = manifest["evidence"]
    open_days = evidence["trace_open_days"]
    runs = [(f"evaluation run of {run['module']}", run["run_sha256"]) for run in evidence["runs"]]
    configurations = [(f"configuration of {run['module']}", run["config_sha256"]) for run in evidence["runs"]]
    return [
        ("certificate", manifest["issuer"]["certificate_sha256"]),
        ("scoreboard", evidence["scoreboard_sha256"]),
        ("dataset", evidence["dataset_sha256"]),
        ("price table", evidence["price_table_sha256"]),
        ("trace files", evidence["traces_sha256"]),
        ("trace files, newest link of the chain", evidence["trace_chain_head"]),
        *((f"trace file of {told['day']}, its first {told['lines']:,} lines", told["sha256"]) for told in open_days),
        *runs,
        *configurations,
        *prompt_hashes(manifest),
        ("commit of the repository", manifest["work"]["head"]),
        ("commit of the service", evidence["commit"] or "unknown"),
    ]


def prompt_hashes(manifest: Manifest) -> list[tuple[str, str]]:
    """Each prompt version that had a part in a run, once."""
    found = {
        f"prompt {name} {told['version']}": str(told["hash"])
        for run in manifest["evidence"]["runs"]
        for name, told in run["prompts"].items()
    }
    return sorted(found.items())


def table(manifest: Manifest) -> list[list[str]]:
    """The scoreboard, its head first."""
    head = ["module", *METRICS.values(), "USD/query", "p95"]
    rows = manifest["scoreboard"]["modules"]
    return [
        head,
        *([row["module"], *(score(row, metric) for metric in METRICS), per_query(row), seconds(row)] for row in rows),
    ]


def intervals(manifest: Manifest) -> list[tuple[str, str, str]]:
    """(module, Recall@5, its 95 % interval) each."""
    rows = manifest["scoreboard"]["modules"]
    return [(row["module"], score(row, "recall_at_5"), interval(row, "recall_at_5") or "-") for row in rows]


def as_markdown(manifest: Manifest, *, sha256: str) -> str:
    """The same facts. What people chose (the name, texts of the gate) cannot become markup."""
    head, *rows = table(manifest)
    lines = [
        f"# Completion artifact: {escaped(manifest['name'])}",
        "",
        f"Verify: <{manifest['verify_url']}>",
        "",
        *(f"- **{what}**: {escaped(value)}" for what, value in facts(manifest)[2:]),
        "",
        "## Scoreboard",
        "",
        *([SIMULATED, ""] if simulated(manifest) else []),
        row_of(head),
        row_of(["---"] * len(head)),
        *(row_of(escaped(cell) for cell in row) for row in rows),
        "",
        "## Recall@5 with 95 % intervals",
        "",
        *(f"- {escaped(module)}: {value} ({between})" for module, value, between in intervals(manifest)),
        "",
        "## Ship gate",
        "",
        *map(gate_line, manifest["scoreboard"]["gate"]["lines"]),
        "",
        "## Hashes",
        "",
        f"- PDF, SHA-256: `{sha256}`",
        *(f"- {escaped(what)}: `{value}`" for what, value in hashes(manifest)),
    ]
    return "\n".join(lines) + "\n"


def gate_line(line: GateRow) -> str:
    passed = "passed" if line["passed"] else "FAILED"
    return f"- {passed}: {escaped(line['name'].replace('_', ' '))}: {escaped(line['measured'])}"


def row_of(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def escaped(text: str) -> str:
    """Literal in Markdown, on one line."""
    return SPECIAL.sub(r"\\\1", " ".join(text.split()))
