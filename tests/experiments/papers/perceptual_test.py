"""experiments/papers/perceptual.py: the loss, the frozen critic, devices, restarts, mistakes."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax import images, models
from bilateral_jax.checkpoints import networks, trees
from bilateral_jax.data import registry
from bilateral_jax.models import nima
from bilateral_jax.models.model import Model
from bilateral_jax.training import parallel
from configs import can, perceptual_hdrnet
from configs import perceptual as perceptual_config
from experiments import experiment, train
from experiments.papers import perceptual

pytestmark = pytest.mark.usefixtures("compiled_quickly")

_SMALL = {
    "model.width": 4,
    "model.dilations": (1, 2),
    "optimizer.learning_rate": 1e-3,
    "batches.short_sides": (),
    "batches.threads": 0,
}
_CRITIC = {"width": 1.0, "strides": (2,), "channels": (8,), "input_size": 16, "resize": "antialias"}
_EFFICIENTNET = {
    "kernels": (3, 5, 3),
    "strides": (1, 2, 1),
    "expansions": (1, 2, 2),
    "channels": (4, 8, 8),
    "stem": 4,
    "blocks": (0, 2),
    "input_size": 16,
}


@pytest.fixture(scope="module", autouse=True)
def quick_compilation():
    """The images are small: compiling takes longer than running."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(scope="module")
def critic(tmp_path_factory):
    """Folder of a critic with random weights."""
    return _save_critic(tmp_path_factory.mktemp("critic") / "nima", "NIMAMobileNet", _CRITIC)


def _save_critic(folder, name, fields):
    network = Model.init(models.create(name, fields), jax.random.key(7))
    name, fields = models.describe(network.module)
    networks.save(
        folder,
        name=name,
        hyperparameters=fields,
        params=network.params,
        batch_stats=network.batch_stats,
    )
    return str(folder)


def _config(critic=None, base=perceptual_config, **changes):
    config = base.get_config()
    config.update_from_flattened_dict({**_SMALL, "critic": critic, **changes})
    with config.unlocked():
        config.data.train = {"kind": "synthetic", "count": 8, "size": 24}
        config.data.heldout = {"kind": "synthetic", "count": 2, "size": 24, "seed": 1}
    return config


def _build(critic=None, **changes):
    return experiment.build(_config(critic, **changes).to_dict())


def _batch(paper, size=8):
    source = registry.make("synthetic", count=8, size=24)
    return next(paper.batches(source, batch_size=size, seed=3, threads=0))


def _update(paper):
    devices = jax.local_devices()[:1]
    return parallel.update(paper.update, frozen=paper.frozen, devices=devices)


def _stepped(paper, batches, update=None):
    """The state on one device, and its metrics, after a step on each of the batches."""
    update, shown = update or _update(paper), []
    current = parallel.replicate(paper.init(jax.random.key(0)), devices=jax.local_devices()[:1])
    for batch in batches:
        current, metrics = update(current, batch)
        shown.append({name: float(value) for name, value in metrics.items()})
    return current, shown


@pytest.fixture(scope="module")
def with_critic(critic):
    """An experiment with the critic in its loss, its update and its state after twelve steps."""
    paper = _build(critic, **{"loss.gamma": 0.5})
    before, update = jax.tree.map(np.array, paper.frozen), _update(paper)
    return paper, before, update, *_stepped(paper, [_batch(paper)] * 12, update)


@pytest.fixture(scope="module")
def plain():
    paper = _build(None, base=can)
    return _stepped(paper, [_batch(paper)] * 12)


def _leaves(state):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(state.networks["network"].params)]


def _scores(paper, state):
    """The scores of a state's outputs by the critic, and the outputs."""
    network = Model(state.networks["network"].params, {}, models.create(*paper.description))
    output = network(_batch(paper)["input"])
    return jax.jit(nima.mean_score)(paper.frozen[0], jnp.clip(output, 0, 1)), output


