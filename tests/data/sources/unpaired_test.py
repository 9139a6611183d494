"""Unpaired sources: every photo equally often, other partners in each round, seeded."""

import collections

import numpy as np
import pytest

from bilateral_jax.data.pipeline import batches, whole_photos
from bilateral_jax.data.sources import unpaired, views
from tests import fake_datasets, optional_packages

optional_packages.need_images()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("unpaired")
    for index in range(5):
        fake_datasets.write(root / "input" / f"in{index}.png", index, shape=(12, 16, 3))
    for index in range(3):
        shape = (16, 12, 3)
        fake_datasets.write(root / "target" / f"out{index}.png", 50 + index, shape=shape)
    return root


def names(source):
    return [(e["name"], e["target_name"]) for e in (source[i] for i in range(len(source)))]


@pytest.mark.parametrize("inputs, targets", [("input", "target"), ("target", "input")])
def test_each_photo_comes_equally_often_whichever_set_is_larger(root, inputs, targets):
    source = unpaired.folders(root, inputs=inputs, targets=targets, rounds=15)
    count = len(list((root / inputs).iterdir()))
    assert len(source) == 15 * count
    before, after = (collections.Counter(side) for side in zip(*names(source)))
    assert set(before.values()) == {15} and len(before) == count
    assert len(set(after.values())) == 1


def test_combinations_depend_on_seed_and_index(root):
    one, same = (unpaired.folders(root, seed=3, rounds=4) for _ in range(2))
    backwards = [same.indices(i) for i in reversed(range(len(same)))]
    assert [one.indices(i) for i in range(len(one))] == backwards[::-1]
    other = unpaired.folders(root, seed=4, rounds=4)
    assert [one.indices(i) for i in range(20)] != [other.indices(i) for i in range(20)]
    assert one.indices(-1) == one.indices(len(one) - 1)
    with pytest.raises(IndexError):
        one[len(one)]


def test_targets_change_from_round_to_round(root):
    source = unpaired.folders(root, rounds=6)
    partners = collections.defaultdict(set)
    for name, target in names(source):
        partners[name].add(target)
    assert all(len(targets) > 1 for targets in partners.values())


def test_elements_have_both_photos_unchanged(root):
    source = unpaired.folders(root)
    image, target = source.indices(7)
    element = source[7]
    np.testing.assert_array_equal(element["input"], fake_datasets.pixels(image, shape=(12, 16, 3)))
    target = fake_datasets.pixels(50 + target, shape=(16, 12, 3))
    np.testing.assert_array_equal(element["target"], target)


def test_bad_photos_of_either_side_are_skipped_and_named(root, tmp_path):
    for side, folder in (("input", "input"), ("target", "target")):
        for number, path in enumerate(sorted((root / folder).iterdir())):
            fake_datasets.write(tmp_path / side / path.name, number + 9 * (side == "target"))
    (tmp_path / "target" / "out1.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"1 of 3 records are bad: out1\.png"):
        unpaired.folders(tmp_path)
    with pytest.warns(UserWarning, match=r"out1\.png"):
        source = unpaired.folders(tmp_path, on_bad="skip")
    assert [name for name, _ in source.skipped] == ["out1.png"]
    assert {target for _, target in names(source)} == {"out0.png", "out2.png"}


def test_bad_arguments_are_named(root):
    with pytest.raises(ValueError, match="at least one round, got 5, 3 and 0"):
        unpaired.folders(root, rounds=0)
    with pytest.raises(ValueError, match="input.*8 bits per channel; 16"):
        unpaired.folders(root, input_bits=16)


def test_the_loader_resumes_an_unpaired_source(root):
    def stream():
        source = unpaired.folders(root, rounds=3)
        options = {"batch_size": 4, "crop": 8, "seed": 1, "threads": 0, "paired": False}
        return batches.train_batches(source, **options)

    one = stream()
    next(one)
    state = one.get_state()
    expected = [next(one) for _ in range(3)]
    other = stream()
    other.set_state(state)
    for batch in expected:
        again = next(other)
        np.testing.assert_array_equal(again["input"], batch["input"])
        np.testing.assert_array_equal(again["target"], batch["target"])


@pytest.mark.parametrize("module", [batches, whole_photos])
def test_an_unpaired_source_is_not_taken_for_pairs(root, module):
    """Also inside of other sources, which would train on unrelated photos without a word."""
    source = views.Cached(views.Subset(unpaired.folders(root), 0, 4))
    options = {"batch_size": 1, "seed": 0, "threads": 0}
    options |= {"crop": 8} if module is batches else {}
    with pytest.raises(ValueError, match="source is unpaired.*batches.paired must be False"):
        module.train_batches(source, **options)
    assert next(module.train_batches(source, paired=False, **options))["input"].ndim == 4
