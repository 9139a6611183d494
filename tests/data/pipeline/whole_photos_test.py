"""Batches of whole photos: shapes, sizes drawn per step, padding, unpaired photos, errors."""

import numpy as np
import pytest

from bilateral_jax import images
from bilateral_jax.data import registry
from bilateral_jax.data.pipeline import augment, whole_photos
from bilateral_jax.data.synthetic import procedural

pytest.importorskip("grain", reason="Grain is not installed")


class Photos:
    """Pairs whose target is a tenth brighter; every other one is portrait."""

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


def test_photos_keep_their_shape():
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


def test_short_side_is_drawn_per_step():
    options = {"batch_size": 4, "short_sides": (6, 9, 40), "flips": True}
    stream, source = make(Photos(8, alike=True), **options), Photos(8, alike=True)
    batches = [next(stream) for _ in range(12)]
    shapes = {batch["input"].shape for batch in batches}
    assert shapes == {(4, 6, 9, 3), (4, 9, 14, 3), (4, 12, 18, 3)}  # none is enlarged
    for batch in batches:
        np.testing.assert_allclose(batch["target"] - batch["input"], 25 / 255, atol=1e-6)
        means = [source[int(r)]["input"].mean() / 255 for r in batch["record"]]
        np.testing.assert_allclose(batch["input"].mean((1, 2, 3)), means, atol=5e-3)


def test_sharded_and_resumed_loaders_give_the_same_batches():
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


def test_photos_of_several_shapes_are_padded_to_one_with_a_mask():
    source, stream = Photos(4), make(Photos(4), batch_size=4, pad_to=20, flips=True)
    for _ in range(3):
        batch = next(stream)
        assert batch["input"].shape == (4, 20, 20, 3) and batch["valid"].shape == (4, 20, 20)
        assert batch["valid"].dtype == np.float32 and "target_valid" not in batch
        np.testing.assert_array_equal(batch["window"], [[0, 0, 20, 20]] * 4)
        for row, record in enumerate(batch["record"]):
            height, width = source[int(record)]["input"].shape[:2]
            valid = batch["valid"][row]
            assert valid[:height, :width].all() and valid.sum() == height * width
            photo = batch["input"][row, :height, :width]
            padding = ((0, 20 - height), (0, 20 - width), (0, 0))
            np.testing.assert_array_equal(batch["input"][row], np.pad(photo, padding, mode="edge"))
            difference = (batch["target"] - batch["input"])[row]
            np.testing.assert_allclose(difference, 25 / 255, atol=1e-6)


def test_photos_are_padded_by_mirroring_and_turned_all_eight_ways():
    source, seen = Unpaired(), set()
    stream = make(
        source, paired=False, flips=True, rotations=True, long_side=9, pad_to=12, border="mirror"
    )
    for _ in range(60):
        batch = next(stream)
        element = source[int(batch["record"][0])]
        for member, mask in zip(augment.PAIR, ("valid", "target_valid"), strict=True):
            valid = batch[mask][0] > 0
            height, width = int(valid.any(1).sum()), int(valid.any(0).sum())
            photo = batch[member][0, :height, :width]
            padding = ((0, 12 - height), (0, 12 - width), (0, 0))
            expected = np.pad(photo, padding, mode="symmetric")
            np.testing.assert_array_equal(batch[member][0], expected)
            small = whole_photos.limit_long_side(element[member], 9)
            assert sorted(small.shape[:2]) == sorted((height, width)) and max(height, width) == 9
            for turns in range(4):
                for flip in (1, -1):
                    turned = np.rot90(small[:, ::flip], turns)
                    if turned.shape == photo.shape and np.allclose(turned, photo, atol=1e-6):
                        seen.add((member, turns, flip))
    assert len(seen) == 16


def test_the_long_side_excludes_the_short_one():
    with pytest.raises(ValueError, match="long_side must be a positive int, or None with short_s"):
        make(Photos(1), long_side=4, short_sides=(4,))
    with pytest.raises(ValueError, match="border must be one of .*, got 'wrap'"):
        make(Photos(1), pad_to=20, border="wrap")


def test_a_padded_batch_does_not_depend_on_the_number_of_processes():
    options = {"batch_size": 4, "pad_to": (18, 20), "short_sides": (6, 9)}
    whole = make(Photos(8), **options)
    parts = [make(Photos(8), **options, shard=(i, 2)) for i in range(2)]
    for _ in range(4):
        batch, halves = next(whole), [next(part) for part in parts]
        for name, value in batch.items():
            joined = np.concatenate([half[name] for half in halves])
            np.testing.assert_array_equal(joined, value, err_msg=name)


