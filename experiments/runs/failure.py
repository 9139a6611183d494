"""Keeps a step that produced a NaN or an infinity: everything that is needed to do it again.

A folder `failure/step_NNNNNNN` holds `failure.json` (metrics, numbers of the records, message),
`config.json`, one `batch_K.npz` for every process K (the rows that it was given) and `checkpoints`
with the state before the step, its random key included.

Receives a `loop.NonFiniteError` from experiments/train.py.
Hands the folder to experiments/replay.py.
"""

import dataclasses
import pathlib
import shutil

import jax
import jax.numpy as jnp
import numpy as np

from bilateral_jax.checkpoints import trees
from bilateral_jax.training import distributed
from bilateral_jax import atomic
from experiments.runs import workdir as workdir_lib


def keep(workdir, error, config):
    """Writes what reproduces a bad step; all processes call it together.

    Args:
      workdir: folder of the run.
      error: a `loop.NonFiniteError` whose state is that of training/nonfinite_guard.py's guarded update.
      config: JSON-able dict.

    Returns:
      The folder.
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
    """Reads a kept step.

    Args:
      folder: what `keep` gave.

    Returns:
      `(about, config, batch)`: `failure.json`, `config.json`, and the rows of all processes in
      their order.

    Raises:
      FileNotFoundError: the folder is none of these.
    """
    folder = pathlib.Path(folder)
    about = atomic.read_json(folder / "failure.json")
    config = atomic.read_json(folder / "config.json")
    shares = []
    for process in range(len(about["records"])):
        with np.load(folder / f"batch_{process}.npz") as share:
            shares.append({name: share[name] for name in share.files})
    return about, config, jax.tree.map(lambda *rows: np.concatenate(rows), *shares)
