"""DPED as an experiment: networks updated by each step, sums over batches and devices, restarts."""

import dataclasses
import functools
import logging
import shutil
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax import color, models
from bilateral_jax.checkpoints import networks, trees
from bilateral_jax.data import registry
from bilateral_jax.losses import (
    adversarial,
    blurred,
    features,
    gradient_penalties,
    reconstruction,
    variation,
)
from bilateral_jax.models import feature_networks
from bilateral_jax.models.model import Model
from bilateral_jax.training import parallel, summary_writer
from configs import dped as dped_config
from configs import dped_demo
from experiments import experiment, train
from experiments.evaluation import patches
from experiments.papers import dped
from experiments.runs import feature_network, warm_start

pytestmark = pytest.mark.usefixtures("compiled_once")
_TINY = {
    "steps": 4,
    "model.width": 3,
    "model.blocks": 1,
    "critic.channels": (2, 3, 2, 3, 2),
    "critic.hidden": 4,
    "critic.size": 20,
    "loss.content": 0.0,
    "batches.batch_size": 16,
    "batches.crop": 20,
    "run.log_every": 1,
    "run.evaluate_every": 4,
    "run.checkpoint_every": 2,
    "run.sheet_photos": 1,
}


def config(form="code", **changes):
    made = dped_config.get_config(form)
    with made.unlocked():
        made.data.train = {"kind": "synthetic", "count": 16, "size": 24}
        made.data.heldout = {"kind": "synthetic", "count": 2, "size": (50, 37), "seed": 1}
    made.update_from_flattened_dict({**_TINY, **changes})
    return made


def build(form="code", **changes):
    return experiment.build(config(form, **changes).to_dict())


def batch(size=16, seed=0):
    rng = np.random.default_rng(seed)
    images = rng.random((2, size, 20, 20, 3), np.float32)
    weight = np.ones(size, np.float32)
    return {"input": images[0], "target": images[1], "weight": weight}


@functools.cache
def fresh():
    """The initial state with six times the weights: outputs then depend on the input."""
    state = jax.device_get(build().init(jax.random.key(0)))
    for name, group in state.groups.items():
        network = group.networks[name]
        network = dataclasses.replace(network, params=jax.tree.map(lambda x: 6 * x, network.params))
        state = state.replace_group(name, dataclasses.replace(group, networks={name: network}))
    return state


def step(paper, rows, devices=None):
    """A function that takes one update of the fresh state: `(state, metrics)`."""
    update = parallel.update(paper.update, frozen=paper.frozen, devices=devices)

    def take(rows=rows):
        state = jax.tree.map(_copy, fresh())  # an update donates its buffers
        return jax.device_get(update(parallel.replicate(state, devices=devices), rows))

    return take


@pytest.fixture(scope="module")
def vgg(tmp_path_factory):
    """A tiny VGG and the folder of its checkpoint."""
    network = Model.init(models.create("VGG", {"depths": [1, 1], "width": 2}), jax.random.key(0))
    name, fields = models.describe(network.module)
    folder = tmp_path_factory.mktemp("vgg") / "vgg"
    networks.save(folder, name=name, hyperparameters=fields, params=network.params)
    return network, str(folder)


_EVERYTHING = {"loss.content": 10.0, "loss.mse": 3.0, "loss.gradient_penalty": 0.1}


@pytest.fixture(scope="module")
def on_eight(vgg):
    """An experiment with all its terms, and its step on eight devices."""
    paper = build(**_EVERYTHING, **{"loss.features": vgg[1]})
    assert len(paper.frozen) == 1 and jax.local_device_count() == 8
    return paper, step(paper, batch())


def test_one_device_and_micro_batches_take_the_step_of_eight(on_eight, vgg):
    many, shown = on_eight[1]()
    paper = build(**_EVERYTHING, **{"loss.features": vgg[1], "accumulate": 2})
    one, alone = step(paper, batch(), jax.local_devices()[:1])()
    assert set(shown) == set(alone)
    for name in shown:
        np.testing.assert_allclose(alone[name], shown[name], rtol=5e-4, atol=1e-6, err_msg=name)
    for side in ("generator", "critic"):
        # After one step Adam's first moments are a tenth of the gradient.
        pair = [state.groups[side].opt_state[0].mu for state in (many, one)]
        whole = max(np.abs(leaf).max() for leaf in jax.tree.leaves(pair[0]))
        for first, second in zip(*map(jax.tree.leaves, pair), strict=True):
            # The bias before an instance norm has no gradient but rounding.
            scale = np.abs(first).max() + 1e-3 * whole
            np.testing.assert_allclose(second / scale, first / scale, atol=5e-3)


