"""CycleGAN as an experiment: losses, who is updated by what, pools, devices, restarts."""

import functools
import shutil
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax.checkpoints import networks, trees
from bilateral_jax.data import registry
from bilateral_jax.losses import adversarial, chroma_correlation
from bilateral_jax.models import model as model_lib
from bilateral_jax.models.model import Model
from bilateral_jax.training import nonfinite_guard, parallel
from configs import cyclegan as cyclegan_config
from configs import cyclegan_demo
from experiments import experiment, train
from experiments.papers import cyclegan

pytestmark = pytest.mark.usefixtures("compiled_once")
SIDE, BATCH = 16, 8
GROUPS = {"generators": ("G", "F"), "critics": ("DY", "DX")}
_TINY = {
    "steps": 4,
    "model.width": 2,
    "model.blocks": 1,
    "critic.width": 2,
    "critic.strided": 1,
    "pool.size": BATCH,
    "pool.crop": SIDE,
    "batches.batch_size": BATCH,
    "batches.crop": SIDE,
    "batches.threads": 0,
    "run.log_every": 1,
    "run.evaluate_every": 1000,
    "run.checkpoint_every": 2,
    "run.sheet_photos": 0,
}
_DEMO = {
    "model.residual": True,
    "critic.norm": "none",
    "loss.chroma": 1.0,
    "loss.gradient_penalty": 0.2,
}


def config(**changes):
    """The paper's weights, with the demo's rates and networks and crops that compile quickly."""
    made = cyclegan_demo.get_config()
    original = cyclegan_config.get_config()
    made.loss.update(original.loss)
    made.model.residual = original.model.residual
    made.critic.norm = original.critic.norm
    pairs = {"kind": "synthetic", "count": 12, "size": 20}
    with made.unlocked():
        made.data.train = {"kind": "unpaired_pairs", "pairs": pairs, "disjoint_halves": True}
        made.data.heldout = {"kind": "synthetic", "count": 1, "size": (18, 21), "seed": 1}
    made.update_from_flattened_dict({**_TINY, **changes})
    return made


def build(**changes):
    return experiment.build(config(**changes).to_dict())


@functools.cache
def batch():
    """With the arrays of the loader."""
    images = np.random.default_rng(0).random((2, BATCH, SIDE, SIDE, 3), np.float32)
    window = np.tile(np.int32([0, 0, SIDE, SIDE]), (BATCH, 1))
    weight = np.ones(BATCH, np.float32)
    return {"input": images[0], "target": images[1] ** 2, "weight": weight, "window": window}


def take(devices):
    """The networks before a step, the state after it, and its metrics."""
    paper = build()
    update = parallel.update(nonfinite_guard.update(paper.update), devices=devices)
    state = paper.init(jax.random.key(0))
    before = {
        name: Model(jax.device_get(each.params), {}, paper.networks[name])
        for name, each in state.networks.items()
    }
    state = parallel.replicate(nonfinite_guard.start(state, allowed=0), devices=devices)
    after, metrics = update(state, batch())
    assert not parallel.unsynchronised_leaves([after, metrics])
    return before, jax.device_get(after.state), jax.device_get(metrics)


@pytest.fixture(scope="module")
def on_eight():
    assert jax.local_device_count() == 8
    return take(jax.local_devices())


def moments(state, group):
    """Adam's first moments: after one step half of the gradient."""
    return state.groups[group].opt_state[0].mu


def test_one_device_takes_the_step_of_eight(on_eight):
    _, many, shown = on_eight
    _, one, alone = take(jax.local_devices()[:1])
    for name in shown:
        np.testing.assert_allclose(alone[name], shown[name], rtol=5e-4, atol=1e-5, err_msg=name)
    for group in GROUPS:
        first, second = (jax.tree.leaves(moments(state, group)) for state in (many, one))
        whole = max(np.abs(leaf).max() for leaf in first)
        for each, other in zip(first, second, strict=True):
            # The bias before an instance norm has no gradient but rounding.
            scale = np.abs(each).max() + 1e-3 * whole
            np.testing.assert_allclose(other / scale, each / scale, atol=1e-2)
    for pools in zip(jax.tree.leaves(many.extra), jax.tree.leaves(one.extra), strict=True):
        np.testing.assert_allclose(*pools, atol=1e-4)


