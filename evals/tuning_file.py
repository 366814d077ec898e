"""Writing `rag/tuned.json`: the knobs that won, and the evidence for them."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from evals.planning import commit, model_names
from evals.tuning_questions import Collection, Half
from evals.tuning_verdict import Decision
from rag import clock
from rag.modules import Module
from rag.tuned import CORPUS_KNOBS, GENERAL_KNOBS, read_content

HALVES = "questions with gold in the order of SHA-256 of 'data set/id', dealt in turn: the first to the search"


def written(path: Path, winners: Sequence[Decision], collections: Sequence[Collection]) -> None:
    """Put the winners into the file, in one step; what they do not concern stays. Raises TunedFileBroken, OSError."""
    content = read_content(path)
    for_all = [decision for decision in winners if not decision.corpus]
    if for_all:
        content["general"] = entry(for_all[-1].after, GENERAL_KNOBS, for_all, collections)
    for decision in winners:
        if decision.corpus:
            own = [each for each in collections if each.corpus == decision.corpus]
            content["corpora"][decision.corpus] = entry(decision.after, CORPUS_KNOBS, [decision], own)
    fresh = path.with_suffix(".fresh")
    fresh.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    os.replace(fresh, path)


def entry(
    chosen: Module, names: Sequence[str], decisions: Sequence[Decision], collections: Sequence[Collection]
) -> dict[str, Any]:
    return {
        "knobs": knobs(chosen, names),
        "evidence": {
            "decided_at": clock.now().isoformat(timespec="seconds"),
            "commit": commit(),
            "models": {name: model for name, model in model_names().items() if name != "answer"},
            "datasets": [described(each) for each in collections],
            "halves": HALVES,
            "decisions": [proof(decision, names) for decision in decisions],
        },
    }


def knobs(module: Module, names: Sequence[str]) -> dict[str, Any]:
    told = module.config()
    return {name: told[name] for name in names}


def described(collection: Collection) -> dict[str, Any]:
    return {
        "name": collection.name,
        "sha256": collection.sha256,
        "corpus": collection.corpus,
        "corpus_version": collection.corpus_version,
        "provider_mode": collection.provider_mode,
        "searched": len(collection.halves[Half.SEARCH]),
        "confirmed": len(collection.halves[Half.CONFIRM]),
    }


def proof(decision: Decision, names: Sequence[str]) -> dict[str, Any]:
    """Who was beaten, and by how much on questions that the search did not see."""
    found = decision.verdict.comparison
    told = {
        "decided": decision.what,
        "beaten": knobs(decision.before, names),
        "configurations_tried": decision.tried,
        "metric": found.metric,
        "search": {"before": rounded(decision.searched[0]), "after": rounded(decision.searched[1])},
        "confirmation": {
            "before": rounded(found.mean_before),
            "after": rounded(found.mean_after),
            "difference": rounded(found.difference),
            "interval_95": [rounded(edge) for edge in found.interval or ()],
            "p_value": rounded(found.p_adjusted),
            "better": len(found.wins),
            "worse": len(found.losses),
            "by_dataset": {name: asdict(means) for name, means in decision.verdict.by_dataset.items()},
        },
    }
    if decision.characters is not None:
        told["characters_sent"] = {"before": round(decision.characters[0]), "after": round(decision.characters[1])}
    return told


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 5)
