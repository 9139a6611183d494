"""WESPE as an experiment: terms, who is updated by what, devices, restarts, starts from DPED."""

import functools
import logging
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax import models
from bilateral_jax.checkpoints import networks, trees
from bilateral_jax.importers import dped as dped_importer
from bilateral_jax.losses import chroma_correlation, reconstruction, variation
from bilateral_jax.models import model as model_lib
from bilateral_jax.models.model import Model
from bilateral_jax.training import parallel, summary_writer
from configs import wespe as wespe_config
from configs import wespe_demo
from experiments import experiment, train
from experiments.papers import wespe
from experiments.runs import feature_network, warm_start
from tests import assets

pytestmark = pytest.mark.usefixtures("compiled_once")
_TINY = {
    "steps": 4,
    "model.width": 3,
    "model.blocks": 1,
    "model.initial": "he",
    "inverse.width": 2,
    "inverse.blocks": 1,
    "inverse.initial": "he",
    "critic.channels": (2, 3, 2, 3, 2),
    "critic.hidden": 4,
    "critic.size": 40,
    "loss.content": 0.0,
    "loss.cycle_mse": 1.0,
    "batches.batch_size": 8,
    "batches.crop": 40,
    "batches.threads": 0,
    "run.log_every": 1,
    "run.evaluate_every": 1000,
    "run.checkpoint_every": 2,
    "run.sheet_photos": 0,
}
_EVERYTHING = {
    "loss.content": 2.0,
    "loss.second_cycle": 0.5,
    "loss.identity": 3.0,
    "loss.input_mse": 4.0,
    "loss.input_mse_updates": 10,
    "loss.chroma": 5.0,
    "loss.chroma_shrink": 2,
    "loss.gradient_penalty": 0.1,
    "loss.adversarial_reduce": "sum",
}


def config(**changes):
    made = wespe_config.get_config()
    pairs = {"kind": "synthetic", "count": 12, "size": 44}
    with made.unlocked():
        made.data.train = {"kind": "unpaired_pairs", "pairs": pairs, "disjoint_halves": True}
        made.data.heldout = {"kind": "synthetic", "count": 1, "size": (44, 40), "seed": 1}
    made.update_from_flattened_dict({**_TINY, **changes})
    return made


def build(**changes):
    return experiment.build(config(**changes).to_dict())


@functools.cache
def batch(size=8):
    images = np.random.default_rng(0).random((2, size, 40, 40, 3), np.float32)
    return {"input": images[0], "target": images[1] ** 2, "weight": np.ones(size, np.float32)}


@functools.cache
def fresh():
    """The initial state, of any experiment here, on the host."""
    return jax.device_get(build().init(jax.random.key(0)))


def take(paper, devices=None):
    """The state after an update of the fresh state, and its metrics."""
    update = parallel.update(paper.update, frozen=paper.frozen, devices=devices)
    state = jax.tree.map(_copy, fresh())  # an update donates its buffers
    return jax.device_get(update(parallel.replicate(state, devices=devices), batch()))


@pytest.fixture(scope="module")
def vgg(tmp_path_factory):
    """A tiny VGG and the folder of its checkpoint."""
    network = Model.init(models.create("VGG", {"depths": [1, 1], "width": 2}), jax.random.key(0))
    folder = tmp_path_factory.mktemp("vgg") / "vgg"
    save(folder, network)
    return network, str(folder)


def save(folder, network):
    name, fields = models.describe(network.module)
    networks.save(folder, name=name, hyperparameters=fields, params=network.params)
    return str(folder)


@pytest.fixture(scope="module")
def on_eight(vgg):
    """A step with all terms on eight devices: its experiment, state and metrics."""
    paper = build(**_EVERYTHING, **{"loss.features": vgg[1]})
    assert len(paper.frozen) == 1 and jax.local_device_count() == 8
    return paper, *take(paper)


def moments(state, group):
    """Adam's first moments: after one step a tenth of the gradient."""
    return state.groups[group].opt_state[0].mu


def test_one_device_takes_the_step_of_eight(on_eight):
    paper, many, shown = on_eight
    one, alone = take(paper, jax.local_devices()[:1])
    assert set(shown) == set(alone)
    for name in shown:
        np.testing.assert_allclose(alone[name], shown[name], rtol=5e-4, atol=1e-6, err_msg=name)
    for group in ("generators", "critics"):
        first, second = (jax.tree.leaves(moments(state, group)) for state in (many, one))
        whole = max(np.abs(leaf).max() for leaf in first)
        for each, other in zip(first, second, strict=True):
            # The bias before an instance norm has no gradient but rounding.
            scale = np.abs(each).max() + 1e-3 * whole
            np.testing.assert_allclose(other / scale, each / scale, atol=5e-3)


