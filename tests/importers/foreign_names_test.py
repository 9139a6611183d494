"""A file of another network is refused with the names that are in it."""

import numpy as np
import pytest

from bilateral_jax.cli import import_weights
from bilateral_jax.importers import variables
from tests.importers.formats import tensor_bundle_test as bundles


@pytest.mark.parametrize("kind", sorted(import_weights._KINDS))
def test_the_first_names_are_those_of_the_file(kind, tmp_path):
    load = import_weights._KINDS[kind][0]
    np.savez(tmp_path / "other.npz", **{"generator/W1x": np.zeros((9, 9, 3, 64), np.float32)})
    with pytest.raises(ValueError, match="the first names: generator/W1x"):
        load(tmp_path / "other.npz")


def test_the_data_file_of_a_checkpoint_stands_for_the_checkpoint(tmp_path):
    bundles.write_bundle(tmp_path / "model", {"generator/W1": np.zeros((2, 3), np.float32)})
    (data,) = tmp_path.glob("model.data-*")
    assert list(variables.read(data)) == ["generator/W1"]
