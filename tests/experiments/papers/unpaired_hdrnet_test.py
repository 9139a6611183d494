"""HDRNet without pairs: losses, modes, critics, the penalties' weights, devices, restarts."""

import dataclasses
import functools
import shutil
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax import inference, resize
from bilateral_jax.checkpoints import networks, trees
from bilateral_jax.data import registry
from bilateral_jax.losses import chroma_correlation, gradient_penalties
from bilateral_jax.models.model import Model
from bilateral_jax.training import nonfinite_guard, parallel
from configs import unpaired_hdrnet as unpaired_config
from configs import unpaired_hdrnet_demo
from experiments import experiment, train
from experiments.papers import unpaired_hdrnet
from experiments.runs import generators_and_critics

pytestmark = pytest.mark.usefixtures("compiled_once")
SIDE, BATCH = 40, 8
_TINY = {
    "mode": "two_way",
    "steps": 4,
    "model.net_input_size": 16,
    "model.spatial_bin": 4,
    "model.luma_bins": 2,
    "loss.chroma": 3.0,
    "loss.chroma_shrink": 2,
    "penalty.form": "two_sided",
    "penalty.options.cooldown": 1,
    "penalty.options.bound": 1e-6,
    "batches.batch_size": BATCH,
    "batches.crop": SIDE,
    "batches.threads": 0,
    "run.log_every": 1,
    "run.evaluate_every": 1000,
    "run.checkpoint_every": 2,
    "run.sheet_photos": 0,
}
_ONE_WAY = {"mode": "one_way", "batches.lowres_from": "photo"}
_CRITIC = {
    "patch": {"critic.width": 2, "critic.strided": 1, "loss.critic_shrink": 2},
    "dped": {"critic.channels": (2, 3, 2, 3, 2), "critic.hidden": 4, "critic.size": SIDE},
}


def config(critic="patch", **changes):
    made = unpaired_config.get_config(critic)
    pairs = {"kind": "synthetic", "count": 12, "size": 44}
    with made.unlocked():
        made.data.train = {"kind": "unpaired_pairs", "pairs": pairs, "disjoint_halves": True}
        made.data.heldout = {"kind": "synthetic", "count": 1, "size": (44, 49), "seed": 1}
    made.update_from_flattened_dict({**_TINY, **_CRITIC[critic], **changes})
    return made


def build(critic="patch", **changes):
    return experiment.build(config(critic, **changes).to_dict())


@functools.cache
def batch(size=BATCH):
    images = np.random.default_rng(0).random((2, size, SIDE, SIDE, 3), np.float32)
    window = np.tile(np.int32([0, 0, SIDE, SIDE]), (size, 1))
    weight = np.ones(size, np.float32)
    return {"input": images[0], "target": images[1] ** 2, "weight": weight, "window": window}


def take(paper, devices, rows):
    """The networks before a step, the state after it, and its metrics."""
    update = parallel.update(nonfinite_guard.update(paper.update), devices=devices)
    state = paper.init(jax.random.key(0))
    # Away from the identity, where the distances have no gradient, and from flat critics.
    state = _changed(state, "generators", lambda x: x + 0.05 * jnp.cos(jnp.indices(x.shape).sum(0)))
    state = _changed(state, "critics", lambda x: 10 * x)
    before = {
        name: Model(jax.device_get(each.params), {}, paper.networks[name])
        for name, each in state.networks.items()
    }
    state = parallel.replicate(nonfinite_guard.start(state, allowed=0), devices=devices)
    after, metrics = update(state, rows)
    assert not parallel.unsynchronised_leaves([after, metrics])
    return before, jax.device_get(after.state), jax.device_get(metrics)


def _changed(state, name, function):
    group = state.groups[name]
    networks = {
        key: dataclasses.replace(each, params=jax.tree.map(function, each.params))
        for key, each in group.networks.items()
    }
    return state.replace_group(name, dataclasses.replace(group, networks=networks))


