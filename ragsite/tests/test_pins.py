"""What is installed is what was pinned."""

from pathlib import Path

import pytest
from django.conf import settings

from ragsite.pins import faults, pinned

HASH = "    --hash=sha256:" + "0" * 64


def written(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "requirements.txt"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def test_everything_that_runs_here_is_pinned_by_its_hash() -> None:
    path = Path(settings.BASE_DIR) / "requirements.txt"

    assert len(list(pinned(path))) > 100
    assert list(faults(path)) == []


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["django==5.2.19"], "django: no hash"),
        (["django==5.0 \\", HASH], "django: 5.2.19 is installed, 5.0 is pinned"),
        (["no-such-package==1.0 \\", HASH], "no-such-package: not installed"),
        (["# nothing"], "requirements.txt pins nothing"),
    ],
)
def test_what_is_not_is_told(tmp_path: Path, lines: list[str], told: str) -> None:
    assert list(faults(written(tmp_path, *lines))) == [told]


def test_what_another_system_needs_is_left_out(tmp_path: Path) -> None:
    path = written(tmp_path, "pywin32==1.0 ; sys_platform == 'win32' \\", HASH, "django==5.2.19 \\", HASH)

    assert list(pinned(path)) == [("django", "5.2.19", 1)]
