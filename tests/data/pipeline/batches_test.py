"""Batches: contents, order, exact resume, sharding, windows and low-resolution inputs."""

import json
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax import resize
from bilateral_jax.data.pipeline import batches
from bilateral_jax.data.synthetic import procedural
from bilateral_jax.ops import bilateral

pytest.importorskip("grain", reason="Grain is not installed")

ALL = {
    "flips": True,
    "rotations": True,
    "exposure": 0.5,
    "contrast": 0.2,
    "saturation": 0.3,
    "lowres_from": "photo",
    "lowres_size": 16,
}


class Numbered:
    """Photos whose colour is their index."""

    def __init__(self, count, size=(8, 10)):
        self._count, self._size = count, size

    def __len__(self):
        return self._count

    def __getitem__(self, index):
        pixels = np.full((*self._size, 3), index, np.uint8)
        return {"input": pixels, "target": pixels, "name": f"number {index}"}


def numbers(batch):
    return [round(float(value)) for value in batch["input"][:, 0, 0, 0] * 255]


def make(source=None, **options):
    source = source or procedural.SyntheticPairs(5, size=(40, 48), seed=1)
    options = {"batch_size": 2, "crop": 24, "seed": 3, **options}
    return batches.train_batches(source, **options)


def assert_equal(one, other):
    assert one.keys() == other.keys()
    for key in one:
        np.testing.assert_array_equal(one[key], other[key], err_msg=key)


def test_batch_has_the_declared_keys_shapes_and_types():
    batch = next(make(**ALL))
    kinds = {key: (value.shape, value.dtype.name) for key, value in batch.items()}
    assert kinds == {
        "input": ((2, 24, 24, 3), "float32"),
        "target": ((2, 24, 24, 3), "float32"),
        "weight": ((2,), "float32"),
        "record": ((2,), "int32"),
        "window": ((2, 4), "int32"),
        "lowres": ((2, 16, 16, 3), "float32"),
    }
    assert (batch["weight"] == 1).all()
    batch = next(make(crop=(24, 30)))
    assert "lowres" not in batch and batch["input"].shape == (2, 24, 30, 3)
    np.testing.assert_array_equal(batch["window"], [[0, 0, 24, 30]] * 2)