def test_the_losses_are_those_of_the_whole_batch(on_eight, vgg):
    """Both losses from their definition."""
    paper, after, shown = on_eight
    losses = wespe._Losses(**_section(vgg[1]))
    x, y = (jnp.asarray(batch()[name]) for name in ("input", "target"))

    def networks_of(state):
        return {n: Model(each.params, {}, paper.networks[n]) for n, each in state.networks.items()}

    @jax.jit
    def of_critics(before):
        loss, output = 0.0, before["G"].apply(x)
        for name in wespe.CRITICS:
            real, generated = (losses.seen(name, image) for image in (y, output))
            critic = before[name].apply
            slope = jax.grad(lambda image: critic(image).sum())(real)  # noqa: B023
            loss += -jax.nn.log_sigmoid(critic(real)) - jax.nn.log_sigmoid(-critic(generated))
            loss += 0.1 * jnp.square(slope).sum((1, 2, 3))
        return loss.mean(), -10 * jnp.log10(jnp.square(output - x).mean((1, 2, 3))).mean()

    @jax.jit
    def of_generators(before, critics):
        enhance, back, output = before["G"].apply, before["F"].apply, before["G"].apply(x)
        content = feature_network.content_loss(vgg[0])
        mse = reconstruction.mse
        value = 2 * content(back(output), x) + mse(back(output), x)
        value += 0.5 * (2 * content(enhance(back(y)), y) + mse(enhance(back(y)), y))
        value += 10 * variation.total_variation(output) + 4 * mse(output, x)
        value += 3 * mse(enhance(y), y)
        value += 5 * chroma_correlation.chroma_correlation(output, x, shrink=2)
        for name in wespe.CRITICS:
            score = critics[name].apply(losses.seen(name, output))
            value += 8 * 5e-3 * -jax.nn.log_sigmoid(score)
        return value.mean()

    loss, psnr = of_critics(networks_of(fresh()))
    np.testing.assert_allclose(shown["critic_loss"], loss, 1e-4)
    np.testing.assert_allclose(shown["input_psnr"], psnr, 1e-4)
    # G and F see the critics as they are after their step.
    value = of_generators(networks_of(fresh()), networks_of(after))
    np.testing.assert_allclose(shown["loss"], value, 1e-4)
    shares = [float(value) for name, value in shown.items() if name.endswith("_share")]
    assert len(shares) == 10 and abs(sum(shares) - 1) < 1e-5


def _section(folder):
    section = config(**_EVERYTHING, **{"loss.features": folder}).loss.to_dict()
    section.pop("features")
    return section


def test_gradients_reach_every_layer_of_all_networks(on_eight):
    """But for biases before an instance norm, which it removes."""
    paper, state, _ = on_eight
    for group, names in (("generators", {"G", "F"}), ("critics", set(wespe.CRITICS))):
        assert set(moments(state, group)) == names and state.groups[group].updates == 1
    for path, leaf in jax.tree.leaves_with_path(moments(state, "generators")):
        name = jax.tree_util.keystr(path)
        if not ("conv" in name and "bias" in name):
            assert np.abs(leaf).max() > 1e-8, name
    for name in wespe.CRITICS:
        moved = jax.tree.map(
            lambda x, y: np.abs(x - y).max(), *(s.networks[name].params for s in (state, fresh()))
        )
        assert max(jax.tree.leaves(moved)) > 1e-4 and state.networks[name].average is None
    assert paper.shipped_network == "G" and state.step == 1


def test_terms_of_a_generator_that_is_the_identity_are_zero():
    """F(G(x)) = x and G(y) = y at the start; a grey image has no variation, a ramp s^2."""
    options = {**_EVERYTHING, "loss.content": 0.0}
    options |= {"model.residual": True, "inverse.residual": True}
    section = config(**options).loss.to_dict()
    section.pop("features")
    losses = wespe._Losses(**section)
    paper = build(**options)
    start = paper.init(jax.random.key(0))
    built = {n: Model(net.params, {}, paper.networks[n]) for n, net in start.networks.items()}
    weighted = jax.jit(lambda rows: losses._weighted(built, rows, (), jnp.float32(1), 1.0))
    ramp = np.broadcast_to(0.01 * np.arange(40, dtype=np.float32)[None, :, None], (1, 40, 40, 3))
    flat = np.full((1, 40, 40, 3), 0.3, np.float32)
    for image, expected in ((ramp, 10 * 1e-4), (flat, 0.0)):
        rows = {"input": image, "target": flat}
        terms = weighted(rows)
        zero = {"cycle_mse", "second_cycle_mse", "input_mse", "identity"}
        assert zero < set(terms) and not any(np.any(terms[name]) for name in zero)
        np.testing.assert_allclose(terms["variation"], expected, rtol=1e-4, atol=1e-12)


