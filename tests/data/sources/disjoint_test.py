"""Parts without a photo in common: halves, held-out photos, pairs whose pairing is ignored."""

import collections
import re

import numpy as np
import pytest

from bilateral_jax.data import registry
from bilateral_jax.data.pipeline import batches
from bilateral_jax.data.sources import disjoint, unpaired
from configs import unpaired_photos
from tests import fake_datasets, optional_packages

optional_packages.need_images()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("photos")
    for index in range(7):
        fake_datasets.write(root / f"p{index}.png", index, shape=(12, 16, 3))
    return root


def photos(root, **options):
    return {"kind": "photos", "root": str(root), **options}


def elements(source):
    return [source[i] for i in range(len(source))]


def test_halves_have_nothing_in_common_and_are_all():
    for count in (2, 7, 30):
        first, second = disjoint.halves(count, seed=1)
        assert not set(first) & set(second) and sorted(first + second) == list(range(count))
        assert len(first) == count // 2
    assert disjoint.halves(30, seed=1) != disjoint.halves(30, seed=2)
    with pytest.raises(ValueError, match="at least 2 photos, got 1"):
        disjoint.halves(1)


@pytest.mark.parametrize("heldout", [3, ["p1", "p5.png"]])
def test_held_out_photos_are_not_trained_on(root, heldout):
    parts = [
        {each["name"] for each in elements(registry.make(**photos(root, split=s, heldout=heldout)))}
        for s in ("train", "heldout")
    ]
    assert not parts[0] & parts[1] and len(parts[0] | parts[1]) == 7
    expected = {"p1.png", "p5.png"} if isinstance(heldout, list) else parts[1]
    assert parts[1] == expected and len(parts[1]) == (2 if isinstance(heldout, list) else 3)


def test_bad_splits_are_named(root):
    for options, words in (
        ({"split": "test", "heldout": 2}, r"split must be one of .*'test'"),
        ({"split": "train"}, "split and heldout go together, got 'train' and None"),
        ({"split": "train", "heldout": 7}, "at least 1 and fewer than 7, got 7"),
        ({"split": "train", "heldout": ["p9", "p1"]}, "photos that are not there: p9"),
        ({"split": "train", "heldout": []}, "name some of the 7 photos .* got 0"),
    ):
        with pytest.raises(ValueError, match=words):
            registry.make(**photos(root, **options))


def test_one_half_is_dulled_and_the_other_is_the_target(root):
    dull = {"stops": (-1, -1), "untouched": 0.0, "rounds": 2}
    source = registry.make("unpaired_halves", photos=photos(root), dull=dull, seed=3, rounds=7)
    found = elements(source)
    inputs = collections.Counter(each["name"].split("_dull")[0] for each in found)
    targets = collections.Counter(each["target_name"] for each in found)
    # Three photos twice, and four of which each occurs as often as any other.
    assert not inputs.keys() & targets.keys() and len(inputs | targets) == 7
    assert set(inputs.values()) == {14} and max(targets.values()) - min(targets.values()) <= 1
    pixels = {f"p{i}.png": fake_datasets.pixels(i, shape=(12, 16, 3)) for i in range(7)}
    for each in found[:6]:
        np.testing.assert_array_equal(each["target"], pixels[each["target_name"]])
        before = pixels[each["name"].split("_dull")[0]]
        assert each["input"].mean() < 0.85 * before.mean()
    assert found[0]["input"] is source[0]["input"]  # in memory: a photo occurs in many elements


def test_the_pairing_of_pairs_is_ignored():
    pairs = {"kind": "synthetic", "count": 40, "size": 12}
    known = registry.make(**pairs)
    source = registry.make("unpaired_pairs", pairs=pairs, seed=1, rounds=5)
    indices = [source.indices(i) for i in range(len(source))]
    same = sum(one == other for one, other in indices)
    assert len(indices) == 200 and same < 20  # 5 by chance
    for i in (3, 77):
        np.testing.assert_array_equal(source[i]["input"], known[indices[i][0]]["input"])
        np.testing.assert_array_equal(source[i]["target"], known[indices[i][1]]["target"])
    options = {"batch_size": 16, "crop": 8, "seed": 0, "threads": 0, "paired": False}
    batch = next(batches.train_batches(source, **options))
    drawn = [source.indices(int(record)) for record in batch["record"]]
    assert {one for one, _ in drawn} != {other for _, other in drawn}


