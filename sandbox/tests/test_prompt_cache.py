import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.prompt_cache import Block, Plan, PromptCache, Ttl

MINIMUM = 100


def block(name: str, *, tokens: int = 200, ttl: Ttl | None = None) -> Block:
    return Block(content=name.encode(), tokens=tokens, breakpoint=ttl)


def plan(
    cache: PromptCache, *blocks: Block, key: str = "k", model: str = "m", now: float = 0.0, minimum: int = MINIMUM
) -> Plan:
    return cache.plan(blocks, key=key, model=model, minimum=minimum, now=now)


def send(cache: PromptCache, *blocks: Block, key: str = "k", model: str = "m", now: float = 0.0) -> Plan:
    made = plan(cache, *blocks, key=key, model=model, now=now)
    cache.commit(made)
    return made


def counts(made: Plan) -> tuple[int, int, int, int]:
    return made.uncached, made.write_5m, made.write_1h, made.read


@pytest.fixture
def cache() -> PromptCache:
    return PromptCache()


SYSTEM = block("system", ttl="1h")
QUESTION = block("question", tokens=10)


def test_nothing_is_cached_without_a_breakpoint(cache):
    made = send(cache, block("system"), QUESTION)

    assert counts(made) == (210, 0, 0, 0)


def test_the_first_request_writes_up_to_the_breakpoint(cache):
    made = send(cache, SYSTEM, QUESTION)

    assert counts(made) == (10, 0, 200, 0)


def test_the_second_request_reads_what_the_first_wrote(cache):
    send(cache, SYSTEM, QUESTION)

    made = send(cache, SYSTEM, block("another question", tokens=7))

    assert counts(made) == (7, 0, 0, 200)


def test_a_prefix_below_the_minimum_is_not_cached(cache):
    small = block("small", tokens=99, ttl="5m")
    send(cache, small, QUESTION)

    made = send(cache, small, QUESTION)

    assert counts(made) == (109, 0, 0, 0)


def test_a_prefix_of_exactly_the_minimum_is_cached(cache):
    made = send(cache, block("just enough", tokens=100, ttl="5m"))

    assert counts(made) == (0, 100, 0, 0)


def test_the_minimum_counts_everything_before_the_breakpoint(cache):
    made = send(cache, block("tools", tokens=60), block("system", tokens=60, ttl="5m"), QUESTION)

    assert counts(made) == (10, 120, 0, 0)


def test_a_breakpoint_below_the_minimum_leaves_its_tokens_to_the_next(cache):
    made = send(cache, block("a", tokens=50, ttl="1h"), block("b", tokens=70, ttl="5m"), QUESTION)

    assert counts(made) == (10, 120, 0, 0)


def test_another_model_does_not_see_the_entry(cache):
    send(cache, SYSTEM, model="sonnet")

    assert counts(send(cache, SYSTEM, model="haiku")) == (0, 0, 200, 0)


def test_another_key_does_not_see_the_entry(cache):
    send(cache, SYSTEM, key="alice")

    assert counts(send(cache, SYSTEM, key="bob")) == (0, 0, 200, 0)


def test_key_and_model_cannot_be_shifted_into_each_other(cache):
    send(cache, SYSTEM, key="ab", model="c")

    assert send(cache, SYSTEM, key="a", model="bc").read == 0


def test_a_changed_block_before_the_breakpoint_misses(cache):
    send(cache, block("tools"), SYSTEM)

    assert counts(send(cache, block("other tools"), SYSTEM)) == (0, 0, 400, 0)


def test_an_entry_is_unusable_until_its_response_begins(cache):
    first = plan(cache, SYSTEM)
    second = plan(cache, SYSTEM)

    cache.commit(first)
    third = plan(cache, SYSTEM)

    assert (first.write_1h, second.write_1h, third.read) == (200, 200, 200)


@pytest.mark.parametrize(("ttl", "lifetime"), [("5m", 300), ("1h", 3600)])
def test_an_entry_lives_as_long_as_its_ttl(cache, ttl, lifetime):
    send(cache, block("system", ttl=ttl))

    assert plan(PromptCache(), block("system", ttl=ttl)).read == 0
    assert plan(cache, block("system", ttl=ttl), now=lifetime).read == 0


@pytest.mark.parametrize(("ttl", "lifetime"), [("5m", 300), ("1h", 3600)])
def test_a_hit_refreshes_the_ttl(cache, ttl, lifetime):
    marked = block("system", ttl=ttl)
    send(cache, marked)
    send(cache, marked, now=lifetime - 1)

    assert send(cache, marked, now=2 * lifetime - 2).read == 200


