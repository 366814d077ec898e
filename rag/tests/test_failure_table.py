from pathlib import Path

import pytest
from django.conf import settings

from rag.failure_table import CASES, as_markdown, find_cases


def test_the_documentation_holds_the_table() -> None:
    """When it does not: put what `manage.py drill --markdown` prints between the marks of docs/failures.md."""
    text = (Path(settings.BASE_DIR) / "docs" / "failures.md").read_text("utf-8")

    (between,) = text.split("<!-- failures: begin -->\n")[1:]
    assert between.split("\n<!-- failures: end -->")[0] == as_markdown()


def test_every_case_has_a_name_of_its_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_case_breaks_something(case) -> None:
    assert case.faults or case.refusing or case.silent


def test_a_group_is_all_cases_whose_names_begin_so() -> None:
    assert [case.name for case in find_cases("generation")] == [
        "generation-hang",
        "generation-drip",
        "generation-stall",
    ]


def test_an_unknown_name_is_told_what_there_is() -> None:
    with pytest.raises(LookupError, match="groups: voyage, .*cases: voyage-429, "):
        find_cases("azure")
