"""Retrieval alone, by the code that serves: what a module would send for a question, without an answer being written."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from evals.asking import final_order
from evals.matching import Span
from rag import clock, provider_stack, wiring
from rag.embedding import EmbedderSpec
from rag.finding import sources_for
from rag.modules import Module
from rag.parts import Parts, Passages
from rag.providers.metered import Meter
from rag.retrieval.passages import StoredPassages
from rag.trace import Trace, new_trace_id
from rag.values import Question


@dataclass(frozen=True, slots=True)
class Retrieved:
    """`ranked`: the spans of what was retrieved, best first, as they would be sent. `sent`: characters of the sources."""

    ranked: tuple[Span, ...]
    sent: int


def retrieved(question: str, parts: Parts) -> Retrieved:
    """Raises ProviderError, IndexUnavailable."""
    trace = Trace(new_trace_id(), clock.now(), question)
    _, sources = sources_for(question, parts, trace)
    sent = sum(len(source.passage.text) for source in sources)
    return Retrieved(spans(final_order(trace), parts.passages), sent)


def spans(keys: Sequence[str], passages: Passages) -> tuple[Span, ...]:
    live = passages.load(keys)
    found = (live[key] for key in keys if key in live)
    return tuple((passage.source, passage.start, passage.end) for passage in found)


def parts_of(*, corpus: str, module: Module, spec: EmbedderSpec, meter: Meter) -> Parts:
    """The parts of a module that need not be one of MODULES, in the vector space of that embedder.

    Raises UnknownCorpus, CorpusNotReady, IndexOutdated.
    """
    stamp = wiring.current_stamp(corpus)
    serving = wiring.serving_for(corpus, stamp.version_id, module.chunker, stamp.url_template)
    prompts = wiring.prompts_for(Question("", corpus, module.name), stamp, "")
    return Parts(
        module=module,
        models=replace(wiring.models(meter.prices), embedding=spec.model, dimensions=spec.dimensions),
        prompt=prompts["answer"],
        transformer=wiring.transformer(meter, prompts),
        embedder=provider_stack.embedder_for_questions(spec, meter),
        dense=wiring.collection(serving, spec),
        lexical=wiring.lexical_index(serving.chunk_set_id) if module.bm25_candidates else None,
        reranker=provider_stack.reranker(meter),
        chat=wiring.answering_model(module, meter, lambda: None),
        passages=StoredPassages(chunk_set_id=serving.chunk_set_id, url_template=serving.url_template),
    )
