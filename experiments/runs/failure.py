"""Record of a training step that gave a NaN or an infinity, complete enough to replay the step.

A folder `failure/step_NNNNNNN` holds `failure.json` (metrics, record numbers, message),
`config.json`, one `batch_K.npz` per process K (its rows of the batch) and `checkpoints` with the
state before the step, random key included.
"""

import dataclasses
import pathlib
import shutil

import jax
import jax.numpy as jnp
import numpy as np

from bilateral_jax import atomic
from bilateral_jax.checkpoints import trees
from bilateral_jax.training import distributed
from experiments.runs import workdir as workdir_lib


def keep(workdir, error, config):
    """Writes the record of a failed step; all processes call it together.

    Args:
      workdir: folder of the run.
      error: a `loop.NonFiniteError` with the state of an update guarded by
        `training/nonfinite_guard.py`.
      config: JSON-able dict.

    Returns:
      Path of the record's folder.
    """
    folder = pathlib.Path(workdir) / "failure" / f"step_{error.step:07d}"
    partial = folder.with_name(f"{folder.name}.partial")

    def begin():
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)

    workdir_lib.by_first(begin)
    np.savez(partial / f"batch_{distributed.index()}.npz", **error.batch)
    records = distributed.gather_values(np.asarray(error.batch.get("record", [])).tolist())

    def finish():
        before = dataclasses.replace(error.state.state, step=jnp.int32(error.step - 1))
        trees.save(trees.run_folder(partial), error.step - 1, before)
        atomic.write_json(partial / "config.json", config)
        about = {
            "step": error.step,
            "message": str(error),
            "metrics": {name: str(value) for name, value in error.metrics.items()},
            "records": records,
            "devices": jax.device_count(),
            "platform": jax.default_backend(),
        }
        atomic.write_json(partial / "failure.json", about)
        atomic.move_folder(partial, folder)

    workdir_lib.by_first(finish)
    return folder


def read(folder):
    """Reads the record of a failed step.

    Args:
      folder: path that `keep` returned.

    Returns:
      `(about, config, batch)`: `failure.json`, `config.json`, and the batch: the rows of all
      processes in order.

    Raises:
      FileNotFoundError: the folder holds no such record.
    """
    folder = pathlib.Path(folder)
    about = atomic.read_json(folder / "failure.json")
    config = atomic.read_json(folder / "config.json")
    parts = []
    for process in range(len(about["records"])):
        with np.load(folder / f"batch_{process}.npz") as part:
            parts.append({name: part[name] for name in part.files})
    return about, config, jax.tree.map(lambda *rows: np.concatenate(rows), *parts)
