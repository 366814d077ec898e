"""`manage.py prompts ...`, as an operator types it."""

import json
from io import StringIO
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from prompts.models import Activation, Prompt
from prompts.publishing import bump
from prompts.versions import active_texts, serving

pytestmark = pytest.mark.django_db


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def said(*arguments: str, out: StringIO | None = None, **options: object) -> str:
    out = out or StringIO()
    call_command("prompts", *arguments, stdout=out, **options)
    return out.getvalue()


@pytest.fixture
def second(alice: User) -> None:
    """Version 2 of `hyde`, by alice, inactive."""
    prompt = Prompt.objects.get(name="hyde")
    text = prompt.versions.get().instructions
    bump(prompt=prompt, instructions=f"{text}\nBe brief.", examples="", note="shorter\nby half", author=alice)


def test_list_shows_every_version_and_which_one_serves(second: None) -> None:
    lines = [line.split() for line in said("list").splitlines() if line.startswith("hyde")]

    assert [line[:3] for line in lines] == [["hyde", "v1", "active"], ["hyde", "v2", lines[1][2]]]
    assert lines[1][3:] == ["alice", "shorter"]


def test_list_can_be_read_by_a_program(second: None) -> None:
    listed = {(row["name"], row["version"]): row for row in json.loads(said("list", "--json"))}

    v1, v2 = listed["hyde", "v1"], listed["hyde", "v2"]
    assert (v1["active"], v1["author"], v2["active"], v2["author"]) == (True, None, False, "alice")
    assert (v2["note"], v2["created"][-6:], len(v2["content_hash"])) == ("shorter\nby half", "+00:00", 64)


def test_diff_shows_what_a_version_changes(second: None) -> None:
    lines = said("diff", "hyde", "v1", "v2").splitlines()

    assert lines[:3] == ["--- hyde v1", "+++ hyde v2", "@@ instructions @@"]
    assert lines[-1] == "+ Be brief."


def test_diff_is_coloured_on_a_terminal_alone(second: None) -> None:
    assert "\033[" in said("diff", "hyde", "v1", "v2", out=Terminal())
    assert "\033[" not in said("diff", "hyde", "v1", "v2", out=Terminal(), no_color=True)
    assert "\033[" not in said("diff", "hyde", "v1", "v2")


def test_diff_says_when_there_is_nothing_to_show() -> None:
    assert said("diff", "hyde", "v1", "v1") == "hyde v1 and v1 are the same text\n"


@pytest.mark.parametrize("arguments", [("diff", "hyde", "v1", "v7"), ("activate", "hyde", "v7", "--why", "x")])
def test_a_version_that_is_not_there_is_named(arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match="the prompt 'hyde' has no version 'v7'"):
        said(*arguments)


def test_activate_makes_a_version_serve_and_keeps_who_and_why(second: None, alice: User) -> None:
    told = said("activate", "hyde", "v2", "--why", "measured better", "--by", "alice")

    line = Activation.objects.latest("id")
    assert told == "hyde v2 serves from now on, v1 did until now\n"
    assert (active_texts()["hyde"].version, line.who, line.why) == ("v2", alice, "measured better")


def test_activating_what_serves_leaves_no_line() -> None:
    before = Activation.objects.count()

    assert said("activate", "hyde", "v1", "--why", "again") == "hyde v1 serves already; nothing changed\n"
    assert Activation.objects.count() == before


@pytest.mark.parametrize("why", ["", "  ", "x" * 301])
def test_activate_needs_a_reason_that_the_history_can_keep(second: None, why: str) -> None:
    with pytest.raises(CommandError, match="--why takes 1 to 300 characters"):
        said("activate", "hyde", "v2", "--why", why)
    assert active_texts()["hyde"].version == "v1"


def test_nobody_acts_under_the_name_of_an_unknown_user(second: None, tmp_path: Path) -> None:
    for arguments in (("activate", "hyde", "v2", "--why", "x"), ("import", str(tmp_path))):
        with pytest.raises(CommandError, match="there is no user 'zoe'"):
            said(*arguments, "--by", "zoe")


