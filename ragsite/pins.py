"""Whether what is installed is what was pinned: requirements with hashes, the versions that stand there, known licences."""

import re
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.markers import Marker
from packaging.utils import canonicalize_name

PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(\[[^]]*\])?==(?P<version>[^ ;\\]+)(?:\s*;\s*(?P<marker>[^\\]+?))?\s*\\?$")
HASH = re.compile(r"^\s+--hash=sha256:[0-9a-f]{64}\s*\\?$")
KNOWN = re.compile(
    r"apache|\bmit\b|bsd|isc|mozilla|mpl|python software foundation|psf|unlicense|public domain|zlib|\bofl\b|hpnd|cc0|0bsd"
    r"|lgpl|lesser general public|zpl|boost",
    re.IGNORECASE,
)
"""Licences that let a service be run and shipped; LGPL where it is imported and not changed."""


def faults(path: Path) -> Iterator[str]:
    """What is wrong with the file or with what is installed, a line each."""
    pins = list(pinned(path))
    if not pins:
        yield f"{path.name} pins nothing"
    for name, version, hashes in pins:
        if not hashes:
            yield f"{name}: no hash"
        try:
            found = distribution(name)
        except PackageNotFoundError:
            yield f"{name}: not installed"
            continue
        if found.version != version:
            yield f"{name}: {found.version} is installed, {version} is pinned"
        if not KNOWN.search(licence(found)):
            yield f"{name}: licence {licence(found)[:60]!r} is not on the list"


def pinned(path: Path) -> Iterator[tuple[str, str, int]]:
    """Name, version and number of hashes of every requirement that this Python and system need."""
    name, version, hashes = "", "", 0
    for line in path.read_text("utf-8").splitlines():
        found = PIN.match(line)
        if found:
            if name:
                yield name, version, hashes
            wanted = found["marker"] is None or Marker(found["marker"]).evaluate()
            name, version, hashes = (canonicalize_name(found["name"]) if wanted else ""), found["version"], 0
        elif HASH.match(line):
            hashes += 1
    if name:
        yield name, version, hashes


def licence(found: Distribution) -> str:
    """What a package says of itself: the expression, its own words, or the classifiers."""
    told = found.metadata
    named = [line.rpartition(":: ")[2] for line in told.get_all("Classifier") or () if line.startswith("License ::")]
    words = [line[:200] for name in ("License-Expression", "License") for line in told.get_all(name) or ()]
    return "; ".join([*words, *named]) or "none told"
