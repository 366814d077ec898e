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
