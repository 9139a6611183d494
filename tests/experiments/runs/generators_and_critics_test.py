"""experiments/runs/generators_and_critics.py: penalties of critics' gradients. 5 seconds."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax.training import parallel
from configs import cyclegan, dpe, unpaired_hdrnet, wespe
from experiments import experiment
from experiments.papers import hdrnet
from experiments.runs import generators_and_critics

OPTIONS = {"bound": 0.05, "decay": 0.5, "factor": 2.0, "cooldown": 3, "lower_bound": None}


def made(**changes):
    fields = {"weight": 10.0, "form": "one_sided", "where": "between", "adaptive": True}
    fields["options"] = OPTIONS
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


def test_the_penalty_is_measured_where_it_says():
    """Of a critic `x^2 / 2` the gradient is x: the value tells where it was measured."""
    critic = lambda x: jnp.square(x[:, 0, 0, 0]) / 2  # noqa: E731
    real, generated = (jnp.full((1, 1, 1, 1), value) for value in (3.0, 5.0))
    for where, slope in {"between": 3.5 + 1, "real": 3.0}.items():
        for form, expected in {"zero_centred": slope**2, "one_sided": slope - 1}.items():
            value = made(form=form, where=where).at(critic, real, generated, jnp.array([0.25]))
            np.testing.assert_allclose(value, expected, rtol=1e-6, err_msg=f"{form} {where}")
    with pytest.raises(ValueError, match="penalty.where must be .*, got 'fake'"):
        made(where="fake")


@pytest.mark.parametrize(("crop", "size"), [(True, 20), (False, 40)])
def test_dpeds_critics_see_colours_and_grey(crop, size):
    fields = {"size": 40, "hidden": 4, "logits": 1}
    critics = generators_and_critics.dped_critics(fields, crop=crop)
    expected = {"color": (3, size), "texture": (1, 40)}
    assert {n: (each.input_channels, each.size) for n, each in critics.items()} == expected
    assert all(each.hidden == 4 and each.logits == 1 for each in critics.values())
    with pytest.raises(ValueError, match="critic.input_channels cannot be set"):
        generators_and_critics.dped_critics({**fields, "input_channels": 3}, crop=crop)


def test_without_a_weight_there_is_no_penalty():
    assert made(weight=0.0).start(("DX",)) == {}
    with pytest.raises(ValueError, match="penalty.weight must be at least 0, got -1"):
        made(weight=-1)
    with pytest.raises(ValueError, match="penalty.form must be one of .*, got 'linear'"):
        made(form="linear")
    with pytest.raises(TypeError, match="penalty.options: .*unexpected keyword argument 'bond'"):
        made(options={"bond": 0.05})


@pytest.mark.parametrize("paper", [dpe, unpaired_hdrnet, wespe])
def test_learning_rates_go_over_the_updates_of_their_own_group(paper, monkeypatch):
    config, found, real = paper.get_config(), {}, hdrnet.make_optimizer

    def make(*, steps, learning_rate, **options):
        found[learning_rate] = steps
        return real(steps=steps, learning_rate=learning_rate, **options)

    monkeypatch.setattr(hdrnet, "make_optimizer", make)
    config.steps, config.n_critic = 11, 4
    config.optimizer.learning_rate, config.critic_optimizer.learning_rate = 0.25, 0.5
    if paper is wespe:
        config.loss.content, config.loss.cycle_mse = 0.0, 1.0
    experiment.build(config.to_dict())
    assert found == {0.25: 2, 0.5: 11}  # the generators move in steps 4 and 8


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