def test_the_losses_are_those_of_the_paper(on_eight):
    """From their definition, on values in [-1, 1]; the critics see images of before the step."""
    before, after, shown = on_eight
    x, y = (2 * batch()[name].astype(np.float64) - 1 for name in ("input", "target"))
    call = jax.jit(lambda network, image: network.apply(image))

    def generator(name, image):
        return 2 * np.asarray(call(before[name], (image + 1) / 2), np.float64) - 1

    def score(name, image):
        return np.asarray(call(before[name], np.float32(image)), np.float64)

    def l1(a, b):
        return np.abs(a - b).mean()

    made_y, made_x = generator("G", x), generator("F", y)
    terms = {
        "adversarial": ((score("DY", made_y) - 1) ** 2 + (score("DX", made_x) - 1) ** 2).mean(),
        "cycle": l1(generator("F", made_y), x) + l1(generator("G", made_x), y),
        "identity": l1(generator("G", y), y) + l1(generator("F", x), x),
    }
    for name, value in terms.items():
        np.testing.assert_allclose(shown[name], value, rtol=1e-3, err_msg=name)
    value = terms["adversarial"] + 10 * terms["cycle"] + 5 * terms["identity"]
    np.testing.assert_allclose(shown["loss"], value, rtol=1e-3)
    value = 0.0
    for name, real, made in (("DY", y, made_y), ("DX", x, made_x)):
        value += 0.5 * ((score(name, real) - 1) ** 2 + score(name, made) ** 2).mean()
        distance = (score(name, real) - score(name, made)).mean()
        np.testing.assert_allclose(shown[f"critic_distance_{name}"], distance, atol=1e-4)
        # The pool was empty and has as many places as the batch has images.
        pool = after.extra["pools"][name]
        assert pool.count == BATCH
        np.testing.assert_allclose(2 * pool.images - 1, made, atol=1e-3)
    np.testing.assert_allclose(shown["critic_loss"], value, rtol=1e-3)


def test_gradients_reach_every_layer_of_all_networks(on_eight):
    """But for biases before an instance norm, which it removes."""
    _, state, _ = on_eight
    for group, names in GROUPS.items():
        assert set(moments(state, group)) == set(names) and state.groups[group].updates == 1
        for path, leaf in jax.tree.leaves_with_path(moments(state, group)):
            name = jax.tree_util.keystr(path)
            if "kernel" in name or "last" in name:
                assert np.abs(leaf).max() > 1e-7, name
    assert state.step == 1 and state.networks["DY"].average is None


def per_batch(loss, networks, rows):
    """A loss and its metrics outside of an update."""
    take = jax.vmap(lambda rows: loss(networks, rows, None), axis_name=parallel.AXIS)
    value, (_, metrics) = jax.tree.map(lambda x: x[0], take({k: x[None] for k, x in rows.items()}))
    return value, metrics


def networks_of(scores, generator=lambda image: image):
    call = lambda function: types.SimpleNamespace(apply=function)  # noqa: E731
    critic = call(lambda image: jnp.full((len(image), 2, 2), scores))
    return {"G": call(generator), "F": call(generator), "DY": critic, "DX": critic}


def test_generators_that_are_the_identity_have_no_distances():
    losses = cyclegan._Losses(**config().loss.to_dict())
    rows = {name: x[:2] for name, x in batch().items()}
    value, terms = per_batch(losses.of_generators, networks_of(1.0), rows)
    assert value == terms["cycle"] == terms["identity"] == terms["adversarial"] == 0
    _, terms = per_batch(losses.of_generators, networks_of(0.25), rows)
    np.testing.assert_allclose(terms["adversarial"], 2 * 0.75**2, rtol=1e-6)
    negative = networks_of(1.0, lambda image: 1 - image)  # F(G(x)) = x, G(y) = 1 - y
    _, terms = per_batch(losses.of_generators, negative, rows)
    np.testing.assert_allclose(terms["cycle"], 0, atol=1e-6)
    assert terms["identity"] > 0.5


def test_a_critic_that_is_right_has_no_loss():
    losses = cyclegan._Losses(**config().loss.to_dict())
    rows = {"input": np.ones((1, 4, 4, 3)), "target": np.ones((1, 4, 4, 3)), "weight": np.ones(1)}
    rows |= {f"generated_{name}": 0.5 * rows["input"] for name in ("DY", "DX")}
    right = types.SimpleNamespace(apply=lambda image: jnp.asarray(image[..., 0]))  # 1, and 0
    value, metrics = per_batch(losses.of_critics, {"DY": right, "DX": right}, rows)
    assert value == 0 and metrics["distance_DY"] == metrics["distance_DX"] == 1
    wrong = types.SimpleNamespace(apply=lambda image: 1 - jnp.asarray(image[..., 0]))
    value, _ = per_batch(losses.of_critics, {"DY": wrong, "DX": wrong}, rows)
    assert value == 2


