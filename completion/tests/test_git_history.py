"""The history of real repositories: what is read, what is refused, and that nothing of theirs is carried out."""

import os
import subprocess
from pathlib import Path

import pytest

from completion.git_history import HistoryRefused, read_history
from completion.hours import hours_of
from completion.tests.conftest import GIT, HOUR, START, Repository


def clone(repository: Repository, folder: Path, *options: str) -> Path:
    subprocess.run(
        [GIT, "clone", "--quiet", *options, f"file://{repository.path}", str(folder)], check=True, capture_output=True
    )
    return folder


def refusal(path: Path) -> str:
    with pytest.raises(HistoryRefused) as refused:
        read_history(path, timeout_s=60)
    return str(refused.value)


def test_it_reads_all_commits_of_the_head(repository: Repository) -> None:
    history = read_history(repository.path, timeout_s=60)

    assert history.head == repository.git("rev-parse", "HEAD")
    assert sorted(each.authored_at for each in history.commits) == [
        START,
        START + 1_800,
        START + HOUR,
        START + 24 * HOUR,
    ]
    assert {(each.name, each.email) for each in history.commits} == {("Ada Lovelace", "ada@example.com")}
    assert str(hours_of(history.commits).hours) == "2.0"


def test_merges_bots_and_repeated_patches_are_told_apart(repository: Repository) -> None:
    repository.git("checkout", "--quiet", "-b", "side", "HEAD~1")
    picked = repository.commit(at=START + 2 * HOUR, file="picked.txt", text="the same\n")
    repository.git("checkout", "--quiet", "main")
    repository.git("cherry-pick", picked, at=START + 50 * HOUR)
    repository.commit(at=START + 51 * HOUR, author="dependabot[bot] <dependabot@example.com>")
    repository.git("merge", "--quiet", "--no-ff", "-m", "merge", "side", at=START + 52 * HOUR)

    found = hours_of(read_history(repository.path, timeout_s=60).commits)

    assert (found.merges, found.bots, found.duplicates, found.commits) == (1, 1, 1, 5)


def test_two_changes_of_one_binary_file_are_two_patches(repository: Repository) -> None:
    for number in range(3):
        (repository.path / "blob").write_bytes(bytes([0, number]) * 4_000)
        repository.git("add", "--all")
        repository.git("commit", "--quiet", "-m", f"{number}", at=START + 60 * HOUR + number)

    assert hours_of(read_history(repository.path, timeout_s=60).commits).duplicates == 0


def test_empty_commits_are_one_patch(repository: Repository) -> None:
    for number in range(3):
        repository.git("commit", "--quiet", "--allow-empty", "-m", f"{number}", at=START + 90 * HOUR * (number + 1))

    assert hours_of(read_history(repository.path, timeout_s=60).commits).duplicates == 2


def test_a_bare_repository_will_do(repository: Repository, tmp_path: Path) -> None:
    assert len(read_history(clone(repository, tmp_path / "bare", "--bare"), timeout_s=60).commits) == 4


def test_a_worktree_will_do(repository: Repository, tmp_path: Path) -> None:
    repository.git("worktree", "add", "--quiet", str(tmp_path / "tree"), "HEAD~1")

    assert len(read_history(tmp_path / "tree", timeout_s=60).commits) == 3


def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "is no folder" in refusal(tmp_path / "nowhere")


def test_a_folder_that_is_no_repository_is_refused(tmp_path: Path) -> None:
    assert "is no git repository" in refusal(tmp_path)


def test_a_folder_inside_a_repository_is_refused(repository: Repository) -> None:
    (repository.path / "docs").mkdir()

    assert "is no git repository" in refusal(repository.path / "docs")


def test_a_repository_without_commits_is_refused(tmp_path: Path) -> None:
    assert "has no commit yet" in refusal(Repository(tmp_path / "empty").path)


def test_a_shallow_clone_is_refused(repository: Repository, tmp_path: Path) -> None:
    assert "shallow clone" in refusal(clone(repository, tmp_path / "shallow", "--depth=1"))


