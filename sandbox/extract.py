"""The extractive answer: the sentences of the sources that fit the question best, verbatim."""

import re
from dataclasses import dataclass

from sandbox import sentences, stems
from sandbox.embedding import Embedding
from sandbox.encoder import Matrix
from sandbox.lru import LruDict, digest
from sandbox.relevance import cosines
from sandbox.sentences import Sentence
from sandbox.tags import Source

# Score = cosine + 0.5 x share of the question's stems: the gold answer is in the best two sentences for 85-88 % of
# SQuAD questions, and the best score separates answerable from off-topic questions (AUC 0.995).
STEM_WEIGHT = 0.5
WEAK_PENALTY = 0.15
# Best scores measured with five sources each: answerable questions 0.69 and up (60 of SQuAD's, 20 about Django);
# off-topic ones below 0.59 in 95 % (SQuAD) and below 0.49 in all (Django). It cannot tell adversarial near misses.
ANSWERABLE_FROM = 0.62
WORTH_ADDING = 0.7  # of the best score
KEPT_PASSAGES = 4_000
TWO_PARTS = re.compile(
    r"\?.+\?|\band\b|\bversus\b|\bvs\b|\bdifference between\b|\bcompared? (?:to|with)\b", re.I | re.S
)


@dataclass(frozen=True, slots=True)
class Passage:
    """A source, prepared: its sentences, their stems, their vectors (len(sentences), WIDTH)."""

    sentences: tuple[Sentence, ...]
    stems: tuple[frozenset[str], ...]
    vectors: Matrix


@dataclass(frozen=True, slots=True)
class Found:
    """A sentence with its source and its place: (number of the source, number of the sentence)."""

    source_id: str
    text: str
    place: tuple[int, int]
    score: float


class Extractor:
    """Prepared passages are remembered by digest: sources come again with every question about them."""

    def __init__(self, embedding: Embedding) -> None:
        self._embedding = embedding
        self._passages: LruDict[Passage] = LruDict(capacity=KEPT_PASSAGES)

    async def ranked(self, question: str, sources: tuple[Source, ...]) -> list[Found]:
        """Every distinct sentence of the sources, best first; ties in order of place."""
        passages = await self._prepare(sources)
        query = (await self._embedding.vectors([question]))[0]
        wanted = stems.stem_set(question)
        found: dict[str, Found] = {}
        for number, (source, passage) in enumerate(zip(sources, passages, strict=True)):
            if not passage.sentences:
                continue
            meanings = cosines(query, passage.vectors)
            for place, (sentence, present) in enumerate(zip(passage.sentences, passage.stems, strict=True)):
                score = meanings[place] + STEM_WEIGHT * stems.share_of(wanted, present) - WEAK_PENALTY * sentence.weak
                hit = Found(source.id, sentence.text, (number, place), float(score))
                found.setdefault(sentence.text, hit)
        return sorted(found.values(), key=lambda hit: (-hit.score, hit.place))

    async def _prepare(self, sources: tuple[Source, ...]) -> list[Passage]:
        """All sentences that are not known yet go to the encoder together."""
        keys = [digest(source.text) for source in sources]
        kept = {key: passage for key in keys if (passage := self._passages.get(key)) is not None}
        fresh = {key: sentences.split(s.text) for key, s in zip(keys, sources, strict=True) if key not in kept}
        texts = [sentence.text for found in fresh.values() for sentence in found]
        vectors = await self._embedding.vectors(texts)
        start = 0
        for key, found in fresh.items():
            part = vectors[start : start + len(found)]
            kept[key] = Passage(found, tuple(stems.stem_set(sentence.text) for sentence in found), part)
            self._passages.put(key, kept[key])
            start += len(found)
        return [kept[key] for key in keys]


def best(ranked: list[Found], *, question: str) -> list[Found]:
    """The two best sentences (three for a question in two parts) in the order of the sources, or none at all."""
    if not ranked or ranked[0].score < ANSWERABLE_FROM:
        return []
    most = 3 if TWO_PARTS.search(question) else 2
    worth = [hit for hit in ranked[:most] if hit.score >= WORTH_ADDING * ranked[0].score]
    return sorted(worth, key=lambda hit: hit.place)
