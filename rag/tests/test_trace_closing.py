"""What becomes of a day's file once the day is over, whatever was missed and whoever dies in the middle of it."""

import gzip
import json
import logging
import os
import signal
import subprocess
import sys
import textwrap
import time as time_module
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from rag import clock, tasks, trace_closing, trace_files, trace_forgetting, trace_reading, trace_upkeep
from rag.models import ApiKey, TraceSummary
from rag.tests.day_files import DAY, NOON, close, closed_days, days_ago, folder, line_at, objects, problems, raw, write
from rag.trace_files import TraceFiles

ROOT = Path(__file__).parents[2]


def steps(found: list[trace_closing.Step]) -> list[tuple[str, str]]:
    return [(str(step.day), step.what) for step in found]


def tend(now: datetime) -> list[tuple[str, str]]:
    return steps(trace_closing.tend(folder=folder(), now=now))


def at(days_later: int, hour: int = 3) -> datetime:
    return datetime.combine(DAY + timedelta(days=days_later), time(hour), UTC)


@pytest.mark.django_db
class TestClosing:
    def test_yesterday_is_closed_after_the_grace_period(self) -> None:
        write(DAY, rows=True)

        assert tend(at(0, 23)) == []
        assert tend(at(1, 0)) == []
        assert tend(at(1, 1)) == [(str(DAY), "close")]

    def test_the_last_line_tells_what_was_closed(self) -> None:
        write(DAY, rows=True)
        write(DAY, rows=True)

        tend(at(1))

        told = objects(DAY)[-1]
        assert list(told) == ["kind", "day", "lines", "sha256", "previous"]
        assert (told["kind"], told["day"], told["lines"], told["previous"]) == ("close", str(DAY), 2, "0" * 64)
        assert (folder() / "chain.jsonl").read_bytes() == raw(DAY)[-1] + b"\n"

    def test_days_that_were_missed_are_caught_up_in_order(self) -> None:
        for ahead in (2, 0, 1):
            write(DAY + timedelta(days=ahead), rows=True)

        done = tend(at(3))

        assert done == [(str(DAY + timedelta(days=ahead)), "close") for ahead in range(3)]
        assert problems() == []

    def test_doing_it_again_changes_nothing(self) -> None:
        write(DAY, rows=True)
        tend(at(1))
        before = raw(DAY)

        assert (tend(at(1)), raw(DAY)) == ([], before)

    def test_rows_that_are_missing_are_written_first(self) -> None:
        line = write(DAY)

        tend(at(1))

        assert TraceSummary.objects.get().trace_id == line["trace_id"]

    def test_what_cannot_be_mended_is_told_and_the_day_is_closed(self, caplog: pytest.LogCaptureFixture) -> None:
        write(DAY, rows=True)
        lost = write(DAY, rows=True)
        path = folder() / f"{DAY}.jsonl"
        path.write_bytes(path.read_bytes()[:-60])

        with caplog.at_level(logging.ERROR):
            done = tend(at(1))

        assert done == [(str(DAY), "close")]
        assert f"damaged line: {DAY}.jsonl:2; no line for the row of trace {lost['trace_id']}" in caplog.text
        assert problems() == []

    def test_a_close_line_that_a_full_disk_cut_short_is_no_end(self) -> None:
        write(DAY, rows=True)
        with (folder() / f"{DAY}.jsonl").open("ab") as file:
            file.write(b'{"kind":"close","day":"20')

        late = write(DAY, rows=True)
        tend(at(1))

        assert (json.loads(raw(DAY)[-1])["lines"], problems()) == (3, [])
        assert trace_reading.find_line(late["trace_id"]) == late

    def test_the_task_looks_after_the_folder_of_the_settings(self) -> None:
        write(days_ago(3), rows=True)

        tasks.close_trace_files()

        assert objects(days_ago(3))[-1]["kind"] == "close"

    def test_the_beat_knows_the_task(self) -> None:
        assert "rag.tasks.close_trace_files" in {each["task"] for each in settings.CELERY_BEAT_SCHEDULE.values()}


