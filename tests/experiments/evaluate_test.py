"""experiments/evaluate.py from the command line; the protocol; contact sheets."""

import csv
import json
import re
import subprocess
import sys

import jax
import numpy as np
import pytest

from bilateral_jax import images, inference, metrics, models
from bilateral_jax.checkpoints import networks
from bilateral_jax.data import registry
from bilateral_jax.data.sources import unpaired
from bilateral_jax.models import feature_networks
from bilateral_jax.models.model import Model
from experiments import evaluate
from experiments.evaluation import best_and_worst, protocol, scored_images
from experiments.reports import contact_sheet
from tests import assets, compilations

_SIZE = 40
_SOURCE = ["--source", "synthetic", "count=6", f"size=[{_SIZE}, 48]", "start=1", "stop=4"]


pytestmark = pytest.mark.usefixtures("compiled_quickly")


@pytest.fixture(scope="module")
def model():
    hyperparameters = {"net_input_size": 16, "spatial_bin": 4, "luma_bins": 2}
    return Model.init(models.create("HDRNetCurves", hyperparameters), jax.random.key(0))


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    name, hyperparameters = models.describe(model.module)
    networks.save(
        folder,
        name=name,
        hyperparameters=hyperparameters,
        params=model.params,
        batch_stats=model.batch_stats,
    )
    return folder


def _write(folder, name, pixels):
    folder.mkdir(exist_ok=True)
    images.write(folder / name, pixels)


@pytest.fixture
def folders(tmp_path):
    """Six outputs of decreasing quality, their targets and their inputs."""
    rng = np.random.default_rng(7)
    for index in range(6):
        target = rng.integers(40, 200, (24, 30, 3)).astype(np.uint8)
        _write(tmp_path / "targets", f"p{index}.png", target)
        _write(tmp_path / "outputs", f"p{index}.png", target + np.uint8(2 * index))
        _write(tmp_path / "inputs", f"p{index}.png", target + np.uint8(40))
    return tmp_path


def _run(*arguments):
    return evaluate.main([str(each) for each in arguments])


