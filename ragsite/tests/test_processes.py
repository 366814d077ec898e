import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ragsite import processes
from ragsite.local import RUNNING_FILE, read_running_urls
from ragsite.processes import AlreadyRunning, NotReady, Part, Supervisor, free_port, only_one, runs, stop_leftovers

SLEEP = "import time; time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
SLOW_TO_STOP = """
import os, pathlib, signal, sys, time
def stop(*_):
    time.sleep(0.5)
    state = pathlib.Path(f"/proc/{sys.argv[1]}/stat").read_text().split()[2]
    pathlib.Path(sys.argv[2]).write_text("gone" if state == "Z" else "there")
    os._exit(0)
signal.signal(signal.SIGTERM, stop)
print("up", flush=True)
time.sleep(60)
"""


def part(name: str, program: str = SLEEP, *arguments: str, probe: str | None = None) -> Part:
    """A tiny Python program; its last argument makes it recognisable."""
    return Part(name, (sys.executable, "-S", "-c", program, *arguments, f"tiny-{name}"), None, probe)


def eventually(holds: Callable[[], bool], *, within_s: float = 10) -> bool:
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def supervisor(tmp_path: Path, told: list[str]) -> Iterator[Supervisor]:
    made = Supervisor(tmp_path, tmp_path / "logs", {"GREETING": "hello"}, told.append)
    yield made
    made.stop()


def looked_at(supervisor: Supervisor, name: str) -> subprocess.Popen[bytes]:
    """The child's process, after the supervisor has looked at its children."""
    supervisor.watch()
    return supervisor.children[name].process


def died(supervisor: Supervisor, name: str) -> None:
    """Let a child that is about to end be seen as dead."""
    supervisor.children[name].process.wait(10)
    supervisor.watch()


def restarted(supervisor: Supervisor, name: str) -> None:
    supervisor.children[name].restart_at = 0.0
    supervisor.watch()


class TestFreePort:
    def test_it_is_the_preferred_one_where_nobody_listens(self) -> None:
        port = free_port(0)

        assert free_port(port) == port

    def test_it_is_another_where_somebody_listens(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]

            assert free_port(port) not in (0, port)


class TestOnlyOne:
    def test_a_second_supervisor_of_the_same_data_is_refused(self, tmp_path: Path) -> None:
        with only_one(tmp_path), pytest.raises(AlreadyRunning, match="status"), only_one(tmp_path):
            pytest.fail("two at once")

    def test_the_next_may_start_once_the_first_has_ended(self, tmp_path: Path) -> None:
        with only_one(tmp_path):
            pass

        with only_one(tmp_path):
            assert (tmp_path / "lock").exists()


