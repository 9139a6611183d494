"""NIMA as an experiment: two phases, devices, agreement over a set, a run as a user starts it."""

import functools

import jax
import numpy as np
import pytest
import scipy.stats

from bilateral_jax import __main__ as command_line
from bilateral_jax import images, models
from bilateral_jax.checkpoints import networks
from bilateral_jax.data import registry
from bilateral_jax.data.pipeline import rating_batches, rating_distributions
from bilateral_jax.models.model import Model
from bilateral_jax.training import parallel, summary_writer
from configs import nima as nima_config
from configs import nima_demo
from experiments import experiment, train
from experiments.papers import nima
from tests import fake_png_files

pytestmark = pytest.mark.usefixtures("compiled_once")
_TINY = {
    "steps": 6,
    "model.width": 0.05,
    "model.strides": (2, 2),
    "model.channels": (64, 64),
    "model.input_size": 16,
    "head.steps": 2,
    "head.name": "momentum",
    "batches.batch_size": 8,
    "batches.load_size": 18,
    "batches.threads": 0,
    "run.log_every": 1,
    "run.evaluate_every": 3,
    "run.checkpoint_every": 3,
}


class Rated:
    """Images of one brightness, with rating distributions that follow it."""

    def __init__(self, count):
        self._count = count

    def __len__(self):
        return self._count

    def __getitem__(self, index):
        level = (index * 37) % self._count / self._count
        pixels = np.full((20, 24, 3), round(255 * level), np.uint8)
        score = np.float32(1 + 7 * level)
        return {
            "image": pixels,
            "score": score,
            "reference": np.int32(index % 2),
            "name": f"{index}",
        }


@pytest.fixture(scope="module", autouse=True)
def rated_source():
    """Configs name sources."""
    kinds, registry.KINDS = registry.KINDS, registry.KINDS | {"rated": Rated}
    yield
    registry.KINDS = kinds


def _config(**changes):
    config = nima_config.get_config()
    with config.unlocked():
        config.data.train = {"kind": "rated", "count": 24}
        config.data.heldout = {"kind": "rated", "count": 7}
    config.update_from_flattened_dict({**_TINY, **changes})
    return config


@functools.cache
def _paper():
    return experiment.build(_config().to_dict())


def _batches(paper):
    return paper.batches(Rated(24), seed=1, batch_size=8, load_size=18, threads=0)


def test_the_head_learns_first_and_then_all_with_a_fresh_optimiser():
    paper, update = _paper(), parallel.update(_paper().update)
    current, stream = parallel.replicate(paper.init(jax.random.key(0))), _batches(paper)
    states = [jax.device_get(current)]
    for _ in range(3):
        current, metrics = update(current, next(stream))
        assert parallel.unsynchronised_leaves({"state": current, "metrics": metrics}) == []
        states.append(jax.device_get(current))
    groups = [state.groups["main"] for state in states]
    start, one, two, three = (state.networks["network"] for state in states)
    for later, group in ((one, groups[1]), (two, groups[2])):
        assert not np.array_equal(start.params["head"]["kernel"], later.params["head"]["kernel"])
        for name in set(start.params) - {"head"}:
            jax.tree.map(np.testing.assert_array_equal, start.params[name], later.params[name])
        jax.tree.map(np.testing.assert_array_equal, start.batch_stats, later.batch_stats)
        jax.tree.map(
            np.testing.assert_array_equal, groups[0].opt_state["all"], group.opt_state["all"]
        )
    jax.tree.map(
        np.testing.assert_array_equal, groups[2].opt_state["head"], groups[3].opt_state["head"]
    )
    for name in start.params:
        before, after = (jax.tree.leaves(state.params[name])[-1] for state in (two, three))
        assert not np.array_equal(before, after), name
    moved = three.batch_stats["conv_pw_2_bn"]["mean"]
    assert not np.array_equal(start.batch_stats["conv_pw_2_bn"]["mean"], moved)


_SMALL_TRUNK = {
    "kernels": (3, 5),
    "strides": (1, 2),
    "expansions": (1, 2),
    "channels": (4, 6),
    "stem": 4,
}


