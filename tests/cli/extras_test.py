"""A missing package is one sentence that names its extra, in every command and experiment."""

import ast
import importlib
import importlib.metadata
import re
import sys
import tomllib

import jax
import numpy as np
import pytest

from bilateral_jax import __main__ as command_line
from bilateral_jax import images, models
from bilateral_jax.checkpoints import networks
from bilateral_jax.cli import errors, extras
from bilateral_jax.models import model as model_lib
from tests import assets

PROJECT = tomllib.loads((assets.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# What JAX, Flax and NumPy bring themselves.
_BASE = {"jax", "jaxlib", "flax", "numpy", "ml_dtypes", "scipy"}


def requirements(extra):
    """Names of the distributions that an extra installs."""
    names = set()
    for line in PROJECT["optional-dependencies"][extra]:
        name, inner = re.match(r"([\w.-]+)(?:\[([\w,]+)\])?", line).groups()
        names |= {name.lower().replace("_", "-")} if inner is None else set()
        for other in (inner or "").split(","):
            names |= requirements(other) if other else set()
    return names


def imported():
    """Top-level modules that the package, the experiments and the configs import anywhere."""
    found = set()
    for folder in ("bilateral_jax", "experiments", "configs"):
        for path in (assets.ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    found |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom):
                    found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"bilateral_jax", "experiments", "configs"}


def test_every_import_has_an_extra():
    missing = imported() - _BASE - set(extras.EXTRAS)
    assert not missing, f"add them to EXTRAS in bilateral_jax/cli/extras.py: {sorted(missing)}"


@pytest.mark.parametrize("module", sorted(extras.EXTRAS))
def test_the_extra_installs_the_module(module):
    distributions = importlib.metadata.packages_distributions().get(module, ())
    if not distributions:
        pytest.skip(f"{module} is not installed")
    names = {name.lower().replace("_", "-") for name in distributions}
    assert names & requirements(extras.EXTRAS[module])


def block(monkeypatch, module):
    """Makes an import of a module, and of what is in it, fail as if it were not installed."""
    for name in list(sys.modules):
        if name.split(".")[0] == module:
            monkeypatch.delitem(sys.modules, name)

    class Finder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name.split(".")[0] == module:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(sys, "meta_path", [Finder, *sys.meta_path])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Photos, a model and the head of an HDF5 file."""
    folder = tmp_path_factory.mktemp("files")
    for name in ("a.png", "a.jpg", "phone/a.png", "camera/a.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        images.write(folder / name, np.zeros((8, 8, 3), np.uint8))
    module = models.create("CAN", {"width": 2, "dilations": (1,)})
    model = model_lib.Model.init(module, jax.random.key(0))
    name, hyperparameters = models.describe(module)
    networks.save(
        folder / "RUN",
        name=name,
        hyperparameters=hyperparameters,
        params=model.params,
        batch_stats=model.batch_stats,
    )
    (folder / "m.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(64))
    return folder


@pytest.mark.parametrize(
    "missing, arguments",
    [
        ("orbax", ["info", "RUN"]),
        ("orbax", ["enhance", "a.png", "out.png", "--checkpoint", "RUN"]),
        ("orbax", ["score", "a.png", "--checkpoint", "RUN"]),
        ("PIL", ["enhance", "a.jpg", "out.png", "--checkpoint", "RUN"]),
        ("h5py", ["import", "nima", "m.h5", "out"]),
        ("h5py", ["weights", "get", "nima-aesthetic", "--cache", "downloads"]),
        ("platformdirs", ["weights", "get", "seplut"]),
        ("cv2", ["align", "phone", "camera", "out"]),
        ("tensorflow_datasets", ["prepare", "dped", "--source", "phone", "--data-dir", "out"]),
    ],
)
def test_a_command_names_the_extra(missing, arguments, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    block(monkeypatch, missing)
    assert command_line.main(arguments) == 1
    one_line(capsys.readouterr().err, extras.EXTRAS[missing])


@pytest.mark.parametrize(
    "missing, program, arguments",
    [
        ("orbax", "evaluate", ["--checkpoint", "RUN", "--out", "out"]),
        ("orbax", "tune_photo", ["a.png", "b.png", "--critic", "RUN"]),
    ],
)
def test_an_experiment_names_the_extra(missing, program, arguments, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    module = importlib.import_module(f"experiments.{program}")
    block(monkeypatch, missing)
    assert module.main(arguments) == 1
    one_line(capsys.readouterr().err, extras.EXTRAS[missing])


@pytest.mark.parametrize("missing", ["absl", "ml_collections", "optax", "tqdm", "ray"])
def test_an_import_at_the_top_of_an_experiment_names_the_extra(missing, monkeypatch, capsys):
    block(monkeypatch, missing)
    with pytest.raises(ModuleNotFoundError) as caught:
        importlib.import_module(missing)
    errors.except_hook(caught.type, caught.value, caught.tb)
    one_line(capsys.readouterr().err, extras.EXTRAS[missing])


def test_programs_of_a_checkout_get_the_hook(monkeypatch):
    module = importlib.import_module("experiments")
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    monkeypatch.setattr(sys, "argv", ["-m", "--config=x"])
    importlib.reload(module)
    assert sys.excepthook is errors.except_hook


def test_other_errors_keep_their_traceback(capsys):
    error = ModuleNotFoundError("No module named 'own'", name="own")
    errors.except_hook(ModuleNotFoundError, error, None)
    assert "ModuleNotFoundError: No module named 'own'" in capsys.readouterr().err


def one_line(text, extra):
    assert text.count("\n") == 1 and text.startswith(("error: ", "failed: ")), text
    assert f'pip install "bilateral_jax[{extra}]"' in text


def test_training_covers_what_readme_trains_with():
    assert {"matplotlib", "optax", "orbax-checkpoint", "pillow"} <= requirements("training")
