"""Targets of an operator: each computed once, cached in memory or on disk; filters and networks."""

import pickle
import threading

import numpy as np
import pytest

from bilateral_jax import color, images, inference, models
from bilateral_jax.checkpoints import networks
from bilateral_jax.data import registry
from bilateral_jax.data.synthetic import demo_photos, operator_targets
from experiments.operators import teachers
from tests.models import row_tiles_test


class Photos:
    """Two photos, one named as a single image, one as the input of a pair."""

    def __init__(self, dtype=np.uint8):
        rng = np.random.default_rng(0)
        most = np.iinfo(dtype).max
        self._photos = [rng.integers(0, most, (5, 6, 3), dtype) for _ in range(2)]
        self.skipped = [("broken.png", "no end")]

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return {("image", "input")[index]: self._photos[index], "name": f"photo{index}"}


class Halved:
    """An operator that counts its calls."""

    def __init__(self):
        self.calls = 0

    def __call__(self, pixels):
        self.calls += 1
        return pixels // 2


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_target_is_computed_once(tmp_path, dtype):
    for cache in (None, tmp_path / "kept"):
        operator = Halved()
        source = operator_targets.OperatorTargets(
            Photos(dtype), operator, label="half", cache=cache
        )
        for _ in range(2):
            for index in range(len(source)):
                pair = source[index]
                np.testing.assert_array_equal(pair["target"], pair["input"] // 2)
                assert pair["name"] == f"photo{index}" and pair["target"].dtype == dtype
        assert operator.calls == 2 and source.skipped == [("broken.png", "no end")]


def test_the_cache_folder_is_reused_by_the_same_operator_only(tmp_path):
    first, again, other = Halved(), Halved(), Halved()
    for operator, label in ((first, "half"), (again, "half"), (other, "third")):
        source = operator_targets.OperatorTargets(Photos(), operator, label=label, cache=tmp_path)
        source.exact(0)
    assert (first.calls, again.calls, other.calls) == (1, 0, 1)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_weaker_target_lies_between_the_photo_and_the_result(tmp_path, dtype):
    """The cache keeps the operator's result: another strength computes nothing again."""
    operator = Halved()
    for strength in (1.0, 0.75, 0.0):
        source = operator_targets.OperatorTargets(
            Photos(dtype), operator, label="half", cache=tmp_path, strength=strength
        )
        photo, target = (source[0][name].astype(np.float64) for name in ("input", "target"))
        expected = (1 - strength) * photo + strength * (photo // 2)
        np.testing.assert_allclose(target, expected, rtol=0, atol=0.51)
        assert source[0]["target"].dtype == dtype
    assert operator.calls == 1
    for strength in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match=rf"strength must be in \[0, 1\], got {strength}"):
            operator_targets.OperatorTargets(Photos(), operator, label="half", strength=strength)


def test_the_target_of_a_grey_photo_stays_grey():
    grey = np.random.default_rng(0).integers(0, 256, (5, 6, 1), np.uint8).repeat(3, -1)
    photos = [{"image": grey, "name": "grey"}, Photos()[0] | {"name": "colours"}]
    kept, tinted = (
        operator_targets.OperatorTargets(
            photos, lambda pixels: pixels // np.uint8([1, 2, 3]), label="tint", keep_grey=keep
        )
        for keep in (True, False)
    )
    tint = grey // np.uint8([1, 2, 3])
    np.testing.assert_array_equal(tinted[0]["target"], tint)
    expected = color.linear_to_srgb(color.luminance(color.srgb_to_linear(images.to_float(tint))))
    for channel in range(3):
        found = images.to_float(kept[0]["target"][..., channel])
        np.testing.assert_allclose(found, expected, atol=0.51 / 255)
    np.testing.assert_array_equal(kept[1]["target"], tinted[1]["target"])


def test_threads_compute_a_target_once_and_the_source_pickles():
    operator = Halved()
    source = operator_targets.OperatorTargets(Photos(), operator, label="half")
    threads = [threading.Thread(target=source.__getitem__, args=(0,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert operator.calls == 1
    there = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(there[0]["target"], source[0]["target"])


def test_bad_photos_and_operators_are_named():
    class Floats(Photos):
        def __getitem__(self, index):
            return {"image": np.zeros((4, 4, 3), np.float32), "name": "float"}

    with pytest.raises(TypeError, match="photo float must be uint8 or uint16, got float32"):
        operator_targets.OperatorTargets(Floats(), Halved(), label="half")[0]
    cropped = operator_targets.OperatorTargets(Photos(), lambda pixels: pixels[1:], label="crop")
    with pytest.raises(ValueError, match=r"operator crop must keep shape .* \(5, 6, 3\); it gave"):
        cropped[0]


def test_photo_folder_resizes(tmp_path):
    for name, size in (("b.png", (8, 12)), ("a.png", (3, 4))):
        images.write(tmp_path / name, np.zeros((*size, 3), np.uint8))
    source = registry.make("photos", root=tmp_path, long_side=6)
    assert [source[i]["name"] for i in range(2)] == ["a.png", "b.png"]
    assert [source[i]["image"].shape[:2] for i in range(2)] == [(3, 4), (4, 6)]


def test_demo_inputs_are_the_photos_of_the_demo():
    source = operator_targets.DemoInputs("heldout")
    names = [name for name, _ in demo_photos.inputs("heldout")]
    assert [source[i]["name"] for i in range(len(source))] == names
    with pytest.raises(ValueError, match="variants must be at least 1"):
        operator_targets.DemoInputs("heldout", variants=2)


def test_targets_of_a_network(tmp_path):
    """Loaded as a config names it, its targets equal the results of `enhance`."""
    module = models.create("CAN", {"width": 4, "dilations": [1, 2, 1], "conditions": 1})
    network = row_tiles_test.with_random_weights(module)
    name, fields = models.describe(module)
    networks.save(
        tmp_path / "teacher", name=name, hyperparameters=fields, params=network.params,
        batch_stats={}, metadata={},
    )  # fmt: skip
    images.write(tmp_path / "photo.png", Photos()[0]["image"])
    source = registry.make(
        "taught", photos={"kind": "photos", "root": tmp_path}, conditions=[0.5],
        checkpoint=tmp_path / "teacher", cache=tmp_path / "kept",
    )  # fmt: skip
    pair = source[0]
    expected = inference.enhance(network, pair["input"], conditions=(0.5,))
    np.testing.assert_array_equal(pair["target"], expected)
    _, label = teachers.find(checkpoint=tmp_path / "teacher", conditions=[0.5])
    _, other = teachers.find(checkpoint=tmp_path / "teacher", conditions=[0.6])
    assert label != other

    # Several networks: the mean of their outputs, rounded once.
    both, label = teachers.find(checkpoint=[tmp_path / "teacher"] * 2, conditions=[0.5])
    assert label != other
    assert np.abs(both(pair["input"]).astype(int) - expected).max() <= 1  # floats, not pieces of it


def test_targets_of_a_filter_and_bad_arguments():
    function, _ = teachers.find(operator="multilayer", options={"radii": [1, 2, 3]})
    photo = Photos()[0]["image"]
    made = function(photo)
    assert made.dtype == np.uint8 and np.abs(made.astype(int) - photo).max() > 2
    with pytest.raises(ValueError, match="a teacher is a checkpoint or an operator, got None"):
        teachers.find()
    with pytest.raises(TypeError, match="'multilayer' has no option 'gain'"):
        teachers.find(operator="multilayer", options={"gain": 2})
    with pytest.raises(ValueError, match="options are for a classical filter"):
        teachers.find(checkpoint="x", options={"gain": 2})
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder"):
        teachers.find(checkpoint="nowhere")
