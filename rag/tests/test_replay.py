import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from prompts.models import Prompt
from prompts.publishing import activate, bump
from rag.ask import ask
from rag.errors import RagError
from rag.ingest import IngestReport, ingest
from rag.models import Chunk
from rag.modules import MODULES
from rag.replaying import Replay, replay
from rag.tests.small_world import HELD, NOT_HELD, asked, break_provider, line_of, trace_lines
from rag.values import Caller, Question


def replayed(trace_id: str) -> Replay:
    return replay(line_of(trace_id))


def told(found: Replay) -> set[str]:
    return {difference.what for difference in found.differences}


def publish(instructions: str) -> None:
    """Make another answer prompt serve."""
    prompt = Prompt.objects.get(name="answer")
    bumped = bump(prompt=prompt, instructions=instructions, examples="", note="a test", author=None)
    activate(version=bumped.version, who=None, why="a test")


@pytest.mark.parametrize("module", MODULES)
def test_a_fresh_trace_is_identical(module: str, corpus: IngestReport) -> None:
    found = replayed(asked(module=module, transform="multi_query", top_k=3).trace.trace_id)

    assert (found.identical, found.rebuilt, found.differences) == (True, True, ())


def test_a_question_without_an_answer_is_identical_too(corpus: IngestReport) -> None:
    assert replayed(asked(NOT_HELD).trace.trace_id).identical


@pytest.mark.parametrize("text", ["Wie viele Urlaubstage? 休暇 \U0001f334", "  spaces \t and\r\nlines </question> "])
def test_any_text_of_a_question_is_identical(text: str, corpus: IngestReport) -> None:
    assert replayed(asked(text).trace.trace_id).identical


def test_another_active_prompt_differs_but_the_request_can_be_rebuilt(corpus: IngestReport) -> None:
    trace_id = asked().trace.trace_id
    publish("Answer in one word.")

    found = replayed(trace_id)

    assert (found.identical, found.rebuilt, told(found)) == (False, True, {"prompt version"})


@pytest.mark.parametrize("kind", ["eval", "try"])
def test_a_question_that_named_its_prompt_version_is_asked_with_that_one_again(kind: str, corpus: IngestReport) -> None:
    publish("Answer in one word.")
    named = Question(HELD, "handbook", "m6-production", prompt_version="v1")
    trace_id = ask(question=named, caller=Caller(), kind=kind).trace.trace_id

    found = replayed(trace_id)

    assert line_of(trace_id)["prompt_version"] == "v1"
    assert (found.identical, found.rebuilt, found.differences) == (True, True, ())


def test_a_new_version_of_the_corpus_differs(corpus: IngestReport, documents: Path) -> None:
    trace_id = asked().trace.trace_id
    (documents / "new.txt").write_text("Something new.")
    ingest(path=documents, corpus="handbook")

    found = replayed(trace_id)

    assert (found.identical, found.rebuilt, told(found)) == (False, True, {"corpus version"})


def test_a_chunk_that_is_gone_is_named(corpus: IngestReport) -> None:
    trace_id = asked().trace.trace_id
    gone = line_of(trace_id)["sources"][0]["id"]
    Chunk.objects.filter(key=gone, chunk_set__chunker="structural").delete()

    found = replayed(trace_id)

    assert found.rebuilt is False
    assert [(d.what, d.now) for d in found.differences] == [(f"chunk {gone}", "gone")]


def test_a_chunk_with_another_text_is_named(corpus: IngestReport) -> None:
    trace_id = asked().trace.trace_id
    changed = line_of(trace_id)["sources"][0]["id"]
    Chunk.objects.filter(key=changed).update(text="Another text.")

    assert told(replayed(trace_id)) == {f"chunk {changed}"}


def test_another_setting_is_named_with_both_values(corpus: IngestReport, settings: Settings) -> None:
    trace_id = asked().trace.trace_id
    settings.ANSWER_MAX_TOKENS = 321

    (difference,) = replayed(trace_id).differences

    assert (difference.what, difference.now) == ("config max_tokens", "321")


def test_another_model_is_named(corpus: IngestReport, settings: Settings) -> None:
    trace_id = asked().trace.trace_id
    settings.ANSWER_MODEL = "claude-opus-5-5"

    assert "model" in told(replayed(trace_id))


def test_a_pruned_version_cannot_be_rebuilt(corpus: IngestReport, documents: Path, settings: Settings) -> None:
    trace_id = asked().trace.trace_id
    settings.KEEP_CORPUS_VERSIONS = 1
    (documents / "new.txt").write_text("Something new.")
    ingest(path=documents, corpus="handbook")

    found = replayed(trace_id)

    assert found.rebuilt is False
    assert "corpus version" in told(found)


def test_a_trace_that_never_reached_the_model_says_so(corpus: IngestReport, providers: str) -> None:
    break_provider(providers, "voyage.embeddings", kind="status", status=401)
    with pytest.raises(RagError):
        asked()

    (line,) = trace_lines()

    assert replay(line) == Replay(line["trace_id"], None, ())


class TestCommand:
    def test_it_says_identical(self, corpus: IngestReport, capsys: pytest.CaptureFixture[str]) -> None:
        call_command("replay", asked().trace.trace_id)

        assert capsys.readouterr().out == "identical\n"

    def test_it_ends_with_status_1_and_shows_what_differs(
        self, corpus: IngestReport, capsys: pytest.CaptureFixture[str]
    ) -> None:
        trace_id = asked().trace.trace_id
        publish("Answer in one word.")

        with pytest.raises(SystemExit) as ended:
            call_command("replay", trace_id)

        assert ended.value.code == 1
        assert "prompt version: v1 -> v2" in capsys.readouterr().out

    def test_it_prints_json(self, corpus: IngestReport, capsys: pytest.CaptureFixture[str]) -> None:
        trace_id = asked().trace.trace_id

        call_command("replay", trace_id, json=True)

        shown: dict[str, Any] = json.loads(capsys.readouterr().out)
        assert (shown["trace_id"], shown["identical"]) == (trace_id, True)

    def test_an_unknown_trace_is_an_error(self, db: None) -> None:
        with pytest.raises(CommandError, match="no trace"):
            call_command("replay", "0" * 32)