@pytest.mark.django_db
class TestAging:
    def test_old_files_are_compressed_and_the_oldest_deleted(self) -> None:
        for ago in (400, 8, 7, 2):
            write(days_ago(ago), rows=True)

        done = tend(clock.now())

        assert [(day, what) for day, what in done if what != "close"] == [
            (str(days_ago(8)), "compress"),
            (str(days_ago(400)), "delete"),
        ]
        assert [path.name for path in sorted(folder().glob("2*"))] == [
            f"{days_ago(8)}.jsonl.gz",
            f"{days_ago(7)}.jsonl",
            f"{days_ago(2)}.jsonl",
        ]
        assert problems() == []

    def test_the_chain_outlives_the_files(self) -> None:
        for ago in (402, 401, 400, 2):
            write(days_ago(ago), rows=True)

        tend(clock.now())

        entries = [json.loads(line) for line in (folder() / "chain.jsonl").read_bytes().splitlines()]
        assert [entry["kind"] for entry in entries] == ["close"] * 4 + ["delete"] * 3
        assert problems() == []

    def test_rows_of_deleted_days_are_no_gap(self) -> None:
        write(days_ago(400), rows=True)
        tend(clock.now())

        call_command("traces", "verify")

    def test_a_dry_run_says_it_and_does_nothing(self, capsys: pytest.CaptureFixture[str]) -> None:
        write(days_ago(9))
        close(days_ago(9))
        write(days_ago(1 if clock.now().hour >= 1 else 2))

        call_command("traces", "close", "--dry-run")

        told = capsys.readouterr().out.split()
        assert told[1::2] == ["close", "compress"]
        assert trace_files.gz_path(folder(), days_ago(9)).exists() is False

    def test_the_same_lines_compress_to_the_same_bytes(self) -> None:
        (day,) = closed_days(1)
        trace_upkeep.compress(folder(), day)
        first = trace_files.gz_path(folder(), day).read_bytes()

        trace_upkeep.replace(trace_files.gz_path(folder(), day), raw(day))

        assert trace_files.gz_path(folder(), day).read_bytes() == first
        assert first[4:8] == b"\0\0\0\0"  # no time in it

    def test_grep_and_zgrep_find_the_same(self) -> None:
        days = closed_days(2, lines=1)
        before = subprocess.check_output(["/bin/grep", "-c", "31 March", folder() / f"{days[0]}.jsonl"])
        trace_upkeep.compress(folder(), days[0])

        found = subprocess.check_output(["/bin/zgrep", "-c", "31 March", trace_files.gz_path(folder(), days[0])])

        assert found == before == b"1\n"

    def test_compressed_traces_are_read_as_ever(self, bob: APIClient, capsys: pytest.CaptureFixture[str]) -> None:
        line = write(DAY, rows=True, api_key_id=ApiKey.objects.get().pk)
        close(DAY)
        trace_upkeep.compress(folder(), DAY)

        assert bob.get(f"/api/traces/{line['trace_id']}").json() == line
        call_command("traces", "find", "LAPSE?", f"--since={DAY}")
        assert line["trace_id"] in capsys.readouterr().out
        call_command("traces", "verify")


class TestLate:
    def test_a_line_of_a_closed_day_stands_in_todays_file(self) -> None:
        write(DAY)
        close(DAY)

        late = line_at(DAY)
        TraceFiles(folder()).append(line=late, at=datetime.combine(DAY, NOON))

        assert (objects(clock.now().date()), problems()) == ([late], [])

    @pytest.mark.parametrize("gone", ["compress", "delete"])
    def test_also_when_its_file_is_there_no_more(self, gone: str) -> None:
        files = TraceFiles(folder())
        files.append(line=line_at(DAY), at=datetime.combine(DAY, NOON))
        close(DAY)
        getattr(trace_upkeep, gone)(folder(), DAY)

        files.append(line=line_at(DAY), at=datetime.combine(DAY, NOON))

        assert len(objects(clock.now().date())) == 1
        assert not trace_files.plain_path(folder(), DAY).exists()
        assert problems() == []

    @pytest.mark.django_db
    def test_it_is_found_and_is_no_gap(self, capsys: pytest.CaptureFixture[str]) -> None:
        yesterday = days_ago(1)
        write(yesterday, rows=True)
        close(yesterday)
        late = write(yesterday, rows=True)

        assert trace_reading.find_line(late["trace_id"]) == late
        call_command("traces", "verify")


WRITER = """
    import sys, time
    from datetime import UTC, datetime, timedelta
    from pathlib import Path
    import django
    django.setup()
    from rag import clock
    from rag.trace_files import TraceFiles
    folder, name, midnight = Path(sys.argv[1]), sys.argv[2], datetime.fromisoformat(sys.argv[3])
    (folder.parent / f"ready-{name}").touch()
    while not (folder.parent / "go").exists():
        time.sleep(0.01)
    clock.advance(midnight - datetime.fromtimestamp(float((folder.parent / "go").read_text()), UTC))
    files, n, began = TraceFiles(folder), 0, clock.now()
    while clock.now() < midnight + timedelta(seconds=1):
        at = clock.now()
        time.sleep(0.002)
        files.append(line={"trace_id": f"{name}-{n}", "at": at.isoformat(), "pad": name * 3000}, at=at)
        n += 1
    while not (folder / "closed").exists():
        time.sleep(0.01)
    files.append(line={"trace_id": f"{name}-{n}", "at": began.isoformat()}, at=began)
    print(n + 1)
"""
CLOSER = """
    import sys, time
    from datetime import UTC, datetime, timedelta
    from pathlib import Path
    import django
    django.setup()
    from rag import clock, trace_upkeep
    folder, name, midnight = Path(sys.argv[1]), sys.argv[2], datetime.fromisoformat(sys.argv[3])
    (folder.parent / f"ready-{name}").touch()
    while not (folder.parent / "go").exists():
        time.sleep(0.01)
    clock.advance(midnight - datetime.fromtimestamp(float((folder.parent / "go").read_text()), UTC))
    while clock.now() < midnight:
        time.sleep(0.001)
    day = midnight.date() - timedelta(days=1)
    with trace_upkeep.upkeep(folder):
        trace_upkeep.close(folder, day)
        trace_upkeep.compress(folder, day)
    (folder / "closed").touch()
"""


