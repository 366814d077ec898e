"""The pipelines by name, and what a request may override."""

import json

import pytest

from rag.errors import UnknownModule, UnknownTransform
from rag.modules import AUTO, MODULES, RECIPES, TRANSFORMS, find_module, with_request

M1, M3 = MODULES["m1-baseline"], MODULES["m3-hybrid"]


@pytest.mark.parametrize("name", MODULES)
def test_it_finds_a_module_by_its_name_and_by_its_number(name: str) -> None:
    assert find_module(name) is find_module(name.partition("-")[0])
    assert find_module(name).name == name


@pytest.mark.parametrize("name", ["", "m", "m9", "M3", "hybrid", "m3-", "m3-hybrid "])
def test_it_names_the_known_modules_when_one_is_unknown(name: str) -> None:
    with pytest.raises(UnknownModule, match="m1-baseline, m2-chunking, m3-hybrid"):
        find_module(name)


@pytest.mark.parametrize("name", ["m1-baseline", "m2-chunking"])
def test_the_first_modules_search_vectors_alone(name: str) -> None:
    module = MODULES[name]

    assert (module.vector_candidates, module.bm25_candidates, module.rerank) == (5, 0, False)
    assert (module.top_k, module.transform) == (5, "simple")


@pytest.mark.parametrize("name", ["m3-hybrid", "m4-transform"])
def test_the_hybrid_modules_fuse_twenty_and_twenty_by_rank_and_rerank(name: str) -> None:
    module = MODULES[name]

    assert (module.vector_candidates, module.bm25_candidates, module.rrf_k) == (20, 20, 60)
    assert (module.fusion, module.dense_weight, module.lexical_weight) == ("ranks", 1.0, 1.0)
    assert (module.fused_candidates, module.rerank, module.top_k) == (20, True, 5)


def test_only_the_baseline_cuts_at_fixed_lengths() -> None:
    assert {module.name for module in MODULES.values() if module.chunker == "fixed"} == {"m1-baseline"}
    assert (RECIPES["fixed"].size, RECIPES["fixed"].overlap) == (1800, 200)


def test_every_module_names_a_recipe_and_a_transform_that_exist() -> None:
    assert all(module.chunker in RECIPES for module in MODULES.values())
    assert all(module.transform in (*TRANSFORMS, AUTO) for module in MODULES.values())


def test_the_fourth_module_chooses_the_transform_per_question() -> None:
    assert MODULES["m4-transform"].transform == AUTO


def test_a_request_without_wishes_gets_the_module_as_it_is() -> None:
    assert with_request(M3, transform=None, top_k=None) == M3


@pytest.mark.parametrize("transform", [*TRANSFORMS, AUTO])
def test_a_request_may_choose_a_transform(transform: str) -> None:
    assert with_request(M3, transform=transform, top_k=None).transform == transform


def test_a_request_may_choose_how_many_sources_there_are() -> None:
    assert with_request(M3, transform=None, top_k=3).top_k == 3


@pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)
def test_a_module_has_candidates_for_as_many_sources_as_were_asked_for(module) -> None:
    wanted = with_request(module, transform=None, top_k=20)

    assert wanted.vector_candidates >= wanted.top_k


@pytest.mark.parametrize("transform", ["", "HYDE", "rewrite"])
def test_an_unknown_transform_is_refused_by_name(transform: str) -> None:
    with pytest.raises(UnknownTransform, match="simple, hyde, multi_query, decompose, auto"):
        with_request(M3, transform=transform, top_k=None)


def test_the_knobs_are_plain_values() -> None:
    assert json.loads(json.dumps(M1.config())) == M1.config()
    assert M1.config()["name"] == "m1-baseline"
