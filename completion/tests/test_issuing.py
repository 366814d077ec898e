"""Issuing: refused until the gate passes, always a new one, bound to its evidence; revoking: once and for good."""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from django.db import transaction
from django.utils import timezone
from pytest_django import Settings

from completion.evidence import EvidenceMissing, cost_until, evidence_of, run_evidence
from completion.issuing import AlreadyRevoked, IssueRefused, checked_name, issue, revoke
from completion.manifest import NotAManifest, canonical, read
from completion.models import Artifact, Immutable, Revocation
from completion.telling import as_markdown, manifest_of
from completion.tests.conftest import Repository
from completion.tests.samples import sample_manifest
from costs.models import LedgerEntry, ModelPrice
from evals.models import EvalResult, EvalRun
from evals.scoreboard import Scoreboard
from evals.ship_gate import Gate

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 22, 16, tzinfo=UTC)


def attempt(board: Scoreboard | None, repository: Repository, *, name: str = "Ada") -> Artifact:
    return issue(name=name, repository=repository.path, board=board, now=NOW, who=None, history_timeout_s=60)


def test_it_is_refused_without_a_scoreboard(repository: Repository) -> None:
    with pytest.raises(IssueRefused, match=r"manage\.py scoreboard"):
        attempt(None, repository)


def test_it_is_refused_with_the_lines_that_fail(board: Scoreboard, repository: Repository) -> None:
    first, *others = board.gate.lines
    failing = dataclasses.replace(first, passed=False, why="too low")
    for passed in (False, True):  # a gate that claims to pass does not help
        spoilt = dataclasses.replace(board, gate=Gate(passed, (failing, *others)))

        with pytest.raises(IssueRefused) as refused:
            attempt(spoilt, repository)

        assert refused.value.failing == (failing,)
    assert not Artifact.objects.exists()


def test_issuing_again_makes_a_new_one(issue_one: Callable[..., Artifact]) -> None:
    first, second = issue_one(), issue_one()

    kept = Artifact.objects.get(pk=first.pk)
    assert (kept.sha256, bytes(kept.pdf)) == (first.sha256, bytes(first.pdf))
    assert first.number != second.number
    assert first.sha256 != second.sha256


def test_what_is_kept_is_what_was_signed(artifact: Artifact) -> None:
    kept = Artifact.objects.get(pk=artifact.pk)

    assert hashlib.sha256(bytes(kept.pdf)).hexdigest() == kept.sha256
    assert hashlib.sha256(kept.manifest.encode()).hexdigest() == kept.manifest_sha256
    assert canonical(json.loads(kept.manifest)) == kept.manifest.encode()


def test_the_manifest_tells_hours_cost_and_where_it_is_verified(artifact: Artifact, repository: Repository) -> None:
    manifest = manifest_of(artifact)

    assert manifest["work"]["hours"] == "2.0"
    assert manifest["work"]["head"] == repository.git("rev-parse", "HEAD")
    assert manifest["verify_url"] == f"https://rag.example.com/verify/{artifact.number}"
    assert [each["module"] for each in manifest["evidence"]["runs"]][-1] == "m6-production"
    assert manifest["issuer"]["certificate_sha256"] == artifact.certificate.sha256


def test_below_a_path_the_address_has_it_once(
    artifact: Artifact, issue_one: Callable[..., Artifact], settings: Settings
) -> None:
    settings.PUBLIC_URL, settings.FORCE_SCRIPT_NAME = "https://rag.example.com/ragsite", "/ragsite"

    assert manifest_of(issue_one())["issuer"]["site"] == "https://rag.example.com"


def test_without_a_public_address_it_is_refused(board: Scoreboard, repository: Repository, settings: Settings) -> None:
    settings.PUBLIC_URL = ""

    with pytest.raises(IssueRefused, match="PUBLIC_URL"):
        attempt(board, repository)


def test_a_run_that_is_gone_is_refused(board: Scoreboard, repository: Repository, settings: Settings) -> None:
    settings.PUBLIC_URL = "https://rag.example.com"
    EvalRun.objects.filter(pk=board.modules[0].eval_run_id).delete()

    with pytest.raises(IssueRefused, match="is gone"):
        attempt(board, repository)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "give a name"),
        (" \n ", "give a name"),
        ("x" * 121, "121 characters"),
        ("Ada\u202eevil", "U\\+202E"),
        ("Ada\x00", "U\\+0000"),
        ("Ada\u200b", "U\\+200B"),
        ("\ue000", "U\\+E000"),
        ("Ada 🎉", "PARTY POPPER"),
    ],
)
def test_names_that_deceive_or_cannot_be_set_are_refused(
    name: str, why: str, board: Scoreboard, repository: Repository, settings: Settings
) -> None:
    settings.PUBLIC_URL = "https://rag.example.com"

    with pytest.raises(IssueRefused, match=why):
        attempt(board, repository, name=name)


def test_a_name_is_kept_in_composed_form_with_single_spaces() -> None:
    assert checked_name("  Zoe\u0308   Müller ") == "Zoë Müller"