def test_the_loss_is_the_error_plus_the_distance_to_the_best_score(with_critic):
    paper, shown = with_critic[0], with_critic[-1]
    scores, output = _scores(paper, paper.init(jax.random.key(0)))
    np.testing.assert_allclose(shown[0]["nima"], np.mean(scores), rtol=1e-5)
    error = np.mean(np.square(output - _batch(paper)["target"]))
    np.testing.assert_allclose(shown[0]["loss"], error + 0.5 * (10 - np.mean(scores)), rtol=1e-5)


def test_training_raises_the_score_of_the_frozen_critic(with_critic, plain):
    paper, before, _, after, shown = with_critic
    jax.tree.map(np.testing.assert_array_equal, paper.frozen, before)
    assert shown[-1]["loss"] < shown[0]["loss"]
    with_critic_score, without = (_scores(paper, state)[0] for state in (after, plain[0]))
    assert np.mean(with_critic_score) > np.mean(without)
    pairs = zip(_leaves(after), _leaves(plain[0]), strict=True)  # no critic in the state
    assert all(one.shape == two.shape for one, two in pairs)


def test_a_nima_on_efficientnet_can_be_the_critic(tmp_path):
    folder = _save_critic(tmp_path / "nima", "NIMAEfficientNet", _EFFICIENTNET)
    paper = _build(folder, **{"loss.gamma": 0.5})
    before = jax.tree.map(np.array, paper.frozen)
    _, shown = _stepped(paper, [_batch(paper)] * 12)
    jax.tree.map(np.testing.assert_array_equal, paper.frozen, before)
    assert shown[-1]["loss"] < shown[0]["loss"] and shown[-1]["nima"] > shown[0]["nima"]

    # The critic resizes 24 x 24 pixels to 16 x 16; where its units are saturated they have none.
    gradient = jax.jit(jax.grad(lambda x: nima.mean_score(paper.frozen[0], x).sum()))
    gradient = np.asarray(gradient(_batch(paper)["input"]))
    assert np.isfinite(gradient).all() and np.mean(np.abs(gradient).max(axis=-1) > 0) > 0.9


def test_gamma_0_is_the_plain_recipe(critic, plain):
    paper = _build(critic, **{"loss.gamma": 0.0})  # the critic is used in the evaluation only
    state, shown = _stepped(paper, [_batch(paper)] * 12)
    for one, two in zip(_leaves(state), _leaves(plain[0]), strict=True):
        np.testing.assert_array_equal(one, two)
    assert shown == plain[1] and "nima" not in shown[0]


@pytest.mark.parametrize("clip", perceptual.CLIPS)
def test_only_a_straight_through_clip_lets_gradients_out_of_range(monkeypatch, clip):
    monkeypatch.setattr(nima, "mean_score", lambda critic, image: critic * image.sum((1, 2, 3)))
    output = jnp.linspace(-0.2, 1.2, 8 * 8 * 3).reshape(1, 8, 8, 3)

    def loss(output):
        target = jax.lax.stop_gradient(output)
        return perceptual._losses(3.0, 2.0, output, {"target": target}, error="mse", clip=clip)[0][
            0
        ]

    gradient = np.asarray(jax.grad(loss)(output))
    outside = np.asarray((output < 0) | (output > 1))
    np.testing.assert_allclose(gradient[~outside], -6.0)
    np.testing.assert_allclose(gradient[outside], -6.0 if clip == "straight_through" else 0.0)
    clipped = np.clip(output, 0, 1).sum()  # what the critic sees is the same in both
    np.testing.assert_allclose(loss(output), 2 * (10 - 3 * clipped), rtol=1e-5)


