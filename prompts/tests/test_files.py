"""Versions out to files and in again."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from prompts.files import FilesRefused, export_versions, import_files
from prompts.models import Prompt, PromptVersion
from prompts.publishing import bump
from prompts.tests.test_library import SAID, TEXT
from prompts.versions import UnknownPromptVersion

pytestmark = pytest.mark.django_db
WRITTEN = """---
note: {note}
---
<!-- instructions -->
{text}
"""


def write(path: Path, text: str = "Be brief.", note: str = "shorter") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(WRITTEN.format(note=note, text=text), "utf-8")
    return path


def versions(name: str = "answer") -> list[str]:
    return [row.instructions for row in PromptVersion.objects.filter(prompt__name=name).order_by("number")[1:]]


def bumped(author: User | None = None) -> PromptVersion:
    return bump(
        prompt=Prompt.objects.get(name="answer"), instructions="Be brief.", examples="", note="n", author=author
    ).version


class TestRoundTrip(TestCase):
    """Each example runs in a transaction of its own."""

    @given(TEXT.filter(str.strip), TEXT | st.just(""), SAID)
    @settings(max_examples=40)
    def test_a_version_comes_back_byte_for_byte(self, instructions: str, examples: str, note: str) -> None:
        author = User.objects.get_or_create(username="alice")[0]
        with TemporaryDirectory() as name:
            folder = Path(name)
            with transaction.atomic():  # another database, which has no such version, is this one without the bump
                made = bump(
                    prompt=Prompt.objects.get(name="answer"),
                    instructions=instructions,
                    examples=examples,
                    note=note,
                    author=author,
                ).version
                export_versions(names=["answer"], to=folder / "one")
                transaction.set_rollback(True)
            import_files(paths=[folder / "one"], author=None)
            export_versions(names=["answer"], to=folder / "two")

            back = PromptVersion.objects.get(prompt__name="answer", number=2)
            assert (back.instructions, back.examples, back.note) == (instructions, examples, note)
            assert (back.content_hash, back.author, back.created_at) == (made.content_hash, author, made.created_at)
            for file in ("answer/v1.md", "answer/v2.md"):
                assert (folder / "one" / file).read_bytes() == (folder / "two" / file).read_bytes()


def test_all_prompts_are_exported_when_none_is_named(tmp_path: Path) -> None:
    exported = export_versions(names=[], to=tmp_path)

    assert {file.path.parent.name for file in exported} == set(Prompt.objects.values_list("name", flat=True))
    assert all(file.written and file.path.name == "v1.md" for file in exported)


def test_exporting_again_writes_nothing(tmp_path: Path) -> None:
    export_versions(names=["hyde"], to=tmp_path)

    assert [file.written for file in export_versions(names=["hyde"], to=tmp_path)] == [False]


def test_an_export_names_prompts_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(UnknownPromptVersion, match="no prompt 'anser'; known: answer, choose"):
        export_versions(names=["anser"], to=tmp_path)


@pytest.mark.parametrize("text", ["Somebody's own.", "---"])
def test_an_export_writes_over_no_text_that_was_not_imported(text: str, tmp_path: Path) -> None:
    bumped()
    path = write(tmp_path / "answer" / "v2.md", text)
    before = path.read_bytes()

    with pytest.raises(FilesRefused, match="v2.md: has another text.*\nnothing was written"):
        export_versions(names=["answer"], to=tmp_path)

    assert path.read_bytes() == before
    assert not (tmp_path / "answer" / "v1.md").exists()


def test_a_file_that_was_imported_is_completed_by_an_export(tmp_path: Path) -> None:
    path = write(tmp_path / "answer" / "v2.md")
    import_files(paths=[path], author=None)

    export_versions(names=["answer"], to=tmp_path)

    assert "content_hash: " in path.read_text("utf-8")


def test_an_import_makes_versions_and_activates_none(tmp_path: Path, alice: User) -> None:
    write(tmp_path / "answer" / "v3.md", "Third.")
    write(tmp_path / "answer" / "v2.md", "Second.")

    report = import_files(paths=[tmp_path], author=alice)

    assert [(file.label, file.made) for file in report] == [("v2", True), ("v3", True)]
    assert versions() == ["Second.", "Third."]
    assert PromptVersion.objects.filter(author=alice, note="shorter").count() == 2
    assert Prompt.objects.get(name="answer").activations.count() == 1


@pytest.mark.parametrize("file", ["answer/v2.md", "answer/v9.md"])
def test_a_text_that_is_there_makes_nothing(file: str, tmp_path: Path) -> None:
    bumped()

    (told,) = import_files(paths=[write(tmp_path / file, note="another note")], author=None)

    assert (told.label, told.made, versions()) == ("v2", False, ["Be brief."])


def test_the_same_text_twice_in_one_import_is_one_version(tmp_path: Path) -> None:
    paths = [write(tmp_path / "answer" / f"v{number}.md") for number in (2, 3)]

    report = import_files(paths=paths, author=None)

    assert [(file.label, file.made) for file in report] == [("v2", True), ("v2", False)]


def test_a_number_that_is_taken_is_refused(tmp_path: Path) -> None:
    bumped()
    path = write(tmp_path / "answer" / "v2.md", "Other.")

    with pytest.raises(FilesRefused, match="v2.md: answer v2 is another text; --as-next would make it v3"):
        import_files(paths=[path], author=None)

    assert versions() == ["Be brief."]


def test_a_number_that_is_taken_becomes_the_next_one_when_asked(tmp_path: Path) -> None:
    bumped()
    path = write(tmp_path / "answer" / "v2.md", "Other.")

    (told,) = import_files(paths=[path], author=None, as_next=True)

    assert (told.label, told.made, versions()) == ("v3", True, ["Be brief.", "Other."])


def test_one_bad_file_keeps_all_out_and_every_bad_one_is_named(tmp_path: Path) -> None:
    write(tmp_path / "answer" / "v2.md")
    write(tmp_path / "answer" / "v3.md", note="")
    write(tmp_path / "nobody" / "v1.md")

    with pytest.raises(FilesRefused) as error:
        import_files(paths=[tmp_path, tmp_path / "gone.md"], author=None)

    said = str(error.value).splitlines()
    assert [line.removeprefix(f"{tmp_path}/") for line in said] == [
        "answer/v3.md:2: note is empty",
        "gone.md: No such file or directory",
        "nobody/v1.md: there is no prompt 'nobody'",
        "nothing was imported",
    ]
    assert versions() == []


def test_a_folder_without_versions_is_refused(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("Prompts")

    with pytest.raises(FilesRefused, match="no file NAME/v1.md"):
        import_files(paths=[tmp_path], author=None)


def test_a_dry_run_tells_the_same_and_makes_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "answer" / "v2.md")

    dry = import_files(paths=[path], author=None, dry_run=True)

    assert versions() == []
    assert import_files(paths=[path], author=None) == dry


def test_a_version_stays_its_authors_unless_somebody_takes_it_over(tmp_path: Path, alice: User) -> None:
    with transaction.atomic():
        made = bumped(alice)
        export_versions(names=["answer"], to=tmp_path)
        transaction.set_rollback(True)
    carol = User.objects.create_user("carol")

    import_files(paths=[tmp_path], author=carol)

    taken = PromptVersion.objects.get(prompt__name="answer", number=2)
    assert taken.author == carol
    assert taken.created_at > made.created_at


def test_an_author_who_is_no_user_here_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "answer" / "v2.md", note="shorter\nauthor: zoe")

    with pytest.raises(FilesRefused, match="v2.md: its author 'zoe' is no user here; --by USERNAME"):
        import_files(paths=[path], author=None)
