"""From a space too large to try to one configuration: chunkers first, then fusions, then what has to be paid for.

Every score here is of the searching halves. The confirming halves are never looked at.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

from evals.tuning_questions import Collection, Half
from evals.tuning_space import coarse, fusions, price, reranked, routed, sent
from rag.modules import Module

KEPT_RECIPES = 2
SHORTLIST = 4
ROUTED = 2
"""how many are tried with every transform"""
SAME = 1e-9
Tell = Callable[[str, int, int], None]


@dataclass(slots=True)
class Search:
    """One search over some collections, from the configuration that is to be beaten."""

    collections: Sequence[Collection]
    incumbent: Module
    tell: Tell
    tried: set[Module] = field(default_factory=set)

    def whole(self, recipes: Sequence[str]) -> Module:
        """The best of everything that is tried; the incumbent where nothing is better.

        Where the incumbent reranks, so does what follows it: which sources are sent, and so what an answer cites and costs, is
        decided by the reranker's scores, and Recall@5 does not see that. For a single corpus it may be left out.
        """
        kept = self.recipes(recipes)
        paid_for = self.finding([replace(self.incumbent, chunker=recipe) for recipe in kept])
        reranked_ones = [module for module in paid_for if module.rerank >= self.incumbent.rerank]
        contenders = [*reranked_ones, self.incumbent]
        finalists = dict.fromkeys((*self.best_of(contenders, 1), *self.harmless(contenders)[:ROUTED]))
        return self.best("transform", [each for module in finalists for each in routed(module)])

    def for_one_corpus(self) -> Module:
        """The best with the incumbent's chunker, transform and sources: what may differ between corpora."""
        transform, sure = self.incumbent.transform, self.incumbent.sure_overlap
        found = [replace(module, transform=transform, sure_overlap=sure) for module in self.finding([self.incumbent])]
        return self.best("transform", self.best_of(found, ROUTED))

    def recipes(self, names: Sequence[str]) -> list[str]:
        """The chunkers that did best with a few fusions, and the incumbent's."""
        scores = {}
        for place, name in enumerate(names):
            tried = coarse(replace(self.incumbent, chunker=name))
            scores[name] = max(map(self.mean, self.noted("chunkers", tried, place, len(names))))
        best = sorted(scores, key=lambda name: -scores[name])[:KEPT_RECIPES]
        return list(dict.fromkeys([self.incumbent.chunker, *best]))

    def finding(self, bases: Sequence[Module]) -> list[Module]:
        """All fusions of the bases, and the best of them with what they give to the reranker."""
        plain = [module for base in bases for module in self.noted("fusion", list(fusions(base)))]
        shortlist = dict.fromkeys((*self.best_of(plain, SHORTLIST), *self.harmless(plain)[:SHORTLIST]))
        ranked = self.noted("rerank", [each for module in (*shortlist, self.plain()) for each in reranked(module)])
        return [*shortlist, *ranked]

    def plain(self) -> Module:
        return replace(self.incumbent, transform="simple", sure_overlap=0, vector_candidates=50, bm25_candidates=50)

    def best(self, stage: str, candidates: Iterable[Module]) -> Module:
        """The best one that finds no less than the incumbent in any collection."""
        harmless = self.harmless(self.noted(stage, list(candidates)))
        return min([*harmless[:1], self.incumbent], key=self.order)

    def sources(self) -> Module:
        """The one that sends least, of those whose sources hold as much of the gold of every collection as the incumbent's."""
        floors = [(each, self.mean(self.incumbent, [each], "sent_recall") - SAME) for each in self.collections]
        enough = [
            module
            for module in self.harmless(self.noted("sources", sent(self.incumbent)))
            if all(self.mean(module, [each], "sent_recall") >= floor for each, floor in floors)
        ]
        least = min(enough, key=lambda module: self.mean(module, measure="sent_characters"), default=self.incumbent)
        unchanged = self.mean(least, measure="sent_characters") >= self.mean(self.incumbent, measure="sent_characters")
        return self.incumbent if unchanged else least

    def harmless(self, modules: Iterable[Module]) -> list[Module]:
        """Best first, those that are not below the incumbent in any collection."""
        floors = [(each, self.mean(self.incumbent, [each]) - SAME) for each in self.collections]
        fine = [module for module in modules if all(self.mean(module, [each]) >= floor for each, floor in floors)]
        return sorted(fine, key=self.order)

    def best_of(self, modules: Iterable[Module], count: int) -> list[Module]:
        return sorted(modules, key=self.order)[:count]

    def order(self, module: Module) -> tuple[object, ...]:
        return -round(self.mean(module), 9), price(module)

    def mean(self, module: Module, collections: Sequence[Collection] = (), measure: str = "recall") -> float:
        """Over the questions of the searching halves, all together."""
        return fmean(
            getattr(found, measure)
            for each in collections or self.collections
            for found in each.results(module, Half.SEARCH).values()
        )

    def noted(self, stage: str, modules: Iterable[Module], done: int = 0, total: int = 0) -> list[Module]:
        """The modules, after they were tried, one sign of life for each."""
        listed = list(modules)
        for place, module in enumerate(listed):
            self.mean(module)
            self.tried.add(replace(module, name=""))
            self.tell(stage, done if total else place + 1, total or len(listed))
        return listed
