"""experiments/papers/neurop.py: a few steps of both stages, the losses, mistakes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax.data import registry
from bilateral_jax.losses import illumination, variation
from bilateral_jax.training import parallel
from configs import neurop as config_whole
from configs import neurop_operators as config_operators
from experiments import experiment
from experiments.operators import color_adjustments
from experiments.papers import neurop

pytestmark = pytest.mark.usefixtures("compiled_quickly")


def build(base, **changes):
    small = {"model.width": 8, "model.encoder_width": 4, "optimizer.learning_rate": 5e-3}
    config = base.get_config()
    config.update_from_flattened_dict({**small, "steps": 100, **changes})
    return experiment.build(config.to_dict())


@pytest.mark.parametrize("base", [config_operators, config_whole])
def test_steps_of_both_stages_reduce_the_loss(base):
    paper = build(base)
    source = registry.make("synthetic", count=4, size=16)
    batch = next(paper.batches(source, batch_size=2, seed=0, threads=0))
    devices = jax.local_devices()[:1]
    update = parallel.update(paper.update, devices=devices)
    current = parallel.replicate(paper.init(jax.random.key(0)), devices=devices)
    before = jax.device_get(current.networks["network"].params)
    losses = []
    for _ in range(10):
        current, metrics = update(current, batch)
        losses.append(float(metrics["loss"]))
    assert np.isfinite(losses).all() and np.mean(losses[-3:]) < 0.9 * losses[0]
    after = jax.device_get(current.networks["network"].params)
    moved = {
        name
        for name in before
        if not all(map(np.array_equal, *map(jax.tree.leaves, (after[name], before[name]))))
    }
    operators = {f"operator_{name}" for name in ("bc", "ex", "vb")}
    # Alone, the operators are trained without encoder and strengths, which stay as they were.
    assert moved == operators if base is config_operators else moved >= operators


def test_an_operator_that_does_nothing_has_no_unary_loss():
    class Network:
        """An operator that multiplies by two to the strength, as exposure does in linear light."""

        module = type("Module", (), {"operators": ("ex",)})

        @staticmethod
        def apply(image, strength, *, name, method):
            assert (name, method) == ("ex", "operate")
            return color_adjustments.exposure(image, strength)

    photo = jnp.asarray(np.random.default_rng(0).uniform(0.2, 0.6, (2, 3, 4, 3)), jnp.float32)
    levels = jnp.array([[-0.5, 0.1], [0.5, -0.4]]).reshape(2, 1, 2, 1, 1, 1)
    for weights in ({"unary": 1.0, "pair": 0.0}, {"unary": 0.0, "pair": 1.0}):
        value = neurop._operator_loss(Network, photo, levels, **weights)
        np.testing.assert_allclose(value, 0, atol=1e-6)


def test_adjustments_at_level_0_change_nothing_and_above_it_do():
    photo = jnp.asarray(np.random.default_rng(0).uniform(size=(1, 4, 5, 3)), jnp.float32)
    for adjust in color_adjustments.ADJUSTMENTS.values():
        np.testing.assert_allclose(adjust(photo, jnp.zeros((1, 1, 1, 1))), photo, atol=1e-6)
        changed = adjust(photo, jnp.ones((1, 1, 1, 1)))
        assert changed.min() >= 0 and changed.max() <= 1
        assert float(abs(changed - photo).max()) > 0.05


def test_the_loss_of_pairs_is_the_weighted_sum_of_its_terms():
    output, target = np.random.default_rng(0).uniform(size=(2, 2, 4, 5, 3)).astype(np.float32)
    value, _ = neurop._losses(output, target, l1=2.0, cosine=0.5, total_variation=3.0)
    expected = (
        2 * np.abs(output - target).mean((1, 2, 3))
        + 0.5 * illumination.color_loss(output, target)
        + 3 * variation.total_variation(output)
    )
    np.testing.assert_allclose(value, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("base", "changes", "message"),
    [
        (config_whole, {"stage": "both"}, "stage must be one of"),
        (config_operators, {"model.operators": ("bc", "hue")}, "to initialise hue by"),
    ],
)
def test_mistakes_in_a_config_are_named(base, changes, message):
    with pytest.raises(ValueError, match=message):
        build(base, **changes)


def test_another_network_is_refused():
    config = config_whole.get_config().to_dict()
    config["model"] = {"name": "CAN", "preset": "paper"}
    with pytest.raises(ValueError, match="model.name must be NeurOp, got CAN"):
        experiment.build(config)