def _rows(folder):
    with (folder / "scores.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _folder_arguments(folders, *members):
    return [x for name in members for x in (f"--{name}", folders / name)]


def test_a_checkpoint_is_scored_on_a_source(model, exported, tmp_path, capsys):
    names = ["psnr", "ssim", "delta_e"]
    code = _run("--checkpoint", exported, *_SOURCE, "--out", tmp_path, "--metrics", *names)
    assert code == 0, capsys.readouterr().err
    source = registry.make("synthetic", count=6, size=(_SIZE, 48))
    rows = _rows(tmp_path)
    assert [row["name"] for row in rows] == [source[i]["name"] for i in (1, 2, 3)]
    for row, index in zip(rows, (1, 2, 3), strict=True):
        image, target = source[index]["input"], source[index]["target"]
        scored = {"": inference.enhance(model, image), "input_": image}
        for prefix, prediction in scored.items():
            for name in names:
                pair = [metrics.round_to_8bit(x) for x in (prediction, target)]
                expected = float(getattr(metrics, name)(*pair))
                assert float(row[prefix + name]) == pytest.approx(expected, rel=1e-5)
    record = json.loads((tmp_path / "scores.json").read_text())
    assert record["checkpoint"]["network"] == "HDRNetCurves" and record["pictures"] == 3
    assert record["source"] == {
        "kind": "synthetic", "count": 6, "size": [_SIZE, 48], "start": 1, "stop": 4,
    }  # fmt: skip
    assert record["protocol"]["psnr"] and record["versions"]["jax"] == jax.__version__
    for prefix in ("", "input_"):
        values = np.array([[float(row[prefix + name]) for name in names] for row in rows])
        for statistic, function in (("mean", np.mean), ("median", np.median), ("lowest", np.min)):
            got = [record[statistic][prefix + name] for name in names]
            np.testing.assert_allclose(got, function(values, axis=0), rtol=1e-12)
    assert "HDRNetCurves" in capsys.readouterr().out


def test_training_and_command_give_the_same_scores(model):
    source = registry.make("synthetic", count=3, size=(_SIZE, 48))
    mean, kept = protocol.evaluate(lambda image: inference.enhance(model, image), source, keep=2)
    rows = [
        protocol.compare(example["output"], example["target"], example["input"])
        for example in scored_images.EnhancedPairs(model, source, range(3))
    ]
    for name in rows[0]:
        assert mean[name] == pytest.approx(np.mean([row[name] for row in rows]), rel=1e-14)
    assert [photo["name"] for photo in kept] == [source[0]["name"], source[1]["name"]]
    assert kept[1]["output"].shape == (_SIZE, 48, 3)
    assert "untouched input" in protocol.table(mean) and "enhanced" in protocol.table(mean)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_sharded_evaluation_is_bit_identical(count):
    source = registry.make("synthetic", count=4, size=16)

    def part(index, gather):
        options = {"shard": (index, count), "gather": gather, "keep": 3}
        return protocol.evaluate(lambda image: image**0.9, source, **options)

    sums = []
    for index in range(count):
        try:
            part(index, lambda value: sums.append(value) or [value])
        except ValueError as error:
            assert "no example" in str(error) and index >= 4
    alone, kept = protocol.evaluate(lambda image: image**0.9, source, keep=3)
    enhanced = []
    for index in range(count):
        protocol.evaluate(
            lambda image: enhanced.append(1) or image,
            source,
            shard=(index, count),
            gather=lambda value: sums,
        )
    assert len(enhanced) == 4  # each photo is enhanced once
    for index in range(count):
        results, shown = part(index, lambda value: sums)
        assert results == alone
        assert [x["name"] for x in shown] == ([x["name"] for x in kept] if index == 0 else [])


def test_folders_are_scored_ranked_and_drawn(folders, capsys):
    arguments = _folder_arguments(folders, "outputs", "targets", "inputs")
    out = folders / "out"
    assert _run(*arguments, "--out", out, "--extremes", 2) == 0
    text = capsys.readouterr().out
    assert "best p0.png (inf), worst p5.png" in text and "MS-SSIM is left out: 6 of 6" in text
    psnr = [float(row["psnr"]) for row in _rows(out)]
    expected = [-20 * np.log10(2 * k / 255) for k in range(1, 6)]
    assert psnr[0] == np.inf
    np.testing.assert_allclose(psnr[1:], expected, atol=1e-4)
    record = json.loads((out / "scores.json").read_text())
    assert record["mean"]["psnr"] is None and record["left_out"] == {"ms_ssim": 6}
    np.testing.assert_allclose(record["mean"]["input_psnr"], -20 * np.log10(40 / 255), atol=1e-4)
    sheet = images.read(out / "sheet.jpg").pixels
    assert sheet.shape[1] > 4 * 30 and (sheet == 255).mean() > 0.3
    assert not list(out.glob(".*"))


def test_sheet_has_best_and_worst_with_error_maps():
    metric = protocol.METRICS["delta_e"]
    extremes = best_and_worst.BestAndWorst(metric, 1)
    target = np.full((20, 30, 3), 0.5, np.float32)
    for name, value in (("c", 3.0), ("a", 1.0), ("d", float("nan")), ("b", 2.0)):
        output = target.copy()
        output[:10] += 0.1 * (name == "a")
        extremes.add(value, name, {"output": output, "target": target})
    sheet = extremes.draw("title")
    assert [kept[2] for kept in extremes._kept] == ["a", "d"]  # NaN is the worst
    assert [extremes._caption(k)[:6] for k in (0, 1)] == ["1 of 4", "4 of 4"]
    bright = (sheet.max(-1) > 0) & (sheet.max(-1) - sheet.min(-1) > 60)
    assert bright.sum() == 10 * 30  # the upper half of one error map
    with pytest.raises(ValueError, match="no image to draw"):
        best_and_worst.BestAndWorst(metric, 1).draw("title")


def test_report_photos_have_one_size_and_safe_names(tmp_path):
    photo = np.linspace(0, 1, 60 * 90 * 3, dtype=np.float32).reshape(60, 90, 3)
    photos = [
        {"name": name, "input": photo, "output": photo + 1, "target": images.to_integer(photo, 16)}
        for name in ("a/b c.tif", "a/b c.png")
    ]
    written = contact_sheet.write_photos(tmp_path / "deep" / "step", photos, longest=45)
    assert [name for name, _ in written] == ["a_b_c", "a_b_c_2"]
    for name, paths in written:
        assert sorted(path.name for path in paths.values()) == [
            f"{name}_{member}.jpg" for member in ("input", "output", "target")
        ]
        read = {member: images.read(path).pixels for member, path in paths.items()}
        assert {pixels.shape for pixels in read.values()} == {(30, 45, 3)}
        assert read["output"].min() > 250
        difference = read["input"].astype(int) - read["target"]
        assert np.abs(difference).max() <= 2


def test_a_failed_image_is_named_and_the_others_are_scored(folders, capsys):
    (folders / "outputs" / "p1.png").write_bytes(b"")
    _write(folders / "outputs", "p2.png", np.zeros((24, 29, 3), np.uint8))
    _write(folders / "targets", "p3.png", np.zeros((24, 30, 3), np.uint16))
    arguments = _folder_arguments(folders, "outputs", "targets")
    assert _run(*arguments, "--out", folders / "out", "--metrics", "psnr") == 1
    text = capsys.readouterr()
    failures = [line for line in text.err.splitlines() if line.startswith("failed: ")]
    assert len(failures) == 3
    assert "p1.png: it is empty" in failures[0]
    assert "p2.png is 24 x 29" in failures[1] and "p2.png is 24 x 30" in failures[1]
    assert "p3.png has 8 bits" in failures[2] and "--mixed-bits" in failures[2]
    assert "3 of 6 images failed; all numbers are over the other 3" in text.out
    assert [row["name"] for row in _rows(folders / "out")] == ["p0.png", "p4.png", "p5.png"]
    record = json.loads((folders / "out" / "scores.json").read_text())
    assert len(record["failed"]) == 3 and record["pictures"] == 3
    assert _run(*arguments, "--mixed-bits", "--out", folders / "out", "--metrics", "psnr") == 1
    assert len(_rows(folders / "out")) == 4


def test_errors_take_one_line(folders, exported, capsys):
    both = _folder_arguments(folders, "outputs", "targets")
    out = ["--out", folders / "out"]
    (folders / "empty").mkdir()
    source = ["--checkpoint", exported, "--source", "synthetic", "count=3", "size=16"]
    cases = [
        (2, "give --checkpoint", ["--outputs", folders]),
        (2, "leave out --outputs", ["--checkpoint", exported, "--outputs", folders]),
        (2, "go with --checkpoint", [*both, "--step", 3]),
        (1, "holds no images", [*both[:2], "--targets", folders / "empty"]),
        (1, "no folder", [*both[:2], "--targets", folders / "absent"]),
        (1, "metrics must be some of psnr, .*'nonsense'", [*both, "--metrics", "nonsense"]),
        (
            2,
            "perceptual and --features, .* MODULE:NAME, go together",
            [*both, "--metrics", "perceptual"],
        ),
        (2, "go together", [*both, "--metrics", "psnr", "--features", "tests.nothing:there"]),
        (1, "expected MODULE:NAME", [*both, "--features", "tests.nothing:there"]),
        (1, "--features: .*absent is not a folder", [*both, "--features", folders / "absent"]),
        (1, "names held-out photos: give --source", ["--checkpoint", exported]),
        (1, "is not a folder", ["--checkpoint", folders / "absent"]),
        (1, "unknown source", ["--checkpoint", exported, "--source", "nonsense"]),
        (1, "expected NAME=VALUE", ["--checkpoint", exported, "--source", "folder", "x"]),
        (1, "start= must be an int, got 1.5", [*source, "start=1.5"]),
        (1, "stop= must be an int, got 'x'", [*source, "stop=x"]),
        (1, "start=9 stop=None selects none of 3 records", [*source, "start=9"]),
        (1, "could be scored", [*both, "--metrics", "ms_ssim"]),
    ]
    for code, message, arguments in cases:
        assert _run(*arguments, *out) == code, message
        lines = capsys.readouterr().err.splitlines()
        errors = [line for line in lines if line.startswith("error: ")]
        assert len(errors) == 1, lines
        assert re.search(message, errors[0]), errors[0]
    (folders / "outputs" / "p3.png").unlink()
    assert _run(*both, *out) == 1
    assert "outputs lacks p3" in capsys.readouterr().err


class _Sizes:
    """A source of pairs of three sizes, from `first` on."""

    def __init__(self, first):
        self._first = first

    def __len__(self):
        return 3

    def __getitem__(self, index):
        pixels = np.full((self._first + 9 * index, self._first + 60 * index, 3), 100, np.uint8)
        return {"input": pixels, "target": pixels + np.uint8(20), "name": str(index)}


def test_photos_of_all_sizes_share_their_programs(model):
    def evaluated(first):
        return protocol.evaluate(
            lambda image: inference.enhance(model, image),
            _Sizes(first),
            metrics=tuple(protocol.METRICS),
        )

    evaluated(257)
    with compilations.counted() as programs:
        results, _ = evaluated(265)
    assert not programs
    assert results["input_ssim"] > 0.9


class _Single:
    """A source of single images."""

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return {"image": np.zeros((8, 8, 3), np.uint8), "name": "x"}


def test_only_pairs_are_scored(model, folders):
    with pytest.raises(TypeError, match="needs pairs of images, but the source gives.*image"):
        scored_images.EnhancedPairs(model, _Single(), range(1))[0]
    sides = [unpaired.ImageSource.folder(folders / name) for name in ("inputs", "targets")]
    with pytest.raises(TypeError, match="unrelated photos"):
        scored_images.EnhancedPairs(model, unpaired.Unpaired(*sides), range(1))


def edges(image):
    """Features for the test below: horizontal and vertical differences."""
    return [image[..., 1:, :] - image[..., :-1, :], image[..., 1:, :, :] - image[..., :-1, :, :]]


def test_features_are_imported_from_a_module(folders):
    arguments = _folder_arguments(folders, "outputs", "targets")
    features = f"{__name__}:edges"
    out = folders / "out"
    assert _run(*arguments, "--out", out, "--features", features, "--metrics", "perceptual") == 0
    values = [float(row["perceptual"]) for row in _rows(out)]
    np.testing.assert_allclose(values, 0, atol=1e-6)  # an offset changes no edge
    record = json.loads((out / "scores.json").read_text())
    assert features in record["protocol"]["perceptual"]


def test_features_are_those_of_a_network(folders, tmp_path):
    module = models.create("VGG", {"depths": [1, 1], "width": 2})
    network = Model.init(module, jax.random.key(0))
    name, fields = models.describe(module)
    networks.save(tmp_path / "vgg", name=name, hyperparameters=fields, params=network.params)
    arguments = _folder_arguments(folders, "outputs", "targets")
    options = ["--features", tmp_path / "vgg", "--metrics", "perceptual"]
    assert _run(*arguments, "--out", tmp_path / "out", *options) == 0
    for row in _rows(tmp_path / "out"):
        pair = [
            images.as_float(images.read(folders / side / f"{row['name']}.png").pixels)
            for side in ("outputs", "targets")
        ]
        features = feature_networks.perceptual_features(network)
        expected = metrics.perceptual(*pair, features=features)
        np.testing.assert_allclose(float(row["perceptual"]), expected, rtol=1e-4, atol=1e-6)


def test_command_reproduces_published_psnr(tmp_path):
    """The published PSNR of one operator, from files to the printed table, in its own process."""
    folder = assets.path("fivek_sample")
    command = [sys.executable, "-m", "experiments.evaluate", "--outputs", folder / "npea"]
    command += ["--targets", folder / "expert_c", "--out", tmp_path, "--metrics", "psnr"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=240, cwd=assets.ROOT)
    assert run.returncode == 0, run.stderr
    psnr = [float(row["psnr"]) for row in _rows(tmp_path)]
    np.testing.assert_allclose(psnr, (17.09, 17.42, 16.56, 20.41, 23.82), atol=0.005)
    assert "output, mean" in run.stdout and "19.06" in run.stdout
