"""The breaker against a simple model of itself."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rag.providers.breaker import Breaker, BreakerPolicy, Outcome, Refused, State
from rag.tests.timing import Clock

POLICY = BreakerPolicy(failures=3, window_s=30, open_s=10, longest_open_s=40, probe_s=20)


class BreakerModel(RuleBasedStateMachine):
    """Calls begin, end in any order, or never, while time passes; a call counts only in the era in which it began."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.breaker = Breaker(POLICY, self.clock)
        self.flying: list[tuple[int, int]] = []
        """ticket, and the era in which it was given"""
        self.streak: list[float] = []
        self.era = 0
        self.probe_at: float | None = None
        self.probing = False
        self.failed_probes = 0

    @rule(seconds=st.sampled_from([0.5, 3.0, 10.0, 20.0, 31.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule()
    def somebody_calls(self) -> None:
        expected = self.probe_at is None or self.clock.now >= self.probe_at
        try:
            ticket = self.breaker.admit()
        except Refused as refused:
            assert not expected
            assert self.probe_at is not None
            assert refused.retry_in_s == pytest.approx(self.probe_at - self.clock.now)
            return
        assert expected
        if self.probe_at is not None:
            self.era, self.probing, self.probe_at = self.era + 1, True, self.clock.now + POLICY.probe_s
        self.flying.append((ticket, self.era))

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), outcome=st.sampled_from(Outcome))
    def a_call_ends(self, data: st.DataObject, outcome: Outcome) -> None:
        ticket, era = self.flying.pop(data.draw(st.integers(0, len(self.flying) - 1)))
        self.breaker.report(ticket, outcome)
        if era == self.era:
            self.probe_ends(outcome) if self.probing else self.call_ends(outcome)

    def call_ends(self, outcome: Outcome) -> None:
        if outcome is Outcome.ANSWERED:
            self.streak = []
        if outcome is Outcome.FAILED:
            self.streak.append(self.clock.now)
            if len(self.recent()) == POLICY.failures:
                self.open_for(POLICY.open_s)

    def probe_ends(self, outcome: Outcome) -> None:
        self.probing = False
        if outcome is Outcome.ANSWERED:
            self.era, self.streak, self.probe_at, self.failed_probes = self.era + 1, [], None, 0
        elif outcome is Outcome.FAILED:
            self.failed_probes += 1
            self.open_for(min(POLICY.open_s * 2**self.failed_probes, POLICY.longest_open_s))
        else:
            self.open_for(0)

    def open_for(self, seconds: float) -> None:
        self.era, self.probe_at = self.era + 1, self.clock.now + seconds

    def recent(self) -> list[float]:
        return [at for at in self.streak if self.clock.now - at < POLICY.window_s]

    @invariant()
    def the_states_agree(self) -> None:
        found = self.breaker.snapshot()
        state = State.CLOSED if self.probe_at is None else State.HALF_OPEN if self.probing else State.OPEN
        assert (found.state, found.failures) == (state, len(self.recent()))
        assert found.probe_in_s == (None if self.probe_at is None else max(0.0, self.probe_at - self.clock.now))


TestBreakerModel = BreakerModel.TestCase
