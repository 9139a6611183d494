"""experiments/papers/dpe.py: three modes, their losses, devices, restarts. 100 seconds."""

import functools
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax.checkpoints import networks, trees
from bilateral_jax.data import registry
from bilateral_jax.losses import chroma_correlation, gradient_penalties
from bilateral_jax.models import model as model_lib
from bilateral_jax.models.model import Model
from bilateral_jax.training import parallel, summary_writer
from configs import dpe as unpaired_config
from configs import dpe_demo as demo_config
from configs import dpe_supervised as paired_config
from experiments import experiment, train
from experiments.runs import warm_start

pytestmark = pytest.mark.usefixtures("compiled_once")
SIDE = 64
_TINY = {
    "model.width": 1,
    "model.size": SIDE,
    "batches.batch_size": 8,
    "batches.long_side": 40,
    "batches.pad_to": SIDE,
    "batches.threads": 0,
    "optimizer.name": "sgd",  # compiles in half the time of adam
    "optimizer.learning_rate": 1e-6,
    "steps": 4,
    "run.log_every": 1,
    "run.evaluate_every": 1000,
    "run.checkpoint_every": 2,
    "run.sheet_photos": 0,
}
_TINY_CRITIC = {
    "critic.width": 1,
    "critic.size": SIDE,
    "critic_optimizer.name": "sgd",
    "critic_optimizer.learning_rate": 1e-4,
    "n_critic": 2,
}


def config(kind, **changes):
    if kind == "supervised":
        made = paired_config.get_config()
    else:
        made = unpaired_config.get_config(kind)
        changes = _TINY_CRITIC | changes
    with made.unlocked():
        made.data.train = {"kind": "synthetic", "count": 16, "size": 48}
        made.data.heldout = {"kind": "synthetic", "count": 2, "size": 48, "seed": 1}
    made.update_from_flattened_dict({**_TINY, **changes})
    return made


def batch(paper, made):
    source = registry.make("synthetic", count=16, size=48)
    return next(paper.batches(source, seed=3, **made.batches.to_dict()))


def step(mode, devices, **changes):
    """The first networks, the batch, and the state and metrics after one step."""
    made = config(mode, **changes)
    paper = experiment.build(made.to_dict())
    rows = batch(paper, made)
    state = paper.init(jax.random.key(0))
    first = jax.tree.map(
        np.asarray, {n: (x.params, x.batch_stats) for n, x in state.networks.items()}
    )
    state = parallel.replicate(state, devices=devices)
    state, metrics = parallel.update(paper.update, devices=devices)(state, rows)
    assert not parallel.unsynchronised_leaves(state)
    metrics = {name: float(getattr(value, "value", value)) for name, value in metrics.items()}
    models = {name: Model(*leaves, paper.networks[name]) for name, leaves in first.items()}
    return models, rows, state, metrics


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A one-way training's folder and results."""
    folder = tmp_path_factory.mktemp("dpe") / "run"
    _, results = train.train(config("one_way"), folder, progress=False)
    return folder, results


def test_a_run_is_resumed_to_the_same_bits(run, tmp_path):
    folder, results = run
    parts = tmp_path / "parts"
    shutil.copytree(folder, parts)
    shutil.rmtree(trees.run_folder(parts) / "4")  # as killed before the last one
    train.train(config("one_way"), parts, progress=False)
    whole, again = (trees.restore(trees.run_folder(path), 4)[1] for path in (folder, parts))
    jax.tree.map(np.testing.assert_array_equal, whole["groups"], again["groups"])
    jax.tree.map(np.testing.assert_array_equal, whole["extra"], again["extra"])
    assert int(whole["extra"]["penalties"]["DY"]["updates"]) == 4
    assert type(networks.load_model(folder).module).__name__ == "DPE"
    assert np.isfinite(results["psnr"])