def test_disjoint_halves_of_pairs_have_no_scene_on_both_sides():
    pairs = {"kind": "synthetic", "count": 40, "size": 12}
    source = registry.make("unpaired_pairs", pairs=pairs, disjoint_halves=True, rounds=3)
    found = elements(source)
    inputs, targets = ({each[k] for each in found} for k in ("name", "target_name"))
    assert not inputs & targets and len(inputs) == len(targets) == 20


def test_a_substitute_comes_from_the_same_half(root, tmp_path):
    for path in root.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    listed = photos(tmp_path, on_bad="skip", verify="none")
    source = registry.make("unpaired_halves", photos=listed, dull={"untouched": 1.0}, seed=3)
    first, second = disjoint.halves(7, seed=3)
    fake_datasets.truncate(tmp_path / f"p{first[-1]}.png")
    with pytest.warns(UserWarning, match="the next record is used"):
        names = {source[i]["name"] for i in range(len(first))}
    assert names == {f"p{i}.png" for i in first[:-1]}


def test_a_file_in_both_folders_is_refused(root, tmp_path):
    for side, numbers in (("input", (0, 1, 2)), ("target", (3, 4))):
        for i in numbers:
            fake_datasets.write(tmp_path / side / f"{side}{i}.png", i, shape=(12, 16, 3))
    assert len(unpaired.folders(tmp_path, rounds=1)) == 3
    fake_datasets.write(tmp_path / "target" / "other.png", 1, shape=(12, 16, 3))
    with pytest.raises(ValueError, match="unpaired photos must differ: 1 .* input1.png = other"):
        unpaired.folders(tmp_path)
    assert len(unpaired.folders(tmp_path, rounds=1, verify="none")) == 3


def test_a_photo_twice_in_a_folder_of_several_parts_is_refused(tmp_path):
    for name, number in {"a": 0, "b": 1, "c": 2, "copy of a": 0}.items():
        fake_datasets.write(tmp_path / f"{name}.png", number, shape=(12, 16, 3))
    for part in ("train", "heldout"):
        with pytest.raises(ValueError, match="1 of .* are copies of others: a.png = copy of a.png"):
            registry.make(**photos(tmp_path, split=part, heldout=2))
    unchecked = registry.make(**photos(tmp_path, split="train", heldout=2, verify="none"))
    assert len(unchecked) == 2 and len(registry.make(**photos(tmp_path))) == 4
    (tmp_path / "copy of a.png").unlink()
    assert len(registry.make(**photos(tmp_path, split="train", heldout=2))) == 1


def test_the_shared_sections_make_sources(root, tmp_path):
    """Of the bundled photos, and of a folder: no photo in two of the three parts."""
    for index in range(11):
        fake_datasets.write(tmp_path / f"q{index}.png", index, shape=(30, 40, 3))
    for where in (None, str(tmp_path)):
        if where is None:
            for package in ("skimage", "sklearn", "matplotlib"):
                pytest.importorskip(package, reason=f"{package} is not installed")
        made = unpaired_photos.sections(where)
        train, heldout = (registry.make(**made[part]) for part in ("train", "heldout"))
        some = [train[i] for i in range(0, len(train), 5)]
        parts = [  # names of dulled photos and of orders of the channels follow an underscore
            {re.split("_dull|_[rgb]{3}", each[name])[0] for each in some}
            for name in ("name", "target_name")
        ] + [
            {heldout[i]["name"] for i in range(len(heldout))},
        ]
        assert len(set.union(*parts)) == sum(map(len, parts)) == (8 if where is None else 11)
        assert not np.array_equal(heldout[0]["input"], heldout[0]["target"])
        small = registry.make(**unpaired_photos.sections(where, long_side=30)["heldout"])[0]
        assert max(small["input"].shape) == 30 and small["input"].shape == small["target"].shape
    named = unpaired_photos.sections("open_photos:there")["heldout"]["photos"]
    assert named["root"] == "there" and len(named["heldout"]) == 8
    for unnamed in ("open_photos", "open_photos:"):
        with pytest.raises(ValueError, match=f"expected FOLDER .* got '{unnamed}'"):
            unpaired_photos.sections(unnamed)