def test_every_piece_of_evidence_is_bound(board: Scoreboard, settings: Settings) -> None:
    """Whatever changes below the facts changes a hash."""

    def hashes() -> str:
        return json.dumps(evidence_of(board, trace_folder=settings.TRACE_DIR), sort_keys=True)

    run = EvalRun.objects.get(pk=board.modules[0].eval_run_id)
    price = ModelPrice.objects.order_by("pk").first()
    assert price is not None
    changes: list[Callable[[], object]] = [
        lambda: EvalResult.objects.filter(run=run).update(scores={"recall_at_5": 0.0}),
        lambda: EvalResult.objects.filter(run=run).update(trace_id="another"),
        lambda: EvalRun.objects.filter(pk=run.pk).update(config={"top_k": 6}),
        lambda: EvalRun.objects.filter(pk=run.pk).update(prompts={"answer": {"version": "v1", "hash": "f" * 64}}),
        lambda: ModelPrice.objects.filter(pk=price.pk).update(input_usd=price.input_usd + 1),
        lambda: (settings.TRACE_DIR.mkdir(exist_ok=True), (settings.TRACE_DIR / "chain.jsonl").write_text("{}\n")),
        lambda: (settings.TRACE_DIR / "2026-11-22.jsonl").write_text('{"a":1}\n'),
        lambda: (settings.TRACE_DIR / "2026-11-22.jsonl").write_text('{"a":2}\n'),
    ]
    seen = {hashes()}
    for change in changes:
        change()
        seen.add(hashes())

    assert len(seen) == len(changes) + 1


def test_a_damaged_trace_file_is_told(board: Scoreboard, settings: Settings) -> None:
    settings.TRACE_DIR.mkdir(exist_ok=True)
    (settings.TRACE_DIR / "2026-11-21.jsonl.gz").write_bytes(b"no gzip")

    with pytest.raises(EvidenceMissing, match="2026-11-21"):
        evidence_of(board, trace_folder=settings.TRACE_DIR)


def test_evidence_is_the_same_for_the_same_rows(board: Scoreboard) -> None:
    pk = board.modules[0].eval_run_id

    assert run_evidence(pk) == run_evidence(pk)


def ledger(attempt: int, mode: str, usd: str | None) -> None:
    LedgerEntry.objects.create(
        at=NOW,
        trace_id="t",
        attempt=attempt,
        kind="ask",
        provider="anthropic",
        model="m",
        operation="generate",
        provider_mode=mode,
        outcome="ok",
        cost_usd=None if usd is None else Decimal(usd),
        latency_ms=1,
    )


def test_real_and_simulated_money_are_told_apart() -> None:
    for number, (mode, usd) in enumerate(
        [("live", "1.00000001"), ("live", "0.00000002"), ("simulated", "67.25"), ("simulated", None)]
    ):
        ledger(number, mode, usd)

    cost = cost_until(NOW)

    assert (cost["live_usd"], cost["live_calls"], cost["live_unpriced"]) == ("1.00000003", 2, 0)
    assert (cost["simulated_usd"], cost["simulated_calls"], cost["simulated_unpriced"]) == ("67.25000000", 2, 1)


def test_what_was_issued_cannot_be_changed_by_the_orm(artifact: Artifact) -> None:
    artifact.name = "Mallory"
    for change in (
        artifact.save,
        artifact.delete,
        lambda: Artifact.objects.all().delete(),
        lambda: Artifact.objects.update(name="Mallory"),
    ):
        with pytest.raises(Immutable), transaction.atomic():
            change()


def test_revoking_leaves_a_record_and_happens_once(artifact: Artifact) -> None:
    revoke(artifact=artifact, why="issued to the wrong person", who=None, now=timezone.now())

    with pytest.raises(AlreadyRevoked):
        revoke(artifact=artifact, why="again", who=None, now=timezone.now())
    assert Revocation.objects.get().reason == "issued to the wrong person"
    assert artifact.revoked is not None


def test_markdown_tells_the_same_facts(artifact: Artifact) -> None:
    text = as_markdown(manifest_of(artifact), sha256=artifact.sha256)

    assert text.startswith("# Completion artifact: Ada Lovelace\n")
    assert f"<https://rag.example.com/verify/{artifact.number}>" in text
    assert text.count("\n| m") == 6 + 1
    assert f"`{artifact.sha256}`" in text
    assert "simulated providers" in text


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("[x](javascript:alert(1)) <img src=x>", r"\[x\](javascript\:alert(1)) \<img src=x\>"),
        ("| `a` **b**\n# c", r"\| \`a\` \*\*b\*\* \# c"),
        ("www.x.org https://x.org a@x.org", r"www\.x.org https\://x.org a\@x.org"),
        ("Ada M. Lovelace-King (née Byron): 1.5", "Ada M. Lovelace-King (née Byron): 1.5"),
    ],
)
def test_a_name_cannot_become_markup_in_markdown(name: str, told: str) -> None:
    head = as_markdown(sample_manifest(name=name), sha256="a" * 64).splitlines()[0]

    assert head == f"# Completion artifact: {told}"


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff", b'{"format": "ragsite-completion/1"}', b"[" * 100_000])
def test_what_is_no_canonical_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(NotAManifest):
        read(data)


def test_a_manifest_reads_back(tmp_path: Path) -> None:
    assert read(canonical(sample_manifest())) == sample_manifest()
