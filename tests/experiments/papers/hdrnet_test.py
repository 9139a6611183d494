"""experiments/papers/hdrnet.py: losses, devices, batch statistics, windows of crops."""

import functools

import jax
import numpy as np
import pytest

import bilateral_jax as bj
from bilateral_jax import models, resize
from bilateral_jax.data import registry
from bilateral_jax.models.model import Model
from bilateral_jax.training import parallel
from configs import hdrnet as hdrnet_config
from configs import smoke
from experiments.papers import hdrnet

_SECTIONS = (
    "steps",
    "model",
    "loss",
    "optimizer",
    "schedule",
    "average_decay",
    "accumulate",
)


pytestmark = pytest.mark.usefixtures("compiled_quickly")


def _build(name="HDRNetCurves", **changes):
    config = smoke.get_config()
    small = {"model.net_input_size": 16, "model.spatial_bin": 4, "model.luma_bins": 2}
    config.update_from_flattened_dict({"model.name": name, **small, **changes})
    return hdrnet.build(
        **{key: value for key, value in config.to_dict().items() if key in _SECTIONS}
    )


def _stream(paper, **options):
    options = {"batch_size": 8, "crop": 24, "seed": 3, "threads": 0, **options}
    return paper.batches(registry.make("synthetic", count=12, size=40), **options)


def test_batch_statistics_and_metrics_are_the_same_on_all_devices():
    """On one device and on two processes: `tests/training/distributed_test.py`."""
    paper = _build("HDRNetPointwiseNNGuide", **{"model.batch_norm": True})
    current, stream = parallel.replicate(paper.init(jax.random.key(0))), _stream(paper)
    assert len(jax.tree.leaves(current.networks["network"].batch_stats)) > 4
    update = parallel.update(paper.update)
    for _ in range(2):
        current, metrics = update(current, next(stream))
    assert parallel.unsynchronised_leaves({"state": current, "metrics": metrics}) == []
    leaf = jax.tree.leaves(current.networks["network"].batch_stats)[0]
    assert len(leaf.addressable_shards) == 8


def test_micro_batches_are_the_step_of_the_whole_batch():
    devices = jax.local_devices()[:1]
    steps = []
    for accumulate in (1, 4):
        paper = _build(accumulate=accumulate)
        current = parallel.replicate(paper.init(jax.random.key(0)), devices=devices)
        update = parallel.update(paper.update, devices=devices)
        steps.append(update(current, next(_stream(paper))))
    (whole, metrics), (parts, others) = steps
    for name in metrics:
        np.testing.assert_allclose(others[name], metrics[name], rtol=1e-5, err_msg=name)
    moments = [jax.tree.leaves(each.groups["main"].opt_state) for each in (whole, parts)]
    assert len(moments[0]) > 20
    for one, two in zip(*moments, strict=True):  # adam's first moments are the gradient
        scale = np.abs(one).max() + 1e-12
        np.testing.assert_allclose(two / scale, one / scale, atol=1e-4)


@functools.cache
def _network():
    small = {"net_input_size": 16, "spatial_bin": 4, "luma_bins": 2}
    return Model.init(models.create("HDRNetCurves", small), jax.random.key(4))


def test_a_crop_is_trained_as_a_part_of_its_photo():
    network = _network()
    photo = np.random.default_rng(0).random((50, 38, 3), np.float32)
    small = resize.resize_pixels(photo, 16, method="nearest_legacy")
    crop = {"input": photo[None, 11:31, 7:27], "lowres": small[None]}
    crop["window"] = np.array([[11, 7, 50, 38]], np.int32)
    _, output, _ = hdrnet.forward(network, crop)
    np.testing.assert_allclose(output[0], network(photo)[11:31, 7:27], atol=2e-5)


def test_without_a_photo_the_crop_makes_its_own_small_copy():
    network = _network()
    photo = np.random.default_rng(0).random((1, 20, 24, 3), np.float32)
    _, output, _ = hdrnet.forward(
        network, {"input": photo, "window": np.array([[0, 0, 20, 24]], np.int32)}
    )
    np.testing.assert_allclose(output, network(photo), atol=2e-5)


def test_the_loss_is_the_weighted_sum_of_its_terms():
    rng = np.random.default_rng(0)
    grid = rng.normal(size=(2, 4, 4, 3, 3, 4)).astype(np.float32)
    output, target = rng.random((2, 2, 6, 6, 3), np.float32)
    value, shown = hdrnet._losses(
        grid, output, {"target": target}, mse=2.0, grid_variation=0.5, identity=0.25
    )
    error = ((output - target) ** 2).mean((1, 2, 3))
    distance = ((grid - np.eye(3, 4, dtype=np.float32)) ** 2).mean((1, 2, 3, 4, 5))
    variation = bj.total_variation(grid, feature_axes=2)
    np.testing.assert_allclose(value, 2 * error + 0.5 * variation + 0.25 * distance, rtol=1e-5)
    np.testing.assert_allclose(shown["psnr"], -10 * np.log10(error), rtol=1e-5)


def test_weight_decay_leaves_biases_and_the_guide_alone():
    params = _build().init(jax.random.key(0)).networks["network"].params
    marked = hdrnet._decays(params)
    assert not any(jax.tree.leaves(marked["guide_network"]))
    for layer in marked["coefficient_network"].values():
        assert layer["kernel"] and not layer.get("bias", False)


def test_the_config_for_folders_is_complete():
    config = hdrnet_config.get_config().to_dict()
    paper = hdrnet.build(**{key: config[key] for key in _SECTIONS})
    assert paper.batches.keywords == {"lowres_size": 256, "lowres_method": "area"}
    assert paper.description[0] == "HDRNetCurves" and "axis_name" not in paper.description[1]