def test_terms_that_are_not_of_the_paper():
    """Swapped channels cost chroma; a steep critic costs the square of its gradient."""
    rows = {name: x[:2] for name, x in batch().items()}
    plain = config().loss.to_dict()
    losses = cyclegan._Losses(**{**plain, "chroma": 2.0, "chroma_shrink": 1, "cycle": 0.0})
    value, terms = per_batch(losses.of_generators, networks_of(1.0), rows)
    assert value < 1e-2 and terms["chroma"] < 1e-2 and "cycle" not in terms
    swapped = networks_of(1.0, lambda image: image[..., ::-1])
    value, terms = per_batch(losses.of_generators, swapped, rows)
    expected = sum(
        chroma_correlation.chroma_correlation(rows[name][..., ::-1], rows[name]).mean()
        for name in ("input", "target")
    )
    np.testing.assert_allclose(terms["chroma"], expected, rtol=1e-4)
    np.testing.assert_allclose(value, 2 * expected + 5 * terms["identity"], rtol=1e-4)

    slope = types.SimpleNamespace(apply=lambda image: 3 * image.sum(-1))
    networks = {"DY": slope, "DX": slope}
    rows |= {f"generated_{name}": rows["input"] for name in networks}
    without, with_penalty = (
        per_batch(
            cyclegan._Losses(**{**plain, "gradient_penalty": weight}).of_critics, networks, rows
        )
        for weight in (0.0, 0.5)
    )
    squared_slope = 3 * SIDE**2 * (3 / SIDE**2) ** 2  # of the mean over the map of scores
    for name in networks:
        np.testing.assert_allclose(with_penalty[1][f"penalty_{name}"], squared_slope, rtol=1e-3)
    np.testing.assert_allclose(
        with_penalty[0] - without[0], 2 * 0.5 * squared_slope, rtol=1e-3, atol=1e-5
    )


def test_a_run_is_resumed_to_the_same_bits(tmp_path):
    """With the terms that are not of the paper."""
    made = config(**_DEMO)
    folder, parts = tmp_path / "run", tmp_path / "parts"
    _, results = train.train(made, folder, progress=False)
    shutil.copytree(folder, parts)
    shutil.rmtree(trees.run_folder(parts) / "4")  # as killed before the last one
    train.train(made, parts, progress=False)
    whole, again = (trees.restore(trees.run_folder(path), 4)[1] for path in (folder, parts))
    for name in ("groups", "extra"):
        jax.tree.map(np.testing.assert_array_equal, whole[name], again[name])
    assert int(whole["extra"]["pools"]["DY"]["count"]) == BATCH
    assert np.isfinite(results["psnr"])
    for name, kind in (("G", "ResNetGenerator"), ("F", "ResNetGenerator"), ("DX", "PatchCritic")):
        assert type(networks.load_model(folder, network=name).module).__name__ == kind


def test_a_step_of_the_demo_fits_its_photos():
    """Traced: the resumed run takes its terms with smaller networks."""
    made = cyclegan_demo.get_config()
    made.batches.threads = 0
    paper = experiment.build(made.to_dict())
    source = registry.make(**made.data.train.to_dict())
    rows = next(paper.batches(source, seed=made.seed, **made.batches.to_dict()))
    before = jax.eval_shape(paper.init, jax.random.key(0))
    update = parallel.update(paper.update, devices=jax.local_devices()[:1])
    after, metrics = update.trace(before, rows)
    assert jax.tree.map(shape_of, after) == jax.tree.map(shape_of, before)
    assert {"loss", "cycle", "identity", "chroma", "critic_loss", "critic_penalty_DY"} <= set(
        metrics
    )


def shape_of(leaf):
    return leaf.shape, leaf.dtype


def test_the_config_is_that_of_the_paper():
    made = cyclegan_config.get_config()
    paper = experiment.build(made.to_dict())
    count = {
        name: model_lib.parameter_count(model_lib.variable_shapes(module)["params"])
        for name, module in paper.networks.items()
    }
    assert count == {"G": 11_378_179, "F": 11_378_179, "DY": 2_764_737, "DX": 2_764_737}
    assert paper.shipped_network == "G" and made.pool.crop == made.batches.crop


def test_images_that_do_not_fit_are_refused():
    paper = build()
    with pytest.raises(
        ValueError, match="pool.crop must be that of the batches: input has 12 x 16"
    ):
        paper.update(None, {**batch(), "input": batch()["input"][:, :12]})
    with pytest.raises(ValueError, match="takes no batch with `valid`"):
        paper.update(None, {**batch(), "valid": np.ones((BATCH, SIDE, SIDE))})
    assert cyclegan._Pools(0, 16).start() == {}
    for size in (-1, 1.5, True):
        with pytest.raises(ValueError, match=f"pool.size must be an int of at least 0, got {size}"):
            cyclegan._Pools(size, 16)
    for crop in (0, None, (8,), (8, 1.5)):
        with pytest.raises(ValueError, match="pool.crop must be a positive int or"):
            cyclegan._Pools(4, crop)
    with pytest.raises(TypeError, match="cycles"):
        experiment.build({**config().to_dict(), "loss": {"cycles": 1.0}})
    with pytest.raises(ValueError, match="form must be one of"):
        adversarial.critic_loss(jnp.ones(1), True, form="least squares")