class TestSupervisor:
    def test_a_started_part_runs_and_is_listed(self, supervisor: Supervisor, tmp_path: Path) -> None:
        tiny = part("web")

        supervisor.start(Part(tiny.name, tiny.command, "http://127.0.0.1:1"))

        listed = json.loads((tmp_path / RUNNING_FILE).read_text())["parts"]["web"]
        assert eventually(lambda: runs(listed["pid"], listed["command"]))
        assert read_running_urls(tmp_path) == {"web": "http://127.0.0.1:1"}

    def test_a_part_gets_the_environment_and_its_output_a_log(self, supervisor: Supervisor) -> None:
        supervisor.start(part("web", "import os; print(os.environ['GREETING'])"))

        supervisor.children["web"].process.wait(10)
        assert supervisor.log_path("web").read_text() == "hello\n"

    def test_a_log_that_has_grown_long_is_put_aside(
        self, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(processes, "LOG_LIMIT", 3)
        supervisor.log_dir.mkdir()
        supervisor.log_path("web").write_text("long")

        supervisor.start(part("web"))

        assert supervisor.log_path("web").with_suffix(".log.1").read_text() == "long"

    def test_a_part_that_died_is_started_again(self, supervisor: Supervisor, told: list[str]) -> None:
        supervisor.start(part("web"))
        first = supervisor.children["web"].process
        first.kill()
        died(supervisor, "web")

        assert eventually(lambda: looked_at(supervisor, "web") is not first)

        assert eventually(lambda: runs(supervisor.children["web"].process.pid, part("web").command))
        assert told[0].startswith("web ended (status -9); starting it again in 0 s")

    def test_the_state_file_follows_a_restart(self, supervisor: Supervisor, tmp_path: Path) -> None:
        supervisor.start(part("web"))
        supervisor.children["web"].process.kill()
        died(supervisor, "web")
        restarted(supervisor, "web")

        listed = json.loads((tmp_path / RUNNING_FILE).read_text())["parts"]["web"]

        assert listed["pid"] == supervisor.children["web"].process.pid

    def test_one_that_dies_young_waits_longer_each_time(self, supervisor: Supervisor, told: list[str]) -> None:
        supervisor.start(part("web", "raise SystemExit(3)"))
        for _ in range(7):
            died(supervisor, "web")
            restarted(supervisor, "web")

        waits = [text.partition(" again in ")[2].partition(" s")[0] for text in told]

        assert waits == ["0", "1", "2", "4", "8", "16", "30"]

    def test_one_that_had_started_well_is_started_again_at_once(self, supervisor: Supervisor, told: list[str]) -> None:
        """Whatever had kept the ones before it from starting is over."""
        supervisor.start(part("web", "raise SystemExit(3)"))
        for _ in range(3):
            died(supervisor, "web")
            restarted(supervisor, "web")
        supervisor.children["web"].started -= processes.STEADY_S + 1

        died(supervisor, "web")

        assert ["again in 0 s" in text for text in told] == [True, False, False, True]

    def test_it_does_not_start_before_its_time(self, supervisor: Supervisor) -> None:
        supervisor.start(part("web", "raise SystemExit(3)"))
        died(supervisor, "web")
        restarted(supervisor, "web")
        died(supervisor, "web")
        process = supervisor.children["web"].process

        supervisor.watch()

        assert supervisor.children["web"].process is process

    def test_one_that_never_answers_is_named_with_its_log(self, supervisor: Supervisor) -> None:
        supervisor.start(part("web", probe="http://127.0.0.1:9/healthz"))

        with pytest.raises(NotReady, match=r"web .*logs/web\.log"):
            supervisor.wait_ready("web", 0.2)

    def test_stopping_leaves_no_process_and_no_state(self, supervisor: Supervisor, tmp_path: Path) -> None:
        for name in ("chroma", "web"):
            supervisor.start(part(name))

        supervisor.stop()

        assert all(child.process.returncode == -15 for child in supervisor.children.values())
        assert not (tmp_path / RUNNING_FILE).exists()

    def test_stopping_reaches_the_children_of_a_part(self, supervisor: Supervisor, tmp_path: Path) -> None:
        pid_file = tmp_path / "pid"
        program = f"import os; os.fork() or open({str(pid_file)!r}, 'w').write(str(os.getpid())); {SLEEP}"
        supervisor.start(part("web", program))
        assert eventually(lambda: pid_file.exists() and pid_file.read_text() != "")
        grandchild = int(pid_file.read_text())

        supervisor.stop()

        assert eventually(lambda: not runs(grandchild, part("web").command))

    def test_the_children_of_a_part_that_was_killed_go_with_it(self, supervisor: Supervisor, tmp_path: Path) -> None:
        pid_file = tmp_path / "pid"
        program = f"import os; os.fork() or open({str(pid_file)!r}, 'w').write(str(os.getpid())); {SLEEP}"
        supervisor.start(part("worker", program))
        assert eventually(lambda: pid_file.exists() and pid_file.read_text() != "")
        grandchild = int(pid_file.read_text())
        supervisor.children["worker"].process.kill()

        died(supervisor, "worker")

        gone = eventually(lambda: not runs(grandchild, part("worker").command), within_s=1)
        if not gone:
            os.kill(grandchild, signal.SIGKILL)
        assert gone

    def test_one_that_does_not_stop_is_killed_and_named(
        self, supervisor: Supervisor, told: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(processes, "STOP_S", 0.3)
        supervisor.start(part("web", STUBBORN))
        assert eventually(lambda: supervisor.log_path("web").read_text() == "up\n")

        supervisor.stop()

        assert eventually(lambda: supervisor.children["web"].process.poll() == -9)
        assert told == ["web did not stop in 0 s and was killed"]

    @pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
    def test_the_web_process_has_what_it_needs_until_it_ends(self, supervisor: Supervisor, tmp_path: Path) -> None:
        supervisor.start(part("chroma"))
        chroma = supervisor.children["chroma"].process.pid
        supervisor.start(part("web", SLOW_TO_STOP, str(chroma), str(tmp_path / "seen")))
        assert eventually(lambda: supervisor.log_path("web").read_text() == "up\n")

        supervisor.stop()

        assert (tmp_path / "seen").read_text() == "there"


class TestLeftovers:
    def test_children_of_a_killed_supervisor_are_stopped(self, supervisor: Supervisor, tmp_path: Path) -> None:
        for name in ("chroma", "web"):
            supervisor.start(part(name))
        children = [child.process for child in supervisor.children.values()]
        assert eventually(lambda: all(runs(child.pid, (SLEEP,)) for child in children))

        assert stop_leftovers(tmp_path) == ["chroma", "web"]

        assert eventually(lambda: all(child.poll() == -15 for child in children))
        assert not (tmp_path / RUNNING_FILE).exists()

    def test_a_stubborn_one_is_killed(
        self, supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(processes, "STOP_S", 0.3)
        supervisor.start(part("web", STUBBORN))
        assert eventually(lambda: supervisor.log_path("web").read_text() == "up\n")

        stop_leftovers(tmp_path)

        assert eventually(lambda: supervisor.children["web"].process.poll() == -9)

    def test_a_process_that_took_over_the_number_is_left_alone(self, tmp_path: Path) -> None:
        state = {"parts": {"web": {"pid": os.getpid(), "url": None, "command": ["gunicorn", "tiny-web"]}}}
        (tmp_path / RUNNING_FILE).write_text(json.dumps(state))

        assert stop_leftovers(tmp_path) == []

    @pytest.mark.parametrize("state", [None, "", "{", "{}"])
    def test_a_missing_or_broken_state_file_means_nothing_is_left(self, state: str | None, tmp_path: Path) -> None:
        if state is not None:
            (tmp_path / RUNNING_FILE).write_text(state)

        assert stop_leftovers(tmp_path) == []
