"""The command line: files, folders, bit depths, errors."""

import os
import subprocess
import sys

import jax
import numpy as np
import pytest

import bilateral_jax
from bilateral_jax import __main__ as command_line
from bilateral_jax import images, inference, models, tree_paths
from bilateral_jax.checkpoints import networks, trees
from bilateral_jax.importers import hdrnet
from bilateral_jax.models import model as model_lib
from tests import assets

FIELDS = {"net_input_size": 16, "spatial_bin": 4, "luma_bins": 2}


@pytest.fixture(scope="module")
def model():
    module = models.create("HDRNetCurves", FIELDS, preset="recommended")
    return model_lib.Model.init(module, jax.random.key(0))


@pytest.fixture(scope="module")
def checkpoint(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "model"
    name, hyperparameters = models.describe(model.module)
    leaves = {"params": model.params, "batch_stats": model.batch_stats}
    networks.save(
        folder, name=name, hyperparameters=hyperparameters, metadata={"by": "test"}, **leaves
    )
    return folder


def image(seed=0, dtype=np.uint8, size=(12, 16)):
    return np.random.default_rng(seed).integers(
        0, np.iinfo(dtype).max, (*size, 3), dtype, endpoint=True
    )


def run(*arguments):
    return command_line.main([str(argument) for argument in arguments])


def test_one_file(tmp_path, checkpoint, model):
    images.write(tmp_path / "in.png", image(), icc_profile=None)
    assert (
        run("enhance", tmp_path / "in.png", tmp_path / "out.png", "--checkpoint", checkpoint) == 0
    )
    expected = inference.enhance(model, image())
    np.testing.assert_array_equal(images.read(tmp_path / "out.png").pixels, expected)


@pytest.mark.parametrize(
    "depth, bits, suffix, expected",
    [
        (np.uint16, None, ".png", np.uint16),
        (np.uint16, 8, ".tif", np.uint8),
        (np.uint8, 16, ".png", np.uint16),
        (np.uint16, None, ".jpg", np.uint8),
    ],
)
def test_bit_depths(tmp_path, checkpoint, model, depth, bits, suffix, expected):
    pixels = image(dtype=depth)
    images.write(tmp_path / "in.png", pixels)
    more = ["--bits", bits] if bits else []
    out = tmp_path / f"out{suffix}"
    assert run("enhance", tmp_path / "in.png", out, "--checkpoint", checkpoint, *more) == 0
    written = images.read(out).pixels
    assert written.dtype == expected
    if suffix != ".jpg":
        exact = (
            inference.enhance(model, images.to_float(pixels)).clip(0, 1) * np.iinfo(expected).max
        )
        assert np.abs(written - exact).max() < 0.51 + 2e-6 * np.iinfo(expected).max


def test_colour_profile_and_orientation_are_kept(tmp_path, checkpoint):
    import PIL.Image
    import PIL.ImageCms

    profile = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
    exif = PIL.Image.Exif()
    exif[274] = 6  # rotated by 90 degrees
    source = PIL.Image.fromarray(image(size=(10, 24)))
    source.save(tmp_path / "in.jpg", quality=95, icc_profile=profile, exif=exif)
    assert (
        run("enhance", tmp_path / "in.jpg", tmp_path / "out.jpg", "--checkpoint", checkpoint) == 0
    )
    photo = images.read(tmp_path / "out.jpg")
    assert photo.pixels.shape == (24, 10, 3)
    assert photo.icc_profile == profile
    with PIL.Image.open(tmp_path / "out.jpg") as out:
        assert out.size == (10, 24) and out.getexif().get(274, 1) == 1


def test_a_folder_with_a_bad_file(tmp_path, checkpoint, capsys):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.png", "c.TIF"):
        images.write(folder / name, image())
    (folder / "b.jpg").write_bytes(b"\xff\xd8\xff broken")
    (folder / "notes.txt").write_text("not an image")
    assert run("enhance", folder, tmp_path / "out", "--checkpoint", checkpoint) == 1
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.png", "c.TIF"]
    shown = capsys.readouterr()
    assert f"failed: cannot read {folder / 'b.jpg'}: " in shown.err and "Traceback" not in shown.err
    assert shown.out == "2 photos enhanced, 1 failed, 1 left out (1 .txt)\n"


def test_several_files_go_to_a_folder_and_16_bit_jpegs_become_png(tmp_path, checkpoint):
    images.write(tmp_path / "a.jpg", image(1))
    images.write(tmp_path / "b.png", image(2))
    arguments = [tmp_path / "a.jpg", tmp_path / "b.png", tmp_path / "new" / "out"]
    assert run("enhance", *arguments, "--checkpoint", checkpoint, "--bits", 16) == 0
    for name in ("a.png", "b.png"):
        assert images.read(tmp_path / "new" / "out" / name).pixels.dtype == np.uint16


def test_inputs_and_existing_files_are_not_overwritten(tmp_path, checkpoint, capsys):
    for name in ("a.png", "b.png"):
        images.write(tmp_path / name, image())
    before = (tmp_path / "a.png").read_bytes()
    options = ["--checkpoint", checkpoint, "--overwrite"]
    assert run("enhance", tmp_path / "a.png", tmp_path / "a.png", *options) == 1
    assert "is an input" in capsys.readouterr().err
    assert run("enhance", tmp_path, tmp_path, *options) == 1
    assert run("enhance", tmp_path / "a.png", tmp_path, *options) == 1
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    assert run("enhance", tmp_path / "a.png", tmp_path / "link" / "a.png", *options) == 1
    assert (tmp_path / "a.png").read_bytes() == before
    capsys.readouterr()
    assert run("enhance", tmp_path / "a.png", tmp_path / "b.png", "--checkpoint", checkpoint) == 1
    assert "--overwrite replaces the file" in capsys.readouterr().err
    assert run("enhance", tmp_path / "a.png", tmp_path / "b.png", *options) == 0
    assert (tmp_path / "b.png").read_bytes() != before


def test_two_inputs_never_share_an_output(tmp_path, checkpoint, capsys):
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        images.write(tmp_path / folder / "a.png", image())
    sources = [tmp_path / "x" / "a.png", tmp_path / "y" / "a.png"]
    assert run("enhance", *sources, tmp_path / "out", "--checkpoint", checkpoint) == 1
    assert "is that of" in capsys.readouterr().err
    assert (tmp_path / "out" / "a.png").is_file()


def one_line(capsys):
    captured = capsys.readouterr()
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1 and captured.out == "", captured.err
    return lines[0]


def test_errors_are_one_line(tmp_path, checkpoint, capsys):
    images.write(tmp_path / "a.png", image())
    (tmp_path / "empty").mkdir()
    target = tmp_path / "out.png"
    assert run("enhance", tmp_path / "absent.png", target, "--checkpoint", checkpoint) == 1
    assert "no such file or folder" in one_line(capsys)
    assert run("enhance", tmp_path / "a.png", target, "--checkpoint", tmp_path / "no_run") == 1
    assert "no_run" in one_line(capsys)
    assert run("enhance", tmp_path / "a.png", target, "--checkpoint", tmp_path / "empty") == 1
    assert "no checkpoint" in one_line(capsys)
    assert run("enhance", tmp_path / "empty", tmp_path / "out", "--checkpoint", checkpoint) == 1
    assert "holds no photo" in one_line(capsys)
    assert run("enhance", tmp_path / "empty", tmp_path / "a.png", "--checkpoint", checkpoint) == 1
    assert "is a file; for several photos give a folder" in one_line(capsys)
    images.write(tmp_path / "b.png", image())
    both = (tmp_path / "a.png", tmp_path / "b.png")
    assert run("enhance", *both, target, "--checkpoint", checkpoint) == 1
    assert "out.png is named like a file" in one_line(capsys)
    assert run("info", tmp_path / "empty") == 1
    assert "no checkpoint" in one_line(capsys)
    for bad in (["--bits", "12"], ["--quality", "0"], ["--tile-rows", "0"]):
        with pytest.raises(SystemExit) as stopped:
            run("enhance", tmp_path / "a.png", target, "--checkpoint", checkpoint, *bad)
        assert stopped.value.code == 2


def test_programs_of_a_checkout_are_named(capsys):
    assert run("train", "--config", "configs/smoke.py") == 2
    assert "python -m experiments.train" in one_line(capsys)


def test_every_program_of_a_checkout_is_known():
    programs = {path.stem for path in (assets.ROOT / "experiments").glob("*.py")}
    assert programs - {"__init__", "experiment"} == set(command_line._EXPERIMENTS)


def test_import_then_info_then_enhance(tmp_path, model, capsys):
    np.savez(tmp_path / "weights.npz", **hdrnet.to_variables(model))
    assert run("import", "hdrnet", tmp_path / "weights.npz", tmp_path / "run") == 0
    assert "HDRNetCurves" in capsys.readouterr().out
    loaded = networks.load_model(tmp_path / "run")
    jax.tree.map(np.testing.assert_array_equal, loaded.params, model.params)
    assert run("info", tmp_path / "run", "--all") == 0
    text = capsys.readouterr().out
    count = model_lib.parameter_count(model.params)
    for expected in (
        "HDRNetCurves",
        f"{count:,}",
        "coefficient_network/prediction/kernel",
        "spatial_bin",
        "imported_from",
        "versions",
        f"jax {jax.__version__}",
    ):
        assert expected in text
    assert run("import", "hdrnet", tmp_path / "weights.npz", tmp_path / "run") == 1
    assert "already holds a model" in one_line(capsys)
    assert run("import", "hdrnet", tmp_path / "weights.npz", tmp_path) == 1
    assert "not empty" in one_line(capsys)
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    assert run("import", "hdrnet", tmp_path / "other.npz", tmp_path / "run2") == 1
    assert "so this is no HDRNet" in one_line(capsys)


@pytest.fixture(scope="module")
def long_run(model, tmp_path_factory):
    """A run with two networks, a long config and metrics of half a log line."""
    folder = tmp_path_factory.mktemp("run")
    name, hyperparameters = models.describe(model.module)
    state = {"params": model.params, "average": model.params, "batch_stats": {}}
    entry = networks.entry(name, hyperparameters, params="average")
    many = {f"option_{index}": 0.5 for index in range(60)}
    metadata = {
        "model": entry,
        "networks": {"G": entry, "critic": entry},
        "config": {
            "experiment": "hdrnet",
            "seed": 0,
            "steps": 400,
            "optimizer": {"name": "adam", "learning_rate": 0.25},
            "data": {"train": {"kind": "folder", "root": "pairs"}, "heldout": many},
            "batches": many,
        },
        "data": {"examples": 2400},
        "averages": {"sums": {"loss": 6.0}, "counts": {"loss": 4}, "skips": 0, "skipped": 3},
    }
    trees.save(trees.run_folder(folder), 300, state, metadata=metadata)
    return folder


def test_info_fits_a_screen(long_run, capsys):
    assert run("info", long_run) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 100
    text = " ".join(" ".join(lines).split())
    for expected in (
        "network HDRNetCurves: ",
        "networks G, critic (--network NAME)",
        "step 300 of 400",
        "experiment hdrnet, seed 0",
        "data train kind folder, root pairs",
        "learning_rate 0.25",
        "data read examples 2400",
        "skipped steps 3, not finite",
        "metrics loss 1.5 (means since the last log line)",
        "--all",
    ):
        assert expected in text, expected
    assert "sums" not in text and "coefficient_network/" not in text


def test_info_shows_everything_if_asked(long_run, model, capsys):
    assert run("info", long_run, "--all") == 0
    text = capsys.readouterr().out
    assert '"learning_rate": 0.25' in text and '"option_59": 0.5' in text
    for path in tree_paths.flatten(model.params):
        assert f"  {'/'.join(path)} " in text


def test_the_version(capsys):
    with pytest.raises(SystemExit) as stopped:
        run("--version")
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(f"bilateral-jax {bilateral_jax.__version__} (jax {jax.__version__}")


def test_opencv_is_silent_in_commands(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENCV_LOG_LEVEL", raising=False)
    run("info", tmp_path)
    assert os.environ["OPENCV_LOG_LEVEL"] == "SILENT"


def test_the_golden_weights_enhance_from_the_shell(tmp_path):
    folder = assets.path("golden", "hdrnet")
    with np.load(folder / "model_alt_pointwise_bn.npz") as archive:
        record = dict(archive)
    np.savez(
        tmp_path / "weights.npz", **{k: v for k, v in record.items() if k.startswith("inference/")}
    )
    images.write(tmp_path / "in.png", record["fullres_C"][0])

    def shell(*arguments):
        command = [sys.executable, "-m", "bilateral_jax", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=assets.ROOT)

    done = shell("import", "hdrnet", tmp_path / "weights.npz", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    done = shell(
        "enhance", tmp_path / "in.png", tmp_path / "out.png", "--checkpoint", tmp_path / "run"
    )
    assert done.returncode == 0, done.stderr

    out = images.read(tmp_path / "out.png").pixels
    model = hdrnet.load(record)
    np.testing.assert_array_equal(out, inference.enhance(model, record["fullres_C"][0]))
    done = shell("info", tmp_path / "absent")
    assert done.returncode == 1 and len(done.stderr.strip().splitlines()) == 1