def test_export_and_import_say_what_became_of_each_file(second: None, tmp_path: Path) -> None:
    exported = said("export", "hyde", "--to", str(tmp_path)).splitlines()
    draft = tmp_path / "hyde" / "v3.md"
    draft.write_text("---\nnote: shortest\n---\n<!-- instructions -->\nImagine.\n", "utf-8")

    dry = said("import", str(tmp_path), "--dry-run", "--by", "alice").splitlines()
    imported = said("import", str(tmp_path), "--by", "alice").splitlines()

    v1, v2 = tmp_path / "hyde" / "v1.md", tmp_path / "hyde" / "v2.md"
    assert exported == [f"{v1}", f"{v2}", f"2 of 2 files written below {tmp_path}"]
    there = [f"{v1}: already there as v1", f"{v2}: already there as v2"]
    assert dry == [*there, f"{draft}: would be made, as hyde v3", "1 of 3 would be made; none is active yet"]
    assert imported == [*there, f"{draft}: made, as hyde v3", "1 of 3 made; none is active yet"]


def test_export_goes_into_the_data_folder_by_default(settings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path

    told = said("export", "hyde")

    assert str(tmp_path / "prompts" / "hyde" / "v1.md") in told
    assert (tmp_path / "prompts" / "hyde" / "v1.md").is_file()


def test_import_refuses_with_the_file_and_the_line(tmp_path: Path) -> None:
    path = tmp_path / "hyde" / "v2.md"
    path.parent.mkdir()
    path.write_bytes(b"---\r\nnote: x\r\n")

    with pytest.raises(CommandError, match=r"v2.md:1: a carriage return[^\n]*\nnothing was imported"):
        said("import", str(path))


def test_export_says_where_it_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "hyde").write_text("a file where the folder should be")

    with pytest.raises(CommandError, match="hyde"):
        said("export", "hyde", "--to", str(tmp_path))


class TestTrial:
    def test_a_share_begins_one_and_the_list_marks_it(self, second: None) -> None:
        told = said("activate", "hyde", "v2", "--why", "a tenth first", "--share", "10")

        assert told == "hyde v2 is on trial from now on: 10 % get it, the others v1\n"
        lines = [line.split() for line in said("list").splitlines() if line.startswith("hyde")]
        assert [line[1:4] for line in lines] == [["v1", "active", lines[0][3]], ["v2", "trial", "10"]]
        listed = {(row["name"], row["version"]): row for row in json.loads(said("list", "--json"))}
        assert [listed["hyde", v]["trial_share"] for v in ("v1", "v2")] == [None, 10]
        assert not listed["hyde", "v2"]["active"]

    @pytest.mark.parametrize(
        ("kept", "told"),
        [("v1", "hyde v1 serves everybody from now on\n"), ("v2", "hyde v2 serves from now on, v1 did until now\n")],
    )
    def test_activating_either_arm_ends_it(self, second: None, kept: str, told: str) -> None:
        said("activate", "hyde", "v2", "--why", "a tenth first", "--share", "10")

        assert said("activate", "hyde", kept, "--why", "decided") == told
        now = serving()["hyde"]
        assert (now.text.version, now.trial) == (kept, None)

    def test_the_same_one_again_changes_nothing(self, second: None) -> None:
        said("activate", "hyde", "v2", "--why", "a tenth first", "--share", "10")
        before = Activation.objects.count()

        again = said("activate", "hyde", "v2", "--why", "again", "--share", "10")

        assert again == "hyde v2 is on trial with 10 % already; nothing changed\n"
        assert Activation.objects.count() == before

    @pytest.mark.parametrize("share", ["0", "101", "-1"])
    def test_a_share_is_a_percentage(self, second: None, share: str) -> None:
        with pytest.raises(CommandError, match="--share takes 1 to 100"):
            said("activate", "hyde", "v2", "--why", "x", f"--share={share}")

    def test_what_serves_is_not_tried_against_itself(self) -> None:
        with pytest.raises(CommandError, match="hyde v1 serves already"):
            said("activate", "hyde", "v1", "--why", "x", "--share", "10")