def test_the_generator_moves_in_every_second_step(run):
    folder, _ = run
    lines = summary_writer.read(folder, "train")
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert ["loss" in line for line in lines] == [False, True, False, True]
    for line in lines:
        assert {"critic_loss", "critic_penalty_DY", "penalty_weight_DY"} <= set(line)
    for line in (lines[1], lines[3]):
        assert "cycle" not in line
        expected = 1000 * line["identity"] + line["adversarial"]
        np.testing.assert_allclose(line["loss"], expected, rtol=1e-4)
    groups = trees.restore(trees.run_folder(folder), 4)[1]["groups"]
    updates = {name: int(group["updates"]) for name, group in groups.items()}
    assert updates == {"generators": 2, "critics": 4}
    stats = groups["generators"]["networks"]["G"]["batch_stats"]["encoder_norms_0"]
    assert np.any(stats["mean_0"])


def test_a_training_starts_from_the_networks_of_a_run(run):
    folder, _ = run
    paper = experiment.build(config("one_way").to_dict())
    state = paper.init(jax.random.key(5))
    state = warm_start.put(state, {"G": str(folder), "DY": str(folder)}, paper)
    found = trees.restore(trees.run_folder(folder), 4)[1]["groups"]
    for group, name, weights in (("generators", "G", "average"), ("critics", "DY", "params")):
        saved = found[group]["networks"][name][weights]
        jax.tree.map(np.testing.assert_array_equal, state.networks[name].params, saved)


def test_the_two_way_losses_are_those_of_the_paper():
    """A step on eight devices against the whole batch on one."""
    chosen = {"n_critic": 1, "loss.chroma": 3.0, "loss.chroma_shrink": 4}
    models, rows, state, metrics = step("two_way", jax.local_devices(), **chosen)
    x, y = jnp.asarray(rows["input"]), jnp.asarray(rows["target"])
    for valid in (rows["valid"], rows["target_valid"]):
        assert valid[:, :40, :40].all() and valid.sum() == 8 * 40 * 40
    g, f = models["G"], models["F"]
    (generated, g), (backward, f) = applied(g, x, train=True), applied(f, y, train=True)
    cycle_x, f = applied(f, jnp.clip(generated, 0, 1), norm_set=1, train=True)
    cycle_y, g = applied(g, jnp.clip(backward, 0, 1), norm_set=1, train=True)

    def mse(a, b):
        return np.square(np.asarray(a - b, np.float64))[:, :40, :40].mean()

    identity, cycle = mse(generated, x) + mse(backward, y), mse(cycle_x, x) + mse(cycle_y, y)
    np.testing.assert_allclose(metrics["identity"], identity, rtol=1e-3)
    np.testing.assert_allclose(metrics["cycle"], cycle, rtol=1e-3)
    chroma = sum(
        chroma_correlation.chroma_correlation(
            made[:, :40, :40], image[:, :40, :40], shrink=4
        ).mean()
        for made, image in ((generated, x), (backward, y))
    )
    np.testing.assert_allclose(metrics["chroma"], chroma, rtol=1e-3)
    expected = 1000 * identity + 10_000 * cycle + 3 * chroma + metrics["adversarial"]
    np.testing.assert_allclose(metrics["loss"], expected, rtol=1e-3)
    for name, network in {"G": g, "F": f}.items():
        pairs = (state.networks[name].batch_stats, network.batch_stats)
        for found, one in zip(*map(jax.tree.leaves, pairs), strict=True):
            np.testing.assert_allclose(found, one, rtol=2e-3, atol=1e-4)
    made_y, made_x = applied(models["G"], x), applied(models["F"], y)
    value = 0.0
    for name, real, made in (("DY", y, made_y), ("DX", x, made_x)):
        of_real, of_made = (scored(models[name], image).mean() for image in (real, made))
        distance = metrics[f"critic_distance_{name}"]
        np.testing.assert_allclose(distance, of_real - of_made, rtol=1e-3, atol=1e-5)
        value += 10 * metrics[f"critic_penalty_{name}"] - distance
    np.testing.assert_allclose(metrics["critic_loss"], value, rtol=1e-3, atol=1e-5)


