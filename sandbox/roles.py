"""Which job a request asks for, read from its instructions as a model would read them."""

from typing import Literal

from sandbox import tags

Role = Literal["choose", "judge", "answer", "hyde", "multi_query", "decompose", "standalone", "chat"]
STRATEGIES = ("simple", "hyde", "multi_query", "decompose")


def role_of(*, system: str, user_texts: tuple[str, ...]) -> Role:
    """The system text decides; without one, the messages do. README.md states the rules in this order."""
    instructions = (system or "\n".join(user_texts)).lower()
    if all(strategy in instructions for strategy in STRATEGIES):
        return "choose"
    if "groundedness" in instructions:
        return "judge"
    if tags.sources(user_texts) and tags.all_of("question", user_texts):
        return "answer"
    if "hypothetical" in instructions:
        return "hyde"
    if "alternative" in instructions or "different wordings" in instructions:
        return "multi_query"
    if "sub-question" in instructions:
        return "decompose"
    if "standalone question" in instructions:
        return "standalone"
    return "answer" if tags.all_of("question", user_texts) else "chat"
