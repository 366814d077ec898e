"""The scoreboard as Markdown, and its two files."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from evals.module_scores import Metric, ModuleScore
from evals.presenting import COLUMNS
from evals.scoreboard import Scoreboard

NAME = "final-scoreboard"
UNKNOWN = "-"
SIMULATED = (
    "Simulated providers: the sandbox answered, not the vendors. Costs are what the vendors would bill for the same tokens; "
    "quality is that of small stand-in models."
)


def written(board: Scoreboard, folder: Path) -> tuple[Path, Path]:
    """The files `final-scoreboard.json` and `.md` in the folder, each replaced whole."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {".json": json.dumps(board.as_json(), indent=2) + "\n", ".md": as_markdown(board)}
    for suffix, text in texts.items():
        draft = folder / f"{NAME}{suffix}.new"
        draft.write_text(text, "utf-8")
        draft.replace(folder / f"{NAME}{suffix}")
    return folder / f"{NAME}.json", folder / f"{NAME}.md"


def as_markdown(board: Scoreboard) -> str:
    blocks = [
        "# Final scoreboard",
        f"**{SIMULATED}**" if board.simulated else "Live providers.",
        about(board),
        "## Modules",
        table(heads(), (cells(score) for score in board.modules)),
        "With 95 % intervals: bootstrap over the questions, for refusals Wilson's. "
        "What so few questions can show: `docs/evaluation.md`.",
        f"## Ship gate: {'passed' if board.gate.passed else 'not passed'}",
        table(("", "line", "measured", "needed", "remark"), gate_rows(board)),
    ]
    return "\n\n".join(blocks) + "\n"


def about(board: Scoreboard) -> str:
    dataset, corpus = board.dataset, board.corpus
    chunks = ", ".join(f"{count:,} {chunker}" for chunker, count in corpus.chunks.items())
    return "\n".join(
        (
            f"- Made {board.made_at:%Y-%m-%d %H:%M} UTC, commit {board.commit or 'unknown'}",
            f"- Questions: {dataset.name}, {dataset.questions}, SHA-256 `{dataset.sha256}`",
            f"- Documents: {corpus.name} {corpus.version}, {corpus.documents:,} documents, chunks: {chunks}",
        )
    )


def heads() -> tuple[str, ...]:
    return ("module", "prompt", "run", "asked", *COLUMNS.values(), "USD a query", "p50 ms", "p95 ms")


def cells(score: ModuleScore) -> tuple[str, ...]:
    asked = f"{score.questions} ({score.failed} failed)" if score.failed else str(score.questions)
    return (
        score.module,
        score.prompt_version,
        str(score.eval_run_id),
        asked,
        *(told(score.metrics[name]) for name in COLUMNS),
        UNKNOWN if score.cost_per_query_usd is None else f"{score.cost_per_query_usd:.6f}",
        *(UNKNOWN if value is None else f"{value:,.0f}" for value in score.latency_ms.values()),
    )


def told(metric: Metric) -> str:
    if metric.value is None:
        return UNKNOWN
    if metric.low is None or metric.high is None:
        return f"{metric.value:.3f}"
    return f"{metric.value:.3f} ({metric.low:.2f} to {metric.high:.2f})"


def gate_rows(board: Scoreboard) -> Iterable[tuple[str, ...]]:
    for line in board.gate.lines:
        yield (
            "passed" if line.passed else "**FAILED**",
            line.name.replace("_", " "),
            line.measured,
            line.needed,
            line.why,
        )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)
