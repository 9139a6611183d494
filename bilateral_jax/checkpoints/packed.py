"""Networks in one small file: half-precision weights, and the network that ships with the package.

The file is an `.npz` archive of float16 arrays named by their paths, "params/..." and
"batch_stats/...", and of the network's description as JSON in bytes. It holds no training state.
"""

import json
import pathlib
import zipfile
import zlib

import numpy as np

from bilateral_jax import atomic, tree_paths
from bilateral_jax.checkpoints import networks, trees
from bilateral_jax.models import model as model_lib

# The network that ships with the package; `default.md` beside it is its card.
DEFAULT = pathlib.Path(__file__).resolve().parent.parent / "weights" / "default.npz"

_DESCRIPTION = "description"
_PARTS = ("params", "batch_stats")


def save(path, saved: networks.SavedModel, *, metadata=None) -> None:
    """Saves a network with its weights rounded to float16.

    Args:
      path: the file, replaced if it exists.
      saved: as `networks.load` returns it.
      metadata: JSON-able dict, for example what the network was trained on.

    Raises:
      ValueError: a weight is not finite or beyond float16, 65,504; it is named.
      OSError: the file cannot be written.
    """
    leaves = tree_paths.flatten({"params": saved.params, "batch_stats": saved.batch_stats})
    arrays = {}
    for names, leaf in leaves.items():
        with np.errstate(over="ignore"):
            arrays["/".join(names)] = half = np.asarray(leaf).astype(np.float16)
        if not np.isfinite(half).all():
            raise ValueError(f"{saved.path}: {'/'.join(names)} holds weights beyond float16")
    description = {
        "name": saved.name,
        "hyperparameters": saved.hyperparameters,
        "metadata": metadata or {},
    }
    arrays[_DESCRIPTION] = np.frombuffer(json.dumps(description).encode(), np.uint8)
    with atomic.file(path) as scratch, open(scratch, "wb") as file:
        np.savez_compressed(file, **arrays)


def load(path) -> networks.SavedModel:
    """Loads a file that `save` wrote; the weights are float32 again.

    Args:
      path: the file.

    Returns:
      A `SavedModel`; `to_model` builds the network.

    Raises:
      FileNotFoundError: there is no such file.
      trees.DamagedCheckpointError: the file is damaged or holds something else.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; expected a network that `packed.save` wrote")
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        if _DESCRIPTION not in arrays:
            raise ValueError(f"it lacks {_DESCRIPTION!r}")
        description = json.loads(arrays.pop(_DESCRIPTION).tobytes())
        if not isinstance(description["hyperparameters"], dict):
            raise ValueError("its hyperparameters are no object of JSON")
        for name, leaf in arrays.items():
            if not np.issubdtype(leaf.dtype, np.floating):
                raise ValueError(f"{name} holds {leaf.dtype}, not floating-point numbers")
        leaves = {tuple(name.split("/")): np.float32(leaf) for name, leaf in arrays.items()}
        tree = {part: {} for part in _PARTS} | tree_paths.nest(leaves)
        params, batch_stats = (tree[part] for part in _PARTS)
        return networks.SavedModel(
            path=path, params=params, batch_stats=batch_stats, **description
        )  # fmt: skip
    except (OSError, EOFError, ValueError, LookupError, TypeError, AttributeError,
            zipfile.BadZipFile, zlib.error) as error:  # fmt: skip
        reason = " ".join(str(error).split())[:200]
        raise trees.DamagedCheckpointError(f"{path} is no packed network: {reason}") from None


def default_model() -> model_lib.Model:
    """Loads the network that ships with the package, for `inference.enhance`.

    Returns:
      A `Model`: an HDRNet that brightens and colours photos; docs/default_enhancer.md says how it
      was trained and what it does badly.

    Raises:
      FileNotFoundError: this copy of the package came without the file.
      trees.DamagedCheckpointError: the file is damaged.
    """
    if not DEFAULT.is_file():
        raise FileNotFoundError(
            f"{DEFAULT} is missing: this copy of the package came without its default network; "
            "install it again, or name another network"
        )
    return load(DEFAULT).to_model()
