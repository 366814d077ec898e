import pytest

from sandbox.clock import Clock


def test_it_moves_forward_by_what_it_is_told():
    clock = Clock(source=lambda: 1_000.0)
    clock.advance(60)

    assert clock.now() == 1_060
    assert clock.moment().isoformat() == "1970-01-01T00:17:40+00:00"


def test_it_never_goes_back():
    with pytest.raises(ValueError, match="forward"):
        Clock().advance(-1)


def test_the_bill_is_dated_by_the_time_that_it_is_unless_it_is_moved_along():
    clock = Clock(source=lambda: 1_000.0)
    clock.advance(3_600)
    clock.advance(60, bill=True)

    assert clock.now() == 4_660
    assert clock.bill_moment().isoformat() == "1970-01-01T00:17:40+00:00"
