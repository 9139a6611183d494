"""The three networks against the original graph: predictions, one training step, moving statistics.

The original smooths the tent along depth: max(0, 1 - sqrt(d^2 + 1e-8)) instead of max(0, 1 - |d|).
Its two weights sum to less than 1, by 1e-4 at a cell centre, so its images are up to 1e-4
darker there. That is the only difference beyond float32 rounding: `smoothed_slice_apply`
puts the smoothing back and the residual falls tenfold.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from bilateral_jax.importers import hdrnet as importer
from bilateral_jax.ops import bilateral, guided, guides
from tests import assets, margins

PREDICTIONS = [
    ("curves_bn", "A"),
    ("curves_bn", "B"),
    ("pointwise_bn", "A"),
    ("pointwise_bn", "B"),
    ("pointwise_nobn", "B"),
    ("pyramid_bn", "A"),
    ("pyramid_bn", "B"),
    ("alt_pointwise_bn", "C"),
]
# The images are small: compiling takes longer than running.
QUICK = {"xla_backend_optimization_level": 0}
compiled = functools.partial(jax.jit, compiler_options=QUICK)

# Our names of the layers whose outputs the golden files hold; "splat_last" is the deepest splat
# layer.
TAPS = {"global_conv2": "global_conv2", "global_fc3": "global_fc3", "local_conv2": "local_conv2"}


@functools.cache
def golden(name):
    with np.load(assets.path("golden", "hdrnet", f"{name}.npz")) as archive:
        return dict(archive)


def to_float(pixels):
    return pixels.astype(np.float32) / np.float32(255)


def prediction_case(name, image):
    """(golden record, model, low-res, full-res) of one case."""
    record = golden(f"model_{name}")
    if image == "C":
        return (
            record,
            importer.load(record),
            to_float(record["lowres_C"]),
            to_float(record["fullres_C"]),
        )
    images = golden("images")
    model = importer.load(golden("weights_shared") | record)
    small, full = (to_float(images[f"{kind}_{image}"])[None] for kind in ("lowres", "fullres"))
    return record, model, small, full


def error(actual, expected):
    assert actual.shape == expected.shape
    return float(np.abs(np.asarray(actual, np.float64) - expected).max())


def smooth_the_tent(monkeypatch):
    """Puts the original's tent into the networks."""

    def smoothed_guided(grid, image, *, guide, parameters, window=None):
        plane = guides.FUNCTIONS[guide](image, **parameters)
        return smoothed_slice_apply(grid, plane, image, window=window)

    monkeypatch.setattr(bilateral, "slice_apply", smoothed_slice_apply)
    monkeypatch.setattr(guided, "guided_slice_apply", smoothed_guided)


def smoothed_slice_apply(grid, guide, image, *, window=None):
    """Slice and apply with the original's smoothed depth tent, dense over all cells."""
    assert window is None

    def tents(size, cells):
        position = jnp.clip((jnp.arange(size) + 0.5) * cells / size - 0.5, 0, cells - 1)
        return jnp.maximum(1 - jnp.abs(position[:, None] - jnp.arange(cells)[None]), 0)

    gh, gw, gd = grid.shape[1:4]
    position = guide * gd - 0.5
    lower = jnp.floor(jax.lax.stop_gradient(position))
    depth = 0.0
    for cell in (lower, lower + 1):
        weight = jnp.maximum(1 - jnp.sqrt(jnp.square(cell - position) + 1e-8), 0)
        chosen = jax.nn.one_hot(jnp.clip(cell, 0, gd - 1).astype(jnp.int32), gd)
        depth = depth + weight[..., None] * chosen
    rows, columns = tents(guide.shape[1], gh), tents(guide.shape[2], gw)
    einsum = functools.partial(jnp.einsum, precision="highest")
    spread = einsum("hy,wx,byxzoi->bhwzoi", rows, columns, grid)
    matrices = einsum("bhwz,bhwzoi->bhwoi", depth, spread)
    return einsum("bhwoi,bhwi->bhwo", matrices[..., :3], image) + matrices[..., 3]


@compiled
def coefficients(model, small):
    return model.apply(small, method="coefficients")


def render(model, grid, full):
    """(guide, output), compiled anew so that a replaced `slice_apply` is seen."""

    @compiled
    def run(model, grid, full):
        guide = model.apply(full, method="guide")
        return guide, model.apply(grid, full, method="render")

    return run(model, grid, full)


@pytest.mark.parametrize("name, image", PREDICTIONS)
def test_predictions_equal_the_original(name, image, monkeypatch, record_property):
    record, model, small, full = prediction_case(name, image)
    grid = coefficients(model, small)
    guide, output = render(model, grid, full)
    original = f"{image}.guide" if f"{image}.guide" in record else f"{image}.guide_level0"
    errors = {
        "coefficients": error(grid, record[f"{image}.coeffs"]),
        "guide": error(guide, record[original]),
        "output": error(output, record[f"{image}.output"]),
    }
    smooth_the_tent(monkeypatch)
    smoothed = render(model, grid, full)[1]
    errors["output_smoothed"] = error(smoothed, record[f"{image}.output"])
    print(f"\n{name} {image} " + " ".join(f"{key} {value:.2e}" for key, value in errors.items()))
    record_property("errors", {key: float(value) for key, value in errors.items()})
    margins.below(errors["coefficients"], 2e-5)
    margins.below(errors["guide"], 2e-5)
    margins.below(errors["output"], 4e-4)
    margins.below(errors["output_smoothed"], 6e-5)