@functools.cache
def one_way():
    """The experiment with DPED's critics, and a batch whose low-res input is the whole photo."""
    made = config("dped", **_ONE_WAY)
    paper = experiment.build(made.to_dict())
    source = registry.make(**made.data.train.to_dict())
    rows = next(paper.batches(source, seed=0, **made.batches.to_dict()))
    assert rows["lowres"].shape == (BATCH, 16, 16, 3)
    return paper, rows


@pytest.fixture(scope="module")
def on_eight():
    assert jax.local_device_count() == 8
    paper, rows = one_way()
    return take(paper, jax.local_devices(), rows)


@pytest.fixture(scope="module")
def two_way():
    return take(build(), jax.local_devices()[:1], batch())


def moments(state, group):
    """Adam's first moments: after one step a tenth of the gradient."""
    return state.groups[group].opt_state[0].mu


def test_one_device_takes_the_step_of_eight(on_eight):
    _, many, shown = on_eight
    paper, rows = one_way()
    _, one, alone = take(paper, jax.local_devices()[:1], rows)
    assert set(shown) == set(alone)
    for name in shown:
        np.testing.assert_allclose(alone[name], shown[name], rtol=1e-3, atol=1e-5, err_msg=name)
    for group in ("generators", "critics"):
        first, second = (jax.tree.leaves(moments(state, group)) for state in (many, one))
        whole = max(np.abs(leaf).max() for leaf in first)
        for each, other in zip(first, second, strict=True):
            scale = np.abs(each).max() + 1e-3 * whole
            np.testing.assert_allclose(other / scale, each / scale, atol=1e-2)


def test_one_way_has_no_cycle(on_eight):
    _, state, shown = on_eight
    assert set(state.networks) == {"G", "DY_color", "DY_texture"}
    assert set(state.extra["penalties"]) == {"DY_color", "DY_texture"} and "cycle" not in shown
    expected = 1000 * shown["identity"] + 3 * shown["chroma"] + shown["adversarial"]
    np.testing.assert_allclose(shown["loss"], expected, rtol=1e-4)