def test_every_epoch_is_a_new_permutation():
    iterator = make(Numbered(6), batch_size=3, crop=8)
    epochs = [numbers(next(iterator)) + numbers(next(iterator)) for _ in range(4)]
    assert all(sorted(epoch) == list(range(6)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1
    other = make(Numbered(6), batch_size=3, crop=8, seed=4)
    assert numbers(next(other)) + numbers(next(other)) != epochs[0]


def test_a_batch_may_be_larger_than_the_source():
    assert sorted(numbers(next(make(Numbered(2), batch_size=4, crop=8)))) == [0, 0, 1, 1]


def test_threads_give_the_same_batches():
    alone, helped = make(threads=0, **ALL), make(threads=3, prefetch=6, **ALL)
    for _ in range(6):
        assert_equal(next(alone), next(helped))


@pytest.mark.parametrize("threads", [0, 2])
@pytest.mark.parametrize("done", [0, 1, 7])
def test_a_resumed_loader_gives_the_next_batch(threads, done):
    first = make(threads=threads, **ALL)
    for _ in range(done):
        next(first)
    state = json.loads(json.dumps(first.get_state()))
    expected = [next(first) for _ in range(4)]
    second = make(threads=2 - threads, **ALL)
    next(second)
    second.set_state(state)
    for batch in expected:
        assert_equal(next(second), batch)


@pytest.mark.parametrize("count", [2, 3])
def test_the_batch_of_a_step_does_not_depend_on_the_number_of_processes(count):
    """The concatenated shards of all processes are the batch of one process."""
    whole = make(batch_size=6, **ALL)
    parts = [make(batch_size=6, shard=(index, count), **ALL) for index in range(count)]
    for _ in range(4):
        shards = [next(part) for part in parts]
        joined = {key: np.concatenate([shard[key] for shard in shards]) for key in shards[0]}
        assert_equal(joined, next(whole))


def test_a_position_can_be_restored_by_another_number_of_processes():
    saved = [make(batch_size=6, shard=(index, 3), **ALL) for index in range(3)]
    for part in saved:
        next(part), next(part)
    (state,) = {json.dumps(part.get_state()) for part in saved}
    whole, half = make(batch_size=6, **ALL), make(batch_size=6, shard=(1, 2), **ALL)
    for stream in (whole, half):
        stream.set_state(json.loads(state))
    expected = next(make_at(2))
    assert_equal(next(whole), expected)
    assert_equal(next(half), {key: value[3:] for key, value in expected.items()})


def make_at(step):
    stream = make(batch_size=6, **ALL)
    for _ in range(step):
        next(stream)
    return stream


def test_only_the_rows_of_this_process_are_read():
    class Counting(Numbered):
        read = 0

        def __getitem__(self, index):
            self.read += 1
            return super().__getitem__(index)

    source = Counting(8)
    next(make(source, batch_size=4, crop=8, shard=(1, 2), threads=0))
    assert source.read == 2


def test_record_is_the_index_in_the_source():
    stream = make(Numbered(6), batch_size=3, crop=8)
    for _ in range(3):
        batch = next(stream)
        assert batch["record"].tolist() == numbers(batch)


def test_a_position_that_does_not_fit_is_refused():
    stream = make(batch_size=4)
    for state in (None, {}, {"next_index": 3}, {"examples": -4}, {"examples": "4"}):
        with pytest.raises(ValueError, match="a position is"):
            stream.set_state(state)
    with pytest.raises(ValueError, match="10 examples.*batch of 4.*another batch size"):
        stream.set_state({"examples": 10})


class Unpaired:
    """Inputs and targets of different photos; every pixel has its own value."""

    def __len__(self):
        return 3

    def __getitem__(self, index):
        image = np.arange(9 * 12 * 3).reshape(9, 12, 3).astype(np.uint16)
        target = np.arange(14 * 8 * 3).reshape(14, 8, 3).astype(np.uint16) + 1000
        return {"input": image, "target": target, "name": f"number {index}"}


def test_unpaired_images_are_augmented_independently():
    stream = make(Unpaired(), batch_size=4, crop=8, paired=False, flips=True, rotations=True)
    positions, orientations = set(), set()
    for _ in range(20):
        batch = next(stream)
        assert batch["input"].shape == batch["target"].shape == (4, 8, 8, 3)
        for image, target in zip(batch["input"], batch["target"]):
            corners = [np.round(m * 65535)[[0, 0, -1], [0, -1, 0], 0] for m in (image, target)]
            positions.add(tuple(float(corner[0]) for corner in corners))
            orientations.add(tuple(bool(c[1] < c[0]) for c in corners))
    # With shared draws, a position of the input would always have the same one of the target.
    assert len({target for _, target in positions}) > 10 and len(positions) > 60
    assert orientations == {(False, False), (False, True), (True, False), (True, True)}


def test_window_of_an_unpaired_batch_is_the_inputs():
    stream = make(Unpaired(), batch_size=2, crop=8, paired=False, lowres_from="photo")
    for _ in range(5):
        batch = next(stream)
        for image, (top, left, height, width) in zip(batch["input"], batch["window"]):
            assert (height, width) == (9, 12)
            assert round(float(image[0, 0, 0]) * 65535) == (top * 12 + left) * 3


def test_a_pair_of_two_sizes_is_named():
    with pytest.raises(ValueError, match="'number .*9 x 12 and 14 x 8"):
        next(make(Unpaired(), crop=8, threads=0))


def test_the_target_is_jittered_only_on_request():
    source = procedural.SyntheticPairs(3, size=32, seed=0)
    plain = next(make(source))
    options = {"exposure": 0.8, "contrast": 0.3, "saturation": 0.3}
    changed, both = next(make(source, **options)), next(make(source, jitter_target=True, **options))
    np.testing.assert_array_equal(changed["target"], plain["target"])
    assert np.abs(changed["input"] - plain["input"]).max() > 0.02
    np.testing.assert_array_equal(both["input"], changed["input"])
    assert np.abs(both["target"] - plain["target"]).max() > 0.02


def test_window_and_lowres_describe_the_same_photo():
    """A grid made of `lowres`, sliced through `window`, matches the crop of the whole."""
    source = procedural.SyntheticPairs(3, size=(40, 48), seed=1)
    photos = [source[i]["input"] for i in range(3)]
    batch = next(make(source, batch_size=6, flips=True, rotations=True, lowres_from="photo"))
    found = 0
    for image, small, window in zip(batch["input"], batch["lowres"], batch["window"]):
        top, left, height, width = (int(value) for value in window)
        views = [
            np.rot90(p[:: 1 - 2 * flip], k) for p in photos for k in range(4) for flip in (0, 1)
        ]
        for view in views:
            if view.shape[:2] != (height, width):
                continue
            if np.array_equal(view[top : top + 24, left : left + 24], image):
                np.testing.assert_allclose(small, resize.resize_pixels(view, 256), atol=1e-6)
                found += 1
                grid = jnp.asarray(resize.resize_pixels(view, 8)).reshape(8, 8, 1, 3)
                guide = jnp.zeros((height, width))
                whole = bilateral.bilateral_slice(grid, guide)
                part = bilateral.bilateral_slice(
                    grid, guide[top : top + 24, left : left + 24], window=(top, left, height, width)
                )
                expected = whole[top : top + 24, left : left + 24]
                np.testing.assert_allclose(part, expected, atol=1e-5)
    assert found == 6


def test_lowres_is_of_the_jittered_photo():
    source = procedural.SyntheticPairs(1, size=32, seed=0)
    options = {"exposure": 0.8, "saturation": 0.3, "lowres_from": "photo", "lowres_size": 32}
    batch = next(make(source, batch_size=1, crop=32, **options))
    np.testing.assert_allclose(batch["lowres"], batch["input"], atol=1e-6)
    assert np.abs(batch["input"][0] - source[0]["input"]).max() > 0.02


def test_8_and_16_bits_are_scaled_alike():
    class Mixed:
        def __len__(self):
            return 1

        def __getitem__(self, index):
            pixels = np.full((8, 8, 3), 51, np.uint8)
            return {"input": pixels, "target": pixels.astype(np.uint16) * 257, "name": "mixed"}

    batch = next(make(Mixed(), batch_size=1, crop=8))
    np.testing.assert_allclose(batch["input"], 0.2, atol=1e-6)
    np.testing.assert_allclose(batch["target"], 0.2, atol=1e-6)


def test_evaluation_examples_are_whole_and_in_order():
    examples = list(batches.evaluation_examples(Numbered(3, (5, 7))))
    assert [example["name"] for example in examples] == ["number 0", "number 1", "number 2"]
    assert all(example["input"].shape == (5, 7, 3) for example in examples)
    assert examples[2]["target"].dtype == np.float32
    np.testing.assert_allclose(examples[2]["target"], 2 / 255, rtol=1e-6)


def test_bad_arguments_are_named(monkeypatch):
    with pytest.raises(ValueError, match="empty"):
        batches.train_batches([], batch_size=1, crop=4, seed=0)
    for options, message in (
        ({"batch_size": 0}, "batch_size"),
        ({"lowres_from": "thumbnail"}, "thumbnail"),
        ({"lowres_method": "bicubic"}, "bicubic"),
        ({"shard": (2, 2)}, "shard"),
        ({"shard": (0, 3)}, "multiple of their number 3, got 2"),
    ):
        with pytest.raises(ValueError, match=message):
            make(**options)
    with pytest.raises(ValueError, match="'synthetic_.*smaller than the crop of 41 x 41"):
        next(make(crop=41, threads=0))
    monkeypatch.setitem(sys.modules, "grain", None)
    with pytest.raises(ImportError, match=r"bilateral_jax\[training\]"):
        make()
