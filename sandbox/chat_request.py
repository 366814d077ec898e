"""A `/v1/messages` body, checked as the vendor checks it and laid out as the blocks that the prompt cache sees."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox import catalog
from sandbox.catalog import ChatFamily
from sandbox.prompt_cache import MAX_BREAKPOINTS, TTL_SECONDS, Ttl
from sandbox.vendors import Refusal

_KNOWN_FIELDS = (
    "model max_tokens messages system tools tool_choice stream stop_sequences temperature top_p top_k metadata thinking"
    " service_tier cache_control container context_management diagnostics inference_geo mcp_servers output_config"
    " output_format speed user_profile_id fallbacks betas"
)
KNOWN_FIELDS = frozenset(_KNOWN_FIELDS.split())
_CONTENT_TYPES = (
    "text image document search_result tool_use tool_result thinking redacted_thinking server_tool_use"
    " web_search_tool_result container_upload"
)
CONTENT_TYPES = frozenset(_CONTENT_TYPES.split())
NEVER_CACHED = frozenset({"thinking", "redacted_thinking"})
# What these say is part of how messages are read, so that another value misses the cache from the messages on.
SHAPE_MESSAGES = ("tool_choice", "thinking", "output_config")
IMAGE_TOKENS = 1_500
MESSAGE_OVERHEAD = 4


@dataclass(frozen=True, slots=True)
class Part:
    """One block of the prompt: `content` for matching, `text` and `extra_tokens` for counting."""

    content: bytes
    text: str
    extra_tokens: int
    cache: Ttl | None


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """`parts` in cache order: tools, system, messages. `user_texts`: one joined text per user message."""

    model: str
    family: ChatFamily
    max_tokens: int
    stream: bool
    stop_sequences: tuple[str, ...]
    system: str
    user_texts: tuple[str, ...]
    parts: tuple[Part, ...]


def parse_prompt(body: Mapping[str, Any]) -> ChatRequest:
    """What `count_tokens` needs. Raises Refusal (400, or 404 for an unknown model)."""
    strange = sorted(set(body) - KNOWN_FIELDS)
    if strange:
        raise Refusal(400, f"{strange[0]}: Extra inputs are not permitted")
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise Refusal(400, "model: Field required")
    family = catalog.chat_family(model)
    if family is None:
        raise Refusal(404, f"model: {model}")
    _check_messages(body.get("messages"))
    parts = _with_automatic_breakpoint(tuple(_parts(body)), body.get("cache_control"))
    _check_breakpoints(parts)
    return ChatRequest(
        model=model,
        family=family,
        max_tokens=0,
        stream=False,
        stop_sequences=(),
        system="\n\n".join(_text_of(block) for block in _blocks(body.get("system"), where="system")),
        user_texts=tuple(
            "\n".join(_text_of(block) for block in _blocks(message["content"], where="messages"))
            for message in body["messages"]
            if message["role"] == "user"
        ),
        parts=parts,
    )


def _check_messages(messages: object) -> None:
    if messages is None:
        raise Refusal(400, "messages: Field required")
    if not isinstance(messages, list):
        raise Refusal(400, "messages: Input should be a valid array")
    if not messages:
        raise Refusal(400, "messages: at least one message is required")
    for number, message in enumerate(messages):
        if not isinstance(message, dict) or message.get("role") not in ("user", "assistant"):
            raise Refusal(400, f"messages.{number}.role: Input should be 'user' or 'assistant'")
        content = message.get("content")
        if not isinstance(content, str | list):
            raise Refusal(400, f"messages.{number}.content: Input should be a string or an array of blocks")
        if not content and not (message["role"] == "assistant" and number == len(messages) - 1):
            raise Refusal(400, f"messages.{number}: content must be non-empty")
    if messages[0]["role"] != "user":
        raise Refusal(400, 'messages: first message must use the "user" role')


def _parts(body: Mapping[str, Any]) -> Iterator[Part]:
    tools = body.get("tools") or []
    if not isinstance(tools, list) or not all(isinstance(tool, dict) and tool.get("name") for tool in tools):
        raise Refusal(400, "tools: Input should be an array of tools with a name")
    for number, tool in enumerate(tools):
        yield _part("tool", tool, where=f"tools.{number}")
    for number, block in enumerate(_blocks(body.get("system"), where="system")):
        yield _part("system", block, where=f"system.{number}")
    shape = json.dumps([body.get(name) for name in SHAPE_MESSAGES], sort_keys=True)
    for number, message in enumerate(body["messages"]):
        for position, block in enumerate(_blocks(message["content"], where=f"messages.{number}.content")):
            first = position == 0
            section = f"{message['role']} {first} {shape if first and number == 0 else ''}"
            overhead = MESSAGE_OVERHEAD if first else 0
            yield _part(section, block, where=f"messages.{number}.content.{position}", overhead=overhead)


def _blocks(content: object, *, where: str) -> list[dict[str, Any]]:
    """A string is one text block, an empty one none."""
    if content is None or content == "":
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not isinstance(content, list):
        raise Refusal(400, f"{where}: Input should be a string or an array of blocks")
    for number, block in enumerate(content):
        if not isinstance(block, dict) or block.get("type") not in CONTENT_TYPES:
            raise Refusal(400, f"{where}.{number}: Input tag is not one of the expected block types")
        if block["type"] == "text" and (not isinstance(block.get("text"), str) or not block["text"]):
            raise Refusal(400, f"{where}.{number}: text content blocks must be non-empty")
    return content


def _part(section: str, block: Mapping[str, Any], *, where: str, overhead: int = 0) -> Part:
    bare = {name: value for name, value in block.items() if name != "cache_control"}
    content = json.dumps([section, bare], ensure_ascii=False)
    is_image = block.get("type") == "image"
    cache = _ttl(block.get("cache_control"), where=where)
    if cache and block.get("type") in NEVER_CACHED:
        raise Refusal(400, f"{where}.cache_control: thinking blocks cannot be cached")
    return Part(
        content=content.encode(),
        text="" if is_image else _text_of(block),
        extra_tokens=overhead + (IMAGE_TOKENS if is_image else 0),
        cache=cache,
    )


def _text_of(block: Mapping[str, Any]) -> str:
    """The words of a block; for anything but text, its JSON."""
    if block.get("type") == "text":
        return str(block["text"])
    bare = {name: value for name, value in block.items() if name != "cache_control"}
    return json.dumps(bare, ensure_ascii=False)


def _ttl(cache_control: object, *, where: str) -> Ttl | None:
    if cache_control is None:
        return None
    if not isinstance(cache_control, dict) or cache_control.get("type") != "ephemeral":
        raise Refusal(400, f"{where}.cache_control.type: Input should be 'ephemeral'")
    wanted = cache_control.get("ttl", "5m")
    for ttl in TTL_SECONDS:
        if ttl == wanted:
            return ttl
    raise Refusal(400, f"{where}.cache_control.ttl: Input should be '5m' or '1h'")


def _with_automatic_breakpoint(parts: tuple[Part, ...], cache_control: object) -> tuple[Part, ...]:
    """A top-level `cache_control` marks the last block."""
    ttl = _ttl(cache_control, where="request")
    if ttl is None:
        return parts
    last = parts[-1]
    if last.cache not in (None, ttl):
        raise Refusal(400, "cache_control: the last block already has a breakpoint with another ttl")
    return (*parts[:-1], Part(last.content, last.text, last.extra_tokens, ttl))


def _check_breakpoints(parts: tuple[Part, ...]) -> None:
    lifetimes = [part.cache for part in parts if part.cache]
    if len(lifetimes) > MAX_BREAKPOINTS:
        found = len(lifetimes)
        raise Refusal(400, f"A maximum of {MAX_BREAKPOINTS} blocks with cache_control may be provided. Found {found}.")
    if sorted(lifetimes) != lifetimes:  # "1h" sorts before "5m"
        raise Refusal(400, "cache_control: a ttl='1h' block must not come after a ttl='5m' block")
