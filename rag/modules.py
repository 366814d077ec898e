"""The six pipelines that can be compared, as data. `module` is a dimension of every trace, cost and evaluation."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from rag.errors import UnknownModule, UnknownTransform
from rag.values import ChunkRecipe

RECIPES = {
    "fixed": ChunkRecipe(chunker="fixed", size=1800, overlap=200),
    "structural": ChunkRecipe(chunker="structural", size=1800),
}
TRANSFORMS = ("simple", "hyde", "multi_query", "decompose")
AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Module:
    """One configuration. Candidates and `top_k` are numbers of chunks; `bm25_candidates=0` means vectors alone.

    `transform` is one of TRANSFORMS, or `auto`: chosen per question. With `fallbacks` a provider that fails degrades the answer
    where docs/failures.md says so; without, it fails the request, so that an evaluation measures one thing. With `answer_cache`
    the same question within minutes gets the same answer, for nothing. With `prompt_cache` the provider is asked to keep the
    system prompt where that pays.

    Three savings, each off at 0: `sure_overlap`: when so many of the best five are found by vectors and by BM25 alike, `auto`
    asks for no transform; `agreed_overlap`: likewise, and nothing is reranked; `source_floor`: sources that the reranker scores
    below this share of the best are not sent.
    """

    name: str
    chunker: str
    vector_candidates: int = 5
    bm25_candidates: int = 0
    rrf_k: int = 60
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
MODULES = {
    module.name: module
    for module in (
        Module(name="m1-baseline", chunker="fixed"),
        Module(name="m2-chunking", chunker="structural"),
        HYBRID,
        replace(HYBRID, name="m4-transform", transform=AUTO),
        replace(
            HYBRID,
            name="m6-production",
            transform=AUTO,
            fallbacks=True,
            answer_cache=True,
            prompt_cache=True,
            sure_overlap=3,
            source_floor=0.7,
        ),
    )
}


def find_module(name: str) -> Module:
    """The module of that name, or of the unambiguous beginning of it (`m4`); raises UnknownModule."""
    if name in MODULES:
        return MODULES[name]
    near = [module for key, module in MODULES.items() if key.split("-")[0] == name]
    if len(near) != 1:
        raise UnknownModule(f"there is no module {name!r}; known: {', '.join(MODULES)}")
    return near[0]


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
