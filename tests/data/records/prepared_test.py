"""Prepared data sets: the elements of the sources of files, whole or not at all, no TensorFlow."""

import json
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest

from bilateral_jax import __main__ as command_line
from bilateral_jax.data import registry
from bilateral_jax.data.pipeline import batches
from bilateral_jax.data.records import builders, prepared
from bilateral_jax.data.sources import ava, dped, fivek, pairs, tid2013, video, video_pairs
from tests import fake_datasets, fake_raw_files

for package in ("cv2", "tensorflow_datasets", "array_record"):
    pytest.importorskip(package, reason=f"{package} is not installed")


def make_folder(root):
    for split, count in (("train", 3), ("heldout", 2)):
        for index in range(count):
            name = f"{index}.png"
            fake_datasets.write(root / split / "input" / name, index)
            fake_datasets.write(root / split / "target" / name, index + 9, dtype=np.uint16)
    return {"train": pairs.PairedFolder(root / "train")} | {
        "heldout": pairs.PairedFolder(root / "heldout")
    }


def make_fivek(root):
    scene = np.random.default_rng(0).uniform(0.1, 0.5, (64, 96, 3))
    for id_ in (4500, 4501):
        raw = root / "img" / "dng" / f"a{id_}-x.dng"
        raw.parent.mkdir(parents=True, exist_ok=True)
        fake_raw_files.write_dng(raw, scene)
        tiff = root / "img" / "tiff16_c" / f"a{id_}-x.tif"
        fake_datasets.write(tiff, id_, shape=(64, 96, 3), dtype=np.uint16)
    options = {"split": "upe", "ids": None, "on_bad": "skip", "long_side": 48}
    with pytest.warns(UserWarning):
        return {part: fivek.paired(root, part=part, **options) for part in ("train", "test")}


def make_dped(root):
    for split in ("training_data", "test_data/patches"):
        for index in range(2):
            for camera in ("iphone", "canon"):
                path = root / "iphone" / split / camera / f"{index}.jpg"
                fake_datasets.write(path, index, shape=(100, 100, 3))
    return {split: dped.patches(root, phone="iphone", split=split) for split in ("train", "test")}


def make_ava(root, *, count=6):
    lines = []
    for number in range(count):
        fake_datasets.write(root / "images" / f"{number}.jpg", number)
        lines.append(f"1 {number} {' '.join(str(number + n) for n in range(10))} 0 0 7")
    (root / "AVA.txt").write_text("\n".join(lines))
    return {part: ava.votes(root, part=part, test=0.5) for part in ("train", "test")}


def make_tid2013(root):
    import PIL.Image

    (root / "distorted_images").mkdir(parents=True)
    names = ["I01_01_1", "I04_02_3", "I05_03_5"]
    for number, name in enumerate(names):
        path = root / "distorted_images" / f"{name}.bmp"
        PIL.Image.fromarray(fake_datasets.pixels(number)).save(path)
    lines = [f"{number + 0.25} {name}.bmp" for number, name in enumerate(names)]
    (root / "mos_with_names.txt").write_text("\n".join(lines))
    return {part: tid2013.scores(root, part=part) for part in ("train", "test")}


def make_video(root):
    for seed, camera in enumerate(("zed", "canon")):
        for clip in ("000", "001"):
            for number in range(5):
                fake_datasets.write(root / camera / clip / f"{number}.png", 10 * seed + number)
    return {camera: video.Frames(root / camera) for camera in ("zed", "canon")}


# name -> (makes the files and gives the plain sources, options of prepare).
SETS = {
    "folder": (make_folder, {}),
    "fivek": (make_fivek, {"split": "upe", "long_side": 48, "on_bad": "skip"}),
    "dped": (make_dped, {"phone": "iphone"}),
    "ava": (make_ava, {"test": 0.5}),
    "tid2013": (make_tid2013, {}),
    "vid3oc": (make_video, {"trees": "zed,canon"}),
}


def assert_same(one, other):
    assert one.keys() == other.keys()
    for key, value in one.items():
        if isinstance(value, str):
            assert other[key] == value and isinstance(other[key], str)
        else:
            assert value.dtype == other[key].dtype, key
            np.testing.assert_array_equal(other[key], value, err_msg=key)


