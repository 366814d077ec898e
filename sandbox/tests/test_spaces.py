import numpy as np
import pytest

from sandbox.encoder import WIDTH
from sandbox.spaces import into_space, rotation

ROWS = np.random.default_rng(1).standard_normal((5, WIDTH)).astype(np.float32)
ROWS /= np.linalg.norm(ROWS, axis=1, keepdims=True)


def test_a_rotation_keeps_every_cosine():
    turned = into_space(ROWS, space="a", width=1_024)

    assert turned.shape == (5, 1_024)
    assert turned @ turned.T == pytest.approx(ROWS @ ROWS.T, abs=1e-5)


def test_every_space_has_its_own_fixed_rotation():
    assert np.array_equal(rotation("a"), rotation("a"))
    assert not np.allclose(rotation("a"), rotation("b"))
    assert rotation("a") @ rotation("a").T == pytest.approx(np.eye(WIDTH), abs=1e-5)


def test_a_row_does_not_depend_on_the_rows_beside_it():
    together = into_space(ROWS, space="a", width=1_536)

    assert np.array_equal(together[3:4], into_space(ROWS[3:4], space="a", width=1_536))


def test_a_cut_vector_has_length_one_again():
    assert np.linalg.norm(into_space(ROWS, space="a", width=100), axis=1) == pytest.approx(1, abs=1e-5)
