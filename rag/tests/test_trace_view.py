"""The plain values of the trace page."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.tests.trace_lines import attempt_line, trace_line
from rag.trace_view import Segment, dollars, milliseconds, segments, trace_page, web_url
from rag.values import Passage

ANSWER = "It lapses on 31 March [leave/top#0]."


def passage(key: str, text: str, url: str | None = None) -> Passage:
    return Passage(key, "Leave", "Leave > Carrying over", text, url, 0, len(text), "leave")


def page(**changes):
    return trace_page(line=trace_line(**changes), live={})


def test_it_numbers_citations_by_the_source_they_name():
    found = segments(ANSWER, {"leave/top#0": 1})

    assert found == (Segment("It lapses on 31 March"), Segment("leave/top#0", 1), Segment("."))


def test_it_leaves_brackets_that_name_no_source_as_text():
    found = segments("See [leave/other#3] and items[0].", {"leave/top#0": 1})

    assert found == (Segment("See [leave/other#3] and items[0]."),)


@given(st.text(alphabet="ab [leave/top#0]\n<&", max_size=60))
def test_it_loses_nothing_of_an_answer_without_citations(answer):
    assert "".join(piece.text for piece in segments(answer, {})) == answer


def test_it_ranks_the_candidates_of_every_stage():
    stages = page().stages

    assert [stage.title for stage in stages] == ["Vector", "BM25", "Fused", "Reranked"]
    assert [hit.rank for hit in stages[0].candidates] == [1, 2]


def test_it_gives_a_chunk_the_same_group_in_every_stage():
    groups = {hit.group for stage in page().stages for hit in stage.candidates if hit.key == "leave/top#0"}

    assert len(groups) == 1


def test_it_marks_candidates_that_became_sources_and_those_cited():
    vector = page().stages[0].candidates

    assert [(hit.source, hit.cited) for hit in vector] == [(1, True), (2, False)]


@pytest.mark.parametrize(
    ("live", "state"),
    [
        ({"leave/top#0": passage("leave/top#0", "Leave lapses on 31 March.")}, "same"),
        ({"leave/top#0": passage("leave/top#0", "Leave never lapses.")}, "changed"),
        ({}, "gone"),
    ],
)
def test_it_compares_a_source_with_the_live_text(live, state):
    found = trace_page(line=trace_line(), live=live)

    assert found.sources[0].state == state


def test_it_links_no_address_that_a_browser_would_run():
    assert web_url("javascript:alert(1)") is None
    assert web_url("https://example.com/a") == "https://example.com/a"


def test_it_lays_the_steps_end_to_end_and_names_the_rest():
    bars = page().bars

    assert [bar.stage for bar in bars] == ["embed", "vector", "bm25", "rerank", "generate", "rest"]
    assert bars[1].offset == bars[0].width == "10.00"
    assert float(bars[-1].offset) + float(bars[-1].width) == pytest.approx(100)


def test_it_shows_no_bar_for_a_step_that_did_not_run():
    latencies = {"embed": None, "vector": None, "bm25": None, "rerank": None, "generate": None, "total": 0.4}

    assert [bar.stage for bar in page(latencies_ms=latencies).bars] == ["rest"]


def test_it_keeps_within_the_track_when_steps_add_up_to_more_than_the_total():
    bars = page(latencies_ms={"embed": 60.0, "generate": 60.0, "total": 100.0}).bars

    assert max(float(bar.offset) + float(bar.width) for bar in bars) <= 100


def test_it_tells_an_unknown_price_apart_from_nothing():
    assert dollars(None) == "unpriced"
    assert dollars(0.0) == "$0.00000000"


def test_it_prices_nothing_when_no_provider_was_called():
    assert page(attempts=[], cost_usd=None).cost == "$0, no provider was called"


def test_it_shows_only_the_usage_that_there_was():
    (attempt,) = page(attempts=[attempt_line()]).attempts

    assert attempt.usage == (("input tokens", "2,100"), ("output tokens", "40"))


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "?"), (0.416, "0.42 ms"), (17.26, "17.3 ms"), (1204.4, "1,204 ms")]
)
def test_it_writes_times_for_people(value, shown):
    assert milliseconds(value) == shown


def test_it_reads_a_line_that_knows_only_the_published_keys():
    line = {
        key: value for key, value in trace_line().items() if key not in ("sources", "attempts", "config", "citations")
    }

    found = trace_page(line=line, live={})

    assert not (found.sources or found.attempts or found.config)