def test_the_lifetime_counts_from_the_start_of_the_request(cache):
    made = plan(cache, block("system", ttl="5m"), now=0)
    cache.commit(made)

    assert plan(cache, block("system", ttl="5m"), now=299.9).read == 200
    assert plan(PromptCache(), block("system", ttl="5m"), now=0).read == 0


def test_a_hit_keeps_the_lifetime_that_was_paid_for(cache):
    send(cache, block("system", ttl="5m"))
    send(cache, block("system", ttl="1h"), now=100)

    assert plan(cache, block("system", ttl="1h"), now=500).read == 0


def test_mixed_lifetimes_are_counted_apart(cache):
    made = send(cache, SYSTEM, block("sources", tokens=300, ttl="5m"), QUESTION)

    assert counts(made) == (10, 300, 200, 0)


def test_the_long_lived_part_is_read_after_the_short_lived_has_gone(cache):
    sources = block("sources", tokens=300, ttl="5m")
    send(cache, SYSTEM, sources, QUESTION)

    made = send(cache, SYSTEM, sources, QUESTION, now=400)

    assert counts(made) == (10, 300, 0, 200)


def test_the_longest_hit_wins(cache):
    sources = block("sources", tokens=300, ttl="5m")
    send(cache, SYSTEM, sources)

    assert counts(send(cache, SYSTEM, sources, QUESTION)) == (10, 0, 0, 500)


def test_a_hit_on_the_longer_prefix_keeps_the_shorter_one_alive(cache):
    sources = block("sources", tokens=300, ttl="5m")
    send(cache, SYSTEM, sources)
    for now in range(250, 4_000, 250):
        send(cache, SYSTEM, sources, now=now)

    assert send(cache, SYSTEM, block("other sources"), now=4_100).read == 200


def test_a_growing_conversation_reads_the_last_turn_and_writes_the_new(cache):
    send(cache, SYSTEM, block("turn 1", ttl="5m"))

    made = send(cache, SYSTEM, block("turn 1"), block("reply", tokens=50), block("turn 2", tokens=30, ttl="5m"))

    assert counts(made) == (0, 80, 0, 400)


def test_writes_happen_at_breakpoints_only(cache):
    send(cache, block("a"), block("b"), block("c", ttl="5m"))

    made = send(cache, block("a"), block("b", ttl="5m"), block("different"))

    assert counts(made) == (200, 400, 0, 0)


def test_the_lookback_reaches_the_twentieth_position(cache):
    send(cache, block("start", ttl="5m"))
    between = [block(f"b{number}", tokens=1) for number in range(18)]

    made = send(cache, block("start"), *between, block("end", tokens=1, ttl="5m"))

    assert made.read == 200


def test_the_lookback_stops_after_twenty_positions(cache):
    send(cache, block("start", ttl="5m"))
    between = [block(f"b{number}", tokens=1) for number in range(19)]

    made = send(cache, block("start"), *between, block("end", tokens=1, ttl="5m"))

    assert made.read == 0


def test_an_earlier_breakpoint_bridges_a_long_conversation(cache):
    send(cache, block("start", ttl="5m"))
    between = [block(f"b{number}", tokens=1) for number in range(30)]

    made = send(cache, block("start", ttl="5m"), *between, block("end", tokens=1, ttl="5m"))

    assert counts(made) == (0, 31, 0, 200)


def test_an_empty_prompt_counts_nothing(cache):
    assert counts(send(cache)) == (0, 0, 0, 0)


def test_clear_forgets_everything(cache):
    send(cache, SYSTEM)

    cache.clear()

    assert send(cache, SYSTEM).read == 0


TOKENS = {"a": 0, "b": 1, "c": 60, "d": 99, "e": 100, "f": 400}
BLOCKS = st.lists(
    st.builds(
        lambda name, ttl: block(name, tokens=TOKENS[name], ttl=ttl),
        st.sampled_from(sorted(TOKENS)),
        st.sampled_from([None, None, "5m", "1h"]),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(requests=st.lists(st.tuples(BLOCKS, st.integers(0, 2_000)), max_size=5))
def test_the_four_counts_always_add_up_to_the_prompt(requests):
    cache, now = PromptCache(), 0

    for blocks, wait in requests:
        now += wait
        made = send(cache, *blocks, now=now)

        assert sum(counts(made)) == sum(each.tokens for each in blocks)
        assert min(counts(made)) >= 0
        assert made.read == 0 or made.read >= MINIMUM
