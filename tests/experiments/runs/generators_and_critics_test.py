"""experiments/runs/generators_and_critics.py: penalties of critics' gradients. 5 seconds."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax.training import parallel
from configs import cyclegan, dpe, unpaired_hdrnet, wespe
from experiments import experiment
from experiments.runs import generators_and_critics

OPTIONS = {"bound": 0.05, "decay": 0.5, "factor": 2.0, "cooldown": 3, "lower_bound": None}


def made(**changes):
    fields = {"weight": 10.0, "form": "one_sided", "adaptive": True, "options": OPTIONS}
    return generators_and_critics.CriticPenalty(**fields | changes)


@pytest.mark.parametrize(
    ("adaptive", "expected"), [(True, {"DX": 20, "DY": 10}), (False, {"DX": 10, "DY": 10})]
)
def test_the_weight_of_a_penalty_is_adapted_on_demand(adaptive, expected):
    penalty = made(adaptive=adaptive)
    penalties = penalty.start(("DX", "DY"))
    update = jax.pmap(penalty.update, axis_name=parallel.AXIS, devices=jax.local_devices()[:1])
    penalties = jax.tree.map(lambda leaf: leaf[None], penalties)
    for _ in range(2):  # the first update does not count
        metrics = {"penalty_DX": jnp.ones(1), "penalty_DY": jnp.zeros(1)}
        penalties = update(penalties, metrics)
    assert {name: float(each.weight[0]) for name, each in penalties.items()} == expected


def test_a_linear_critic_is_penalised_above_a_slope_of_1():
    slopes = jnp.array([0.9, 1.1])
    images = np.random.default_rng(0).random((2, 2, 3, 1, 1), np.float32)
    for slope, expected in zip(slopes, (0.0, 0.1), strict=True):
        critic = lambda x: slope * x[:, 0, 0, 0]  # noqa: B023, E731
        values = made().at(critic, *images, jnp.array([0.2, 0.7, 0.5])[:2])
        np.testing.assert_allclose(values, expected, atol=1e-5)


def test_without_a_weight_there_is_no_penalty():
    assert made(weight=0.0).start(("DX",)) == {}
    with pytest.raises(ValueError, match="penalty.weight must be at least 0, got -1"):
        made(weight=-1)
    with pytest.raises(ValueError, match="penalty.form must be one of .*, got 'linear'"):
        made(form="linear")


@pytest.mark.parametrize(
    "options, message",
    [
        ({"form": "wgan"}, r"loss.form must be one of \('minimax', .*, got 'wgan'"),
        ({"chroma_shrink": 0}, "loss.chroma_shrink must be a positive int, got 0"),
        ({"critic_shrink": 1.5}, "loss.critic_shrink must be a positive int, got 1.5"),
        ({"blur": "wide"}, "blur must be one of .*, got 'wide'"),
    ],
)
def test_options_of_losses_are_checked_before_the_training(options, message):
    with pytest.raises(ValueError, match=message):
        generators_and_critics.check_loss(types.SimpleNamespace(**{"form": "hinge"} | options))


@pytest.mark.parametrize("config", [cyclegan, dpe, unpaired_hdrnet, wespe])
def test_every_experiment_without_pairs_checks_its_loss(config):
    made = config.get_config().to_dict()
    if config is wespe:
        made["loss"] |= {"content": 0.0, "cycle_mse": 1.0}
    experiment.build(made)
    name = "adversarial" if config is wespe else "form"
    with pytest.raises(ValueError, match=f"loss.{name} must be one of .*, got 'wgan'"):
        experiment.build({**made, "loss": {**made["loss"], name: "wgan"}})


def test_options_of_an_adaptive_penalty_are_checked_before_the_training():
    with pytest.raises(ValueError, match="bound must be positive and finite, got -1.0"):
        made(options=OPTIONS | {"bound": -1.0})
    with pytest.raises(TypeError, match="boundd"):
        made(options={"boundd": 1.0})
    made(adaptive=False, options=OPTIONS | {"bound": -1.0})
