import re
from pathlib import Path

import environ

ROOT = Path(__file__).resolve().parent.parent.parent
VENDORS = ("ANTHROPIC", "VOYAGE", "OPENAI", "COHERE")
READ_ELSEWHERE = {"PORT"}


def listed() -> dict[str, str]:
    text = (ROOT / ".env.example").read_text("utf-8")
    return dict(re.findall(r"^#?([A-Z][A-Z0-9_]+)=(.*)$", text, re.MULTILINE))


def test_it_lists_every_variable_that_the_settings_read():
    settings = (ROOT / "ragsite" / "settings.py").read_text("utf-8")
    read = set(re.findall(r'env\.\w+\(\s*"([A-Z0-9_]+)"', settings))

    assert read | {f"{vendor}_API_KEY" for vendor in VENDORS} | READ_ELSEWHERE <= set(listed()) | {
        f"{vendor}_BASE_URL" for vendor in VENDORS
    }


def test_it_lists_no_variable_that_nobody_reads():
    settings = (ROOT / "ragsite" / "settings.py").read_text("utf-8")

    stale = [name for name in listed() if not name.endswith(("_API_KEY", "_BASE_URL")) and f'"{name}"' not in settings]

    assert set(stale) <= READ_ELSEWHERE


def test_every_variable_has_a_line_of_meaning_above_it():
    lines = (ROOT / ".env.example").read_text("utf-8").splitlines()

    bare = [
        line
        for before, line in zip(lines, lines[1:], strict=False)
        if re.match(r"^#?[A-Z][A-Z0-9_]+=", line) and not before.startswith("# ")
    ]

    assert bare == []


def test_a_copy_of_it_sets_nothing_but_empty_keys(tmp_path, monkeypatch):
    for vendor in VENDORS:
        monkeypatch.delenv(f"{vendor}_API_KEY", raising=False)
    copy = tmp_path / ".env"
    copy.write_text((ROOT / ".env.example").read_text("utf-8"))
    values: dict[str, str] = {}
    monkeypatch.setattr(environ.Env, "ENVIRON", values)

    environ.Env.read_env(str(copy))

    assert values == {f"{vendor}_API_KEY": "" for vendor in VENDORS}
