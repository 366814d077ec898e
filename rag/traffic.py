"""A request log, made up by a seed: who asks what, when. Plain Python.

The same seed, profile and questions give the same log. What is asked follows Zipf's law over the questions in a shuffled order;
visits come evenly at random over an hour. A visit is one request, a burst (several ask the same in the same second), or a
session. What is asked again is often spelled otherwise, never meant otherwise: all spellings share their answer's key.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from random import Random

from rag.cache import normalised

HOUR_S = 3_600
BURST = range(3, 9)
TURNS = range(1, 5)
FIRST_LOOK_S = 20
READING_S = 90
"""Somebody who reads an answer needs 20 s, and then 90 s on average, before the next question: every 20th comes after the
five minutes that a session's sources are kept."""
FOLLOW_UPS = (
    "And how do I test that?",
    "Is there a setting that switches it off?",
    "What happens if I leave that out?",
    "And does that also work in asynchronous code?",
    "What does that cost in performance?",
    "Can you show me an example of it?",
    "Which version was that added in?",
    "And what do I have to watch out for?",
)


@dataclass(frozen=True, slots=True)
class Profile:
    """`requests` in an hour, follow-ups included. Of the visits, `bursts` and `sessions` (of 1 to 4 turns) are shares.

    `skew` is Zipf's exponent (0 = all questions alike); `respelled` is the share of lone requests that are not spelled as in
    the list. `distinct`: every question once, in the order of the list, at even distances, and nothing else.
    """

    name: str
    requests: int
    bursts: float = 0.05
    sessions: float = 0.2
    skew: float = 1.0
    respelled: float = 0.5
    distinct: bool = False


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("light", 30),  # a team of ten: one request every other minute, so an answer is rarely still fresh
        Profile("moderate", 200),  # a department, or a public site's help page: three a minute
        Profile("heavy", 1_000),  # a whole company on a Monday morning: one every four seconds
        Profile("distinct", 30, distinct=True),  # the hard case: nothing is ever asked twice
    )
}


@dataclass(frozen=True, slots=True)
class Event:
    """One request. `at_s`: seconds since the log begins; `session` None = a lone question; `turn` counts from 1."""

    at_s: int
    text: str
    session: int | None = None
    turn: int = 1

    @property
    def key(self) -> str | None:
        """What answers are shared under; None for a follow-up, whose meaning depends on what came before."""
        return normalised(self.text) if self.turn == 1 else None


def log_of(profile: Profile, *, questions: Sequence[str], seed: int) -> tuple[Event, ...]:
    """In the order of time. Raises ValueError when there are no questions."""
    if not questions:
        raise ValueError("there are no questions to ask")
    if profile.distinct:
        asked = questions[: profile.requests]
        return tuple(Event(number * HOUR_S // len(asked), text) for number, text in enumerate(asked))
    random = Random(f"{seed} {profile.name}")  # noqa: S311 - a simulation
    events = islice(visits(profile, questions, random), profile.requests)
    return tuple(sorted(events, key=lambda event: event.at_s))


def visits(profile: Profile, questions: Sequence[str], random: Random) -> Iterator[Event]:
    """The events of one visit after the other, without end; the visits themselves are in no order."""
    ranked = random.sample(questions, len(questions))
    weights = [1 / rank**profile.skew for rank in range(1, len(ranked) + 1)]
    number = 0
    while True:
        at_s, (question,) = random.randrange(HOUR_S), random.choices(ranked, weights)
        kind = random.random()
        if kind < profile.bursts:
            yield from (Event(at_s, respelled(question, random)) for _ in range(random.choice(BURST)))
        elif kind < profile.bursts + profile.sessions:
            number += 1
            yield from session(number, at_s, question, random)
        else:
            again = random.random() < profile.respelled
            yield Event(at_s, respelled(question, random) if again else question)


def session(number: int, at_s: int, question: str, random: Random) -> Iterator[Event]:
    yield Event(at_s, question, number)
    turns = random.choice(TURNS)
    for turn, text in enumerate(random.sample(FOLLOW_UPS, turns - 1), start=2):
        at_s += FIRST_LOOK_S + round(random.expovariate(1 / READING_S))
        yield Event(at_s, text, number, turn)


def respelled(question: str, random: Random) -> str:
    """The question as somebody else may type it; whatever the spelling, it is the same question to the answer cache."""
    spelled = [each for each in spellings(question) if normalised(each) == normalised(question)]
    return random.choice(spelled)


def spellings(question: str) -> Iterator[str]:
    """Other case, sentence marks, quotes and white space."""
    bare = question.rstrip("?!. ")
    for spelled in (question, question.lower(), question.upper(), bare, bare.lower(), f"{bare}??", f"{bare} ?"):
        yield from (spelled, f"  {spelled} ", f'"{spelled}"', spelled.replace(" ", "  "))


def moments(log: Sequence[Event]) -> Iterator[tuple[int, tuple[Event, ...]]]:
    """The events by their second, in the order of time."""
    for at_s, together in groupby(log, key=lambda event: event.at_s):
        yield at_s, tuple(together)