def test_each_network_is_updated_once_from_its_own_rows(on_eight):
    take, rows = on_eight[1], batch()
    state, _ = take()
    assert state.step == 1
    assert {name: group.updates for name, group in state.groups.items()} == {
        "generator": 1,
        "critic": 1,
    }
    other = {name: x.copy() for name, x in rows.items()}
    for name in ("input", "target"):
        other[name][1::2] = batch(seed=1)[name][1::2]
    changed, _ = take(other)
    # Adam's moments: its first step has the size of the learning rate whatever the gradient.
    generators, critics = ([x.groups[side].opt_state[0].mu for x in (state, changed)]
                    for side in ("generator", "critic"))  # fmt: skip
    assert largest_difference(*generators) == 0 and largest_difference(*critics) > 1e-4


def largest_difference(one, other):
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return max(np.abs(x - y).max() for x, y in pairs)


def test_the_losses_are_those_of_the_whole_batch(on_eight, vgg):
    """Both losses from their definition: texture and the critic's loss are sums."""
    paper, take = on_eight
    before, rows = fresh(), batch()
    state, shown = take()
    for_generator, for_critic = ({name: x[row::2] for name, x in rows.items()} for row in (0, 1))
    module, critic_module = (
        models.create(*paper.description),
        models.create("DPEDCritic", critic_fields()),
    )
    network = Model(before.networks["critic"].params, {}, critic_module)
    critic = jax.jit(lambda image: network.apply(color.gray(image)))
    output = Model(before.networks["generator"].params, {}, module).apply(for_generator["input"])
    pair = output, for_generator["target"]
    value = adversarial.generator_loss(critic(output)).sum() + 3 * reconstruction.mse(*pair).mean()
    value += (
        0.5 * blurred.blurred_color(*pair).mean() + 2000 * variation.total_variation(output).mean()
    )
    value += 10 * features.content_loss(*pair, features=vgg[0].apply).mean()
    np.testing.assert_allclose(shown["loss"], value, 1e-4)

    # The critic sees outputs of the generator after its step, in about half of the rows by a coin.
    key = jax.random.fold_in(before.key, before.step)
    real = jax.random.bernoulli(key, 0.5, (8,))
    generated = Model(state.networks["generator"].params, {}, module).apply(for_critic["input"])
    logits = critic(jnp.where(real.reshape(-1, 1, 1, 1), for_critic["target"], generated))
    value = adversarial.critic_loss(logits, real).sum()
    penalty = gradient_penalties.penalty(critic, for_critic["target"], form="zero_centred")
    value += 0.1 * penalty.sum()
    np.testing.assert_allclose(shown["critic_loss"], value, 1e-4)
    right = (logits[:, 0] > logits[:, 1]) == real
    np.testing.assert_allclose(shown["critic_accuracy"], right.mean(), 1e-6)


def test_the_shares_are_those_of_the_weighted_terms(on_eight):
    _, shown = on_eight[1]()
    shares = {name: value for name, value in shown.items() if name.endswith("_share")}
    names = ("mse", "content", "color", "texture", "variation")
    assert set(shares) == {f"{name}_share" for name in names}
    np.testing.assert_allclose(sum(shares.values()), 1.0, rtol=1e-4)
    assert min(shares.values()) > 0


def test_layers_can_be_named_and_earlier_configs_say_vgg(vgg):
    loss = config().loss.to_dict() | {"content": 1.0}
    del loss["features"]
    earlier, frozen = dped._losses(**loss, vgg=vgg[1])
    assert earlier.content == 1.0 and isinstance(frozen[0].module, feature_networks.NETWORKS)
    changes = {"loss.content": 1.0, "loss.features": vgg[1], "loss.layers": ("relu1_1", "relu2_1")}
    assert len(build(**changes).frozen) == 1
    with pytest.raises(ValueError, match=r"layers must be some of relu1_1, .*got \('block2',\)"):
        build(**changes | {"loss.layers": ("block2",)})


def critic_fields():
    return config().critic.to_dict()