@pytest.mark.parametrize(
    "name, image", [("pointwise_bn", "A"), ("pointwise_nobn", "B"), ("alt_pointwise_bn", "C")]
)
def test_every_block_equals_the_original(name, image):
    record, model, small, _ = prediction_case(name, image)
    variables = {"params": model.params, "batch_stats": model.batch_stats}
    _, seen = model.module.apply(
        variables, small, method="coefficients", capture_intermediates=True
    )
    layers = {
        layer: outputs["__call__"][0]
        for layer, outputs in seen["intermediates"]["coefficient_network"].items()
        if layer != "__call__"
    }
    splat = max(layer for layer in layers if layer.startswith("splat"))
    for ours, original in (TAPS | {splat: "splat_last", "prediction": "prediction"}).items():
        if f"{image}.{original}" in record:
            assert error(layers[ours], record[f"{image}.{original}"]) < 3e-5, original


@pytest.mark.parametrize("image", ["A", "B"])
def test_the_pyramid_levels_equal_the_original(image):
    record, model, _, full = prediction_case("pyramid_bn", image)
    levels = model.apply(full, method="levels")
    for level in (1, 2):
        assert error(levels[level], record[f"{image}.multiscale_level{level}"]) < 1e-5
        guide = model.module.bind(
            {"params": model.params, "batch_stats": model.batch_stats}
        ).guide_network[level]
        assert error(guide(levels[level]), record[f"{image}.guide_level{level}"]) < 1e-5


def training_case(name):
    record = golden(f"train_{name}")
    return record, importer.load(record), to_float(record["lowres"]), to_float(record["fullres"])


def loss_of(params, model, small, full, target):
    output, model = model.replace(params=params).apply(small, full, train=True)
    return jnp.mean(jnp.square(output - target)), model


def gradient_errors(record, model, after, loss, gradients):
    """Largest relative error of loss and gradients, largest error of the moving statistics."""
    ours = importer.to_variables(model.replace(params=gradients))
    original = {
        key[5:].removesuffix(":0"): v for key, v in record.items() if key.startswith("grad.")
    }
    assert original.keys() == {key for key in ours if "moving" not in key}
    statistics = importer.to_variables(after)
    moved = {key[6:].removesuffix(":0"): v for key, v in record.items() if key.startswith("step1.")}
    assert moved.keys() == {key for key in statistics if "moving" in key}
    return {
        "loss": abs(float(loss) / float(record["train.loss"]) - 1),
        "gradients": max(
            error(ours[key], original[key]) / float(np.abs(original[key]).max()) for key in original
        ),
        "statistics": max(error(statistics[key], moved[key]) for key in moved),
    }


@pytest.mark.parametrize("name", ["curves", "pointwise", "pyramid"])
def test_one_training_step_equals_the_original(name, record_property):
    record, model, small, full = training_case(name)
    step = compiled(jax.value_and_grad(loss_of, has_aux=True))
    (loss, after), gradients = step(model.params, model, small, full, record["target"])
    errors = gradient_errors(record, model, after, loss, gradients)
    print(f"\n{name} exact tent " + " ".join(f"{k} {v:.2e}" for k, v in errors.items()))
    record_property("errors", {key: float(value) for key, value in errors.items()})
    margins.below(errors["loss"], 1e-5)
    margins.below(errors["gradients"], 2e-3)
    margins.below(errors["statistics"], 1e-6)


@pytest.mark.parametrize("name", ["curves"])
def test_training_with_the_smoothed_tent_follows_the_original(name, monkeypatch, record_property):
    smooth_the_tent(monkeypatch)
    record, model, small, full = training_case(name)
    optimiser = optax.adam(1e-4)
    gradient = compiled(jax.value_and_grad(loss_of, has_aux=True))
    update = jax.jit(optimiser.update)
    state, losses = optimiser.init(model.params), []
    for step in range(4):
        (loss, after), gradients = gradient(model.params, model, small, full, record["target"])
        if step == 0:
            errors = gradient_errors(record, model, after, loss, gradients)
        updates, state = update(gradients, state, model.params)
        model = after.replace(params=optax.apply_updates(model.params, updates))
        losses.append(float(loss))
    print(f"\n{name} smoothed tent " + " ".join(f"{k} {v:.2e}" for k, v in errors.items()))
    record_property("errors", {key: float(value) for key, value in errors.items()})
    margins.below(errors["loss"], 1e-5)
    margins.below(errors["gradients"], 1e-4)
    margins.below(errors["statistics"], 1e-6)
    # TensorFlow's Adam adds epsilon before the bias correction, optax after it: hence not closer.
    np.testing.assert_allclose(losses, record["losses_after_0_1_2_3_steps"], rtol=0, atol=1e-5)


def test_the_paper_preset_resizes_by_the_original_rule():
    images = golden("images")
    for image in "AB":
        _, model, _, full = prediction_case("curves_bn", image)
        expected = model.apply(to_float(images[f"lowres_{image}"])[None], full)
        np.testing.assert_array_equal(model(full), expected)
