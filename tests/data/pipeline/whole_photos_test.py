"""Whole photos per batch: shapes, sizes drawn per step, order, mistakes."""

import numpy as np
import pytest

from bilateral_jax import images
from bilateral_jax.data import registry
from bilateral_jax.data.pipeline import augment, whole_photos
from bilateral_jax.data.synthetic import procedural

pytest.importorskip("grain", reason="Grain is not installed")


class Photos:
    """Pairs whose target is a tenth brighter; every other one stands upright."""

    def __init__(self, count, size=(12, 18), alike=False):
        rng = np.random.default_rng(0)
        sizes = [size if alike or i % 2 == 0 else size[::-1] for i in range(count)]
        self._inputs = [rng.integers(0, 200, (*each, 3), np.uint8) for each in sizes]

    def __len__(self):
        return len(self._inputs)

    def __getitem__(self, index):
        pixels = self._inputs[index]
        return {"input": pixels, "target": pixels + np.uint8(25), "name": f"photo {index}"}


def make(source, **options):
    return whole_photos.train_batches(
        source, **{"batch_size": 1, "seed": 3, "threads": 0, **options}
    )


def test_photos_come_whole_in_their_own_shape():
    source, seen = Photos(4), set()
    stream = make(source)
    for _ in range(4):
        batch = next(stream)
        record = int(batch["record"][0])
        seen.add(record)
        expected = images.as_float(source[record]["input"])
        np.testing.assert_array_equal(batch["input"], expected[None])
        np.testing.assert_array_equal(batch["window"], [[0, 0, *expected.shape[:2]]])
        assert batch["target"].dtype == np.float32 and batch["weight"].tolist() == [1.0]
    assert seen == {0, 1, 2, 3}


def test_a_step_has_one_size_for_all_its_photos_and_steps_differ():
    options = {"batch_size": 4, "short_sides": (6, 9, 40), "flips": True}
    stream, source = make(Photos(8, alike=True), **options), Photos(8, alike=True)
    batches = [next(stream) for _ in range(12)]
    shapes = {batch["input"].shape for batch in batches}
    assert shapes == {(4, 6, 9, 3), (4, 9, 14, 3), (4, 12, 18, 3)}  # none is enlarged
    for batch in batches:
        np.testing.assert_allclose(batch["target"] - batch["input"], 25 / 255, atol=1e-6)
        means = [source[int(r)]["input"].mean() / 255 for r in batch["record"]]
        np.testing.assert_allclose(batch["input"].mean((1, 2, 3)), means, atol=5e-3)


def test_parts_and_resumed_streams_give_the_same_photos():
    options = {"batch_size": 4, "short_sides": [6, 9], "flips": True}
    stream = make(Photos(8, alike=True), **options)
    batches = [next(stream) for _ in range(5)]
    parts = [make(Photos(8, alike=True), **options, shard=(i, 2)) for i in range(2)]
    for batch in batches:
        halves = [next(part) for part in parts]
        for name in batch:
            joined = np.concatenate([half[name] for half in halves])
            np.testing.assert_array_equal(joined, batch[name], err_msg=name)
    again = make(Photos(8, alike=True), **options)
    again.set_state({"examples": 12})
    np.testing.assert_array_equal(next(again)["input"], batches[3]["input"])


def test_what_cannot_be_a_batch_is_refused_by_name():
    with pytest.raises(ValueError, match="one size, got .*12, 18.*18, 12"):
        next(make(Photos(4), batch_size=4))
    with pytest.raises(ValueError, match="short_sides must be positive ints, got \\(0,\\)"):
        make(Photos(2), short_sides=[0])
    with pytest.raises(ValueError, match="source is empty"):
        make(Photos(0))
    source = procedural.SyntheticPairs(1, size=8)

    class Uneven:
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return source[index] | {"target": source[index]["target"][1:], "name": "uneven"}

    with pytest.raises(ValueError, match="'uneven' must have one size"):
        next(make(Uneven()))


def test_a_source_of_smaller_photos_keeps_names_and_integers():
    photos = {"kind": "synthetic", "count": 2, "size": 12}
    source = registry.make("shrunk", short_side=6, photos=photos)
    plain = registry.make("synthetic", count=2, size=12)
    element = source[1]
    assert len(source) == 2 and element["name"] == plain[1]["name"] and source.skipped == []
    for member in augment.PAIR:
        given = plain[1][member]
        assert element[member].shape == (6, 6, 3) and element[member].dtype == given.dtype
        expected = given.reshape(6, 2, 6, 2, 3).astype(np.float64).mean((1, 3))
        np.testing.assert_allclose(element[member], expected, atol=0.51)
    single = whole_photos.Shrunk([{"image": np.zeros((8, 4, 3), np.uint16)}], 2).exact(0)["image"]
    assert single.dtype == np.uint16 and single.shape == (4, 2, 3)
    with pytest.raises(ValueError, match="short_side must be a positive int, got 0"):
        registry.make("shrunk", short_side=0, photos=photos)