class Unpaired:
    """Inputs and targets of different photos and sizes."""

    def __init__(self, count=6):
        self._inputs, self._targets = Photos(count), Photos(count, size=(10, 14))

    def __len__(self):
        return len(self._inputs)

    def __getitem__(self, index):
        target = self._targets[index * 5 % len(self)]["input"]
        return self._inputs[index] | {"target": target}


def test_unpaired_photos_are_flipped_independently():
    source, flips = Unpaired(), set()
    stream = make(source, paired=False, flips=True)
    for _ in range(40):
        batch = next(stream)
        element, drawn = source[int(batch["record"][0])], []
        np.testing.assert_array_equal(batch["window"], [[0, 0, *element["input"].shape[:2]]])
        for member in augment.PAIR:
            photo = images.as_float(element[member])
            views = {(r, c): photo[::r, ::c] for r in (1, -1) for c in (1, -1)}
            drawn += [k for k, view in views.items() if np.array_equal(view, batch[member][0])]
        flips.add(tuple(drawn))
    assert len(flips) > 8 and all(len(drawn) == 2 for drawn in flips)


def test_unpaired_photos_of_several_shapes_are_padded_with_two_masks():
    options = {"batch_size": 3, "paired": False, "pad_to": (20, 18), "flips": True}
    source, stream = Unpaired(), make(Unpaired(), **options)
    batch = next(stream)
    assert batch["input"].shape == batch["target"].shape == (3, 20, 18, 3)
    for row, record in enumerate(batch["record"]):
        element = source[int(record)]
        for member, mask in (("input", "valid"), ("target", "target_valid")):
            height, width = element[member].shape[:2]
            expected = np.zeros((20, 18), np.float32)
            expected[:height, :width] = 1
            np.testing.assert_array_equal(batch[mask][row], expected)
    again = make(Unpaired(), **options)
    again.set_state(stream.get_state())
    following = next(stream)
    for name, value in next(again).items():
        np.testing.assert_array_equal(value, following[name], err_msg=name)


def test_bad_arguments_and_photos_are_named():
    with pytest.raises(ValueError, match="one size, got .*12, 18.*18, 12"):
        next(make(Photos(4), batch_size=4))
    with pytest.raises(ValueError, match="short_sides must be positive ints, got \\(0,\\)"):
        make(Photos(2), short_sides=[0])
    with pytest.raises(ValueError, match="source is empty"):
        make(Photos(0))
    with pytest.raises(ValueError, match=r"pad_to must be at least 1 .*got \(0, 9\)"):
        make(Photos(2), pad_to=(0, 9))
    with pytest.raises(ValueError, match="'photo .*is larger than pad_to, 17 x 17"):
        next(make(Photos(2), pad_to=17))
    with pytest.raises(TypeError, match="'thread'"):
        make(Photos(2), thread=1)
    source = procedural.SyntheticPairs(1, size=8)

    class Uneven:
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return source[index] | {"target": source[index]["target"][1:], "name": "uneven"}

    with pytest.raises(ValueError, match="'uneven' must have one size"):
        next(make(Uneven()))


def test_a_resized_source_keeps_names_and_integers():
    photos = {"kind": "synthetic", "count": 2, "size": 12}
    source = registry.make("shrunk", short_side=6, photos=photos)
    plain = registry.make("synthetic", count=2, size=12)
    element = source[1]
    assert len(source) == 2 and element["name"] == plain[1]["name"] and source.skipped == []
    for member in augment.PAIR:
        pixels = plain[1][member]
        assert element[member].shape == (6, 6, 3) and element[member].dtype == pixels.dtype
        expected = pixels.reshape(6, 2, 6, 2, 3).astype(np.float64).mean((1, 3))
        np.testing.assert_allclose(element[member], expected, atol=0.51)
    single = whole_photos.Resized([{"image": np.zeros((8, 4, 3), np.uint16)}], 2).exact(0)["image"]
    assert single.dtype == np.uint16 and single.shape == (4, 2, 3)
    with pytest.raises(ValueError, match="short_side must be a positive int, got 0"):
        registry.make("shrunk", short_side=0, photos=photos)
    assert registry.make("shrunk", long_side=6, photos=photos)[0]["input"].shape == (6, 6, 3)
    with pytest.raises(ValueError, match="give short_side or long_side, got neither"):
        registry.make("shrunk", photos=photos)
    with pytest.raises(ValueError, match="give short_side or long_side, got {'short_side': 6, "):
        registry.make("shrunk", short_side=6, long_side=6, photos=photos)