def test_the_losses_are_those_of_the_definition(two_way):
    """The critics' before their step, the generators' with the critics after it."""
    before, after, shown = two_way
    x, y = batch()["input"], batch()["target"]
    apply = jax.jit(lambda network, image: network.apply(image, method="enhance"))
    score = jax.jit(lambda network, image: network.apply(resize.shrink(image, 2)))

    def mse(a, b):
        return np.square(np.asarray(a, np.float64) - b).mean()

    made_y, made_x = apply(before["G"], x), apply(before["F"], y)
    cycle_x = apply(before["F"], np.clip(made_y, 0, 1))
    cycle_y = apply(before["G"], np.clip(made_x, 0, 1))
    identity, cycle = mse(made_y, x) + mse(made_x, y), mse(cycle_x, x) + mse(cycle_y, y)
    np.testing.assert_allclose(shown["identity"], identity, rtol=1e-3)
    np.testing.assert_allclose(shown["cycle"], cycle, rtol=1e-3)
    critics = {
        name: before[name].replace(params=after.networks[name].params) for name in ("DY", "DX")
    }
    value = -score(critics["DY"], made_y).mean() - score(critics["DX"], made_x).mean()
    np.testing.assert_allclose(shown["adversarial"], value, rtol=1e-3, atol=1e-3)
    chroma = sum(
        chroma_correlation.chroma_correlation(*images, shrink=2).mean()
        for images in ((made_y, x), (made_x, y))
    )
    np.testing.assert_allclose(shown["chroma"], chroma, rtol=1e-3, atol=1e-4)
    value += 1e3 * identity + 1e4 * cycle + 3 * chroma
    np.testing.assert_allclose(shown["loss"], value, rtol=1e-3)
    value = 0.0
    for name, real, made in (("DY", y, made_y), ("DX", x, made_x)):
        value += score(before[name], made).mean() - score(before[name], real).mean()
        value += 10 * shown[f"critic_penalty_{name}"]
        assert shown[f"penalty_weight_{name}"] == 10
    np.testing.assert_allclose(shown["critic_loss"], value, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("mode", ["two_way", "on_eight"])
def test_gradients_reach_every_layer_of_all_networks(mode, request):
    _, state, _ = request.getfixturevalue(mode)
    for group in ("generators", "critics"):
        assert state.groups[group].updates == 1
        for path, leaf in jax.tree.leaves_with_path(moments(state, group)):
            name = jax.tree_util.keystr(path, simple=True, separator="/")
            # Of the biases of a critic's last layers the parts of both images cancel.
            if group == "generators" or name.endswith("kernel"):
                assert np.abs(leaf).max() > 1e-9, name
    assert state.step == 1 and state.networks["G"].average is not None


def test_it_starts_close_to_the_identity():
    paper = build()
    network = paper.init(jax.random.key(0)).networks["G"]
    image = np.random.default_rng(0).random((37, 53, 3), np.float32)
    out = inference.enhance(Model(network.average, {}, paper.networks["G"]), image, tile_rows=8)
    np.testing.assert_allclose(out, image, atol=0.03)


def test_fields_of_another_critic_are_named():
    with pytest.raises(ValueError, match="DPEDCritic has no field strided, width"):
        build(**{"critic.name": "DPEDCritic"})
    with pytest.raises(ValueError, match="critic.size must be above 20, .*got 20"):
        build("dped", **{"critic.size": 20})


def losses(critic="patch", names=("DY",), **changes):
    made = config(critic, **changes)
    penalty = generators_and_critics.CriticPenalty(**made.penalty.to_dict())
    return unpaired_hdrnet._Losses(**made.loss.to_dict(), critics=names, penalty=penalty)


def test_what_the_critics_see():
    found = losses("dped", ("DY_color", "DY_texture"))
    image = np.random.default_rng(0).random((1, SIDE, SIDE, 3), np.float32)
    np.testing.assert_array_equal(found.seen("DY", image), image)
    halved = image.reshape(1, SIDE // 2, 2, SIDE // 2, 2, 3).mean((2, 4))
    np.testing.assert_allclose(losses().seen("DY", image), halved, atol=1e-6)
    assert found.seen("DY_texture", image).shape == (1, SIDE, SIDE, 1)
    blurred = np.asarray(found.seen("DY_color", image))
    assert blurred.shape == (1, SIDE - 20, SIDE - 20, 3) and blurred.std() < 0.2 * image.std()


def test_the_penalty_is_that_of_the_gradient():
    """Of a critic `slope * sum(image)` the gradient's norm is slope * sqrt(pixels)."""
    images = np.random.default_rng(0).random((2, 2, 4, 4, 3), np.float32)
    for form, weight in (("one_sided", 3.0), ("two_sided", 0.0)):
        penalty = generators_and_critics.CriticPenalty(weight, form, "between", True, {})
        slopes = {0.01: 0.0 if form == "one_sided" else (1 - 0.01 * 48**0.5) ** 2}
        slopes[1.0] = 48**0.5 - 1 if form == "one_sided" else (48**0.5 - 1) ** 2
        for slope, expected in slopes.items():
            critic = lambda x: slope * x.sum((1, 2, 3))  # noqa: E731, B023
            found = penalty.at(critic, *images, jnp.float32([0.2, 0.7]))
            np.testing.assert_allclose(found, [expected] * 2, rtol=1e-4, atol=1e-6)
        assert set(penalty.start(("DY",))) == ({"DY"} if weight else set())
    fixed = generators_and_critics.CriticPenalty(1.0, "one_sided", "between", False, {})
    assert fixed.update({"DY": "unchanged"}, {}) == {"DY": "unchanged"}


def test_outputs_equal_to_the_inputs_cost_nothing():
    found = losses(names=("DY", "DX"))
    same = types.SimpleNamespace(batch_stats={})
    same.apply = lambda *args, method, **options: (args[-1], same)
    same.module = types.SimpleNamespace(net_input_size=16, lowres_method="area")
    critic = types.SimpleNamespace(apply=lambda image: jnp.zeros(len(image)))
    built = {"G": same, "F": same, "DY": critic, "DX": critic}
    rows = {name: x[None, :2] for name, x in batch().items()}
    value, (_, terms) = jax.vmap(
        lambda rows: found.of_generators(built, rows, None), axis_name=parallel.AXIS
    )(rows)
    assert terms["identity"] == terms["cycle"] == terms["adversarial"] == 0
    assert value == 3 * terms["chroma"] and 0 <= terms["chroma"] < 0.01
    value, (_, metrics) = jax.vmap(
        lambda rows: found.of_critics({}, built, rows, None), axis_name=parallel.AXIS
    )(rows)
    assert value == 0 and set(metrics) == {"distance_DY", "distance_DX"}


def test_a_run_is_resumed_to_the_same_bits(tmp_path):
    folder, parts, made = tmp_path / "run", tmp_path / "parts", config("dped", **_ONE_WAY)
    _, results = train.train(made, folder, progress=False)
    shutil.copytree(folder, parts)
    shutil.rmtree(trees.run_folder(parts) / "4")  # as killed before the last one
    train.train(made, parts, progress=False)
    whole, again = (trees.restore(trees.run_folder(path), 4)[1] for path in (folder, parts))
    for name in ("groups", "extra"):
        jax.tree.map(np.testing.assert_array_equal, whole[name], again[name])
    weights = {name: float(each["weight"]) for name, each in whole["extra"]["penalties"].items()}
    assert set(weights) == {"DY_color", "DY_texture"}
    # The two-sided penalty of flat critics exceeds the bound in every step; the first is left out.
    assert set(weights.values()) == {80.0}
    assert np.isfinite(results["psnr"])
    for name, kind in (("G", "HDRNetCurves"), ("DY_color", "DPEDCritic")):
        assert type(networks.load_model(folder, network=name).module).__name__ == kind


def test_a_step_of_the_demo_fits_its_photos():
    """Traced; smaller networks are trained above."""
    made = unpaired_hdrnet_demo.get_config()
    made.batches.threads = 0
    paper = experiment.build(made.to_dict())
    source = registry.make(**made.data.train.to_dict())
    rows = next(paper.batches(source, seed=made.seed, **made.batches.to_dict()))
    before = jax.eval_shape(paper.init, jax.random.key(0))
    update = parallel.update(paper.update, devices=jax.local_devices()[:1])
    after, metrics = update.trace(before, rows)
    assert jax.tree.map(shape_of, after) == jax.tree.map(shape_of, before)
    assert {"loss", "identity", "adversarial", "critic_loss"} <= set(metrics)


def shape_of(leaf):
    return leaf.shape, leaf.dtype


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mode": "three_way"}, "mode must be one of .*, got 'three_way'"),
        ({"n_critic": 0}, "n_critic must be a positive int, got 0"),
        ({"critic.name": "LUTCritic"}, "critic.name must be one of .*, got 'LUTCritic'"),
        ({"penalty.weight": -1.0}, "penalty.weight must be at least 0, got -1"),
        ({"penalty.form": "linear"}, "penalty.form must be one of .*, got 'linear'"),
    ],
)
def test_settings_that_do_not_fit_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        build(**changes)


def test_batches_that_do_not_fit_are_named():
    lowres = {"lowres": np.zeros((BATCH, 16, 16, 3), np.float32)}
    with pytest.raises(ValueError, match="lowres_from must be 'crop' in mode 'two_way'"):
        build().update(None, batch() | lowres)
    with pytest.raises(ValueError, match="takes no batch with `valid`"):
        build().update(None, batch() | {"valid": np.ones((BATCH, SIDE, SIDE))})
    with pytest.raises(ValueError, match="the critics are one of"):
        unpaired_config.get_config("vgg")
    assert set(gradient_penalties.FORMS) == {"one_sided", "two_sided", "zero_centred"}
