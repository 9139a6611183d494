"""The notebooks run, equal their scripts, and print the results that their text states."""

import base64
import json

import jupytext
import numpy as np
import pytest

from tests import assets
from tools import run_notebook

ROOT = assets.ROOT
SCRIPTS = sorted((ROOT / "notebooks").glob("*.py"))


def text(outputs):
    return "".join(out["text"] for out in outputs if out["output_type"] == "stream")


def drawn_images(outputs):
    import cv2

    coded = [out["data"]["image/jpeg"] for out in outputs if "image/jpeg" in out.get("data", {})]
    data = [np.frombuffer(base64.b64decode(jpeg), np.uint8) for jpeg in coded]
    return [cv2.imdecode(array, cv2.IMREAD_COLOR) for array in data]


@pytest.fixture(scope="module")
def executed():
    """`{name: outputs of all cells}`, executed from the scripts in fresh kernels."""
    notebooks = {script.stem: run_notebook.execute(script) for script in SCRIPTS}
    return {
        name: [out for cell in notebook.cells for out in cell.get("outputs", [])]
        for name, notebook in notebooks.items()
    }


def test_notebooks_exist():
    assert SCRIPTS


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_notebook_equals_its_script(script):
    cells = json.loads(script.with_suffix(".ipynb").read_text())["cells"]
    paired = [(cell["cell_type"], "".join(cell["source"])) for cell in cells]
    expected = [(cell.cell_type, cell.source) for cell in jupytext.read(script).cells]
    assert paired == expected, (
        f"update it: .venv/bin/python -m tools.run_notebook notebooks/{script.name}"
    )


def test_bilateral_grid_notebook(executed):
    outputs = executed["what_is_a_bilateral_grid"]
    assert not [out for out in outputs if out.get("name") == "stderr"], text(outputs)
    shown = drawn_images(outputs)
    assert len(shown) == 7
    assert all(image.std() > 10 for image in shown), "an empty image"
    words = text(outputs)
    assert "sum of the weights: 147456.0 for 147456 pixels" in words
    before, after = (
        float(part.split(" dB")[0].split()[-1])
        for part in words.split("PSNR against the target:")[1].split(",")[:2]
    )
    assert before < 25 and after > 40


def test_camera_notebook_improves_with_every_stage(executed):
    outputs = executed["a_differentiable_camera"]
    assert not [out for out in outputs if out.get("name") == "stderr"], text(outputs)
    shown = drawn_images(outputs)
    assert len(shown) == 5
    assert all(image.std() > 10 for image in shown), "an empty image"
    words = text(outputs)
    stages = ("untouched", "white balance", "+ tone curve", "+ bilateral grid")
    psnr = [float(words.split(f"{stage}: ")[1].split(" dB")[0]) for stage in stages]
    assert psnr == sorted(psnr) and psnr[0] < 15 and psnr[-1] > psnr[-2] + 2
