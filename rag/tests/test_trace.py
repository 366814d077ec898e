"""The trace of a request: the published keys, one line a write, whole lines from several processes."""

import json
import subprocess
import sys
import textwrap
import threading
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costs.ledger import Attempt
from costs.usage import Usage
from rag.tests.doubles import hits, passage
from rag.trace import Trace, attempt_line, new_trace_id, number
from rag.trace_files import TraceFiles
from rag.values import Hit, Source, sha256

ROOT = Path(__file__).parents[2]
AT = datetime(2026, 11, 20, 10, tzinfo=UTC)
PUBLISHED = [
    "trace_id",
    "timestamp",
    "query",
    "transform",
    "hypothetical",
    "vector_candidates",
    "bm25_candidates",
    "fused_top_20",
    "reranked_top_5",
    "prompt_length_chars",
    "model",
    "prompt_version",
    "cache_hit",
    "generation_tokens_in",
    "generation_tokens_out",
    "latencies_ms",
    "cost_usd",
    "final_answer",
]
ADDED = {
    "kind",
    "module",
    "corpus",
    "corpus_version",
    "provider_mode",
    "session_id",
    "api_key_id",
    "sub_queries",
    "answer_cache",
    "prompt_cache",
    "degraded",
    "attempts",
    "request_sha256",
    "sources",
    "error",
}
STAGES = ("embed", "vector", "bm25", "rerank", "generate", "total")


def attempt(operation: str = "generate", usage: Usage | None = None, **changes: object) -> Attempt:
    known: dict[str, object] = {
        "at": AT,
        "provider": "anthropic",
        "model": "claude-sonnet-4-6",
        "provider_mode": "simulated",
        "outcome": "ok",
        "cost_usd": Decimal("0.00000001"),
        "price_id": 3,
        "latency_ms": 12.5,
        "request_id": "req_1",
        "estimated": False,
    }
    return Attempt(operation=operation, usage=usage or Usage(), **(known | changes))  # type: ignore[arg-type]


def trace(**known: object) -> Trace:
    return Trace(**({"trace_id": "t1", "timestamp": AT, "query": "When?"} | known))  # type: ignore[arg-type]


def lines_in(folder: Path) -> list[str]:
    return [line for path in sorted(folder.glob("*.jsonl")) for line in path.read_text("utf-8").splitlines()]


def test_the_line_begins_with_the_published_keys() -> None:
    assert list(trace().as_line())[: len(PUBLISHED)] == PUBLISHED


def test_the_line_holds_every_further_key() -> None:
    assert set(trace().as_line()) >= ADDED


def test_the_latencies_have_the_published_stages() -> None:
    latencies = trace().as_line()["latencies_ms"]

    assert latencies == dict.fromkeys(STAGES)


def test_the_prompt_cache_has_its_four_parts() -> None:
    line = trace(attempts=[attempt(usage=Usage(1, 20, 300, 4_000, 5))]).as_line()

    assert line["prompt_cache"] == {"uncached": 1, "write_5m": 20, "write_1h": 300, "read": 4_000}
    assert (line["generation_tokens_in"], line["generation_tokens_out"]) == (4_321, 5)


def test_only_generations_count_as_generation_tokens() -> None:
    attempts = [attempt("transform", Usage(7, output_tokens=7)), attempt(usage=Usage(10, output_tokens=2))]

    line = trace(attempts=[*attempts, attempt(usage=Usage(10, output_tokens=3))]).as_line()

    assert (line["generation_tokens_in"], line["generation_tokens_out"]) == (20, 5)


def test_candidates_are_ids_with_scores_and_only_the_best_are_named() -> None:
    many = hits(*(f"a/b#{n}" for n in range(25)))

    line = trace(vector_candidates=many, fused=many, reranked=many, bm25_candidates=(Hit("c/d#0", 7.5),)).as_line()

    assert line["bm25_candidates"] == [{"id": "c/d#0", "score": 7.5}]
    assert [len(line[name]) for name in ("vector_candidates", "fused_top_20", "reranked_top_5")] == [25, 20, 5]
    assert line["fused_top_20"][0] == {"id": "a/b#0", "score": 1.0}