def test_a_frozen_backbone_under_a_head_that_is_trained(tmp_path):
    """The head sees an earlier block than the last; its weights are the backbone's."""
    fields = _SMALL_TRUNK | {"head": 8, "classes": 3}
    backbone = Model.init(models.create("EfficientNetLite0", fields), jax.random.key(5))
    networks.save(
        tmp_path / "backbone",
        name="EfficientNetLite0",
        hyperparameters=fields,
        params=backbone.params,
        batch_stats=backbone.batch_stats,
    )
    config = _config(**{"head.steps": 6, "backbone": str(tmp_path / "backbone")}).to_dict()
    config["model"] = _SMALL_TRUNK | {"name": "NIMAEfficientNet", "blocks": (0,), "input_size": 16}
    config["head"] |= {"schedule": {"name": "cosine"}}
    paper = experiment.build(config)
    current = parallel.replicate(paper.init(jax.random.key(0)))
    start = jax.device_get(current).networks["network"]
    current, _ = parallel.update(paper.update)(current, next(_batches(paper)))
    network = jax.device_get(current).networks["network"]
    assert set(network.params["trunk"]) == {"conv_stem", "stem_bn", "block0"}
    for name, part in network.params["trunk"].items():
        jax.tree.map(np.testing.assert_array_equal, part, backbone.params["trunk"][name])
    jax.tree.map(np.testing.assert_array_equal, network.batch_stats, start.batch_stats)
    assert network.params["head"]["kernel"].shape == (4, 10)
    assert not np.array_equal(network.params["head"]["kernel"], start.params["head"]["kernel"])
    config["model"]["stem"] = 5
    with pytest.raises(ValueError, match="backbone: the weights of its EfficientNetLite0 do not f"):
        experiment.build(config)


def test_one_device_takes_the_steps_of_eight():
    paper = experiment.build(_config(**{"model.dropout": 0.0}).to_dict())
    ends = []
    for devices in (jax.local_devices()[:1], None):
        current = parallel.replicate(paper.init(jax.random.key(0)), devices=devices)
        update, stream = parallel.update(paper.update, devices=devices), _batches(paper)
        for _ in range(3):
            current, metrics = update(current, next(stream))
        ends.append(jax.device_get((current.networks["network"].batch_stats, metrics)))
    for one, eight in zip(*map(jax.tree.leaves, ends), strict=True):
        np.testing.assert_allclose(one, eight, rtol=2e-3, atol=1e-4)


def test_the_papers_recipe_moves_the_head_ten_times_as_fast():
    changes = {"head.steps": 0, "optimizer.name": "sgd", "optimizer.head_factor": 10.0}
    paper = experiment.build(_config(**changes).to_dict())
    start = jax.device_get(paper.init(jax.random.key(0)))
    group = start.groups["main"]
    gradient = jax.tree.map(np.ones_like, group.params)
    moved, _ = nima._apply_rule(
        nima._optimizer(
            steps=4, schedule={"name": "constant"}, name="sgd", learning_rate=1e-3, head_factor=10.0
        ),
        "all", gradient, group.opt_state, group.params,
    )  # fmt: skip
    np.testing.assert_allclose(moved["network"]["head"]["bias"], -1e-2, rtol=1e-5)
    np.testing.assert_allclose(moved["network"]["conv1"]["kernel"], -1e-3, rtol=1e-5)
    current, _ = parallel.update(paper.update)(parallel.replicate(start), next(_batches(paper)))
    before, after = (each.networks["network"].params["conv1"] for each in (start, current))
    assert not np.array_equal(before["kernel"], after["kernel"])


def test_agreement_is_that_of_the_whole_set_however_it_is_shared():
    paper, heldout = _paper(), Rated(7)
    current = jax.device_get(paper.init(jax.random.key(3)))
    shared, checked = [], []

    def run(shard, gather):
        return paper.evaluate(
            current, heldout, keep=2, shard=shard, gather=gather, check=lambda: checked.append(1)
        )

    alone, photos = run((0, 1), None)
    assert photos == [] and len(checked) == 7
    for index in range(3):
        with pytest.raises(ZeroDivisionError):  # the two parts are compared before the mean
            run((index, 3), lambda rows: shared.append(rows) or 1 / 0)
    assert run((1, 3), lambda rows: shared)[0] == alone
    assert set(alone) == {*nima._TITLES}


