"""Anthropic's token counts in our words."""

from collections.abc import Mapping
from typing import Any

from costs.usage import Usage
from rag.providers.mapping import counted

NAME = "anthropic"


def usage_of(usage: Mapping[str, Any]) -> Usage:
    """Our split. Without the split by lifetime, writes count as 5-minute ones (the vendor's own rule)."""
    written = counted(usage.get("cache_creation_input_tokens") or 0)
    split = usage.get("cache_creation") or {}
    one_hour = counted(split.get("ephemeral_1h_input_tokens") or 0)
    return Usage(
        input_tokens=counted(usage["input_tokens"]),
        cache_write_5m=counted(written - one_hour),
        cache_write_1h=one_hour,
        cache_read=counted(usage.get("cache_read_input_tokens") or 0),
        output_tokens=counted(usage["output_tokens"]),
    )
