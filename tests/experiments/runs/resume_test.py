"""Metadata of a checkpoint that no run wrote are refused as damage. Cost: small saves."""

import jax
import numpy as np
import pytest

from bilateral_jax.checkpoints import trees
from experiments.runs import resume

_METADATA = {"data": {"examples": 8}, "averages": {}, "sources": {"train": {"records": 4}}}
_STATE = {"step": np.int32(4), "groups": {"main": {"updates": np.int32(4)}}}
_TARGET = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((), leaf.dtype), _STATE)


@pytest.mark.parametrize(
    "changes, missing",
    [
        ({"sources": None}, None),  # as earlier versions wrote them
        ({"data": None}, "data"),
        ({"data": [8]}, "data"),
        ({"averages": 3}, "averages"),
        ({"sources": [1]}, "identities of sources"),
        ({"sources": {"train": 4}}, "identities of sources"),
    ],
)
def test_metadata_of_another_shape(changes, missing, tmp_path):
    trees.save(tmp_path, 4, _STATE, metadata=_METADATA | changes)
    if missing is None:
        assert resume.restore(tmp_path, _TARGET)[0] == 4
        return
    with pytest.raises(
        trees.DamagedCheckpointError, match=f"step 4 in .* is damaged.* have no {missing}"
    ):
        resume.restore(tmp_path, _TARGET)