def test_agreement_is_measured_as_others_do():
    rng = np.random.default_rng(0)
    predicted, true = (rng.dirichlet(np.ones(10), 20) for _ in range(2))
    results = nima.agreement(predicted, true, references=np.arange(20) % 3)
    scores = np.arange(1, 11)
    means = [side @ scores for side in (predicted, true)]
    deviations = [
        np.sqrt(side @ scores**2 - mean**2) for side, mean in zip((predicted, true), means)
    ]
    assert results["srcc"] == pytest.approx(scipy.stats.spearmanr(*means).statistic)
    assert results["lcc_deviation"] == pytest.approx(scipy.stats.pearsonr(*deviations).statistic)
    away = np.abs(np.cumsum(predicted - true, -1))
    assert results["emd"] == pytest.approx(away.mean())
    assert results["emd_2"] == pytest.approx(np.sqrt((away**2).mean(-1)).mean())
    within = [
        scipy.stats.spearmanr(*(mean[np.arange(20) % 3 == k] for mean in means)).statistic
        for k in range(3)
    ]
    assert results["srcc_within"] == pytest.approx(np.mean(within))
    assert "srcc_within" not in nima.agreement(predicted, true, references=-np.ones(20))
    with pytest.raises(ValueError, match="at least two photos, got 1"):
        nima.agreement(predicted[:1], true[:1])
    text = nima.table(results | {"lcc_deviation": None}, title="t")
    assert f"{results['srcc']:.4f}" in text and text.splitlines()[5].endswith("-")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "whole"
    train.train(_config(), folder, progress=False)
    return folder


def test_a_run_goes_on_to_the_same_bits(tmp_path, run, monkeypatch):
    stopped = tmp_path / "stopped"
    evaluate = nima._evaluate

    def killed(*arguments, **options):
        if int(arguments[2].step) == 3:
            raise KeyboardInterrupt
        return evaluate(*arguments, **options)

    monkeypatch.setattr(nima, "_evaluate", killed)
    with pytest.raises(KeyboardInterrupt):
        train.train(_config(), stopped, progress=False)
    monkeypatch.setattr(nima, "_evaluate", evaluate)
    outcome, results = train.train(_config(), stopped, progress=False)
    assert outcome.step == 6 and 0 <= results["emd"] <= 1

    def lines(folder, kind):
        times = ("seconds", "images_per_second")
        kept = {line["step"]: line for line in summary_writer.read(folder, kind)}
        return [
            {k: v for k, v in line.items() if not k.startswith(times)} for line in kept.values()
        ]

    assert lines(stopped, "train") == lines(run, "train")
    assert lines(stopped, "eval") == lines(run, "eval")


