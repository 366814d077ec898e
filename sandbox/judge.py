"""Marks from 1 to 5 for an answer, as well as overlap and cosine can judge: a stand-in, not an opinion."""

import json
import re

from sandbox import sentences, stems, tags
from sandbox.embedding import Embedding
from sandbox.relevance import cosines

CITATION = re.compile(r"\[[^\]\n]{1,200}\]")
# A sentence counts as held by the sources from this share of its stems on.
HELD_FROM = 0.7
# Mean of stem recall and cosine that earns 2, 3, 4 and 5.
STEPS = (0.25, 0.45, 0.6, 0.75)


async def verdict(embedding: Embedding, texts: tuple[str, ...]) -> str:
    """JSON with correctness, groundedness (whole numbers 1 to 5) and a reason."""
    answer = CITATION.sub("", " ".join(tags.all_of("answer", texts)))
    reference = " ".join(tags.all_of("reference", texts))
    held = _held(answer, " ".join(source.text for source in tags.sources(texts)))
    likeness = await _likeness(embedding, answer, reference)
    marks = {
        "correctness": 1 + sum(likeness >= step for step in STEPS),
        "groundedness": 1 + round(4 * held),
        "reason": f"{held:.0%} of the answer's sentences are held by the sources;"
        f" likeness to the reference is {likeness:.2f}.",
    }
    return json.dumps(marks)


def _held(answer: str, sources: str) -> float:
    """The share of the answer's sentences whose words stand in the sources; 1.0 for an answer that claims nothing."""
    present = stems.stem_set(sources)
    claims = [claim for sentence in sentences.split(answer) if (claim := stems.stem_set(sentence.text))]
    if not claims:
        return 1.0
    return sum(stems.share_of(claim, present) >= HELD_FROM for claim in claims) / len(claims)


async def _likeness(embedding: Embedding, answer: str, reference: str) -> float:
    """Mean of the share of the reference's stems in the answer and their cosine, 0.0 to 1.0."""
    if not answer.strip() or not reference.strip():
        return 0.0
    rows = await embedding.vectors([answer, reference])
    cosine = max(0.0, float(cosines(rows[0], rows[1:])[0]))
    return (stems.share_of(stems.stem_set(reference), stems.stem_set(answer)) + cosine) / 2