def test_without_texture_no_critic_is_trained():
    paper = build(**{"loss.texture": 0.0, "loss.color": 0.0, "loss.variation": 0.0, "loss.mse": 1})
    state, shown = step(paper, batch(), jax.local_devices()[:1])()
    assert not any("critic" in name or name == "texture" for name in shown)
    jax.tree.map(
        np.testing.assert_array_equal,
        state.networks["critic"].params,
        fresh().networks["critic"].params,
    )
    assert (
        largest_difference(state.networks["generator"].params, fresh().networks["generator"].params)
        > 1e-4
    )


class Terms:
    """The terms on a pair of images, with simple functions as critic and as features."""

    def __init__(self, form="code", **changes):
        section = config(form, **changes).loss.to_dict()
        section.pop("features")
        self.losses = dped._Losses(**section | {"content": 3.0})
        self.output, self.target = np.random.default_rng(0).random((2, 2, 8, 8, 3), np.float32)
        score = lambda image: image[:, 0, 0, :2]  # noqa: E731
        with mock.patch.object(feature_network, "content_loss", _every_second_pixel):
            self.values = self.losses.terms(self.output, self.target, score, [None])


def _every_second_pixel(network, *, layers):
    assert network is None and layers is None
    return functools.partial(features.content_loss, features=lambda x: x[:, ::2, ::2])


@pytest.mark.parametrize("form, kind", [("code", "minimax"), ("paper", "non_saturating")])
def test_the_loss_is_the_weighted_sum_of_its_terms(form, kind):
    terms = Terms(form, **{"loss.mse": 2.0, "loss.texture_examples": 7.0})
    pair = terms.output, terms.target
    expected = {
        "mse": reconstruction.mse(*pair),
        "content": features.content_loss(*pair, features=lambda x: x[:, ::2, ::2], form=form),
        "color": blurred.blurred_color(*pair, blur=form, form=form),
        "texture": adversarial.generator_loss(terms.output[:, 0, 0, :2], form=kind),
        "variation": variation.total_variation(terms.output, form=form),
    }
    assert set(terms.values) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(terms.values[name], value, rtol=1e-6, err_msg=name)
    weights = {"code": (0.5, 1.0, 2000.0), "paper": (0.1, 0.4, 400.0)}[form]
    value = 2 * expected["mse"] + 3 * expected["content"] + weights[0] * expected["color"]
    value += 7 * weights[1] * expected["texture"] + weights[2] * expected["variation"]
    weighted = terms.losses.weighted(terms.values, 99)
    np.testing.assert_allclose(sum(weighted.values()), value, rtol=1e-5)


def test_texture_counts_the_examples_of_the_batch_as_the_original():
    terms = Terms()
    fewer, more = (terms.losses.weighted(terms.values, count)["texture"] for count in (2, 50))
    np.testing.assert_allclose(more - fewer, 48 * terms.values["texture"], rtol=1e-4)


def test_training_without_features_says_so_once(caplog):
    with caplog.at_level(logging.WARNING):
        paper = build(**{"loss.content": 10.0})
        build(**{"loss.content": 0.0})
    (record,) = caplog.records
    assert "without the content term" in record.message and paper.frozen == ()


def test_other_networks_than_those_of_features_are_refused(tmp_path):
    name, fields = models.describe(models.create("DPED", {"width": 2, "blocks": 1}))
    params = Model.init(models.create(name, fields), jax.random.key(0)).params
    networks.save(tmp_path / "dped", name=name, hyperparameters=fields, params=params)
    with pytest.raises(ValueError, match="loss.features: .*dped holds a DPED, expected a VGG"):
        build(**{"loss.content": 10.0, "loss.features": str(tmp_path / "dped")})
    with pytest.raises(FileNotFoundError, match='loss.features: .*absent is not.*"efficientnet-li'):
        build(**{"loss.content": 10.0, "loss.features": str(tmp_path / "absent")})
    with pytest.raises(TypeError, match="textur"):
        experiment.build({**config().to_dict(), "loss": {"textur": 1.0, "vgg": None, "content": 0}})


