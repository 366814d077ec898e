"""The scoreboard: every module by every metric, and the ship gate. What is kept is never changed; the newest counts."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from evals.models import KeptScoreboard
from evals.module_scores import ModuleScore, score_from_json
from evals.ship_gate import Gate, GateLine


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    name: str
    sha256: str
    questions: int


@dataclass(frozen=True, slots=True)
class CorpusFacts:
    """`chunks`: how many, by chunker."""

    name: str
    version: str
    documents: int
    chunks: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Scoreboard:
    """`modules` in the order in which they were built on each other. `provider_mode`: simulated or live."""

    made_at: datetime
    commit: str
    provider_mode: str
    dataset: DatasetFacts
    corpus: CorpusFacts
    modules: tuple[ModuleScore, ...]
    gate: Gate

    @property
    def simulated(self) -> bool:
        return self.provider_mode != "live"

    def score(self, module: str) -> ModuleScore | None:
        return next((score for score in self.modules if score.module == module), None)

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"made_at": self.made_at.isoformat()}


def from_json(told: Mapping[str, Any]) -> Scoreboard:
    """What `as_json` made, also when it was read back from a file."""
    gate = told["gate"]
    return Scoreboard(
        made_at=datetime.fromisoformat(told["made_at"]),
        commit=told["commit"],
        provider_mode=told["provider_mode"],
        dataset=DatasetFacts(**told["dataset"]),
        corpus=CorpusFacts(**told["corpus"]),
        modules=tuple(score_from_json(row) for row in told["modules"]),
        gate=Gate(gate["passed"], tuple(GateLine(**line) for line in gate["lines"])),
    )


def keep(board: Scoreboard) -> KeptScoreboard:
    return KeptScoreboard.objects.create(made_at=board.made_at, passed=board.gate.passed, content=board.as_json())


def load() -> Scoreboard | None:
    """The newest that was kept; None before the first."""
    newest = KeptScoreboard.objects.order_by("-pk").first()
    return from_json(newest.content) if newest else None
