"""Arguments that make no sense and outputs that cannot be written, found before the work. 1 s."""

import os

import numpy as np
import pytest

from bilateral_jax import __main__ as command_line
from bilateral_jax import atomic, images
from bilateral_jax.alignment import photo_pair
from bilateral_jax.cli import photo_paths
from tests import optional_packages

optional_packages.need_images()

PIXELS = np.random.default_rng(0).integers(0, 255, (12, 16, 3), np.uint8, endpoint=True)


def refuse(*_, **__):
    pytest.fail("the work began")


@pytest.fixture
def inputs(tmp_path):
    for folder in ("input", "target"):
        (tmp_path / folder).mkdir()
        images.write(tmp_path / folder / "a.png", PIXELS)
    (tmp_path / "file").write_bytes(b"x")
    return tmp_path


COMMANDS = {
    "enhance": ["enhance", "{}/input/a.png", "{}/file/out.png", "--checkpoint", "absent"],
    "table": ["table", "{}/input/a.png", "{}/file/out.cube", "--checkpoint", "absent"],
    "align": ["align", "{}/input", "{}/target", "{}/file"],
    "import": ["import", "dped", "{}/absent", "{}/file/model"],
    "prepare": ["prepare", "folder", "--source", "{}", "--data-dir", "{}/file"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_that_cannot_be_written(inputs, command, capsys, monkeypatch):
    if command == "prepare":
        pytest.importorskip("tensorflow_datasets", reason="needs bilateral_jax[prepared]")
    monkeypatch.setattr(photo_pair, "process", refuse)
    before = sorted(inputs.rglob("*"))
    assert command_line.main([text.format(inputs) for text in COMMANDS[command]]) == 1
    shown = capsys.readouterr().err.splitlines()
    assert len(shown) == 1 and shown[0].startswith("error: cannot write to the folder "), shown
    assert "Not a directory" in shown[0] or "File exists" in shown[0]
    assert sorted(inputs.rglob("*")) == before


def test_experiments(inputs, capsys, monkeypatch):
    evaluate = pytest.importorskip("experiments.evaluate", reason="needs bilateral_jax[training]")
    monkeypatch.setattr(evaluate, "_examples", refuse)
    arguments = ["--outputs", "input", "--targets", "target", "--out", f"{inputs}/file/scores"]
    assert evaluate.main(arguments) == 1
    assert "error: cannot write to the folder " in capsys.readouterr().err


def test_the_check_of_a_folder_changes_nothing(tmp_path):
    atomic.check_folder(tmp_path / "a" / "b")
    atomic.check_folder(tmp_path)
    assert not list(tmp_path.iterdir())
    with pytest.raises(OSError, match="cannot write to the folder /proc/absent: "):
        atomic.check_folder("/proc/absent")


def test_long_names_of_photos_on_a_contact_sheet(tmp_path):
    contact_sheet = pytest.importorskip(
        "experiments.reports.contact_sheet", reason="needs bilateral_jax[training]"
    )
    name = "n" * 248 + ".png"
    ((written, paths),) = contact_sheet.write_photos(
        tmp_path, [{"name": name, "input": PIXELS}], longest=16
    )
    assert written == "n" * 200 and paths["input"].is_file()


def enhance(*arguments):
    return command_line.main(["enhance", *map(str, arguments), "--checkpoint", "absent"])


def test_empty_paths_and_numbers_that_are_not_finite_are_no_arguments(capsys):
    for arguments in (["", "out"], ["in", ""], ["in", "out", "--condition", "nan"]):
        with pytest.raises(SystemExit) as stopped:
            enhance(*arguments)
        assert stopped.value.code == 2
        assert (" is empty" in (err := capsys.readouterr().err)) == ("" in arguments), err
    with pytest.raises(SystemExit):
        command_line.main(["enhance", "in", "out", "--checkpoint", ""])


def test_the_folder_of_the_inputs_is_no_folder_for_outputs(tmp_path, capsys):
    for name in ("a.png", "b.png"):
        images.write(tmp_path / name, PIXELS)
    (tmp_path / "c.bmp").write_bytes(b"BM")
    assert enhance(tmp_path, tmp_path, "--overwrite") == 1
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1 and "2 outputs in" in shown and "would replace inputs" in shown
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png", "c.bmp"]


def test_special_files_are_not_replaced(tmp_path, capsys):
    images.write(tmp_path / "a.png", PIXELS)
    os.mkfifo(tmp_path / "pipe.png")
    assert enhance(tmp_path / "a.png", tmp_path / "pipe.png", "--overwrite") == 1
    assert "pipe.png is a FIFO, not a regular file" in capsys.readouterr().err
    assert (tmp_path / "pipe.png").is_fifo()


def test_kinds_of_files_in_the_plural():
    kinds = {"file without suffix": 2, "link to a folder": 2, ".mov": 2, "hidden file": 1}
    assert photo_paths.describe(kinds) == (
        "2 .mov, 2 files without suffix, 2 links to a folder, 1 hidden file"
    )
