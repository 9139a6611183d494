"""The README's code runs as it stands, and its links lead somewhere."""

import inspect
import re
import tomllib

import jax
import numpy as np

from bilateral_jax import __main__ as command_line
from bilateral_jax import images, inference, models
from bilateral_jax.checkpoints import networks
from bilateral_jax.models import model as model_lib
from tests import assets

README = (assets.ROOT / "README.md").read_text(encoding="utf-8")


BLOCKS = re.findall(r"```python\n(.*?)```", README, re.S)


def test_the_six_lines_and_the_three_lines_run_as_printed():
    names = {}
    exec(BLOCKS[0], names)
    assert len([line for line in BLOCKS[0].splitlines() if " = " in line]) == 6
    np.testing.assert_allclose(names["out"], names["image"], atol=1e-6)
    assert names["gradient"].shape == (16, 16, 8, 3, 4) and np.any(names["gradient"] != 0)
    exec(BLOCKS[1], names)
    assert names["out"].shape == (1, 240, 320, 3) and np.all(names["out"] == 0)


def test_a_checkpoint_enhances_a_photo_as_printed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = models.create("CAN", {"width": 2, "dilations": (1,)})
    model = model_lib.Model.init(module, jax.random.key(0))
    name, hyperparameters = models.describe(module)
    networks.save(
        "RUN",
        name=name,
        hyperparameters=hyperparameters,
        params=model.params,
        batch_stats=model.batch_stats,
    )
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    images.write("photo.jpg", pixels)
    names = {}
    exec(BLOCKS[2], names)
    assert len(BLOCKS) == 3
    expected = inference.enhance(model, images.read("photo.jpg").pixels)
    np.testing.assert_array_equal(names["pixels"], expected)
    assert images.read("enhanced.jpg").pixels.shape == (24, 32, 3)
    inside = inspect.getdoc(inference)
    for line in BLOCKS[2].splitlines():
        assert line.split("  #")[0].strip() in inside, "the docstring has the same lines"


def test_extras_exist():
    project = tomllib.loads((assets.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = set(re.findall(r"\[(\w+)\]\"", README)) - {"cuda13"}
    named |= set(re.findall(r"`(\w+)` \(", README[README.index("More extras") :].split("\n\n")[0]))
    assert {"images", "training", "raw", "dev"} <= named <= set(project["optional-dependencies"])


def test_commands_are_those_of_the_package():
    table = README[README.index("| needs | commands |") :].split("\n\n")[0]
    package, checkout = table.splitlines()[2:]
    assert set(re.findall(r"`(?:bilateral-jax )?(\w+)`", package)) == set(command_line._COMMANDS)
    for program in re.findall(r"`(?:python -m experiments\.)?(\w+)`", checkout):
        assert program == "make" or program in command_line._EXPERIMENTS


def test_links_and_folders_exist():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    folders = re.findall(
        r"`((?:bilateral_jax|experiments|configs|tests|benchmarks|docs|notebooks)/[^`]*)`", README
    )
    assert len(links) >= 4 and len(folders) >= 8
    for path in links + folders:
        assert (assets.ROOT / path).exists(), path
