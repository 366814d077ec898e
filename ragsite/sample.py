"""The sample corpus: the topics and how-to guides of Django's own documentation, from its source distribution.

Fetched from the package index that pip is set up with, pinned by version and hash, and never committed (BSD-3-Clause).
"""

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

CORPUS = "django"
VERSION = "5.2.19"
URL_TEMPLATE = "https://docs.djangoproject.com/en/5.2/{source}/"
FOLDERS = ("topics", "howto")
REQUIREMENT = Path(__file__).with_name("sample-corpus.txt")


class SampleUnavailable(Exception):
    """The source distribution could not be fetched."""


def fetch(folder: Path) -> Path:
    """The folder with `topics/` and `howto/`, fetched on first use; raises SampleUnavailable."""
    docs = folder / "docs"
    if docs.is_dir():
        return docs
    folder.mkdir(parents=True, exist_ok=True)
    unpack(download(folder), docs)
    return docs


def download(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--no-binary", "Django", "--require-hashes", "--requirement", str(REQUIREMENT), "--dest", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    archives = sorted(folder.glob("[dD]jango-*.tar.gz"))
    if done.returncode or not archives:
        raise SampleUnavailable(f"pip could not download Django {VERSION}'s sources:\n{done.stderr.strip()}")
    return archives[-1]


def unpack(archive: Path, docs: Path) -> None:
    """Only the text files of the two folders, bytes unchanged. The folder appears whole or not at all."""
    draft = docs.with_name("docs.unpacking")
    shutil.rmtree(draft, ignore_errors=True)
    with tarfile.open(archive) as tar:
        for member in tar:
            inside = Path(*Path(member.name).parts[1:])
            wanted = (
                member.isfile()
                and inside.suffix == ".txt"
                and inside.parts[:1] == ("docs",)
                and ".." not in inside.parts
            )
            if wanted and inside.parts[1] in FOLDERS and "_images" not in inside.parts:
                target = draft.joinpath(*inside.parts[1:])
                target.parent.mkdir(parents=True, exist_ok=True)
                content = tar.extractfile(member)
                if content is not None:
                    target.write_bytes(content.read())
    draft.replace(docs)
