"""What is installed: the wheel's files, and the command `bilateral-jax` run from it.

Costs ten seconds: the wheel is built from a copy.
"""

import email
import os
import pathlib
import re
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
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
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
    assert {f"bilateral_jax/weights/default.{suffix}" for suffix in ("npz", "md")} <= packaged


def test_metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(name))
    assert metadata["Name"] == "bilateral_jax"
    assert metadata["Version"] == bilateral_jax.__version__
    assert metadata["Author"] == "bilateral_jax maintainers"
    assert metadata["License-Expression"] == "Apache-2.0 AND CC-BY-SA-4.0"
    assert "image processing" in metadata["Keywords"]
    assert "Typing :: Typed" in metadata.get_all("Classifier")
    urls = dict(line.split(", ") for line in metadata.get_all("Project-URL"))
    assert {"Repository", "Documentation", "Issues"} <= set(urls)
    assert all(url.startswith(urls["Repository"]) for url in urls.values())
    assert {"images", "training"} <= set(metadata.get_all("Provides-Extra"))

    assert metadata["Description-Content-Type"] == "text/markdown"
    description = metadata.get_payload()
    links = re.findall(r"\]\(([^)]+)\)", description)
    assert len(links) > 20
    for link in links:
        assert link.startswith("https://"), link
        path = re.sub(f"{re.escape(urls['Repository'])}/(blob|raw)/HEAD/", "", link)
        assert "://" in path or (assets.ROOT / path).exists(), link
    assert "![" in description and "/raw/HEAD/docs/figures/demo.jpg)" in description


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