def test_scores_of_photos_by_the_command(tmp_path, run, capsys):
    rng = np.random.default_rng(0)
    (tmp_path / "folder").mkdir()
    eight = rng.integers(0, 256, (30, 20, 3), dtype=np.uint8)
    images.write(tmp_path / "folder" / "b.png", eight)
    images.write(tmp_path / "folder" / "a.png", eight.astype(np.uint16) * 257)
    images.write(tmp_path / "long_name.jpg", eight)
    (tmp_path / "folder" / "notes.txt").write_text("no photo")

    def score(*words):
        code = command_line.main(["score", *map(str, words), "--checkpoint", str(run)])
        return code, *capsys.readouterr()

    code, out, err = score(tmp_path / "folder", tmp_path / "long_name.jpg")
    assert (code, err) == (0, "left out: 1 .txt\n")
    lines = out.splitlines()
    assert lines[0].split() == ["photo", "mean", "deviation"]
    names, means, deviations = zip(*(line.split() for line in lines[1:]))
    assert [name.rsplit("/", 1)[1] for name in names] == ["a.png", "b.png", "long_name.jpg"]
    assert len({len(line) for line in lines}) == 1
    assert means[0] == means[1] and deviations[0] == deviations[1]
    assert all(1 <= float(mean) <= 10 for mean in means)

    code, out, err = score(tmp_path / "folder" / "b.png", "--histogram")
    rows = [line.split() for line in out.splitlines()[2:]]
    assert [row[0] for row in rows] == [str(k) for k in range(1, 11)]
    shares = [float(row[1].rstrip("%")) for row in rows]
    assert abs(sum(shares) - 100) < 0.6
    bars = [len(row[2]) if len(row) > 2 else 0 for row in rows]
    assert max(bars) == 40 and bars.index(40) in np.flatnonzero(np.array(shares) == max(shares))
    mean = sum(k * share for k, share in enumerate(shares, 1)) / 100
    assert abs(mean - float(means[0])) < 0.05

    (tmp_path / "broken.png").write_bytes(b"not an image")
    code, out, err = score(tmp_path / "broken.png", tmp_path / "folder" / "b.png")
    assert code == 1 and len(out.splitlines()) == 2
    assert err.splitlines()[0].startswith(f"failed: cannot read {tmp_path / 'broken.png'}: ")
    assert err.splitlines()[1] == "1 of 2 photos failed"

    images.write(tmp_path / "noted.png", eight)
    fake_png_files.insert(tmp_path / "noted.png", (b"zTXt", b"no keyword"))
    code, out, err = score(tmp_path / "noted.png")
    assert code == 0
    noted = f"note: a broken zTXt chunk is left out (it has no keyword): {tmp_path / 'noted.png'}"
    assert err.splitlines() == [noted]
    code, out, err = score(tmp_path / "nothing.png")
    assert (code, out) == (1, "") and err.startswith("error: no such file or folder: ")
    assert len(err.splitlines()) == 1


def test_a_network_that_scores_writes_no_images(tmp_path, run, capsys):
    images.write(tmp_path / "in.png", np.zeros((8, 8, 3), np.uint8))
    words = ["enhance", tmp_path / "in.png", tmp_path / "out.png", "--checkpoint", run]
    assert command_line.main(list(map(str, words))) == 1
    assert "NIMAMobileNet declares no way to enhance an image" in capsys.readouterr().err


def test_configs_are_complete_and_mistakes_are_named():
    recipes = [nima_config.get_config(recipe) for recipe in ("ava", "tid2013", "paper")]
    for config in (*recipes, nima_demo.get_config()):
        assert experiment.build(config.to_dict()).enhance is None
    with pytest.raises(ValueError, match="the recipe must be ava, tid2013 or paper, got 'other'"):
        nima_config.get_config("other")
    with pytest.raises(ValueError, match=r"head.steps must lie in \[0, steps\], got 7 of 6"):
        experiment.build(_config(**{"head.steps": 7}).to_dict())
    with pytest.raises(ValueError, match="model.name must be one of NIMAMobileNet, NIMAVGG16"):
        config = _config().to_dict()
        experiment.build(config | {"model": {"name": "CAN"}})
    with pytest.raises(TypeError, match="power"):
        experiment.build(_config().to_dict() | {"loss": {"power": 2}})


def test_spread_is_for_training_and_evaluation():
    element = Rated(7)[3] | {"deviation": np.float32(1.0)}
    wide, narrow = (
        rating_distributions.distribution(element, spread=spread) for spread in (False, True)
    )
    assert not np.allclose(wide, narrow)
    paper = experiment.build(_config().to_dict() | {"spread": True})
    current = jax.device_get(paper.init(jax.random.key(0)))
    options = {"keep": 0, "shard": (0, 1), "gather": None, "check": lambda: None}
    results, _ = paper.evaluate(current, [element] * 2, **options)
    network = current.networks["network"]
    shares = nima.nima.of_squares(
        Model(network.average, network.batch_stats, paper.networks["network"]),
        rating_batches.square(element["image"], size=16, method="nearest")[None],
    )
    expected = np.abs(np.cumsum(np.asarray(shares[0], np.float64) - narrow)).mean()
    assert results["emd"] == pytest.approx(expected, rel=1e-5)
