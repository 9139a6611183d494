"""experiments/papers/lut3d.py: both trainings, their losses, devices, restarts. 40 seconds."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax import resize
from bilateral_jax.checkpoints import networks, trees
from bilateral_jax.data import registry
from bilateral_jax.losses import tables
from bilateral_jax.models.model import Model
from bilateral_jax.training import parallel, summary_writer
from configs import lut3d as paired_config
from configs import lut3d_unpaired as unpaired_config
from experiments import experiment, train

pytestmark = pytest.mark.usefixtures("compiled_once")
_TINY = {
    "model.nodes": 5,
    "model.identity_start": False,  # so that there is something to unlearn
    "batches.crop": 16,
    "batches.batch_size": 8,
    "batches.threads": 0,
    "optimizer.learning_rate": 2e-3,
    "steps": 6,
    "run.log_every": 1,
    "run.evaluate_every": 1000,
    "run.checkpoint_every": 3,
    "run.sheet_photos": 0,
}


def config(base, **changes):
    made = base.get_config()
    with made.unlocked():
        made.data.train = {"kind": "synthetic", "count": 16, "size": 24}
        made.data.heldout = {"kind": "synthetic", "count": 2, "size": 24, "seed": 1}
        made.model.width = 4
        made.model.net_input_size = 32
        if made.critic is not None:
            made.critic.update(width=4, net_input_size=32)
    made.update_from_flattened_dict({**_TINY, **changes})
    return made


def batch(paper):
    source = registry.make("synthetic", count=16, size=24)
    return next(paper.batches(source, batch_size=8, crop=16, seed=3, threads=0, paired=False))


def step(paper, devices):
    """The state and metrics after one step."""
    current = parallel.replicate(paper.init(jax.random.key(0)), devices=devices)
    current, metrics = parallel.update(paper.update, devices=devices)(current, batch(paper))
    return current, {name: float(value) for name, value in metrics.items()}


@pytest.fixture(scope="module", params=[paired_config, unpaired_config], ids=["paired", "unpaired"])
def run(request, tmp_path_factory):
    """A training's config, folder and results."""
    folder = tmp_path_factory.mktemp("lut3d") / "run"
    made = config(request.param)
    _, results = train.train(made, folder, progress=False)
    return made, folder, results


def test_a_run_is_resumed_to_the_same_bits(run, tmp_path):
    made, folder, results = run
    parts = tmp_path / "parts"
    shutil.copytree(folder, parts)
    shutil.rmtree(trees.run_folder(parts) / "6")  # as killed before the last one
    train.train(made, parts, progress=False)
    whole, again = (trees.restore(trees.run_folder(path), 6)[1] for path in (folder, parts))
    jax.tree.map(np.testing.assert_array_equal, whole["groups"], again["groups"])
    assert set(whole["groups"]) == ({"main"} if made.critic is None else {"main", "critic"})
    assert type(networks.load_model(folder).module).__name__ == "ImageAdaptiveLUT"
    assert np.isfinite(results["psnr"])


def test_the_loss_falls(run):
    made, folder, _ = run
    lines = summary_writer.read(folder, "train")
    assert [line["step"] for line in lines] == list(range(1, 7))
    if made.critic is None:
        losses = [line["loss"] for line in lines]
        assert np.mean(losses[-2:]) < 0.8 * np.mean(losses[:2])
    else:
        losses = [line["critic_loss"] for line in lines]
        assert losses[-1] < losses[0]


def test_one_device_takes_the_step_of_eight_and_each_group_is_updated_once():
    paper = experiment.build(config(unpaired_config).to_dict())
    (many, shown), (one, alone) = (step(paper, jax.local_devices()[:n]) for n in (8, 1))
    for name in shown:
        np.testing.assert_allclose(alone[name], shown[name], rtol=1e-3, atol=1e-4, err_msg=name)
    assert {name: int(group.updates) for name, group in one.groups.items()} == {
        "main": 1,
        "critic": 1,
    }


def test_the_loss_is_the_weighted_sum_of_its_terms():
    weights = {"loss.mse": 2.0, "loss.smoothness": 3.0, "loss.monotonicity": 5.0}
    paper = experiment.build(config(paired_config, **weights, **{"model.dropout": 0.0}).to_dict())
    network = Model(
        paper.init(jax.random.key(0)).networks["network"].params, {}, paper.networks["network"]
    )
    rows, basis = batch(paper), network.params["basis"]
    small = resize.resize(jnp.asarray(rows["input"]), 32, method="bilinear")
    predicted = network.apply(small, method="weights")
    error = np.square(network(rows["input"]) - rows["target"]).mean()
    variation = np.asarray(tables.total_variation(basis))
    assert variation[0] > 0 and not variation[1:].any()
    expected = 2 * error + 3 * (np.square(predicted).mean() + variation.sum())
    _, shown = step(paper, jax.local_devices()[:1])
    np.testing.assert_allclose(shown["loss"], expected, rtol=1e-4)  # the identity falls nowhere


@pytest.mark.parametrize(
    ("base", "changes", "message"),
    [
        (paired_config, {"loss.adversarial": 1.0}, "critic is None: training on pairs needs 0"),
        (unpaired_config, {"loss.adversarial": 0.0}, "loss.adversarial is 0.0 and critic is {"),
    ],
)
def test_a_critic_without_its_term_is_named(base, changes, message):
    with pytest.raises(ValueError, match=message):
        experiment.build(config(base, **changes).to_dict())


def test_an_unknown_term_is_named():
    made = config(paired_config).to_dict()
    with pytest.raises(TypeError, match="smoothnes"):
        experiment.build({**made, "loss": {"mse": 1.0, "smoothnes": 1.0}})