def test_an_hdrnet_has_the_same_loss(critic):
    config = perceptual_hdrnet.get_config()
    config.update_from_flattened_dict({"critic": critic, "loss.error": "l1"})
    config.model.update(net_input_size=16, spatial_bin=4, luma_bins=2)
    paper = experiment.build(config.to_dict())
    state = jax.eval_shape(paper.init, jax.random.key(0))
    mapped = parallel.mapped(paper.update, frozen=2, devices=jax.local_devices()[:1])
    shard = parallel.split(_batch(paper), 1)
    new, shown = jax.eval_shape(mapped, state, shard, *paper.frozen)
    assert {"nima", "psnr", "loss"} <= shown.keys() and paper.description[0] == "HDRNetCurves"
    assert jax.tree.structure(new) == jax.tree.structure(state)


def test_a_run_is_that_of_one_device_and_goes_on_to_the_same_bits(
    critic, with_critic, tmp_path, capsys
):
    changes = {"steps": 4, "batches.batch_size": 8, "loss.gamma": 0.5}
    changes |= {"run.checkpoint_every": 2, "run.evaluate_every": 4, "run.log_every": 1}
    config = _config(critic, **changes)
    _, results = train.train(config, tmp_path / "whole", progress=True)
    assert {"nima", "input_nima", "target_nima", "psnr", "input_psnr", "ssim"} <= results.keys()
    assert "mean score by the critic: untouched input" in capsys.readouterr().out
    paper, _, update, *_ = with_critic
    source = registry.make(**config.data.heldout.to_dict())
    targets = [images.as_float(source[i]["target"]) for i in range(2)]
    scores = [perceptual._critic_score(paper.frozen[0], target) for target in targets]
    np.testing.assert_allclose(results["target_nima"], np.mean(scores), rtol=1e-5)

    stream = paper.batches(registry.make(**config.data.train.to_dict()), seed=0, **config.batches)
    alone, _ = _stepped(paper, [next(stream) for _ in range(4)], update)
    shutil.copytree(tmp_path / "whole", tmp_path / "again")
    shutil.rmtree(trees.run_folder(tmp_path / "again") / "4")
    train.train(config, tmp_path / "again", progress=False)
    whole, again = (networks.load(tmp_path / name) for name in ("whole", "again"))
    assert again.metadata["step"] == 4
    jax.tree.map(np.testing.assert_array_equal, whole.params, again.params)
    for one, two in zip(_leaves(alone), jax.tree.leaves(whole.params), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-5)


@pytest.mark.parametrize(
    "changes, error, words",
    [
        ({"loss.error": "l2"}, ValueError, "loss.error must be one of .*'l1', 'mse'.*'l2'"),
        ({"loss.clip": "soft"}, ValueError, "loss.clip must be one of"),
        ({"loss.gamma": -1.0}, ValueError, "loss.gamma must be at least 0, got -1.0"),
        ({"critic": None}, ValueError, "loss.gamma is 0.001, so critic must be the folder"),
        ({"critic": "/nowhere"}, FileNotFoundError, "nowhere"),
        ({"model.conditions": 1}, ValueError, "conditions.*must be 0, got 1"),
        ({"model.name": "NIMAMobileNet"}, ValueError, "NIMAMobileNet has no field"),
        ({"loss.strength": 1.0}, TypeError, "strength"),
    ],
)
def test_mistakes_are_named(critic, changes, error, words):
    config = _config(critic)
    with config.unlocked():
        for name, value in changes.items():
            *section, leaf = name.split(".")
            (config[section[0]] if section else config)[leaf] = value
    with pytest.raises(error, match=words):
        experiment.build(config.to_dict())


def test_a_critic_must_be_a_critic(tmp_path):
    network = Model.init(models.create("CAN", {"width": 4, "dilations": (1,)}), jax.random.key(0))
    name, fields = models.describe(network.module)
    folder = tmp_path / "can"
    networks.save(folder, name=name, hyperparameters=fields, params=network.params)
    with pytest.raises(ValueError, match="holds the weights of CAN, expected those of a NIMA"):
        _build(str(folder))
