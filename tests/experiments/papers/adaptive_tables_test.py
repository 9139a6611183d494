"""experiments/papers/adaptive_tables.py: losses, a few steps of each network, mistakes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax.data import registry
from bilateral_jax.training import parallel
from configs import lut_bgrid, seplut, svdlut
from experiments import experiment
from experiments.papers import adaptive_tables
from tests.models import adaptive_tables_test

pytestmark = pytest.mark.usefixtures("compiled_quickly")


def config(base, **changes):
    config = base.get_config()
    fields = adaptive_tables_test.SMALL[config.model.name]
    with config.unlocked():
        config.model.update(fields)
        for key, value in changes.items():
            section, name = key.split(".")
            config[section][name] = value
    config.steps = 100
    return config.to_dict()


@pytest.mark.parametrize("base", [lut_bgrid, svdlut, seplut])
def test_steps_on_one_batch_reduce_its_loss(base):
    paper = experiment.build(config(base, **{"optimizer.learning_rate": 5e-3}))
    source = registry.make("synthetic", count=4, size=24)
    batch = next(paper.batches(source, batch_size=2, crop=16, flips=True, seed=0, threads=0))
    devices = jax.local_devices()[:1]
    update = parallel.update(paper.update, devices=devices)
    current = parallel.replicate(paper.init(jax.random.key(0)), devices=devices)
    losses = []
    for _ in range(12):
        current, metrics = update(current, batch)
        losses.append(float(metrics["loss"]))
    # Half of the features are dropped in every step.
    assert np.isfinite(losses).all() and np.mean(losses[-4:]) < 0.9 * np.mean(losses[:2])
    out = paper.enhance(jax.device_get(current), np.zeros((5, 4, 3), np.float32))
    assert out.shape == (5, 4, 3) and np.isfinite(out).all()


def test_the_loss_is_the_weighted_sum_of_its_terms():
    rng = np.random.default_rng(0)
    output, target = rng.uniform(size=(2, 2, 4, 5, 3)).astype(np.float32)
    coefficients = {
        "table": jnp.broadcast_to(jnp.linspace(1, 0, 4).reshape(4, 1, 1, 1), (2, 4, 4, 4, 3)),
        "table_weights": jnp.array([[1.0, 2.0], [0.0, 0.0]]),
    }
    terms = {"mse": 2.0, "cie94": 0.0, "weights": 0.5, "total_variation": 3.0, "monotonicity": 7.0}
    value, shown = adaptive_tables._losses(coefficients, output, {"target": target}, **terms)
    error = ((output - target) ** 2).mean((1, 2, 3))
    # Differences of 1/3 along one axis; the first and the last count twice.
    variation, falling = 5 / 3 / 9, 1 / 3
    expected = 2 * error + 0.5 * np.array([2.5, 0.0]) + 3 * variation + 7 * falling
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    np.testing.assert_allclose(shown["psnr"], -10 * np.log10(error), rtol=1e-5)


def test_mistakes_in_a_config_are_named():
    with pytest.raises(ValueError, match=r"loss.weights: an SVDLUT has no weights of tables"):
        experiment.build(config(svdlut, **{"loss.weights": 1e-4}))
    changed = config(seplut)
    changed["model"] = {"name": "CAN", "preset": "paper"}
    with pytest.raises(ValueError, match="model.name must be LUTwithBGrid, SVDLUT or SepLUT"):
        experiment.build(changed)
