"""Runs and a saved model written by version 0.1 load and give the results they gave then.

`written_by_0_1/RUN` is a run's work directory after two steps, `output.npy` what its network gave
for `IMAGE`. Costs a few seconds.
"""

import jax
import numpy as np
import pytest

from bilateral_jax import inference
from bilateral_jax.checkpoints import networks
from bilateral_jax.cli import score
from tests import assets

FOLDER = assets.ROOT / "tests" / "checkpoints" / "written_by_0_1"
IMAGE = np.random.default_rng(7).integers(0, 256, (20, 27, 3), dtype=np.uint8)


@pytest.mark.parametrize("run", ["hdrnet", "dped", "can"])
def test_runs_enhance_as_they_did(run):
    model = networks.load_model(FOLDER / run)
    expected = np.load(FOLDER / run / "output.npy")
    actual = inference.enhance(model, IMAGE)
    assert actual.dtype == expected.dtype == np.uint8
    np.testing.assert_allclose(actual.astype(int), expected.astype(int), atol=1)
    assert (actual == expected).mean() >= 0.99


def test_a_nima_scores_as_it_did():
    model = networks.load_model(FOLDER / "nima")
    expected = np.load(FOLDER / "nima" / "output.npy")
    np.testing.assert_allclose(score.distribution(model, IMAGE), expected, rtol=0, atol=1e-5)


def test_a_saved_model_loads():
    saved = networks.load(FOLDER / "exported")
    model = saved.to_model()
    assert type(model.module).__name__ == saved.name
    leaves = jax.tree.leaves((model.params, model.batch_stats))
    assert leaves and all(np.isfinite(leaf).all() for leaf in leaves)


def test_the_step_and_the_config_of_a_run_are_known():
    saved = networks.load(FOLDER / "hdrnet")
    assert saved.metadata["step"] == 2 and saved.metadata["config"]["experiment"]
