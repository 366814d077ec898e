"""The options of a `/v1/messages` body that are not its prompt, checked as the vendor checks them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sandbox.chat_request import ChatRequest, parse_prompt
from sandbox.vendors import Refusal


def parse_chat(body: Mapping[str, Any]) -> ChatRequest:
    """The whole request. Raises Refusal (400, or 404 for an unknown model)."""
    prompt = parse_prompt(body)
    stream = body.get("stream", False)
    if not isinstance(stream, bool):
        raise Refusal(400, "stream: Input should be a valid boolean")
    chat = replace(
        prompt, max_tokens=_max_tokens(body), stream=stream, stop_sequences=_stop_sequences(body.get("stop_sequences"))
    )
    _check_sampling(body, chat)
    _check_thinking(body.get("thinking"), chat)
    if chat.max_tokens == 0:
        _check_prewarm(body, chat)
    return chat


def _max_tokens(body: Mapping[str, Any]) -> int:
    value = body.get("max_tokens")
    if value is None:
        raise Refusal(400, "max_tokens: Field required")
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refusal(400, "max_tokens: Input should be a valid integer")
    if value < 0:
        raise Refusal(400, "max_tokens: Input should be greater than or equal to 0")
    return value


def _stop_sequences(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(stop, str) and stop.strip() for stop in value):
        raise Refusal(400, "stop_sequences: each stop sequence must contain non-whitespace")
    return tuple(value)


def _check_sampling(body: Mapping[str, Any], chat: ChatRequest) -> None:
    for name in ("temperature", "top_p"):
        value = body.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise Refusal(400, f"{name}: range: 0..1")
        if value != 1 and not chat.family.accepts_sampling:
            raise Refusal(400, f"{name}: {chat.model} accepts only the default value of this parameter")
    if body.get("top_k") is not None and not chat.family.accepts_sampling:
        raise Refusal(400, f"top_k: {chat.model} does not accept this parameter")


def _check_thinking(thinking: object, chat: ChatRequest) -> None:
    if thinking is None:
        return
    if not isinstance(thinking, dict) or thinking.get("type") not in ("enabled", "disabled", "adaptive"):
        raise Refusal(400, "thinking.type: Input should be 'enabled', 'disabled' or 'adaptive'")
    if thinking["type"] == "disabled" and chat.family.thinking_is_fixed:
        raise Refusal(400, f"thinking: cannot be disabled for {chat.model}")


def _check_prewarm(body: Mapping[str, Any], chat: ChatRequest) -> None:
    """`max_tokens: 0` only fills the cache; it goes with nothing that shapes an output."""
    choice = body.get("tool_choice")
    forced = isinstance(choice, dict) and choice.get("type") in ("any", "tool")
    thinking = body.get("thinking")
    thinks = isinstance(thinking, dict) and thinking.get("type") != "disabled"
    if chat.stream or forced or thinks or body.get("output_config") or body.get("output_format"):
        raise Refusal(400, "max_tokens: 0 cannot be combined with stream, thinking, structured output or a forced tool")
