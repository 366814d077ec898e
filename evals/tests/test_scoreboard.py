"""`manage.py scoreboard`, `manage.py ship-gate` and /progress/scoreboard, over the small world."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django.fixtures import Settings

from costs.models import LedgerEntry
from evals import proxy_check, ship_evidence, trace_proof
from evals.models import EvalRun, KeptScoreboard
from evals.scoreboard import CorpusFacts, DatasetFacts, Scoreboard, from_json, keep, load
from evals.scoreboard_text import as_markdown, written
from evals.ship_gate import Finding, judge
from evals.tests.test_compare import bumped
from evals.tests.test_ship_gate import EVIDENCE, score
from prompts.publishing import activate
from rag import clock
from rag.ingest import IngestReport
from rag.modules import MODULES
from rag.tests.small_world import asked, trace_paths

pytestmark = pytest.mark.django_db


def board(**change: Any) -> Scoreboard:
    modules = tuple(score(name, cost=0.016 if "m6" not in name else 0.009) for name in MODULES)
    known: dict[str, Any] = {
        "made_at": clock.now(),
        "commit": "a" * 40,
        "provider_mode": "simulated",
        "dataset": DatasetFacts("django-topics", "0" * 64, 30),
        "corpus": CorpusFacts("django", "v2", 101, {"structural": 1531}),
        "modules": modules,
        "gate": judge(modules, EVIDENCE),
    }
    return Scoreboard(**known | change)


class TestKeeping:
    def test_what_is_kept_is_read_back_as_it_was(self) -> None:
        made = board()
        keep(made)

        assert load() == made
        assert from_json(json.loads(json.dumps(made.as_json()))) == made

    def test_the_newest_counts_and_older_ones_stay(self) -> None:
        keep(board(commit="old"))
        keep(board(commit="new"))

        newest = load()
        assert newest is not None and newest.commit == "new"
        assert KeptScoreboard.objects.count() == 2

    def test_the_files_have_every_module_by_every_metric_with_intervals(self, tmp_path: Path) -> None:
        as_data, as_text = written(board(), tmp_path / "reports")

        told = json.loads(as_data.read_text())
        assert [row["module"] for row in told["modules"]] == list(MODULES)
        assert all(len(row["metrics"]) == 10 for row in told["modules"])
        assert told["modules"][0]["metrics"]["recall_at_5"] == {"value": 0.80, "low": 0.1, "high": 0.9}
        assert told["gate"]["passed"] is True
        assert "0.800 (0.10 to 0.90)" in as_text.read_text()

    def test_simulated_providers_are_named_on_the_board_itself(self) -> None:
        assert "Simulated providers" in as_markdown(board())
        assert "Simulated" not in as_markdown(board(provider_mode="live"))


class TestPage:
    def test_it_shows_the_plot_the_table_and_the_gate(self, client: Client, alice: User) -> None:
        failed = judge(board().modules, EVIDENCE.__class__(**{**as_fields(), "proxy": Finding("none", ("<b>no</b>",))}))
        keep(board(gate=failed))
        client.force_login(alice)

        page = client.get("/progress/scoreboard").content.decode()

        assert page.count('class="mean"') == len(MODULES)
        assert page.count('class="whisker"') == len(MODULES)
        assert all(name in page for name in MODULES)
        assert "0.10 to 0.90" in page
        assert "simulated providers" in page
        assert "ship gate not passed" in page
        assert "&lt;b&gt;no&lt;/b&gt;" in page
        assert "<script" not in page

    def test_before_the_first_it_says_how_to_make_one(self, client: Client, alice: User) -> None:
        client.force_login(alice)

        assert "manage.py scoreboard" in client.get("/progress/scoreboard").content.decode()

    def test_only_who_may_see_costs_sees_it(self, client: Client) -> None:
        assert client.get("/progress/scoreboard").status_code == 302
        user = User.objects.create_user("charlie", is_staff=True)
        client.force_login(user)
        assert client.get("/progress/scoreboard").status_code == 403
        user.user_permissions.add(Permission.objects.get(codename="view_ledgerentry"))
        assert client.get("/progress/scoreboard").status_code == 200


def as_fields() -> dict[str, Any]:
    return {name: getattr(EVIDENCE, name) for name in EVIDENCE.__slots__}


class TestTraceProof:
    def test_traces_as_they_should_be_pass(self, corpus: IngestReport) -> None:
        ids = [asked(module=name).trace.trace_id for name in ("m1-baseline", "m6-production", "m6-production")]

        found = trace_proof.replayed(ids)

        assert found == Finding("3 of 3 queries traced, in rows, and replayed identically")

    def test_a_line_that_is_gone_or_altered_is_found(self, corpus: IngestReport) -> None:
        gone, altered, good = (asked().trace.trace_id for _ in range(3))
        (path,) = trace_paths()
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        kept = [line | {"query": "Another?"} if line["trace_id"] == altered else line for line in lines]
        path.write_text("".join(json.dumps(line) + "\n" for line in kept if line["trace_id"] != gone))

        found = trace_proof.replayed([gone, altered, good, "f" * 32])

        (fault,) = found.faults
        assert found.measured.startswith("1 of 4")
        assert f"{gone} (no line)" in fault
        assert f"{altered} (request:" in fault
        assert f"{'f' * 32} (no row)" in fault

    def test_no_queries_prove_nothing(self) -> None:
        assert trace_proof.replayed([]).faults


class TestEvidence:
    def test_a_generation_without_its_prompt_version_is_found(self, corpus: IngestReport) -> None:
        assert ship_evidence.named_versions().faults == ("there is no generation",)
        trace_id = asked().trace.trace_id
        assert ship_evidence.named_versions().faults == ()
        row = LedgerEntry.objects.get(trace_id=trace_id, operation="generate")
        fields = {
            field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields if field.name != "id"
        }
        LedgerEntry.objects.create(**fields | {"trace_id": "0" * 32, "prompt_version": ""})

        assert ship_evidence.named_versions().faults == ("1 generations in the ledger without one",)

    def test_a_cost_page_with_an_empty_dimension_fails(self, corpus: IngestReport) -> None:
        asked(module="m6-production")

        found = ship_evidence.cost_page("simulated")

        assert "nothing stands in by_key" in found.faults
        assert "nothing stands in by_model" not in found.faults


class TestProxy:
    def test_without_an_address_it_fails_and_says_what_to_set(self, settings: Settings) -> None:
        settings.PUBLIC_URL = ""

        assert "PUBLIC_URL is not set" in proxy_check.reached().faults[0]

    def test_where_nothing_listens_it_says_so(self, db: None, settings: Settings) -> None:
        settings.PUBLIC_URL = "http://127.0.0.1:9"

        assert "nothing answers there" in proxy_check.reached().faults[0]

    def test_another_service_is_not_taken_for_this_one(self, providers: str, settings: Settings) -> None:
        settings.PUBLIC_URL = providers

        (first, *_) = proxy_check.reached().faults
        assert first.startswith("status ")


class TestCommands:
    @pytest.fixture
    def world(self, corpus: IngestReport, small_set: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        """The small set in the place of the shipped one; what breaks providers and replays an hour has tests of its own."""
        settings.DEFAULT_CORPUS, settings.DATA_DIR = "handbook", small_set.parent / "data"
        monkeypatch.setattr("evals.dataset.SHIPPED", small_set.parent)
        for module in ("evals.reusing", "evals.scoreboard_making"):
            monkeypatch.setattr(f"{module}.DEFAULT_DATASET", "small")
        monkeypatch.setattr(ship_evidence, "broken", lambda: Finding("36 of 36"))
        monkeypatch.setattr(ship_evidence, "replayed_traffic", lambda run: EVIDENCE.traffic)

    def test_there_is_nothing_to_judge_before_the_first_board(self, corpus: IngestReport, settings: Settings) -> None:
        settings.DEFAULT_CORPUS = "handbook"

        with pytest.raises(CommandError, match="there is no scoreboard yet") as refused:
            call_command("ship-gate")
        assert refused.value.returncode == 2

    def test_it_asks_all_modules_once_and_uses_their_runs_again(
        self, world: None, capsys: pytest.CaptureFixture[str], settings: Settings
    ) -> None:
        call_command("scoreboard", "--no-start", "--parallel", "1")
        told = capsys.readouterr().out
        assert [run.module for run in EvalRun.objects.order_by("pk")] == list(MODULES)
        assert "the ship gate does not pass:" in told
        assert "Simulated providers" in told

        call_command("scoreboard", "--no-start")

        assert EvalRun.objects.count() == len(MODULES)
        assert KeptScoreboard.objects.count() == 2
        written_board = json.loads((Path(settings.DATA_DIR) / "reports" / "final-scoreboard.json").read_text())
        newest = load()
        assert newest is not None and written_board == json.loads(json.dumps(newest.as_json()))
        assert line_named(newest, "traces").measured.startswith(f"{14 * len(MODULES)} of {14 * len(MODULES)} ")

        self.gate_says_what_fails(capsys)
        self.gate_refuses_a_board_of_what_serves_no_more()

    def gate_says_what_fails(self, capsys: pytest.CaptureFixture[str]) -> None:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            call_command("ship-gate", "--json")

        gate = json.loads(capsys.readouterr().out)["gate"]
        assert ended.value.code == 1
        assert gate["passed"] is False
        assert "PUBLIC_URL is not set" in next(line["why"] for line in gate["lines"] if line["name"] == "proxy")

    def gate_refuses_a_board_of_what_serves_no_more(self) -> None:
        activate(version=bumped("Answer in one word, cite as [id]."), who=None, why="a test")

        with pytest.raises(CommandError, match="make a new one with `manage.py scoreboard`") as refused:
            call_command("ship-gate")
        assert refused.value.returncode == 2


def line_named(made: Scoreboard, name: str) -> Any:
    return next(line for line in made.gate.lines if line.name == name)