@pytest.mark.parametrize("name", SETS)
def test_elements_equal_those_of_the_source_of_files(tmp_path, name):
    if name == "fivek":
        pytest.importorskip("rawpy", reason="rawpy is not installed")
    make, options = SETS[name]
    (tmp_path / "files").mkdir()
    plain = make(tmp_path / "files")
    if name == "fivek":
        with pytest.warns(UserWarning):
            result = builders.prepare(name, tmp_path / "files", tmp_path / "out", **options)
    else:
        result = builders.prepare(name, tmp_path / "files", tmp_path / "out", **options)
    assert result.fresh and result.counts == {split: len(p) for split, p in plain.items()}
    # Reading needs the files no more.
    elements = {split: [p[i] for i in range(len(p))] for split, p in plain.items()}
    shutil.rmtree(tmp_path / "files")
    for split, expected in elements.items():
        source = registry.make("prepared", root=str(result.root), split=split)
        assert len(source) == len(expected)
        for index, element in enumerate(expected):
            assert_same(element, source[index])
        assert_same(expected[-1], source[-1])
        with pytest.raises(IndexError):
            source[len(source)]


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    root = tmp_path_factory.mktemp("rig")
    make_video(root / "files")
    return root, builders.prepare("vid3oc", root / "files", root / "out", trees="zed,canon").root


def test_windows_of_prepared_frames(rig):
    root, prepared_root = rig
    options = {"frames": 2, "step": 1, "max_offset": 1, "seed": 3, "rounds": 4}
    plain = video_pairs.weak_pairs(root / "files", inputs="zed", targets="canon", **options)
    source = prepared.windows(prepared_root, inputs="zed", targets="canon", **options)
    assert len(plain) == len(source) == 32
    for index in range(len(plain)):
        assert_same(plain[index], source[index])
    degraded = prepared.windows(prepared_root, inputs="zed", pairing="degraded", frames=2)
    assert degraded[0]["input"].shape == degraded[0]["target"].shape == (2, 6, 8, 3)
    other = prepared.windows(prepared_root, inputs="zed", targets="canon", pairing="none", frames=2)
    assert "target_name" in other[0]
    with pytest.raises(ValueError, match="pairing must be"):
        prepared.windows(prepared_root, inputs="zed", pairing="weak")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("folder")
    make_folder(root / "files")
    return root, builders.prepare("folder", root / "files", root / "out").root


def test_unpaired_images_of_prepared_pairs(folder):
    _, root = folder
    source = prepared.unpaired_images(root, inputs="train", targets="heldout", rounds=5)
    targets = prepared.Prepared(root, split="heldout")
    assert len(source) == 15
    for index in range(len(source)):
        _, partner = source.indices(index)
        np.testing.assert_array_equal(source[index]["target"], targets[partner]["target"])


def test_joined_and_partial_splits_pickling_and_the_loader(folder):
    _, root = folder
    assert len(prepared.Prepared(root, split="train+heldout")) == 5
    source = prepared.Prepared(root, split="train[:2]")
    assert len(source) == 2
    assert_same(source[1], pickle.loads(pickle.dumps(source))[1])
    stream = batches.train_batches(source, batch_size=2, crop=4, seed=0, threads=2)
    assert next(stream)["input"].shape == (2, 4, 4, 3)


def test_bad_folders_and_splits_are_named(folder, tmp_path):
    _, root = folder
    with pytest.raises(ValueError, match="holds no prepared data set"):
        prepared.Prepared(tmp_path, split="train")
    with pytest.raises(ValueError, match=r"split must be of \['heldout', 'train'\], got 'test'"):
        prepared.Prepared(root, split="test")
    with pytest.raises(ValueError, match="holds no video frames"):
        prepared.windows(root, inputs="train", pairing="degraded")


def test_neither_preparing_nor_reading_loads_tensorflow(folder, tmp_path):
    root, _ = folder
    code = (
        "import sys\n"
        "from bilateral_jax.data.records import builders, prepared\n"
        f"root = builders.prepare('folder', {str(root / 'files')!r}, {str(tmp_path)!r}).root\n"
        "prepared.Prepared(root, split='train')[0]\n"
        "assert 'tensorflow' not in sys.modules and 'torch' not in sys.modules\n"
    )
    subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", code], check=True, timeout=300
    )