@pytest.mark.parametrize("crop", [True, False])
def test_one_critic_sees_colours_the_other_texture(crop):
    losses = wespe._Losses(**{**_section(None), "crop_blur": crop})
    image = np.random.default_rng(0).random((1, 40, 40, 3), np.float32) * 0.2 + 0.4
    checker = 0.05 * (-1.0) ** np.add.outer(np.arange(40), np.arange(40))[..., None]
    difference = {
        name: np.abs(
            losses.seen(name, image + checker.astype(np.float32)) - losses.seen(name, image)
        )
        for name in wespe.CRITICS
    }
    assert difference["texture_critic"].min() > 0.04
    inner = difference["color_critic"] if crop else difference["color_critic"][:, 10:-10, 10:-10]
    assert inner.shape == (1, 20, 20, 3) and inner.max() < 1e-3
    # A change of colour that leaves the grey value alone is seen by the other one.
    tinted = image + np.float32([0.05, -0.05 * 0.2989 / 0.5870, 0.0])
    np.testing.assert_allclose(
        losses.seen("texture_critic", tinted), losses.seen("texture_critic", image), atol=1e-5
    )
    seen = losses.seen("color_critic", tinted) - losses.seen("color_critic", image)
    assert np.abs(seen[0, seen.shape[1] // 2, seen.shape[2] // 2, 0] - 0.05) < 1e-3


def test_the_distance_to_the_input_fades():
    fading = [
        wespe._Losses(**{**_section(None), "input_mse_updates": last}).fading(jnp.int32(done))
        for last in (10, 0)
        for done in (0, 5, 10, 99)
    ]
    np.testing.assert_allclose(fading, [1, 0.5, 0, 0, 1, 1, 1, 1], rtol=1e-6)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Two steps of the critics for one of G and F; every step is one of a collapse."""
    options = {"watchdog.below": 200.0, "watchdog.patience": 3, "watchdog.restarts": 1}
    folder = tmp_path_factory.mktemp("wespe") / "run"
    train.train(config(**options, n_critic=2), folder, progress=False)
    return folder, {**options, "n_critic": 2}


def test_a_run_with_a_restart_is_resumed_to_the_same_bits(run, tmp_path, caplog):
    folder, options = run
    shutil.copytree(folder, tmp_path / "parts")
    shutil.rmtree(trees.run_folder(tmp_path / "parts") / "4")  # as killed before the last one
    with caplog.at_level(logging.WARNING):
        train.train(config(**options), tmp_path / "parts", progress=False)
    assert "step 3: the output has been less than 200 dB from the input" in caplog.text
    assert "restarted from new weights, restart 1 of at most 1" in caplog.text
    whole, parts = (trees.restore(trees.run_folder(p), 4)[1] for p in (folder, tmp_path / "parts"))
    jax.tree.map(np.testing.assert_array_equal, *(jax.tree.map(_plain, s) for s in (whole, parts)))
    assert int(whole["extra"]["watchdog"]["restarts"]) == 1
    lines = summary_writer.read(tmp_path / "parts", "train")
    assert [line["restarted"] for line in lines] == [0, 0, 1, 0]
    assert {"critic_color_accuracy", "critic_texture_accuracy", "input_psnr"} <= set(lines[-1])
    # G and F moved in steps 2 and 4, the critics in every one; at step 3 all began anew.
    assert ["loss" in line for line in lines] == [False, True, False, True]
    before = trees.restore(trees.run_folder(folder), 2)[1]
    counts = [{n: int(g["updates"]) for n, g in s["groups"].items()} for s in (before, whole)]
    assert counts == [{"generators": 1, "critics": 2}, {"generators": 1, "critics": 1}]
    with pytest.raises(ValueError, match="start gives weights of G, which a restart would replace"):
        warm_start.put(fresh(), {"G": "anywhere", "F": None}, build(**options))


def test_all_networks_of_a_run_are_loaded_by_name(run):
    folder, _ = run
    for name, kind in (("G", "DPED"), ("F", "DPED"), ("texture_critic", "DPEDCritic")):
        assert type(networks.load_model(folder, network=name).module).__name__ == kind
    saved = trees.restore(trees.run_folder(folder), 4)[1]["groups"]["generators"]["networks"]["G"]
    jax.tree.map(
        np.testing.assert_array_equal, networks.load_model(folder).params, saved["average"]
    )


def test_a_collapse_stops_the_run_by_name(run, tmp_path, capsys):
    """The third low step after the only restart, step 6."""
    folder, options = run
    shutil.copytree(folder, tmp_path / "run")
    assert train.main(config(**options, steps=9), tmp_path / "run") == 1
    (line,) = [each for each in capsys.readouterr().err.splitlines() if "error: " in each]
    assert "step 6: the output has been less than 200 dB from the input for 3 steps" in line
    assert "has collapsed after 1 restarts and stops" in line
    assert trees.latest(trees.run_folder(tmp_path / "run")) == 4


def test_g_and_f_start_from_weights_of_dped(tmp_path):
    fields = {"width": 3, "blocks": 1}
    network = Model.init(models.create("DPED", fields), jax.random.key(7))
    folder = save(tmp_path / "dped", network)
    paper = build()
    state = warm_start.put(fresh(), {"G": folder, "F": None}, paper)
    for part in ("params", "average"):
        found = getattr(state.networks["G"], part)
        jax.tree.map(np.testing.assert_array_equal, found, network.params)
    pair = (each.networks["F"].params for each in (state, fresh()))
    jax.tree.map(np.testing.assert_array_equal, *pair)
    with pytest.raises(ValueError, match="start: .*dped: .*residual"):
        warm_start.put(fresh(), {"G": folder}, build(**{"model.residual": True}))


def test_g_and_f_take_the_published_weights(tmp_path):
    published = dped_importer.load(assets.path("dped", "iphone_orig.index"))
    folder, size = save(tmp_path / "iphone", published), {"width": 64, "blocks": 4}
    paper = build(
        **{f"{part}.{name}": n for part in ("model", "inverse") for name, n in size.items()}
    )
    shapes = jax.eval_shape(paper.init, jax.random.key(0))
    state = jax.tree.map(lambda x: x, shapes)
    state = warm_start.put(state, {"G": folder, "F": folder}, paper)
    for name in ("G", "F"):
        jax.tree.map(np.testing.assert_array_equal, state.networks[name].average, published.params)


def test_bad_sections_and_batches_are_named(vgg):
    for changes, words in (
        ({"loss.cycle_mse": 0.0}, r"nothing ties F\(G\(x\)\) to x"),
        ({"loss.content": 1.0}, "loss.features is None, and loss.content needs"),
        ({"loss.adversarial_reduce": "max"}, 'adversarial_reduce must be "mean" or "sum".*max'),
        ({"watchdog.patience": -1}, "patience and restarts must be ints of at least 0"),
        ({"n_critic": 0}, "n_critic must be a positive int, got 0"),
    ):
        with pytest.raises(ValueError, match=words):
            build(**changes)
    with pytest.raises(ValueError, match='data are "dped" or "folders", got \'div2k\''):
        wespe_config.get_config("div2k")
    with pytest.raises(ValueError, match="WESPE trains on crops"):
        build().update(fresh(), batch() | {"valid": np.ones((8, 40, 40))})


def test_the_configs_are_complete(vgg):
    for form in ("dped", "folders"):
        made = wespe_config.get_config(form)
        made.loss.features = vgg[1]
        paper = experiment.build(made.to_dict())
        count = {
            name: model_lib.parameter_count(
                jax.eval_shape(module.init, jax.random.key(0), *module.example_inputs())["params"]
            )
            for name, module in paper.networks.items()
        }
        assert count["G"] == count["F"] == 401_475
        assert count["texture_critic"] == 7_361_122 - 1_025
        assert count["color_critic"] == 4_225_985  # of 80 x 80
        assert paper.networks["color_critic"].size == 80 and made.batches.paired is False
    made.loss.crop_blur = False
    module = experiment.build(made.to_dict()).networks["color_critic"]
    shapes = jax.eval_shape(module.init, jax.random.key(0), *module.example_inputs())["params"]
    assert model_lib.parameter_count(shapes) == 7_372_738 - 1_025
    demo = wespe_demo.get_config()
    assert experiment.build(demo.to_dict()).shipped == "groups/generators/networks/G/average"
    assert demo.batches.crop == demo.critic.size


def _copy(leaf):
    return jax.random.clone(leaf) if _is_key(leaf) else leaf


def _plain(leaf):
    return np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)


def _is_key(leaf):
    return jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
