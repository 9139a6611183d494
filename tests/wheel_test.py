"""What is installed: the wheel's files, and the command `bilateral-jax` run from it.

Costs ten seconds: the wheel is built from a copy.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest

import bilateral_jax
from tests import assets

_BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
# Runs the console script that the wheel declares.
_COMMAND = """
import importlib.metadata, sys
(script,) = importlib.metadata.entry_points(group="console_scripts", name="bilateral-jax")
sys.argv[0] = "/usr/bin/bilateral-jax"
sys.exit(script.load()())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    copy, out = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(assets.ROOT / name, copy / name)
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("bilateral_jax", "configs", "experiments"):
        shutil.copytree(assets.ROOT / name, copy / name, ignore=ignore)
    (copy / "tests").mkdir()
    (copy / "tests" / "__init__.py").touch()
    done = subprocess.run(
        [sys.executable, "-c", _BUILD, str(out)],
        cwd=copy,
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr
    (path,) = out.glob("*.whl")
    return path


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
        (entry_points,) = (n for n in names if n.endswith(".dist-info/entry_points.txt"))
        assert "bilateral-jax = bilateral_jax.__main__:main" in archive.read(entry_points).decode()
    packaged = {name for name in names if ".dist-info/" not in name}
    root = pathlib.Path(bilateral_jax.__file__).parent
    files = {
        path.relative_to(root.parent).as_posix()
        for path in root.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert packaged == files
    assert {"bilateral_jax/py.typed", "bilateral_jax/alignment/report.html"} <= packaged


def test_the_command_runs_from_the_wheel(wheel, tmp_path):
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-c", _COMMAND, *arguments],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(site)},
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )

    done = run("--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: bilateral-jax ")
    for command in ("enhance", "score", "import", "prepare", "align", "info"):
        assert f"\n    {command} " in done.stdout
    done = run("train")
    assert done.returncode == 2 and "in a checkout run python -m experiments.train" in done.stderr
