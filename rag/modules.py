"""The six pipelines that can be compared, as data. `module` is a dimension of every trace, cost and evaluation."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from rag.errors import UnknownModule, UnknownTransform
from rag.tuned import read_tuned
from rag.values import ChunkRecipe

RECIPES = {
    "fixed": ChunkRecipe(chunker="fixed", size=1800, overlap=200),
    "structural": ChunkRecipe(chunker="structural", size=1800),
    "semantic": ChunkRecipe(chunker="semantic", size=1800),
    "hierarchical": ChunkRecipe(chunker="hierarchical", size=450, parent_size=1800),
    "fixed-900": ChunkRecipe(chunker="fixed", size=900, overlap=100),
    "structural-900": ChunkRecipe(chunker="structural", size=900),
    "structural-2700": ChunkRecipe(chunker="structural", size=2700),
    "semantic-900": ChunkRecipe(chunker="semantic", size=900),
    "hierarchical-2700": ChunkRecipe(chunker="hierarchical", size=600, parent_size=2700),
}
"""Ways to cut a corpus, by the names that modules and chunk sets have for them (at most 20 characters)."""
TRANSFORMS = ("simple", "hyde", "multi_query", "decompose")
AUTO = "auto"
FUSIONS = ("ranks", "scores")


@dataclass(frozen=True, slots=True)
class Module:
    """One configuration. `chunker` is the name of a recipe. Candidates and `top_k` are numbers of chunks, of those that are
    sent; `bm25_candidates=0` means vectors alone.

    `transform` is one of TRANSFORMS, or `auto`: chosen per question. With `fallbacks` a provider that fails degrades the answer
    where docs/failures.md says so; without, it fails the request, so that an evaluation measures one thing. With `answer_cache`
    the same question within minutes gets the same answer, for nothing. With `prompt_cache` the provider is asked to keep the
    system prompt where that pays.

    `fusion`: candidates of several searches are ordered by their `ranks` (with `rrf_k`) or by their `scores`; the rankings
    of the vector index count `dense_weight`, those of BM25 `lexical_weight`. What is reranked are the `fused_candidates`.

    Three savings, each off at 0: `sure_overlap`: when so many of the best five are found by vectors and by BM25 alike, `auto`
    asks for no transform; `agreed_overlap`: likewise, and nothing is reranked; `source_floor`: sources that the reranker scores
    below this share of the best are not sent.
    """

    name: str
    chunker: str
    vector_candidates: int = 5
    bm25_candidates: int = 0
    fusion: str = "ranks"
    rrf_k: int = 60
    dense_weight: float = 1.0
    lexical_weight: float = 1.0
    fused_candidates: int = 20
    rerank: bool = False
    top_k: int = 5
    transform: str = "simple"
    fallbacks: bool = False
    answer_cache: bool = False
    prompt_cache: bool = False
    sure_overlap: int = 0
    agreed_overlap: int = 0
    source_floor: float = 0.0

    def config(self) -> dict[str, Any]:
        """The knobs as plain values, for traces and replays."""
        return asdict(self)


HYBRID = Module(
    name="m3-hybrid", chunker="structural", vector_candidates=20, bm25_candidates=20, fused_candidates=20, rerank=True
)
TUNED = read_tuned(choices={"chunker": RECIPES, "transform": (*TRANSFORMS, AUTO), "fusion": FUSIONS})
M5 = Module(name="m5-tuned", **TUNED.general)
M6 = replace(M5, name="m6-production", fallbacks=True, answer_cache=True, prompt_cache=True)
MODULES = {
    module.name: module
    for module in (
        Module(name="m1-baseline", chunker="fixed"),
        Module(name="m2-chunking", chunker="structural"),
        HYBRID,
        replace(HYBRID, name="m4-transform", transform=AUTO),
        M5,
        M6,
    )
}


def read_recipes(corpus: str) -> tuple[str, ...]:
    """The names of the recipes that some module reads in that corpus: what an ingest makes unless it is told otherwise."""
    wanted = {module_for(name, corpus).chunker for name in MODULES}
    return tuple(name for name in RECIPES if name in wanted)


def find_module(name: str) -> Module:
    """The module of that name, or of the unambiguous beginning of it (`m4`); raises UnknownModule."""
    if name in MODULES:
        return MODULES[name]
    near = [module for key, module in MODULES.items() if key.split("-")[0] == name]
    if len(near) != 1:
        raise UnknownModule(f"there is no module {name!r}; known: {', '.join(MODULES)}")
    return near[0]


def module_for(name: str, corpus: str) -> Module:
    """The module as it is with that corpus: a tuned one may find there in another way. Raises UnknownModule."""
    module = find_module(name)
    return replace(module, **TUNED.corpora.get(corpus, {})) if module in (M5, M6) else module


def with_request(module: Module, *, transform: str | None, top_k: int | None) -> Module:
    """The module with what a request overrides; raises UnknownTransform."""
    if transform is not None and transform not in (*TRANSFORMS, AUTO):
        raise UnknownTransform(f"there is no transform {transform!r}; known: {', '.join((*TRANSFORMS, AUTO))}")
    wanted = top_k or module.top_k
    return replace(
        module,
        transform=transform or module.transform,
        top_k=wanted,
        vector_candidates=max(module.vector_candidates, wanted),
        fused_candidates=max(module.fused_candidates, wanted),
    )