def test_sources_carry_the_hash_of_their_text_and_not_the_text() -> None:
    line = trace(sources=(Source(passage("a/b#0", "Five days."), 0.9),)).as_line()

    assert line["sources"] == [{"id": "a/b#0", "title": "A page", "score": 0.9, "sha256": sha256("Five days.")}]
    assert "Five days." not in json.dumps(line)


def test_an_attempt_names_provider_usage_cost_latency_and_outcome() -> None:
    line = attempt_line(attempt(usage=Usage(1, 2, 3, 4, 5, 6)))

    assert line == {
        "at": "2026-11-20T10:00:00+00:00",
        "provider": "anthropic",
        "model": "claude-sonnet-4-6",
        "operation": "generate",
        "provider_mode": "simulated",
        "outcome": "ok",
        "usage": Usage(1, 2, 3, 4, 5, 6).as_dict(),
        "cost_usd": 1e-08,
        "price_id": 3,
        "latency_ms": 12.5,
        "request_id": "req_1",
        "estimated": False,
        "prompt": "",
    }


def test_an_unknown_cost_is_null_and_a_free_one_is_zero() -> None:
    assert (trace().as_line()["cost_usd"], trace(cost_usd=Decimal(0)).as_line()["cost_usd"]) == (None, 0)


@pytest.mark.parametrize(("answer_cache", "hit"), [("off", False), ("miss", False), ("hit", True)])
def test_the_cache_hit_is_a_yes_or_no(answer_cache: str, hit: bool) -> None:
    assert trace(answer_cache=answer_cache).as_line()["cache_hit"] is hit


@pytest.mark.parametrize(
    ("usage", "state"),
    [(Usage(9), "off"), (Usage(0, 1), "write"), (Usage(0, 0, 1), "write"), (Usage(0, 1, 0, 1), "read")],
)
def test_the_prompt_cache_was_read_written_or_off(usage: Usage, state: str) -> None:
    assert trace(attempts=[attempt(usage=usage)]).prompt_cache() == state


def test_the_timestamp_is_told_in_utc() -> None:
    local = AT.astimezone(timezone(timedelta(hours=5)))

    assert trace(timestamp=local).as_line()["timestamp"] == "2026-11-20T10:00:00+00:00"


def test_a_step_that_runs_twice_adds_up() -> None:
    record = trace()
    with record.step("embed"):
        pass
    record.latencies_ms["embed"] = 5.0

    with record.step("embed"):
        pass

    assert record.latencies_ms["embed"] >= 5.0


def test_the_time_of_a_step_that_fails_counts() -> None:
    record = trace()

    with pytest.raises(KeyError), record.step("vector"):
        raise KeyError

    assert record.latencies_ms["vector"] >= 0


def test_the_total_covers_its_steps() -> None:
    record = trace()
    with record.step("embed"):
        sum(range(10_000))

    record.finish()

    assert record.latencies_ms["total"] >= record.latencies_ms["embed"] > 0


def test_trace_ids_are_new_each_time() -> None:
    assert len({new_trace_id() for _ in range(100)}) == 100


@given(cents=st.integers(0, 10**14 - 1))
def test_a_cost_survives_the_json_number(cents: int) -> None:
    amount = Decimal(cents).scaleb(-8)

    assert Decimal(repr(json.loads(json.dumps(number(amount))))) == amount


def test_a_line_lands_in_the_file_of_its_utc_day(tmp_path: Path) -> None:
    evening = datetime(2026, 11, 20, 23, 30, tzinfo=timezone(timedelta(hours=-5)))

    TraceFiles(tmp_path / "deep").append(line={"a": 1}, at=evening)

    assert (tmp_path / "deep" / "2026-11-21.jsonl").read_text() == '{"a":1}\n'


def test_every_append_is_one_whole_line(tmp_path: Path) -> None:
    files = TraceFiles(tmp_path)
    texts = ["two\nlines", "\u2028\u0085 odd separators", "naïve ☃ 😀", '"quoted"', "\x00", ""]

    for text in texts:
        files.append(line={"query": text}, at=AT)

    raw = (tmp_path / "2026-11-20.jsonl").read_bytes()
    assert [json.loads(line)["query"] for line in raw.split(b"\n")[:-1]] == texts


