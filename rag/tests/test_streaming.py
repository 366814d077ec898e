from hypothesis import example, given
from hypothesis import strategies as st

from costs.usage import Usage
from rag.generate import checked_answer
from rag.providers.contracts import ChatReply
from rag.streaming import AnswerStream
from rag.values import Passage, Source

KNOWN = "docs/a/b#0"


def source() -> Source:
    return Source(Passage(KNOWN, "A", "A > B", "text", None, 0, 4, "docs/a"), 1.0)


def streamed(text: str, cuts: list[int]) -> str:
    places = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    return "".join(shown([text[a:b] for a, b in zip(places, places[1:], strict=False)]))


def shown(pieces: list[str]) -> list[str]:
    told: list[str] = []
    stream = AnswerStream({KNOWN}, told.append)
    for piece in pieces:
        stream.feed(piece)
    stream.finish()
    return told


pieces = st.lists(
    st.sampled_from(
        [
            "NO_ANSWER",
            "NO_",
            ": ",
            " ",
            "\n",
            "\t",
            "word",
            "[docs/a/b#0]",
            "[docs/x/y#1]",
            "[",
            "]",
            "[1]",
            "[docs/a/b#",
            "é",
            ".",
        ]
    ),
    max_size=12,
).map("".join)


@given(pieces, st.lists(st.integers(0, 200), max_size=8))
@example("NO_ANSWER", [3])
@example("NO_ANSWER: [docs/a/b#0]", [11])
@example(" [docs/x/y#1] [docs/a/b#0]", [1, 2, 14])
def test_the_pieces_add_up_to_the_checked_answer(text, cuts):
    whole = checked_answer(ChatReply(text, "end_turn", "m", Usage(), ""), sources=[source()]).text

    assert streamed(text, cuts).strip() == whole.strip()


def test_an_id_that_was_not_sent_is_never_shown():
    assert shown(["Yes", " [docs/", "x/y#1", "] indeed", "."]) == ["Yes", " indeed", "."]


def test_the_marker_of_no_answer_is_never_shown():
    assert shown(["NO_", "ANSWER", ": ", "Nothing on that."]) == ["Nothing on that."]


def test_text_is_shown_as_soon_as_it_cannot_change():
    told: list[str] = []

    AnswerStream({KNOWN}, told.append).feed("Leave lapses ")

    assert told == ["Leave lapses"]
