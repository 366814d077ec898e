"""`POST /cohere/v2/rerank`."""

import math

from aiohttp import web

from sandbox import catalog
from sandbox.call import Call
from sandbox.price_list import rerank_cost
from sandbox.relevance import blend, cosines, ranked
from sandbox.vendors import Refusal

DEFAULT_TOKENS_PER_DOCUMENT = 4_096


async def rerank(call: Call) -> web.StreamResponse:
    if call.model not in catalog.RERANK_MODELS:
        raise Refusal(404, f"model '{call.model}' not found, make sure the correct model ID was used.")
    query, documents = _query(call), _documents(call)
    top_n = _positive(call, "top_n", default=len(documents))
    units = await _billed_units(call, query, documents)
    rows = await call.sandbox.embedding.vectors([query, *documents])
    scores = blend(cosines(rows[0], rows[1:]), call.sandbox.terms.bm25(query, documents))
    best = ranked(scores)[:top_n]
    if call.fault and call.fault.kind == "short_results":
        best = best[: len(best) // 2]
    cost = rerank_cost(call.model, search_units=units.get("search_units"), tokens=units.get("input_tokens"))
    call.charge(operation="rerank", usage=units, cost=cost)
    return await call.deliver(
        {
            "id": call.request_id,
            "results": [{"index": index, "relevance_score": float(scores[index])} for index in best],
            "meta": {"api_version": {"version": "2"}, "billed_units": units},
        }
    )


def _query(call: Call) -> str:
    query = call.body.get("query")
    if not isinstance(query, str) or not query.strip():
        raise Refusal(400, "invalid request: query must not be empty")
    return query


def _documents(call: Call) -> list[str]:
    documents = call.body.get("documents")
    if not isinstance(documents, list) or not documents:
        raise Refusal(400, "invalid request: list of documents must not be empty")
    if not all(isinstance(document, str) for document in documents):
        raise Refusal(400, "invalid request: documents must be strings")
    if len(documents) > catalog.RERANK_MAX_DOCUMENTS:
        raise Refusal(400, f"invalid request: at most {catalog.RERANK_MAX_DOCUMENTS} documents, got {len(documents)}")
    return documents


def _positive(call: Call, name: str, *, default: int) -> int:
    value = call.body.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise Refusal(400, f"invalid request: {name} must be at least 1")
    return value


async def _billed_units(call: Call, query: str, documents: list[str]) -> dict[str, int]:
    """Older models: one search unit per 100 chunks of 500 tokens, query included. Newer ones: tokens."""
    limit = _positive(call, "max_tokens_per_doc", default=DEFAULT_TOKENS_PER_DOCUMENT)
    query_tokens, *counts = await call.sandbox.count_tokens([query, *documents])
    counts = [min(count, limit) for count in counts]
    if call.model in catalog.RERANK_BILLED_BY_TOKEN:
        return {"input_tokens": query_tokens * len(documents) + sum(counts)}
    room = max(catalog.TOKENS_PER_SEARCHED_CHUNK - query_tokens, 1)
    chunks = sum(max(1, math.ceil(count / room)) for count in counts)
    return {"search_units": math.ceil(chunks / catalog.CHUNKS_PER_SEARCH_UNIT)}
