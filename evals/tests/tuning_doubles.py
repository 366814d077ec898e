"""Collections whose findings are written down beforehand, by the weight that a configuration gives to BM25."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from evals.tuning_questions import Collection, Found, Half, Results
from rag.modules import MODULES, Module

M3 = MODULES["m3-hybrid"]
Recall = Callable[[Module, Half, int], float]


class Written(Collection):
    """`recall(module, half, number)` is what it finds for the question of that number."""

    def __init__(
        self, name: str, recall: Recall, *, questions: int = 20, recipes: Sequence[str] = ("structural",)
    ) -> None:
        super().__init__(name, "", name, "v1", "simulated", tuple(recipes), {}, parts_of=lambda recipe: NotImplemented)
        self._recall, self._questions = recall, questions
        self.asked: list[tuple[Module, Half]] = []

    def results(self, module: Module, half: Half) -> Results:
        self.asked.append((module, half))
        recalls = [self._recall(module, half, number) for number in range(self._questions)]
        floor = module.source_floor if module.rerank else 0
        return {str(number): Found(one, one, round(1000 * (1 - floor))) for number, one in enumerate(recalls)}


def weighed(lexical: float) -> Module:
    return replace(M3, dense_weight=round(1 - lexical, 1), lexical_weight=lexical)
