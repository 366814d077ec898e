"""Anthropic's token counts in our words."""

from anthropic import types

from costs.usage import Usage
from rag.providers.mapping import counted

NAME = "anthropic"


def usage_of(usage: types.Usage) -> Usage:
    """Our split. Without the split by lifetime, writes count as 5-minute ones (the vendor's own rule)."""
    written = counted(usage.cache_creation_input_tokens or 0)
    split = usage.cache_creation
    one_hour = counted((split.ephemeral_1h_input_tokens or 0) if split else 0)
    return Usage(
        input_tokens=counted(usage.input_tokens),
        cache_write_5m=counted(written - one_hour),
        cache_write_1h=one_hour,
        cache_read=counted(usage.cache_read_input_tokens or 0),
        output_tokens=counted(usage.output_tokens),
    )
