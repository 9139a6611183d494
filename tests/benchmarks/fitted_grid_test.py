"""`benchmarks.fitted_grid` from command line to result file, on images of a few pixels; 8 s."""

import json

import jax
import numpy as np
import pytest

from benchmarks import fitted_grid, records
from bilateral_jax import images, models
from bilateral_jax.checkpoints import networks
from bilateral_jax.models import model as model_lib
from tests import optional_packages

pytestmark = pytest.mark.usefixtures("compiled_quickly")

optional_packages.need_images()


def test_both_tables(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "RESULTS", tmp_path / "results")
    module = models.create("CAN", {"width": 4, "dilations": [1, 1]})
    model = model_lib.Model.init(module, jax.random.key(0))
    name, hyperparameters = models.describe(module)
    leaves = {"params": model.params, "batch_stats": model.batch_stats}
    networks.save(
        tmp_path / "net", name=name, hyperparameters=hyperparameters, metadata={}, **leaves
    )
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    for folder, picture in (("inputs", pixels), ("results_of", 255 - pixels)):
        (tmp_path / folder).mkdir()
        images.write(tmp_path / folder / "a.png", picture)
    inputs = str(tmp_path / "inputs")
    fitted_grid.main(
        ["--networks", f"can={tmp_path / 'net'}", "--photos", inputs, "--side", "16"]
        + ["--results", f"negative={tmp_path / 'results_of'}", "--inputs", inputs]
        + ["--pictures", str(tmp_path / "pictures"), "--record", "fitted_grid_small"]
    )
    (path,) = (tmp_path / "results").rglob("fitted_grid_small-*.json")
    negative, can = json.loads(path.read_text())["rows"]
    assert negative["operator"] == "negative" and negative["photos"] == 1
    assert negative["psnr_own_size"] > 40 > negative["psnr_input"]
    assert can["photo"] == "a" and can["size"] == [24, 32]
    assert can["grid_processor_seconds"] > 0 and np.isfinite(can["psnr_grid"])
    kinds = sorted(file.stem for file in (tmp_path / "pictures").iterdir())
    assert kinds == ["can-a-grid", "can-a-network"]


@pytest.mark.parametrize("name", ["train_step", "../fitted_grid", "fitted_grid-0.10.2"])
def test_the_record_of_another_benchmark_is_refused(name, capsys):
    with pytest.raises(SystemExit):
        fitted_grid.main(["--record", name])
    assert f"'{name}' is not fitted_grid" in capsys.readouterr().err
