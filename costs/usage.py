"""What a provider call consumed, in the one split that the whole house uses."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens and search units of one call.

    `input_tokens` EXCLUDES cache tokens, as Anthropic counts; the whole prompt is `prompt_tokens`. Embedding tokens are
    input tokens. Adding or subtracting usages does so with every part; a difference may have negative ones.
    """

    input_tokens: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    cache_read: int = 0
    output_tokens: int = 0
    search_units: int = 0

    @property
    def prompt_tokens(self) -> int:
        """The whole prompt: uncached input + cache writes + cache reads."""
        return self.input_tokens + self.cache_write_5m + self.cache_write_1h + self.cache_read

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    def __sub__(self, other: "Usage") -> "Usage":
        return Usage(*(getattr(self, field.name) - getattr(other, field.name) for field in fields(self)))

    def as_dict(self) -> dict[str, int]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


KINDS = tuple(field.name for field in fields(Usage))
"""The parts of a usage, in order: the names of the ledger's columns."""
PROMPT_KINDS = ("input_tokens", "cache_write_5m", "cache_write_1h", "cache_read")
