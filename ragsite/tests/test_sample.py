import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from ragsite.sample import SampleUnavailable, fetch, unpack


def tar_of(folder: Path, *names: str) -> Path:
    """A source distribution whose files hold their own names."""
    path = folder / "sample.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(name.encode())
            tar.addfile(member, BytesIO(name.encode()))
    return path


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_it_takes_the_text_files_of_the_two_folders_unchanged(tmp_path: Path) -> None:
    source = tar_of(
        tmp_path,
        "Django-5.2.19/docs/topics/db/queries.txt",
        "Django-5.2.19/docs/howto/deploy.txt",
        "Django-5.2.19/docs/ref/models.txt",
        "Django-5.2.19/docs/topics/picture.png",
        "Django-5.2.19/docs/topics/_images/note.txt",
        "Django-5.2.19/docs/index.txt",
        "Django-5.2.19/topics/elsewhere.txt",
    )

    unpack(source, tmp_path / "docs")

    assert files(tmp_path / "docs") == {"topics/db/queries.txt", "howto/deploy.txt"}
    assert (tmp_path / "docs/howto/deploy.txt").read_text() == "Django-5.2.19/docs/howto/deploy.txt"


@pytest.mark.parametrize(
    "name",
    [
        "/etc/docs/topics.txt",
        "../docs/../../evil.txt",
        "Django/../docs/topics/evil.txt",
        "Django/docs/topics/../../../../evil.txt",
    ],
)
def test_a_member_that_points_elsewhere_stays_out(name: str, tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    source = tar_of(inner, "Django/docs/topics/good.txt", name)

    unpack(source, inner / "docs")

    assert files(tmp_path) == {"a/b/sample.tar.gz", "a/b/docs/topics/good.txt"}


def test_links_stay_out(tmp_path: Path) -> None:
    path = tar_of(tmp_path, "Django/docs/topics/good.txt")
    with tarfile.open(tmp_path / "links.tar", "w") as tar:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            link = tarfile.TarInfo(f"Django/docs/topics/link-{kind.decode()}.txt")
            link.type, link.linkname = kind, str(path)
            tar.addfile(link)
        good = tarfile.TarInfo("Django/docs/topics/good.txt")
        tar.addfile(good, BytesIO())

    unpack(tmp_path / "links.tar", tmp_path / "docs")

    assert files(tmp_path / "docs") == {"topics/good.txt"}


def test_an_archive_that_breaks_off_leaves_no_folder(tmp_path: Path) -> None:
    source = tar_of(tmp_path, *(f"Django/docs/topics/{number}.txt" for number in range(200)))
    source.write_bytes(source.read_bytes()[:-200])

    with pytest.raises((EOFError, tarfile.TarError)):
        unpack(source, tmp_path / "docs")

    assert not (tmp_path / "docs").exists()


def test_what_a_broken_start_left_is_not_mixed_in(tmp_path: Path) -> None:
    left = tmp_path / "docs.unpacking" / "topics" / "old.txt"
    left.parent.mkdir(parents=True)
    left.write_text("old")

    unpack(tar_of(tmp_path, "Django/docs/topics/new.txt"), tmp_path / "docs")

    assert files(tmp_path / "docs") == {"topics/new.txt"}


def test_a_folder_that_is_there_is_used_without_a_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    (tmp_path / "docs").mkdir()

    assert fetch(tmp_path) == tmp_path / "docs"


def test_an_index_that_is_away_is_told_in_pips_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")

    with pytest.raises(SampleUnavailable, match="(?s)could not download.*No matching distribution"):
        fetch(tmp_path)

    assert not (tmp_path / "docs").exists()
