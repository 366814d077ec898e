"""The file that tuning writes: what it may hold, and what becomes of it in the modules."""

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from rag import modules, tuned
from rag.modules import AUTO, FUSIONS, M5, M6, MODULES, RECIPES, TRANSFORMS, TUNED, Module, module_for
from rag.tests.small_world import asked, line_of
from rag.tuned import CORPUS_KNOBS, GENERAL_KNOBS, Tuned, TunedFileBroken, read_tuned

CHOICES = {"chunker": RECIPES, "transform": (*TRANSFORMS, AUTO), "fusion": FUSIONS}
ELSEWHERE = {"fusion": "scores", "dense_weight": 0.2, "lexical_weight": 0.8, "rerank": False}


@pytest.fixture
def content() -> dict[str, Any]:
    """The shipped file, with one corpus of its own."""
    shipped: dict[str, Any] = tuned.read_content(tuned.FILE)
    knobs = {name: shipped["general"]["knobs"][name] for name in CORPUS_KNOBS}
    shipped["corpora"] = {"own": {"knobs": knobs | ELSEWHERE, "evidence": None}}
    return shipped


def read(content: Any, folder: Path) -> Tuned:
    path = folder / "tuned.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return read_tuned(path, choices=CHOICES)


def test_it_reads_knobs_for_all_and_for_single_corpora(content: dict[str, Any], tmp_path: Path) -> None:
    found = read(content, tmp_path)

    assert found.general == TUNED.general
    assert found.corpora["own"]["lexical_weight"] == 0.8


def test_the_tuned_module_has_the_knobs_of_the_file() -> None:
    assert {name: getattr(M5, name) for name in GENERAL_KNOBS} == TUNED.general
    assert M5 is MODULES["m5-tuned"]


def test_the_production_module_is_the_tuned_one_with_caches_and_fallbacks() -> None:
    added = replace(M5, name="m6-production", answer_cache=True, prompt_cache=True, fallbacks=True)

    assert added == M6 == MODULES["m6-production"]


def test_every_knob_of_a_module_is_tuned_but_caches_fallbacks_and_a_saving_that_cost_recall() -> None:
    untuned = {field.name for field in fields(Module)} - {*GENERAL_KNOBS}

    assert untuned == {"name", "fallbacks", "answer_cache", "prompt_cache", "agreed_overlap"}


def test_what_was_chosen_stands_with_its_evidence() -> None:
    shipped = tuned.read_content(tuned.FILE)

    for chosen in (shipped["general"], *shipped["corpora"].values()):
        for decision in (chosen["evidence"] or {"decisions": ()})["decisions"]:
            low = decision["confirmation"]["interval_95"][0]
            assert low > 0 if decision["decided"] == "finding" else low >= -0.01


@pytest.mark.parametrize("name", ["m5", "m6-production"])
def test_a_corpus_of_its_own_is_searched_in_its_own_way(
    name: str, content: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modules, "TUNED", read(content, tmp_path))

    own, other = module_for(name, "own"), module_for(name, "handbook")

    assert (own.fusion, own.dense_weight, own.lexical_weight, own.rerank) == ("scores", 0.2, 0.8, False)
    assert (own.name, own.chunker, own.fallbacks) == (other.name, other.chunker, other.fallbacks)
    assert other == modules.find_module(name)


@pytest.mark.parametrize("name", ["m1-baseline", "m2-chunking", "m3-hybrid", "m4-transform"])
def test_the_modules_before_are_the_same_everywhere(
    name: str, content: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modules, "TUNED", read(content, tmp_path))

    assert module_for(name, "own") is MODULES[name]


@pytest.mark.usefixtures("corpus")
def test_a_trace_names_the_knobs_that_the_corpus_has(
    content: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content["corpora"] = {"handbook": content["corpora"]["own"]}
    monkeypatch.setattr(modules, "TUNED", read(content, tmp_path))

    line = line_of(asked(module="m5", transform="simple").trace.trace_id)

    assert {name: line["config"][name] for name in ELSEWHERE} == ELSEWHERE
    assert line["reranked_top_5"] == []


def broken(place: tuple[str, ...], value: Any) -> Any:
    """The content with one thing changed; a value of None takes it away."""

    def _broken(content: dict[str, Any]) -> dict[str, Any]:
        *way, last = place
        inner = content
        for step in way:
            inner = inner[step]
        if value is None:
            del inner[last]
        else:
            inner[last] = value
        return content

    return _broken


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda content: "{", "cannot be read"),
        (lambda content: "[]", "expected a JSON object"),
        (broken(("general",), None), "expected `general` and `corpora`"),
        (broken(("corpora",), []), "expected `general` and `corpora`"),
        (broken(("corpora", "own"), {}), "expected `general` and `corpora`"),
        (broken(("general", "knobs"), 7), "general: expected an object of knobs, not 7"),
        (broken(("general", "knobs", "rrf_k"), None), "general.rrf_k is missing"),
        (broken(("general", "knobs", "colour"), "red"), "general.colour is no knob"),
        (broken(("corpora", "own", "knobs", "chunker"), "fixed"), "corpora.own.chunker is no knob"),
        (broken(("general", "knobs", "rrf_k"), -1), "general.rrf_k must be a whole number from 0 to 1000, not -1"),
        (broken(("general", "knobs", "rrf_k"), True), "general.rrf_k must be a whole number"),
        (broken(("general", "knobs", "rerank"), 1), "general.rerank must be true or false, not 1"),
        (
            broken(("general", "knobs", "source_floor"), float("nan")),
            "general.source_floor must be a number from 0 to 1",
        ),
        (broken(("general", "knobs", "chunker"), "teeth"), "general.chunker must be one of fixed, .*not 'teeth'"),
        (broken(("general", "knobs", "transform"), ["auto"]), "general.transform must be one of simple"),
        (broken(("corpora", "own", "knobs", "fusion"), "magic"), "corpora.own.fusion must be one of ranks, scores"),
        (broken(("corpora", "own", "knobs", "bm25_candidates"), 0), None),
    ],
)
def test_a_broken_file_is_refused_and_the_place_is_named(
    change: Any, told: str | None, content: dict[str, Any], tmp_path: Path
) -> None:
    changed = change(content)

    if told is None:
        assert read(changed, tmp_path).corpora["own"]["bm25_candidates"] == 0
        return
    with pytest.raises(TunedFileBroken, match=told) as refused:
        read(changed, tmp_path)
    assert "tuned.json" in str(refused.value)
    assert "restore the file" in str(refused.value)


def test_weights_with_which_nothing_is_found_are_refused(content: dict[str, Any], tmp_path: Path) -> None:
    content["corpora"]["own"]["knobs"] |= {"dense_weight": 0, "bm25_candidates": 0}

    with pytest.raises(TunedFileBroken, match="with these weights nothing is found"):
        read(content, tmp_path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TunedFileBroken, match="nowhere.json cannot be read"):
        read_tuned(tmp_path / "nowhere.json", choices=CHOICES)
