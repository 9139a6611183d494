"""Positions in sources: as in a list, and with a message of their own."""

import numpy as np
import pytest

from bilateral_jax.data.sources import views
from bilateral_jax.data.synthetic import procedural


def test_indices_are_those_of_a_list():
    assert [views.check_index(i, 3, "pairs") for i in (-3, -1, 0, 2)] == [0, 2, 0, 2]
    assert views.check_index(np.int64(-2), 3, "pairs") == 1
    for index in (-4, 3):
        with pytest.raises(IndexError, match=f"index {index} is outside a source of 3 pairs"):
            views.check_index(index, 3, "pairs")
    with pytest.raises(IndexError, match="source of 0 photos"):
        views.check_index(0, 0, "photos")
    with pytest.raises(TypeError):
        views.check_index(1.0, 3, "pairs")


def test_a_source_takes_negative_indices_and_ends():
    source = procedural.SyntheticPairs(count=3, size=(4, 5))
    assert source[-1]["name"] == source[2]["name"] == "synthetic_00002"
    np.testing.assert_array_equal(source[-1]["input"], source[2]["input"])
    assert len(list(source)) == 3