def test_half_a_surrogate_pair_does_not_keep_a_line_from_being_written(tmp_path: Path) -> None:
    TraceFiles(tmp_path).append(line={"query": "\ud800"}, at=AT)

    assert [json.loads(line)["query"] for line in lines_in(tmp_path)] == ["\ud800"]


def test_days_have_files_of_their_own(tmp_path: Path) -> None:
    files = TraceFiles(tmp_path)

    for day in (0, 1, 0):
        files.append(line={"day": day}, at=AT + timedelta(days=day))

    assert [json.loads(line)["day"] for line in lines_in(tmp_path)] == [0, 0, 1]


def test_a_file_that_was_moved_away_is_begun_anew(tmp_path: Path) -> None:
    files = TraceFiles(tmp_path)
    files.append(line={"n": 1}, at=AT)
    files.path(AT).rename(tmp_path / "old")

    files.append(line={"n": 2}, at=AT)

    assert lines_in(tmp_path) == ['{"n":2}']


def test_threads_leave_whole_lines(tmp_path: Path) -> None:
    files = TraceFiles(tmp_path)

    def write(name: int) -> None:
        for n in range(50):
            files.append(line={"name": name, "n": n, "pad": "x" * 5_000}, at=AT)

    threads = [threading.Thread(target=write, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({(line["name"], line["n"]) for line in map(json.loads, lines_in(tmp_path))}) == 200


def python(program: str, *arguments: object) -> subprocess.Popen[str]:
    """A process of our own that runs the program; the trace modules need no settings."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)],
        cwd=ROOT,
        env={"DJANGO_SETTINGS_MODULE": "ragsite.settings", "ENV_FILE": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


WRITER = """
    import sys
    from datetime import UTC, datetime
    from pathlib import Path
    import django
    django.setup()
    from rag.trace_files import TraceFiles
    files = TraceFiles(Path(sys.argv[1]))
    for n in range(200):
        files.append(line={"name": sys.argv[2], "n": n, "pad": sys.argv[2] * 9000}, at=datetime(2026, 11, 20, tzinfo=UTC))
"""


def test_processes_leave_whole_lines_in_the_same_file(tmp_path: Path) -> None:
    writers = [python(WRITER, tmp_path, name) for name in "abc"]

    outputs = [writer.communicate(timeout=60)[0] for writer in writers]

    assert [writer.returncode for writer in writers] == [0, 0, 0], outputs
    found = [json.loads(line) for line in lines_in(tmp_path)]
    assert len({(line["name"], line["n"]) for line in found}) == len(found) == 600
    assert all(line["pad"] == line["name"] * 9000 for line in found)


FULL_DISK = """
    import resource, signal, sys
    from datetime import UTC, datetime
    from pathlib import Path
    import django
    django.setup()
    from rag.trace_files import TraceFiles
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    files, at = TraceFiles(Path(sys.argv[1])), datetime(2026, 11, 20, tzinfo=UTC)
    files.append(line={"n": 1}, at=at)
    for size in (11, 8):  # bytes: the second line fits in part, then not at all
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
        try:
            files.append(line={"n": 2}, at=at)
        except OSError as error:
            print(type(error).__name__)
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    files.append(line={"n": 3}, at=at)
    print("done")
"""


def test_a_full_disk_is_an_error_and_not_a_lost_line(tmp_path: Path) -> None:
    output, _ = python(FULL_DISK, tmp_path).communicate(timeout=60)

    assert output.split() == ["OSError", "OSError", "done"]


def test_a_full_disk_leaves_no_half_line(tmp_path: Path) -> None:
    python(FULL_DISK, tmp_path).communicate(timeout=60)

    assert lines_in(tmp_path) == ['{"n":1}', '{"n":3}']


def test_a_line_after_a_crash_in_the_middle_of_one_is_whole(tmp_path: Path) -> None:
    files = TraceFiles(tmp_path)
    files.path(AT).write_text('{"n":1}\n{"n":')

    files.append(line={"n": 3}, at=AT)

    assert lines_in(tmp_path)[-1] == '{"n":3}'


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "traces").write_text("a file")

    with pytest.raises(OSError, match="traces"):
        TraceFiles(tmp_path / "traces").append(line={}, at=AT)
