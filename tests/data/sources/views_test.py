"""Views of a source: index checks and the cache in memory."""

import numpy as np
import pytest

from bilateral_jax.data.sources import pairs, views
from bilateral_jax.data.synthetic import procedural
from tests import fake_datasets


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


class Counting:
    def __init__(self):
        self.asked = []

    def __len__(self):
        return 3

    def __getitem__(self, index):
        self.asked.append(index)
        return {
            "input": fake_datasets.pixels(index),
            "target": fake_datasets.pixels(index),
            "name": str(index),
        }


def test_cache_keeps_elements_up_to_its_budget():
    source = Counting()
    size = 2 * fake_datasets.pixels(0).nbytes
    cached = views.Cached(source, max_bytes=2 * size)
    for _ in range(2):
        for index in (2, 0, 1):
            np.testing.assert_array_equal(cached[index]["input"], fake_datasets.pixels(index))
    assert source.asked == [2, 0, 1, 1] and len(cached) == 3


def test_an_exact_cache_does_not_substitute_bad_records(tmp_path):
    root = tmp_path
    for side in ("input", "target"):
        for name in "abc":
            fake_datasets.write(root / side / f"{name}.png")
    (root / "input" / "b.png").write_bytes(b"no image")
    source = pairs.PairedFolder(root, on_bad="skip", verify="none")
    assert len(source) == 3
    exact = views.Cached(source, exact=True)
    assert exact[0]["name"] == "a.png"
    with pytest.raises(ValueError, match="b.png"):
        exact[1]
    with pytest.warns(UserWarning, match="instead of a bad one"):
        assert views.Cached(source)[1]["name"] == "c.png"
