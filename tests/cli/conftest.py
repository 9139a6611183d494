"""One tiny network for the tests of the command line."""

import jax
import pytest

from bilateral_jax import models
from bilateral_jax.checkpoints import networks
from bilateral_jax.models import model as model_lib

FIELDS = {"net_input_size": 16, "spatial_bin": 4, "luma_bins": 2}


@pytest.fixture(scope="session")
def model():
    module = models.create("HDRNetCurves", FIELDS, preset="recommended")
    return model_lib.Model.init(module, jax.random.key(0))


@pytest.fixture(scope="session")
def checkpoint(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "model"
    name, hyperparameters = models.describe(model.module)
    leaves = {"params": model.params, "batch_stats": model.batch_stats}
    networks.save(folder, name=name, hyperparameters=hyperparameters, metadata={}, **leaves)
    return folder
