"""`POST /anthropic/v1/messages` (whole and streamed) and `/anthropic/v1/messages/count_tokens`."""

import asyncio
import hashlib
import math
from dataclasses import dataclass

from aiohttp import web

from sandbox import price_list, sse
from sandbox.call import Call
from sandbox.chat_options import parse_chat
from sandbox.chat_request import ChatRequest, parse_prompt
from sandbox.prompt_cache import Block, Plan
from sandbox.vendors import Refusal


@dataclass(frozen=True, slots=True)
class Draft:
    """The answer before it is sent. `output_tokens` is what the whole of `text` costs."""

    message_id: str
    text: str
    stop_reason: str
    stop_sequence: str | None
    output_tokens: int


async def count_tokens(call: Call) -> web.StreamResponse:
    chat = parse_prompt(call.body)
    return await call.deliver({"input_tokens": sum(block.tokens for block in _blocks(call, chat))})


async def messages(call: Call) -> web.StreamResponse:
    chat = parse_chat(call.body)
    if call.fault and call.fault.kind == "overloaded_stream" and not chat.stream:
        raise Refusal(529, "Overloaded")
    blocks = _blocks(call, chat)
    _check_context(chat, sum(block.tokens for block in blocks))
    plan = call.sandbox.cache.plan(
        blocks, key=call.key, model=chat.model, minimum=chat.family.minimum_cacheable, now=call.sandbox.clock.now()
    )
    draft = await _write(call, chat)
    if chat.stream:
        return await _stream(call, chat, plan, draft)
    if call.sandbox.pace.generate_ms and draft.text:
        await asyncio.sleep(call.sandbox.pace.generate_ms / 1_000)
    call.sandbox.cache.commit(plan)
    _charge(call, plan, output_tokens=draft.output_tokens)
    return await call.deliver(_message(chat, plan, draft))


def _blocks(call: Call, chat: ChatRequest) -> list[Block]:
    counts = call.sandbox.tokens.count_all([part.text for part in chat.parts])
    return [
        Block(part.content, math.ceil(count * chat.family.token_factor) + part.extra_tokens, part.cache)
        for part, count in zip(chat.parts, counts, strict=True)
    ]


def _check_context(chat: ChatRequest, tokens: int) -> None:
    if tokens > chat.family.context:
        raise Refusal(400, f"prompt is too long: {tokens} tokens > {chat.family.context} maximum")


async def _write(call: Call, chat: ChatRequest) -> Draft:
    """The writer's text, cut where the request says that it must end."""
    message_id = f"msg_{hashlib.sha256(call.raw).hexdigest()[:24]}"
    if chat.max_tokens == 0:
        return Draft(message_id, "", "max_tokens", None, 0)
    text = await call.sandbox.writer.write(system=chat.system, user_texts=chat.user_texts)
    stop_reason, stopped_by = "end_turn", None
    found = [(text.find(stop), stop) for stop in chat.stop_sequences if stop in text]
    if found:
        end, stopped_by = min(found)
        text, stop_reason = text[:end], "stop_sequence"
    whole = _output_tokens(call, chat, text)
    if whole > chat.max_tokens:
        limit = math.floor(chat.max_tokens / chat.family.token_factor)
        text, stop_reason, stopped_by = call.sandbox.tokens.cut(text, limit=limit), "max_tokens", None
        whole = chat.max_tokens
    return Draft(message_id, text, stop_reason, stopped_by, whole)


def _output_tokens(call: Call, chat: ChatRequest, text: str) -> int:
    return max(1, math.ceil(call.sandbox.tokens.count(text) * chat.family.token_factor))


def _charge(call: Call, plan: Plan, *, output_tokens: int) -> None:
    usage = price_list.ChatUsage(plan.uncached, plan.write_5m, plan.write_1h, plan.read, output_tokens)
    cost = price_list.chat_cost(call.model, usage, at=call.sandbox.clock.moment())
    shown = {
        "input_tokens": usage.input,
        "cache_write_5m_tokens": usage.cache_write_5m,
        "cache_write_1h_tokens": usage.cache_write_1h,
        "cache_read_tokens": usage.cache_read,
        "output_tokens": usage.output,
    }
    call.charge(operation="messages", usage=shown, cost=cost)


def _usage(plan: Plan, *, output_tokens: int) -> dict[str, object]:
    return {
        "input_tokens": plan.uncached,
        "cache_creation_input_tokens": plan.write_5m + plan.write_1h,
        "cache_read_input_tokens": plan.read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": plan.write_5m,
            "ephemeral_1h_input_tokens": plan.write_1h,
        },
        "output_tokens": output_tokens,
        "service_tier": "standard",
    }


def _message(chat: ChatRequest, plan: Plan, draft: Draft) -> dict[str, object]:
    return {
        "id": draft.message_id,
        "type": "message",
        "role": "assistant",
        "model": chat.model,
        "content": [{"type": "text", "text": draft.text}] if draft.text else [],
        "stop_reason": draft.stop_reason,
        "stop_sequence": draft.stop_sequence,
        "usage": _usage(plan, output_tokens=draft.output_tokens),
    }


async def _stream(call: Call, chat: ChatRequest, plan: Plan, draft: Draft) -> web.StreamResponse:
    """The bill is written before the last event, or when the stream breaks, for what was sent until then."""
    opening = _message(chat, plan, draft) | {"content": [], "stop_reason": None, "stop_sequence": None}
    opening["usage"] = _usage(plan, output_tokens=1)
    response = sse.response(call.headers)
    await response.prepare(call.request)
    call.sandbox.cache.commit(plan)
    sent = sse.Sent()
    try:
        await sse.send_text(call, response, opening=opening, text=draft.text, sent=sent)
    except BaseException:
        _charge(call, plan, output_tokens=_output_tokens(call, chat, sent.text))
        raise
    _charge(call, plan, output_tokens=draft.output_tokens)
    await sse.send_end(response, draft.stop_reason, draft.stop_sequence, output_tokens=draft.output_tokens)
    return response
