"""Finding documents below a folder."""

import os
import sys
from pathlib import Path

import pytest

from rag.reading.errors import NoDocuments
from rag.reading.folders import Skipped, find_documents
from rag.tests.samples import written


def sources(root: Path) -> list[str]:
    return [file.source for file in find_documents(root=root).files]


def test_it_finds_documents_in_order_and_names_them_without_extension(tmp_path):
    for name in ("b/two.rst", "a.md", "b/one.TXT", "b/c/deep.pdf"):
        written(tmp_path, name, "x")

    found = find_documents(root=tmp_path)

    assert [(file.source, file.name) for file in found.files] == [
        ("a", "a.md"),
        ("b/c/deep", "b/c/deep.pdf"),
        ("b/one", "b/one.TXT"),
        ("b/two", "b/two.rst"),
    ]
    assert found.skipped == ()


def test_it_takes_a_single_file(tmp_path):
    path = written(tmp_path, "only.md", "x")
    written(tmp_path, "other.md", "x")

    assert sources(path) == ["only"]


def test_names_that_clash_keep_their_extension(tmp_path):
    for name in ("guide.md", "guide.rst", "guide.md.txt", "other.md"):
        written(tmp_path, name, "x")

    assert sources(tmp_path) == ["guide.md", "guide.md.txt", "guide.rst", "other"]


def test_it_leaves_other_extensions_and_hidden_files_aside(tmp_path):
    for name in ("a.md", "b.exe", ".hidden.md", ".git/config.md", "README"):
        written(tmp_path, name, "x")

    found = find_documents(root=tmp_path)

    assert [file.source for file in found.files] == ["a"]
    assert [(left.source, left.reason.split(" (")[0]) for left in found.skipped] == [
        (".git", "is hidden"),
        (".hidden.md", "is hidden"),
        ("README", "has an extension that is not read"),
        ("b.exe", "has an extension that is not read"),
    ]


def test_it_does_not_follow_links_outside_or_to_folders(tmp_path):
    outside = written(tmp_path, "outside/secret.md", "x")
    root = written(tmp_path, "root/a.md", "x").parent
    (root / "link.md").symlink_to(outside)
    (root / "loop").symlink_to(root)
    (root / "broken.md").symlink_to(root / "gone.md")

    found = find_documents(root=root)

    assert [file.source for file in found.files] == ["a"]
    assert found.skipped == (
        Skipped("broken.md", "cannot be opened: No such file or directory"),
        Skipped("link.md", "is a link to a file outside the folder"),
        Skipped("loop", "is a link to a folder"),
    )


def test_it_skips_what_is_not_a_regular_file(tmp_path):
    written(tmp_path, "a.md", "x")
    os.mkfifo(tmp_path / "pipe.md")

    assert find_documents(root=tmp_path).skipped == (Skipped("pipe.md", "is not a regular file"),)


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS accepts only UTF-8 names")
def test_a_name_that_is_not_utf8_is_reported_printably(tmp_path):
    written(tmp_path, "a.md", "x")
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9\n.md"))).write_text("x")

    found = find_documents(root=tmp_path)

    assert found.skipped == (Skipped("caf\\xe9\\n.md", "has a name that is not printable UTF-8: rename it"),)


def test_an_empty_folder_is_an_error(tmp_path):
    with pytest.raises(NoDocuments, match="the folder is empty"):
        find_documents(root=tmp_path)


def test_a_folder_without_documents_says_what_it_left_aside(tmp_path):
    written(tmp_path, "b.exe", "x")

    with pytest.raises(NoDocuments, match=r"1 left aside: b\.exe has an extension that is not read"):
        find_documents(root=tmp_path)


def test_a_missing_path_is_an_error(tmp_path):
    with pytest.raises(NoDocuments, match="gone: cannot be opened: No such file"):
        find_documents(root=tmp_path / "gone")
