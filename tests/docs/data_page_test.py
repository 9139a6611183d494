"""docs/data.md: every command runs and every config line makes a source, on fake data sets."""

import ast
import re
import shlex
import warnings

import pytest

import experiments  # noqa: F401, registers the kind "taught"
from bilateral_jax import __main__ as command_line
from bilateral_jax.data import registry
from bilateral_jax.data.records import catalogue
from bilateral_jax.data.sources import fivek_splits
from tests import assets, fake_datasets
from tests.data.records import prepared_test as sets

for package in ("cv2", "tensorflow_datasets", "array_record"):
    pytest.importorskip(package, reason=f"{package} is not installed")

PAGE = (assets.ROOT / "docs" / "data.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


def dictionaries():
    lines = [line for block in blocks("python") for line in block.splitlines()]
    return [ast.literal_eval(line) for line in lines if line.startswith("{")]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Fake data sets in folders with the names that the page uses."""
    home = tmp_path_factory.mktemp("home")
    sets.make_ava(home / "ava", count=80)
    sets.make_tid2013(home / "tid2013")
    sets.make_folder(home / "pairs")
    for name in ("in", "out"):
        (home / "pairs" / f"{name}.txt").write_text("train/input/0.png\n")
    (home / "ava" / "generic_test.jpgl").write_text("1\n2\n")
    entries = ", ".join(f'{{"image_id": "{i}", "label": {[1] * 10}}}' for i in range(80))
    (home / "ava" / "labels.json").write_text(f"[{entries}]")
    for id_ in (1, 2, 4501):
        for side in ("input", "label"):
            fake_datasets.write(home / "fivek" / side / f"a{id_:04d}.tif", id_)
    for folder in ("training_data", "test_data/patches"):
        for camera in ("sony", "canon"):
            fake_datasets.write(home / "dped/sony" / folder / camera / "0.jpg", shape=(100, 100, 3))
    fake_datasets.write(home / "dped/sony/test_data/full_size_test_images/0.jpg")
    for side in ("input", "target"):
        fake_datasets.write(home / "unpaired" / side / f"{side}.png", len(side))
    for tree in ("vid3oc/train/zed", "vid3oc/train/canon", "intvid"):
        for number in range(8):
            fake_datasets.write(
                home / tree / "000" / f"{number:06d}.png", number, shape=(16, 16, 3)
            )
    return home


@pytest.fixture
def here(home, monkeypatch):
    monkeypatch.chdir(home)
    parts = {"train": [1, 2], "train_input": [1], "train_target": [2], "test": [4501]}
    monkeypatch.setattr(fivek_splits, "ids", lambda split, part, lists: parts[part])


def test_the_program_of_the_page(here, capsys):
    (program,) = [block for block in blocks("python") if "import" in block]
    exec(program, {})
    assert capsys.readouterr().out == "3 0.png (6, 8, 3) []\n"


def test_every_command_and_then_every_config_line(here, capsys):
    commands = blocks("sh")[0].splitlines()
    assert {shlex.split(line)[4] for line in commands} == set(catalogue.SOURCES)
    for line in commands:
        assert command_line.main(shlex.split(line)[3:]) == 0, line
    assert capsys.readouterr().out.count("prepared: ") == len(commands)
    lines = dictionaries()
    named = {line["kind"] for line in lines}
    assert named == set(registry.KINDS) - {
        "demo",
        "demo_inputs",
        "graded",
        "retouched",
        "synthetic",
    }
    for line in lines:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # what the fake data sets lack
            source = registry.make(**line)
        element = source[0]
        assert element["name"] and len(source) >= 1, line


def test_the_table_of_kinds_is_complete():
    table = PAGE.split("| elements | kinds |\n")[1].split("\n\n")[0]
    cells = [row.split("|")[2] for row in table.splitlines()]
    assert set(re.findall(r"`(\w+)`", " ".join(cells))) == set(registry.KINDS)


def test_the_tables_of_fivek_are_complete():
    from bilateral_jax.data.sources import fivek

    section = PAGE.split("## MIT-Adobe FiveK")[1].split("\n## ")[0]
    layouts, splits = (
        [row.split("|") for row in part.splitlines() if row.startswith("| `")]
        for part in section.split("| split |")
    )
    assert [cells[1].strip(" `") for cells in layouts] == list(fivek.LAYOUTS)
    found = {
        name: re.findall(r"`(\w+)`", cells[2])
        for cells in splits
        for name in re.findall(r"`(\w+)`", cells[1])
    }
    assert set(found) == set(fivek_splits.NAMES)
    for name, parts in found.items():
        assert parts == list(fivek_splits.parts(name)), name
