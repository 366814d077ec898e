"""Sharing out what was billed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costs.apportioning import apportioned, shared
from costs.usage import Usage

counts = st.integers(0, 10**6)
usages = st.builds(Usage, counts, counts, counts, counts, st.integers(0, 800), counts)


@given(st.integers(-(10**12), 10**12), st.lists(counts, min_size=1, max_size=30))
def test_the_parts_add_up_and_none_is_more_than_one_off_its_share(total: int, weights: list[int]) -> None:
    parts = apportioned(total, weights)

    assert sum(parts) == total
    weigh = weights if any(weights) else [1] * len(weights)
    assert all(abs(part - total * weight / sum(weigh)) < 1 + 1e-3 for part, weight in zip(parts, weigh, strict=True))


@pytest.mark.parametrize(
    ("total", "weights", "parts"),
    [
        (10, [1, 1, 1], [4, 3, 3]),
        (10, [0, 2, 3], [0, 4, 6]),
        (1, [5, 5], [1, 0]),
        (-10, [1, 1, 1], [-4, -3, -3]),
        (7, [0, 0], [4, 3]),
        (0, [3, 4], [0, 0]),
        (12, [5, 7], [5, 7]),
    ],
)
def test_the_largest_remainders_get_what_is_left_over(total: int, weights: list[int], parts: list[int]) -> None:
    assert apportioned(total, weights) == parts


@given(usages, st.lists(usages, min_size=1, max_size=20))
def test_every_kind_of_token_adds_up_and_nobody_owes_any(billed: Usage, guesses: list[Usage]) -> None:
    shares = shared(billed, guesses)

    assert sum(shares, Usage()) == billed
    assert all(count >= 0 for share in shares for count in share.as_dict().values())


def test_what_a_broken_reply_had_said_of_itself_is_kept() -> None:
    told, short, long = Usage(cache_read=4_000, output_tokens=30), Usage(100), Usage(300)

    shares = shared(Usage(440, cache_read=4_000, output_tokens=70), [told, short, long])

    assert shares == [told, Usage(110, output_tokens=10), Usage(330, output_tokens=30)]


def test_it_is_not_kept_where_less_was_billed() -> None:
    told, other = Usage(4_000, output_tokens=30), Usage(1_000)

    assert shared(Usage(500, output_tokens=3), [told, other]) == [Usage(400, output_tokens=3), Usage(100)]


def test_what_broken_replies_alone_wrote_beyond_what_was_heard_is_theirs() -> None:
    guesses = [Usage(100, output_tokens=10), Usage(100, output_tokens=30)]

    assert shared(Usage(200, output_tokens=80), guesses) == [Usage(100, output_tokens=20), Usage(100, output_tokens=60)]


def test_kinds_that_nobody_guessed_go_by_the_length_of_the_prompts() -> None:
    assert shared(Usage(cache_read=40), [Usage(100), Usage(300)]) == [Usage(cache_read=10), Usage(cache_read=30)]


def test_searches_are_shared_as_well() -> None:
    guesses = [Usage(search_units=1)] * 3

    assert sum(share.search_units for share in shared(Usage(search_units=2), guesses)) == 2
