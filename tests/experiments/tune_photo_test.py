"""experiments/tune_photo.py: tuned parameters, penalty, written files, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax import images, models
from bilateral_jax.checkpoints import networks
from bilateral_jax.models import nima
from bilateral_jax.models.model import Model
from experiments import tune_photo
from experiments.operators import tunable_operators

IMAGE = np.linspace(0.1, 0.9, 18 * 24 * 3, dtype=np.float32).reshape(18, 24, 3) ** 2


@pytest.fixture(scope="module", autouse=True)
def quick_compilation():
    """Small images: compiling takes longer than running."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture
def bright_is_good(monkeypatch):
    """A critic whose best score is at mean brightness 0.6; its weight is the slope."""

    def mean_score(critic, image):
        return 10.0 - critic * jnp.abs(image.mean((-3, -2, -1)) - 0.6)

    def distribution(critic, image, *, method):
        assert method == "antialias"
        good = jnp.clip(1 - critic * jnp.abs(image.mean((-3, -2, -1)) - 0.6), 0, 1)
        return jnp.zeros(10).at[8].set(good).at[3].set(1 - good)

    monkeypatch.setattr(nima, "mean_score", mean_score)
    monkeypatch.setattr(nima, "distribution", distribution)


@pytest.mark.parametrize("kind", tunable_operators.KINDS)
def test_zero_parameters_are_the_identity_and_strength_is_quadratic(kind):
    operator = tunable_operators.make(kind, cells=(2, 2, 2))

    def measure(parameters):
        output = operator.apply(parameters, IMAGE)
        return output.mean(), (output, operator.strength(parameters))

    slope = jax.jit(jax.value_and_grad(measure, has_aux=True))
    (_, (output, strength)), _ = slope(operator.identity)
    np.testing.assert_allclose(output, IMAGE, atol=2e-3)
    assert strength == 0
    moved = [tunable_operators.perturb(jax.random.key(0), operator.identity, s) for s in (0.1, 0.2)]
    ((_, (_, one)), gradient), ((_, (_, two)), _) = (slope(parameters) for parameters in moved)
    assert one > 0
    np.testing.assert_allclose(two, 4 * one, rtol=1e-3)
    for leaf in jax.tree.leaves(gradient):
        assert np.isfinite(leaf).all() and np.abs(leaf).max() > 0


@pytest.mark.parametrize("objective", tune_photo.OBJECTIVES)
def test_a_grid_reaches_the_best_score_of_the_critic(bright_is_good, objective):
    operator = tunable_operators.make("grid", cells=(2, 2, 2))
    options = {"objective": objective, "steps": 40, "strength": 1e-4}
    found, losses = tune_photo.tune(operator, jnp.float32(2.0), IMAGE, **options)
    after = float(operator.apply(found, IMAGE).mean())
    assert abs(after - 0.6) < 0.05 < abs(IMAGE.mean() - 0.6)
    assert min(losses) < 0.5 * losses[0]


def test_penalty_limits_the_strength_and_seeds_are_deterministic(bright_is_good):
    operator = tunable_operators.make("grid", cells=(2, 2, 2))

    def tuned(**options):
        return tune_photo.tune(operator, jnp.float32(2.0), IMAGE, steps=10, **options)

    held, again, free = tuned(strength=10.0), tuned(strength=10.0), tuned(strength=0.0, seed=1)
    assert operator.strength(held.parameters) < 0.5 * operator.strength(free.parameters)
    np.testing.assert_array_equal(again.parameters, held.parameters)
    assert again.losses == held.losses and free.losses[0] != held.losses[0]


@pytest.mark.parametrize(
    "options, words",
    [
        ({"objective": "beauty"}, "objective must be one of"),
        ({"strength": -1.0}, "strength must be at least 0, got -1.0"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
    ],
)
def test_invalid_arguments_are_rejected(options, words):
    with pytest.raises(ValueError, match=words):
        tune_photo.tune(tunable_operators.make("grid"), None, IMAGE, **options)
    with pytest.raises(ValueError, match="operator must be one of"):
        tunable_operators.make("curves")


def test_command_writes_the_photo_and_prints_scores(tmp_path, capsys):
    small = {"width": 0.5, "strides": (2,), "channels": (8,), "input_size": 16}
    network = Model.init(models.create("NIMAMobileNet", small), jax.random.key(0))
    name, fields = models.describe(network.module)
    networks.save(
        tmp_path / "nima",
        name=name,
        hyperparameters=fields,
        params=network.params,
        batch_stats=network.batch_stats,
    )
    photo = np.random.default_rng(0).integers(60, 200, (30, 40, 3), np.uint8)
    images.write(tmp_path / "in.png", photo)
    words = [
        str(tmp_path / "in.png"),
        str(tmp_path / "out.png"),
        "--critic",
        str(tmp_path / "nima"),
    ]
    words += ["--operator", "grid", "--steps", "2", "--short-side", "30", "--cells", "2", "2", "2"]
    assert tune_photo.main(words) == 0
    out = images.read(tmp_path / "out.png").pixels
    assert out.shape == photo.shape and out.dtype == photo.dtype and (out != photo).any()
    printed = capsys.readouterr().out
    for text in ("photo, before", "photo, after", "copy, after", "largest change", "PSNR"):
        assert text in printed
    words[0] = str(tmp_path / "absent.png")
    assert tune_photo.main(words) == 1
    assert "absent.png" in capsys.readouterr().err