def run(*arguments):
    return command_line.main(["prepare", *(str(argument) for argument in arguments)])


def test_the_command(tmp_path, capsys):
    make_folder(tmp_path / "files")
    arguments = ("folder", "--source", tmp_path / "files", "--data-dir", tmp_path / "out")
    assert run(*arguments) == 0
    said = capsys.readouterr().out
    assert said.startswith("prepared: ") and "heldout 2, train 3 records" in said
    assert said.rstrip().endswith("; 0 skipped")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    assert run(*arguments) == 0
    assert capsys.readouterr().out.startswith("already prepared: ")
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    other = (*arguments[:2], tmp_path / "files" / "train", *arguments[3:])
    assert run(*other) == 1
    assert "was prepared from" in capsys.readouterr().err


def test_the_command_reports_errors_in_one_line(tmp_path, capsys):
    make_folder(tmp_path / "files")
    arguments = ("folder", "--source", tmp_path / "files", "--data-dir", tmp_path / "out")
    assert run(*arguments, "--option", "color=1") == 1
    expected = "prepare folder has no option 'color'; options are given as --option NAME=VALUE"
    assert expected in capsys.readouterr().err
    assert run("fivek", *arguments[1:]) == 1
    assert "prepare fivek needs the option 'split'; " in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run(*arguments, "--option", "color")
    with pytest.raises(SystemExit):
        run("holidays", *arguments[1:])
    assert "NAME=VALUE" in capsys.readouterr().err
    assert run("folder", "--source", tmp_path / "none", "--data-dir", tmp_path / "out") == 1
    assert capsys.readouterr().err.count("\n") == 1


def damage(root):
    """Damages pixels so that only decoding detects it."""
    path = root / "files" / "train" / "target" / "1.png"
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 8] = bytes(8)
    path.write_bytes(content)
    fake_datasets.truncate(root / "files" / "heldout" / "input" / "0.png")


def test_bad_files_stop_the_preparation_and_leave_nothing(tmp_path, capsys):
    make_folder(tmp_path / "files")
    damage(tmp_path)
    fake_datasets.write(tmp_path / "files" / "heldout" / "input" / "0.png", 0)
    assert run("folder", "--source", tmp_path / "files", "--data-dir", tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert "train/target/1.png" in said and said.count("\n") == 1
    (tmp_path / "files" / "heldout" / "input" / "1.png").unlink()
    assert run("folder", "--source", tmp_path / "files", "--data-dir", tmp_path / "out") == 1
    assert "--on-bad skip would leave them out" in capsys.readouterr().err  # as it is typed
    (tmp_path / "files" / "heldout" / "input" / "1.png").symlink_to(__file__)
    assert run("folder", "--source", tmp_path / "files", "--data-dir", tmp_path / "out") == 1
    assert "--option follow_links=True accepts that" in capsys.readouterr().err
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def test_bad_files_are_skipped_counted_and_named(tmp_path, capsys):
    make_folder(tmp_path / "files")
    damage(tmp_path)
    arguments = ("folder", "--source", tmp_path / "files", "--data-dir", tmp_path / "out")
    assert run(*arguments, "--on-bad", "skip") == 0
    said = capsys.readouterr().out
    assert "heldout 1, train 2 records" in said and "; 2 skipped:" in said
    assert "  0.png: cannot read" in said and "  1.png: cannot read" in said
    (root,) = (tmp_path / "out").glob("folder/*/*")
    source = prepared.Prepared(root, split="train")
    assert [source[i]["name"] for i in range(2)] == ["0.png", "2.png"]
    assert sorted(name for name, _ in source.skipped) == ["0.png", "1.png"]
    assert len(json.loads((root / "metadata.json").read_text())["skipped"]) == 2


def test_an_interrupted_preparation_is_no_data_set_and_is_named(tmp_path, capsys):
    make_folder(tmp_path / "files")
    left = tmp_path / "out" / "folder" / "default" / "incomplete.ABC_1.0.0"
    left.mkdir(parents=True)
    (left / "features.json").write_text("{}")
    assert run("folder", "--source", tmp_path / "files", "--data-dir", tmp_path / "out") == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("prepared: ") and "incomplete.ABC_1.0.0" in captured.err
