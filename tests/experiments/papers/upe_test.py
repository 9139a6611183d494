"""experiments/papers/upe.py: the losses' sum, what is trained, a run that is resumed, mistakes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax import inference, models
from bilateral_jax.checkpoints import networks, trees
from bilateral_jax.losses import illumination
from bilateral_jax.models.model import Model
from bilateral_jax.training import parallel, summary_writer
from configs import upe as upe_config
from configs import upe_demo
from configs.sweeps import upe as upe_sweep
from experiments import experiment, train
from experiments.papers import upe
from experiments.sweeps import trials

pytestmark = pytest.mark.usefixtures("compiled_once")
_TINY = {
    "steps": 12,
    "schedule.warmup": 0,
    "optimizer.learning_rate": 5e-3,
    "average_decay": 0.5,
    "model.net_input_size": 16,
    "model.spatial_bin": 4,
    "model.luma_bins": 2,
    "batches.crop": 16,
    "batches.batch_size": 8,
    "batches.threads": 0,
    "run.log_every": 3,
    "run.evaluate_every": 1000,
    "run.checkpoint_every": 6,
    "run.sheet_photos": 0,
}


def _config(**changes):
    config = upe_demo.get_config()
    pairs = {"kind": "synthetic", "count": 12, "size": 32}
    for part, cut in (("train", {"stop": 9}), ("heldout", {"start": 9})):
        config.data[part].pairs = {**pairs, **cut}
        config.data[part].rounds = 1
    config.update_from_flattened_dict({**_TINY, **changes})
    return config


def test_a_stopped_run_goes_on_and_brightens(tmp_path, monkeypatch):
    """That it arrives at the same bits is the frame's: tests/experiments/train_test.py."""
    save = trees.save

    def only_once(folder, step, *arguments, **options):
        save(folder, step, *arguments, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(trees, "save", only_once)
        with pytest.raises(KeyboardInterrupt):
            train.train(_config(), tmp_path, progress=False)
    assert trees.latest(trees.run_folder(tmp_path)) == 6
    outcome, results = train.train(_config(), tmp_path, progress=False)
    assert outcome.step == 12 and results["psnr"] > results["input_psnr"] + 3
    lines = summary_writer.read(tmp_path, "train")
    assert [line["step"] for line in lines] == [3, 6, 9, 12]
    assert all(np.isfinite([line["smoothness"], line["colour"]]).all() for line in lines)

    model = networks.load_model(tmp_path)
    assert type(model.module).__name__ == "UPE"
    image = np.full((32, 32, 3), 0.1, np.float32)
    assert inference.enhance(model, image, tile_rows=32).mean() > 0.15


def test_the_loss_is_the_weighted_sum_of_its_terms():
    rng = np.random.default_rng(0)
    photo, target = rng.uniform(0.05, 1, (2, 2, 6, 5, 3)).astype(np.float32)
    light = np.maximum(rng.uniform(0.2, 1, photo.shape).astype(np.float32), photo)
    result = photo / (light + 1e-3)
    rough = illumination.smoothness_loss(light, photo)
    weights = {"fidelity": 2.0, "smoothness": 0.5, "colour": 0.25}
    for recon, form, fit in (
        ("div", "cosine", (target - result) ** 2),
        ("mul", "angle", (photo - light * target) ** 2),
    ):
        value, shown = upe._losses(
            photo, light, result, {"target": target}, **weights, recon=recon, colour_form=form
        )
        apart = illumination.color_loss(result, target, form=form)
        expected = 2 * fit.mean((1, 2, 3)) + 0.5 * rough + 0.25 * apart
        np.testing.assert_allclose(value, expected, rtol=1e-5)
        error = ((target - result) ** 2).mean((1, 2, 3))
        np.testing.assert_allclose(shown["psnr"], -10 * np.log10(error), rtol=1e-5)


def test_a_content_term_compares_the_features_of_result_and_target(tmp_path):
    network = Model.init(models.create("VGG", {"depths": [1, 1], "width": 2}), jax.random.key(0))
    name, fields = models.describe(network.module)
    networks.save(tmp_path / "vgg", name=name, hyperparameters=fields, params=network.params)
    rng = np.random.default_rng(0)
    photo, target = rng.uniform(0.05, 1, (2, 2, 8, 8, 3)).astype(np.float32)
    light = np.maximum(rng.uniform(0.2, 1, photo.shape).astype(np.float32), photo)
    result = photo / (light + 1e-3)
    loss = _config(**{"loss.content": 3.0, "loss.features": str(tmp_path / "vgg")}).loss.to_dict()
    (frozen,), loss = upe._read_features(**loss)
    value, shown = upe._losses(photo, light, result, {"target": target}, frozen, **loss)
    plain, _ = upe._losses(photo, light, result, {"target": target}, **loss | {"content": 0.0})
    content = np.square(network.apply(result) - network.apply(target)).mean((1, 2, 3))
    np.testing.assert_allclose(shown["content"], content, rtol=1e-5)
    np.testing.assert_allclose(value, plain + 3 * content, rtol=1e-5)
    np.testing.assert_allclose(shown["content_share"], 3 * content / value, rtol=1e-5)

    changes = {"loss.content": 3.0, "loss.features": str(tmp_path / "vgg")}
    paper = experiment.build(_config(**changes).to_dict())
    state = jax.eval_shape(paper.init, jax.random.key(0))
    mapped = parallel.mapped(paper.update, frozen=1, devices=jax.local_devices()[:1])
    rows = {name: np.zeros((1, 2, 16, 16, 3), np.float32) for name in ("input", "target")}
    rows |= {"lowres": rows["input"], "weight": np.ones((1, 2), np.float32)}
    rows["window"] = np.tile(np.int32([0, 0, 16, 16]), (1, 2, 1))
    _, metrics = jax.eval_shape(mapped, state, rows, *paper.frozen)
    assert {"content", "content_share", "smoothness_share"} <= metrics.keys()
    with pytest.raises(ValueError, match='loss.content is 3.0, so loss.features must be "effici'):
        experiment.build(_config(**{"loss.content": 3.0}).to_dict())


def test_presets_are_the_graphs_and_the_papers():
    released, paper = (upe_config.get_config(name) for name in upe_config.PRESETS)
    assert released.loss.to_dict() == {
        "fidelity": 1.0, "smoothness": 2.0, "colour": 1.0, "recon": "div", "colour_form": "cosine",
        "content": 0.0, "features": None, "layers": None,
    }  # fmt: skip
    assert (paper.loss.colour, paper.loss.recon, paper.loss.colour_form) == (0.2, "mul", "angle")
    assert (released.batches.crop, paper.batches.crop) == (256, 512)
    for config in (released, paper):
        assert config.steps * config.batches.batch_size == 40 * 4500
        built = experiment.build(config.to_dict())
        assert built.description[0] == "UPE"
        assert built.description[1]["net_input_size"] == 256
    with pytest.raises(ValueError, match=r"preset must be one of .*, got 'mine'"):
        upe_config.get_config("mine")


def test_the_sweep_is_the_papers_four_rows():
    sweep = upe_sweep.get_config()
    expanded = trials.expand(sweep.base, sweep.trials)
    rows = {
        (
            trial.config["model"]["rendering"],
            trial.config["loss"]["smoothness"] > 0,
            trial.config["loss"]["colour"] > 0,
        )
        for trial in expanded
    }
    graph = [("graph", False, False), ("graph", True, False), ("graph", True, True)]
    assert rows == {("direct", False, False), *graph}
    for trial in expanded:
        experiment.build(trial.config)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"model.rendering": "script"}, "no gradient"),
        ({"model.rendering": "direct"}, "loss.smoothness must be 0"),
        ({"loss.recon": "sub"}, r"loss.recon must be one of \('div', 'mul'\), got 'sub'"),
        ({"model.rendering": "float"}, "rendering must be one of"),
    ],
)
def test_mistakes_are_named(changes, words):
    with pytest.raises(ValueError, match=words):
        experiment.build(_config(**changes).to_dict())


def test_direct_regression_has_no_illumination():
    """The same network predicts the image itself, by the fidelity term alone."""
    changes = {"model.rendering": "direct", "loss.smoothness": 0.0, "loss.colour": 0.0}
    paper = experiment.build(_config(**changes).to_dict())
    state = jax.eval_shape(paper.init, jax.random.key(0))
    graph = jax.eval_shape(experiment.build(_config().to_dict()).init, jax.random.key(0))
    shapes = [jax.tree.map(jnp.shape, each.networks["network"].params) for each in (state, graph)]
    assert shapes[0] == shapes[1]
    assert paper.description[1]["rendering"] == "direct"
