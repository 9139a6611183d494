"""The command line: files, folders, bit depths, errors."""

import os
import subprocess
import sys

import jax
import numpy as np
import pytest

import bilateral_jax
from bilateral_jax import __main__ as command_line
from bilateral_jax import images, inference
from bilateral_jax.checkpoints import networks, packed
from bilateral_jax.cli import errors
from bilateral_jax.importers import hdrnet
from bilateral_jax.models import model as model_lib
from tests import assets


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


def test_the_default_network_and_its_strength(tmp_path, capsys):
    """It brightens a dull photo, less with less strength, and leaves it alone with none."""
    rng = np.random.default_rng(0)
    photo = np.uint8(60 + 40 * rng.uniform(size=(1, 1, 3)) + 12 * rng.uniform(size=(40, 60, 3)))
    images.write(tmp_path / "dull.png", photo)
    means = [photo.mean()]
    for strength in (0.0, 0.5, 1.0):
        out = tmp_path / f"{strength}.png"
        assert run("enhance", tmp_path / "dull.png", out, "--strength", strength) == 0
        assert "1 photo enhanced with the default network" in capsys.readouterr().out
        means.append(images.read(out).pixels.mean())
    assert means[0] == means[1] and means[1] + 2 < means[2] < means[3] - 2
    expected = inference.enhance(packed.default_model(), photo)
    np.testing.assert_array_equal(images.read(out).pixels, expected)
    assert run("enhance", tmp_path / "dull.png", tmp_path / "x.png", "--step", 3) == 1
    assert "without one the default network is used" in one_line(capsys)


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
    assert run("info", tmp_path / "empty") == 1
    assert "no checkpoint" in one_line(capsys)
    for bad in (["--bits", "12"], ["--quality", "0"], ["--tile-rows", "0"]):
        with pytest.raises(SystemExit) as stopped:
            run("enhance", tmp_path / "a.png", target, "--checkpoint", checkpoint, *bad)
        assert stopped.value.code == 2


@pytest.mark.parametrize(
    "words, expected",
    [
        (["enhance", "--condition", "x"], "argument --condition: invalid number value: 'x'"),
        (["enhance"], "required: IN, OUT"),
        (["score"], "required: PHOTO, --checkpoint"),
        (["enhance", "IN", "OUT", "--strength", "2"], "--strength: 2.0 is not in [0, 1]"),
        (["enhance", "IN", "OUT", "--strength", "x"], "--strength: invalid number value: 'x'"),
        (["nonsense"], "invalid choice: 'nonsense'"),
        (["import", "nonsense"], "invalid choice: 'nonsense'"),
        ([], "required: COMMAND"),
        (["enhance", "a.png", "b.png", "--checkpoint="], "--checkpoint is empty"),
        (["enhance", "", "b.png", "--checkpoint", "RUN"], "IN is empty"),
        (["score", "a.png", "", "--checkpoint", "RUN"], "is empty"),
        (["info", ""], "is empty"),
        (
            ["prepare", "dped", "--source", "a", "--data-dir", "b", "--option", "x"],
            "expected NAME=VALUE, got 'x'",
        ),
    ],
)
def test_wrong_words_are_one_line(words, expected, capsys):
    with pytest.raises(SystemExit) as stopped:
        run(*words)
    assert stopped.value.code == 2
    line = one_line(capsys)
    assert line.startswith("error: ") and expected in line and "--help says more" in line


def test_prepare_names_the_option_that_a_data_set_needs(tmp_path, capsys):
    words = ["prepare", "dped", "--source", tmp_path, "--data-dir", tmp_path / "out"]
    assert run(*words) == 1
    assert "needs the option 'phone'; options are given as --option NAME=VALUE" in one_line(capsys)
    assert run(*words, "--option", "phone=iphone", "--option", "split=test") == 1
    assert "sets the option 'split' itself" in one_line(capsys)
    words[1] = "fivek"
    assert run(*words, "--option", "nonsense=1", "--option", "split=hdrnet") == 1
    assert "prepare fivek has no option 'nonsense'" in one_line(capsys)


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


def test_a_reader_that_leaves_early_is_no_error(capsys):
    def function():
        raise BrokenPipeError(32, "Broken pipe")

    assert errors.exit_code(function) == 141
    assert capsys.readouterr().err == ""