def test_a_run_is_resumed_to_the_same_bits(tmp_path):
    """Both networks, both optimisers and the coins; the generator alone is shipped."""
    outcome, results = train.train(config(), tmp_path / "whole", progress=False)
    assert (outcome.step, outcome.signal) == (4, None)
    shutil.copytree(tmp_path / "whole", tmp_path / "parts")
    shutil.rmtree(trees.run_folder(tmp_path / "parts") / "4")  # as killed before the last one
    train.train(config(), tmp_path / "parts", progress=False)
    whole, parts = (
        trees.restore(trees.run_folder(tmp_path / name), 4)[1] for name in ("whole", "parts")
    )
    assert set(whole) == {"step", "key", "groups"}
    saved = {name: group["networks"][name] for name, group in whole["groups"].items()}
    assert "average" in saved["generator"] and "average" not in saved["critic"]
    plain = (jax.tree.map(_plain, state) for state in (whole, parts))
    jax.tree.map(np.testing.assert_array_equal, *plain)
    lines = summary_writer.read(tmp_path / "parts", "train")
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert {"critic_accuracy", "texture", "color", "variation"} <= set(lines[-1])
    assert {"psnr", "ms_ssim", "patch_psnr", "input_patch_psnr_pooled"} <= set(results)
    network = networks.load_model(tmp_path / "whole")
    assert type(network.module).__name__ == "DPED"
    jax.tree.map(np.testing.assert_array_equal, network.params, saved["generator"]["average"])
    critic = networks.load_model(tmp_path / "whole", network="critic")
    assert type(critic.module).__name__ == "DPEDCritic"
    jax.tree.map(np.testing.assert_array_equal, critic.params, saved["critic"]["params"])
    with pytest.raises(
        ValueError, match=r"no network 'judge'; there are \['critic', 'generator'\]"
    ):
        networks.load_model(tmp_path / "whole", network="judge")
    start = {"critic": str(tmp_path / "whole"), "generator": str(tmp_path / "whole")}
    state = warm_start.put(build().init(jax.random.key(5)), start, build())
    for name, member in (("critic", "params"), ("generator", "average")):
        jax.tree.map(
            np.testing.assert_array_equal, state.networks[name].params, saved[name][member]
        )
    with pytest.raises(ValueError, match="start names judge; the networks are critic, generator"):
        warm_start.put(state, {"judge": "anywhere"}, build())


def _copy(leaf):
    return jax.random.clone(leaf) if _is_key(leaf) else leaf


def _plain(leaf):
    return np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)


def _is_key(leaf):
    return jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def test_patches_are_scored_as_the_authors_do():
    source = registry.make("synthetic", count=3, size=(50, 37), seed=2)
    network = Model(fresh().networks["generator"].params, {}, models.create(*build().description))
    results, photos = patches.evaluate(
        lambda state: state, network, source, size=20, check=lambda: None, keep=2
    )
    assert [photo["output"].shape for photo in photos] == [(50, 37, 3)] * 2
    inputs, targets = (
        np.stack([source[i][name][a : a + 20, :20] for i in range(3) for a in (0, 20)])
        for name in ("input", "target")
    )
    outputs = np.concatenate([network(inputs[i : i + 1]) for i in range(6)])  # one by one
    errors = ((outputs - targets) ** 2).mean((1, 2, 3))
    np.testing.assert_allclose(
        results["patch_psnr_pooled"], -10 * np.log10(errors.mean()), rtol=1e-4
    )
    clipped = ((outputs.clip(0, 1) - targets) ** 2).mean((1, 2, 3))
    assert abs(results["patch_psnr"] - (-10 * np.log10(clipped)).mean()) < 0.05
    assert results["psnr"] != results["patch_psnr"]  # a patch has its own statistics
    text = patches.table(results)
    assert "the same in patches" in text and "pooled" in text


def test_photos_smaller_than_a_patch_are_scored_whole_only():
    source = registry.make("synthetic", count=1, size=(50, 37), seed=2)
    network = Model(fresh().networks["generator"].params, {}, models.create(*build().description))
    results, _ = patches.evaluate(lambda state: state, network, source, size=40, check=lambda: None)
    assert "psnr" in results and not any("patch" in name for name in results)
    assert "patches" not in patches.table(results)


@pytest.mark.parametrize("made", [dped_config.get_config(), dped_demo.get_config()])
def test_the_configs_are_complete(made):
    paper = experiment.build(made.to_dict())
    assert paper.description == ("DPED", made.model.to_dict())
    assert made.batches.crop == made.critic.size and made.batches.batch_size % 2 == 0
    with pytest.raises(ValueError, match='of "code" or "paper"'):
        dped_config.get_config("thesis")
