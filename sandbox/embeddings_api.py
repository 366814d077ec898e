"""`POST /voyage/v1/embeddings` and `POST /openai/v1/embeddings`."""

import base64
from typing import Any

from aiohttp import web

from sandbox import catalog
from sandbox.call import Call
from sandbox.catalog import EmbeddingModel
from sandbox.price_list import embedding_cost
from sandbox.spaces import into_space
from sandbox.vendors import Refusal


async def voyage(call: Call) -> web.StreamResponse:
    body = call.body
    model = catalog.VOYAGE_MODELS.get(call.model)
    if model is None:
        known = ", ".join(sorted(catalog.VOYAGE_MODELS))
        raise Refusal(400, f"Model {call.model} is not supported. Supported models are {known}.")
    texts = _texts(body, most=catalog.VOYAGE_MAX_TEXTS)
    if body.get("input_type") not in (None, "query", "document"):
        raise Refusal(400, "Value error, input_type must be one of null, 'query', 'document'.")
    if body.get("output_dtype") not in (None, "float"):
        raise Refusal(400, "output_dtype: this server returns float only.")
    return await _answer(call, model, texts, await _voyage_tokens(call, texts), wanted="output_dimension")


async def openai(call: Call) -> web.StreamResponse:
    body = call.body
    model = catalog.OPENAI_MODELS.get(call.model)
    if model is None:
        message = f"The model `{call.model}` does not exist or you do not have access to it."
        raise Refusal(404, message, code="model_not_found")
    texts = _texts(body, most=catalog.OPENAI_MAX_TEXTS)
    counts = await call.sandbox.count_tokens(texts)
    if (longest := max(counts)) > catalog.OPENAI_MAX_TOKENS_PER_TEXT:
        limit = catalog.OPENAI_MAX_TOKENS_PER_TEXT
        raise Refusal(
            400,
            f"This model's maximum context length is {limit} tokens, however you requested {longest} tokens.",
            code="context_length_exceeded",
        )
    return await _answer(call, model, texts, sum(counts), wanted="dimensions")


async def _answer(
    call: Call, model: EmbeddingModel, texts: list[str], tokens: int, *, wanted: str
) -> web.StreamResponse:
    if tokens > model.max_total:
        message = f"Requested {tokens} tokens, the maximum for this model is {model.max_total} tokens per request."
        raise Refusal(400, message, code="max_tokens_per_request")
    width = _width(call.body, model, wanted=wanted)
    base64_wanted = _base64_wanted(call.body)
    rows = into_space(await call.sandbox.embedding.vectors(texts), space=model.space, width=width)
    if call.fault and call.fault.kind == "short_results":
        rows = rows[:-1]
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": base64.b64encode(row.tobytes()).decode() if base64_wanted else row.tolist(),
        }
        for index, row in enumerate(rows.astype("<f4"))
    ]
    usage = {"total_tokens": tokens} if call.vendor == "voyage" else {"prompt_tokens": tokens, "total_tokens": tokens}
    cost = embedding_cost(call.model, tokens=tokens)
    call.charge(operation="embeddings", usage={"total_tokens": tokens}, cost=cost)
    return await call.deliver({"object": "list", "data": data, "model": call.model, "usage": usage})


async def _voyage_tokens(call: Call, texts: list[str]) -> int:
    """Voyage cuts long texts and bills what is left, unless told to refuse them."""
    counts = await call.sandbox.count_tokens(texts)
    limit = catalog.VOYAGE_MAX_TOKENS_PER_TEXT
    if call.body.get("truncation", True) is False and max(counts) > limit:
        raise Refusal(400, f"A text has {max(counts)} tokens, more than the context length of {limit} tokens.")
    return sum(min(count, limit) for count in counts)


def _texts(body: dict[str, Any], *, most: int) -> list[str]:
    given = body.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts:
        raise Refusal(400, "input: a string or a list of strings is required and may not be empty.")
    if not all(isinstance(text, str) and text for text in texts):
        raise Refusal(400, "input: must hold strings only, none of them empty.")
    if len(texts) > most:
        raise Refusal(400, f"input: at most {most} texts per request, got {len(texts)}.")
    return texts


def _width(body: dict[str, Any], model: EmbeddingModel, *, wanted: str) -> int:
    width = body.get(wanted)
    if width is None:
        return model.width
    if isinstance(width, bool) or not isinstance(width, int) or width not in model.widths:
        allowed = model.widths if isinstance(model.widths, tuple) else f"1 to {model.width}"
        raise Refusal(400, f"{wanted}: {width} is not supported by {body['model']}, use one of {allowed}.")
    return width


def _base64_wanted(body: dict[str, Any]) -> bool:
    encoding = body.get("encoding_format")
    if encoding not in (None, "float", "base64"):
        raise Refusal(400, "encoding_format: must be 'float' or 'base64'.")
    return encoding == "base64"