def test_a_partial_clone_is_refused(repository: Repository, tmp_path: Path) -> None:
    repository.git("config", "uploadpack.allowFilter", "true")

    assert "partial clone" in refusal(clone(repository, tmp_path / "partial", "--filter=blob:none", "--no-checkout"))


def test_a_history_with_a_hole_is_refused(repository: Repository) -> None:
    blob = repository.git("rev-parse", f"HEAD:{START}.txt")
    (repository.path / ".git" / "objects" / blob[:2] / blob[2:]).unlink()

    assert "cannot be read" in refusal(repository.path)


def test_a_history_that_takes_too_long_is_refused(repository: Repository) -> None:
    with pytest.raises(HistoryRefused, match="too long"):
        read_history(repository.path, timeout_s=0)


def test_replaced_commits_are_read_as_they_were(repository: Repository) -> None:
    other = repository.git("commit-tree", "HEAD^{tree}", "-m", "other", at=START - 10_000 * HOUR)
    repository.git("replace", "HEAD", other)

    assert len(read_history(repository.path, timeout_s=60).commits) == 4


def test_nothing_that_the_repository_asks_for_is_carried_out(repository: Repository, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    script = tmp_path / "script"
    script.write_text(f'#!/bin/sh\necho "$0 $@" >> {canary}\ncat\n')
    script.chmod(0o755)
    (repository.path / ".gitattributes").write_text("*.txt diff=evil filter=evil\n")
    repository.commit(at=START + 100 * HOUR, file="attributed.txt", text="read with attributes\n")
    for name in ("post-checkout", "reference-transaction", "post-index-change", "pre-auto-gc"):
        hook = repository.path / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(script.read_text())
        hook.chmod(0o755)
    attacks = {
        "core.fsmonitor": str(script),
        "core.pager": str(script),
        "core.sshCommand": str(script),
        "core.alternateRefsCommand": str(script),
        "diff.external": str(script),
        "diff.evil.command": str(script),
        "diff.evil.textconv": str(script),
        "filter.evil.smudge": str(script),
        "filter.evil.clean": str(script),
        "gpg.program": str(script),
        "log.showSignature": "true",
        "pager.log": str(script),
        "pager.rev-parse": str(script),
        "alias.log": f"!{script}",
        "format.pretty": "format:hostile",
        "remote.origin.promisor": "true",
        "remote.origin.url": f"ext::{script}",
    }
    for name, value in attacks.items():
        repository.git("config", name, value)

    history = read_history(repository.path, timeout_s=60)

    assert len(history.commits) == 5
    assert not canary.exists(), canary.read_text()


def test_a_repository_of_another_user_is_read_all_the_same(repository: Repository) -> None:
    """Git refuses to look into it by itself; nothing of its configuration is used."""
    if os.geteuid():
        pytest.skip("only root can give files away")
    for path in (repository.path, *repository.path.rglob("*")):
        os.chown(path, 12345, 12345)

    assert len(read_history(repository.path, timeout_s=60).commits) == 4


@pytest.mark.parametrize("name", ["a\ttab", "ünï cödé", "q'uote\"d"])
def test_odd_paths_are_read(tmp_path: Path, name: str) -> None:
    odd = Repository(tmp_path / name)
    odd.commit(at=START)

    assert len(read_history(odd.path, timeout_s=60).commits) == 1


def test_odd_authors_and_times_are_read(repository: Repository) -> None:
    repository.commit(at=START + 200 * HOUR, author="Zoë 🎉 | $(id) `x` <z@x>")
    tree = repository.git("rev-parse", "HEAD^{tree}")
    head = repository.git("rev-parse", "HEAD")
    raw = f"tree {tree}\nparent {head}\nauthor A <a> 99999999999999 +0000\ncommitter A <a> 1 +0000\n\nx\n"
    path = repository.path / "raw-commit"
    path.write_text(raw)
    sha = repository.git("hash-object", "-t", "commit", "-w", "--literally", str(path))
    repository.git("update-ref", "HEAD", sha)

    history = read_history(repository.path, timeout_s=60)

    assert len(history.commits) == 6
    assert any(each.name.startswith("Zoë 🎉") for each in history.commits)