def python(program: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)],
        cwd=ROOT,
        env={"DJANGO_SETTINGS_MODULE": "ragsite.settings", "ENV_FILE": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def begin_together(place: Path, *, count: int) -> None:
    """Midnight comes two seconds after the last of them is ready."""
    deadline = time_module.monotonic() + 90
    while len(list(place.glob("ready-*"))) < count:
        assert time_module.monotonic() < deadline, "not all have started"
        time_module.sleep(0.05)
    (place / "go.tmp").write_text(str(datetime.now(UTC).timestamp() + 2))
    (place / "go.tmp").rename(place / "go")


def test_eight_processes_write_across_midnight_while_the_day_is_closed_and_nothing_is_lost() -> None:
    midnight = datetime.combine(DAY, time(0), UTC)
    folder().mkdir()
    writers = [python(WRITER, folder(), name, midnight.isoformat()) for name in "abcdefgh"]
    closer = python(CLOSER, folder(), "closer", midnight.isoformat())
    begin_together(folder().parent, count=9)

    told = [process.communicate(timeout=120)[0] for process in (*writers, closer)]

    assert [process.returncode for process in (*writers, closer)] == [0] * 9, told
    days = trace_files.days_in(folder())
    found = [line for day in days for line in objects(day) if "trace_id" in line]
    expected = {f"{name}-{n}" for name, count in zip("abcdefgh", told, strict=False) for n in range(int(count))}
    assert days[:2] == [DAY - timedelta(days=1), DAY]
    assert {line["trace_id"] for line in found} == expected
    assert len(found) == len(expected)
    late = [line for line in objects(DAY) if line["at"] < midnight.isoformat()]
    assert len(late) >= 8
    assert problems() == []


def bury_all() -> None:
    with trace_upkeep.upkeep(folder()):
        for day in trace_files.days_in(folder()):
            trace_forgetting.bury(folder(), day, lambda line: line["api_key_id"] == 7, dry_run=False)


def do(work: Callable[[Path, Any], None]) -> Callable[[], None]:
    def done() -> None:
        with trace_upkeep.upkeep(folder()):
            if steps_left(work):
                work(folder(), DAY)

    return done


def steps_left(work: Callable[[Path, Any], None]) -> bool:
    chain = trace_files.read_chain(folder())
    if work is trace_upkeep.close:
        return not chain.knows(DAY)
    if work is trace_upkeep.compress:
        return not trace_files.gz_path(folder(), DAY).exists()
    return str(DAY) not in chain.deleted


def killed_at(step: int, work: Callable[[], None]) -> bool:
    """Run the work in a process that is killed before its n-th change to the file system; whether it got so far."""
    child = os.fork()
    if child == 0:
        seen = 0

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal seen
            if event in ("open", "os.rename", "os.remove", "os.truncate"):
                seen += 1
                if seen == step:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        work()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


CRASHES: dict[str, Callable[[], None]] = {
    "close": do(trace_upkeep.close),
    "compress": do(trace_upkeep.compress),
    "delete": do(trace_upkeep.delete),
    "forget": bury_all,
}


@pytest.mark.parametrize("name", CRASHES)
def test_who_is_killed_at_any_step_leaves_what_the_next_one_finishes(name: str, tmp_path: Path) -> None:
    step = 1
    while True:
        settings.TRACE_DIR = tmp_path / f"{name}-{step}"
        for _ in range(5):
            write(DAY, api_key_id=7)
            write(DAY)
        if name != "close":
            close(DAY)
        ids = [line["trace_id"] for line in objects(DAY) if "trace_id" in line]

        interrupted = killed_at(step, CRASHES[name])
        between = [problem for problem in problems() if "interrupted" not in problem]
        kept = [line["trace_id"] for line in objects(DAY) if "trace_id" in line]
        CRASHES[name]()

        assert between == []
        assert problems() == []
        assert kept == ids or (name == "delete" and kept == [])
        assert list(folder().glob(".*.tmp")) == []
        assert after(name)
        if not interrupted:
            break
        step += 1
    assert step > 3


def after(name: str) -> bool:
    if name == "delete":
        return trace_files.path_of(folder(), DAY) is None
    if name == "compress":
        return gzip.decompress(trace_files.gz_path(folder(), DAY).read_bytes()).count(b"\n") == 11
    if name == "forget":
        return [line.get("forgotten") for line in objects(DAY)[:-1]] == [True, None] * 5
    return objects(DAY)[-1]["kind"] == "close" and not trace_files.gz_path(folder(), DAY).exists()


@pytest.mark.django_db
def test_the_command_tells_what_is_wrong_with_the_chain(capsys: pytest.CaptureFixture[str]) -> None:
    closed_days(2)
    trace_files.plain_path(folder(), DAY).unlink()

    with pytest.raises(CommandError):
        call_command("traces", "verify", "--repair")

    assert "the file is gone" in capsys.readouterr().out