@jax.jit
def scored(critic, images):
    return critic.apply(images)


@functools.partial(jax.jit, static_argnames=("norm_set", "train"))
def applied(network, images, *, norm_set=0, train=False):
    return network.apply(images, norm_set=norm_set, train=train)


def test_the_penalty_moves_the_first_layer_of_the_critic():
    critic = Model.init(
        experiment.build(config("one_way").to_dict()).networks["DY"], jax.random.key(0)
    )
    critic = critic.replace(params=jax.tree.map(lambda leaf: 20 * leaf, critic.params))
    images = np.random.default_rng(0).random((2, SIDE, SIDE, 3), np.float32)

    def penalty(params):
        apply = critic.replace(params=params).apply
        return gradient_penalties.penalty(apply, images, form="one_sided").mean()

    value, gradient = jax.jit(jax.value_and_grad(penalty))(critic.params)
    assert value > 0 and np.any(gradient["conv_0"]["convolution"]["kernel"])


def test_pairs_are_trained_for_the_psnr_on_one_device_as_on_eight():
    (models, rows, one, alone), (_, _, many, shown) = (
        step("supervised", jax.local_devices()[:devices]) for devices in (1, 8)
    )
    output, _ = applied(models["network"], rows["input"], train=True)
    error = np.square(np.asarray(output - rows["target"], np.float64))[:, :40, :40].mean((1, 2, 3))
    for metrics in (alone, shown):
        loss = (10 * np.log10(error + 1e-10)).mean()
        np.testing.assert_allclose(metrics["loss"], loss, rtol=1e-3)
        np.testing.assert_allclose(metrics["psnr"], -loss, rtol=1e-3)
        gradient = metrics["gradient_norm"]
        np.testing.assert_allclose(gradient, alone["gradient_norm"], rtol=2e-3)
    assert set(one.groups) == {"main"} and not one.extra
    networks = (state.networks["network"] for state in (one, many))
    for first, second in zip(*map(jax.tree.leaves, networks), strict=True):
        np.testing.assert_allclose(first, second, rtol=2e-3, atol=1e-4)


def test_the_demo_is_the_same_network_and_smaller():
    made = demo_config.get_config()
    paper = experiment.build(made.to_dict())
    assert made.model.size == made.critic.size == made.batches.pad_to
    shapes = model_lib.variable_shapes(paper.networks["G"])
    assert 200_000 < model_lib.parameter_count(shapes["params"]) < 1_000_000


@pytest.mark.parametrize(
    ("mode", "changes", "message"),
    [
        ("two_way", {"mode": "three_way"}, "mode must be one of .*, got 'three_way'"),
        ("one_way", {"model.norm_sets": 2}, "norm_sets must be 1 in mode 'one_way', which uses"),
        ("two_way", {"n_critic": 0}, "n_critic must be a positive int, got 0"),
    ],
)
def test_settings_that_do_not_fit_are_named(mode, changes, message):
    with pytest.raises(ValueError, match=message):
        experiment.build(config(mode, **changes).to_dict())


def test_sections_that_nothing_takes_are_named():
    made = config("supervised").to_dict()
    with pytest.raises(TypeError, match="mode 'supervised' takes no loss, n_critic: set them to"):
        experiment.build({**made, "loss": {"identity": 1.0}, "n_critic": 5})
    made = config("two_way").to_dict()
    with pytest.raises(TypeError, match="identitty"):
        experiment.build({**made, "loss": {**made["loss"], "identitty": 1.0}})


def test_a_training_shorter_than_a_step_of_the_generators_is_announced(caplog):
    experiment.build(config("two_way", n_critic=5).to_dict())
    assert "n_critic is 5 and steps 4: only the critics are trained" in caplog.text
