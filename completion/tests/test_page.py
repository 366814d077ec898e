"""The page: one, A4, embedded fonts, tagged; and what becomes of names and numbers that nobody expects."""

import io
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfReader

from completion import fonts
from completion.fonts import SYSTEM_FONTS, FontProblem
from completion.lettering import Style, directed_runs, fitted, line_width, wrapped
from completion.page import NameTooLong, draw_page
from completion.tagging import Element
from completion.tests.samples import module_row, sample_manifest
from ragsite.tests.browser import program

NAMES = {
    "Latin": "Nguyễn Thị Hồng Đặng-Łukasiewicz",
    "Greek": "Ελένη Παπαδοπούλου",
    "Cyrillic": "Екатерина Щукина",
    "Arabic": "محمد بن موسى الخوارزمي",
    "Hebrew": "דוד בן־גוריון",
    "Devanagari": "अमर्त्य सेन",
    "Georgian": "ნინო ჩხეიძე",
    "Thai": "สมชาย กำลังดี",
    "two directions": "محمد Smith (Mo) 2",
    "long": "Maximiliana-Wilhelmina Theodora von und zu Hohenlohe-Waldenburg-Schillingsfürst, Gräfin von Gleichen",
    "one long word": "W" * 120,
    "one letter": "X",
}


def drawn(name: str = "Ada Lovelace", **other: Any) -> PdfReader:
    page = draw_page(sample_manifest(name=name, **other), manifest_sha256="a" * 64)
    return PdfReader(io.BytesIO(page.pdf))


def elements(tree: Element) -> list[Element]:
    return [tree, *(each for child in tree.children for each in elements(child))]


def test_it_is_one_page_of_a4() -> None:
    (page,) = drawn().pages

    assert [round(float(side)) for side in page.mediabox[2:]] == [595, 842]


def test_it_says_what_the_manifest_says() -> None:
    text = drawn().pages[0].extract_text()

    for told in (
        "Ada Lovelace",
        "123.5 h",
        "$67.25",
        "m5-tuned",
        "0.854",
        "7Q2M-9XKD-4TBH-W8ZN",
        "gap of more than 2 hours",
    ):
        assert told in text
    assert "simulated providers" in text


def test_real_providers_are_not_called_simulated() -> None:
    board = sample_manifest()["scoreboard"] | {"provider_mode": "live"}

    assert "Measured with simulated" not in drawn(scoreboard=board).pages[0].extract_text()


@pytest.mark.parametrize("script", NAMES)
def test_every_font_is_embedded(script: str) -> None:
    resources: Any = drawn(NAMES[script]).pages[0]["/Resources"]

    for reference in resources["/Font"].values():
        font = reference.get_object()
        assert "/FontFile2" in font["/FontDescriptor"].get_object(), font["/BaseFont"]


def test_everything_is_vector() -> None:
    resources: Any = drawn().pages[0]["/Resources"]

    assert "/XObject" not in resources


@pytest.mark.parametrize("script", NAMES)
def test_any_name_stays_within_the_frame_and_is_told_in_the_tags(script: str) -> None:
    page = draw_page(sample_manifest(name=NAMES[script]), manifest_sha256="a" * 64)

    assert [each.says for each in elements(page.tree) if each.kind == "H2"] == [NAMES[script]]


def test_chinese_japanese_and_korean_names_are_set_where_a_font_is_installed() -> None:
    if not any(file.is_file() for file in SYSTEM_FONTS):
        program("a font for Chinese", "fonts-wqy-microhei")

    text = drawn("王小明・山田太郎・김철수").pages[0].extract_text()

    assert "王小明" in text


def test_a_character_without_a_glyph_is_named() -> None:
    with pytest.raises(FontProblem, match=r"U\+1F389 PARTY POPPER.*ARTIFACT_FONTS"):
        drawn("Ada 🎉")


def test_a_font_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    rubbish = tmp_path / "rubbish.ttf"
    rubbish.write_bytes(b"no font")

    with pytest.raises(FontProblem, match="rubbish.ttf cannot be used"):
        draw_page(sample_manifest(name="🎉"), manifest_sha256="a" * 64, font_files=[rubbish])


def test_a_name_that_cannot_be_read_any_more_is_refused() -> None:
    with pytest.raises(NameTooLong, match="shorter"):
        drawn("W" * 400)


def test_extreme_numbers_are_shrunk_to_their_room() -> None:
    manifest = sample_manifest()
    manifest["work"]["hours"] = "98765432109.8"
    manifest["cost"]["live_usd"], manifest["cost"]["simulated_usd"] = "123456789012345.67", "0.00000001"
    manifest["scoreboard"]["modules"][1] = module_row("m2-chunking", 2, None)
    for row in manifest["scoreboard"]["modules"]:
        row["latency_ms"]["p95"] = 1e12
    manifest["scoreboard"]["dataset"]["name"] = "long/" * 100

    text = PdfReader(io.BytesIO(draw_page(manifest, manifest_sha256="a" * 64).pdf)).pages[0].extract_text()

    for told in ("98,765,432,109.8 h", "$123,456,789,012,345.67", "$0.0000000100", "not measured"):
        assert told in text


def test_a_scoreboard_of_any_number_of_modules_fits() -> None:
    for count in (1, 12):
        board = sample_manifest()["scoreboard"]
        board["modules"] = [module_row(f"m{n}-module", n, 0.5) for n in range(count)]

        assert len(drawn(scoreboard=board).pages) == 1


def test_what_is_drawn_is_told_in_the_tags() -> None:
    tree = draw_page(sample_manifest(), manifest_sha256="a" * 64).tree
    kinds = [each.kind for each in elements(tree)]
    alternatives = [each.alt for each in elements(tree) if each.kind == "Figure"]
    numbers = [each.number for each in elements(tree) if each.number is not None]

    assert kinds.count("H1") == 1
    assert kinds.count("TR") == 7 + 8
    assert "m1-baseline 0.479 (0.359 to 0.579)" in alternatives[0]
    assert "https://rag.example.com/verify/" in alternatives[1]
    assert numbers == list(range(len(numbers)))


@given(st.text(st.sampled_from("abcdef ghi Æ漢".replace("漢", "")), min_size=1, max_size=80), st.floats(20, 400))
def test_wrapping_loses_nothing_and_fits(text: str, width: float) -> None:
    style = Style(fonts.REGULAR, 10)

    lines = wrapped(text, style, width=width)

    assert re.sub(r"\s", "", "".join(lines)) == re.sub(r"\s", "", text)
    assert all(line_width(line, style) <= width or len(line) == 1 for line in lines)


def test_a_line_is_shrunk_only_if_it_has_to_be() -> None:
    style = Style(size=10)
    natural = line_width("Ada", style)

    assert fitted("Ada", style, width=natural + 1, smallest=1) == 10
    assert fitted("Ada", style, width=natural / 2, smallest=1) == pytest.approx(5)
    assert fitted("Ada", style, width=1, smallest=4) == 4


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ("Ada Lovelace", [("Ada Lovelace", False)]),
        ("محمد", [("محمد", True)]),
        ("محمد Smith", [("Smith", False), ("محمد ", True)]),
        ("Smith محمد", [("Smith ", False), ("محمد", True)]),
        ("محمد 12", [("12", False), ("محمد ", True)]),
        ("محمد Smith (Mo)", [("Smith (Mo)", False), ("محمد ", True)]),
    ],
)
def test_runs_stand_in_visual_order(text: str, runs: list[tuple[str, bool]]) -> None:
    assert directed_runs(text) == runs
