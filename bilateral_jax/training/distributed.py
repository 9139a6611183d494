"""Several processes, one training: start, exact sums, agreement; harmless with a single process.

Every process runs the same program on its own devices, and all must call the functions below in the
same order. Process 0 alone writes files. A process whose peer dies, or whose coordinator never
comes, is aborted by JAX (SIGABRT) after the seconds given to `initialize`: what goes on afterwards
is the restart of all of them from the last checkpoint.

Receives an address and numbers from experiments/train.py.
Hands process numbers to data and checkpoints, agreed values to training/loop.py and evaluation.
"""

import collections
import json

import jax
import jax.numpy as jnp
import numpy as np

AUTOMATIC = "auto"


def initialize(
    coordinator, *, processes=None, process=None, start_seconds=300, silence_seconds=100
):
    """Joins the other processes; before anything else asks JAX for a device.

    Args:
      coordinator: "HOST:PORT", where process 0 listens; "auto" on a cluster that says where it is
        (TPU pods, SLURM, Open MPI, Kubernetes); None for a single process: nothing is done.
      processes: how many there are; with "HOST:PORT" only.
      process: number of this one, from 0; with "HOST:PORT" only.
      start_seconds: how long to wait for the others to come.
      silence_seconds: how long a process may be silent before it counts as dead.

    Raises:
      ValueError: the arguments do not fit each other, no cluster was found, or the processes have
        different numbers of devices.
    """
    named = coordinator not in (None, AUTOMATIC)
    if named != (processes is not None) or named != (process is not None):
        raise ValueError(
            "processes and process belong to a coordinator 'HOST:PORT', all three or none, got "
            f"coordinator {coordinator!r}, processes {processes!r}, process {process!r}"
        )
    if coordinator is None:
        return
    if named and not (processes >= 1 and 0 <= process < processes and ":" in coordinator):
        raise ValueError(
            "coordinator must be 'HOST:PORT' and process lie in [0, processes), got "
            f"{coordinator!r}, process {process} of {processes}"
        )
    try:
        jax.distributed.initialize(
            coordinator if named else None,
            processes,
            process,
            initialization_timeout=start_seconds,
            heartbeat_timeout_seconds=silence_seconds,
        )
    except ValueError as error:
        if named:
            raise
        raise ValueError(
            "coordinator 'auto' needs a cluster that tells a process where the others are (TPU "
            "pod, SLURM, Open MPI, Kubernetes), and found none; give 'HOST:PORT', processes, "
            f"process instead (JAX says: {error})"
        ) from error
    counts = collections.Counter(device.process_index for device in jax.devices())
    if len(set(counts.values())) > 1:
        raise ValueError(
            "every process must have the same number of devices, got "
            + ", ".join(f"{count} in process {index}" for index, count in sorted(counts.items()))
        )


def index():
    """Gives the number of this process, from 0."""
    return jax.process_index()


def count():
    """Gives the number of processes."""
    return jax.process_count()


def is_first():
    """Says whether this is process 0, the one that writes files."""
    return index() == 0


def barrier(name):
    """Waits until every process has come here.

    Args:
      name: says where this is; all must give the same.

    Raises:
      ValueError: they do not.
    """
    agree(name, "barrier")


def gather(tree):
    """Collects what every process holds.

    Args:
      tree: pytree of arrays or numbers, of the same structure, shapes and dtypes everywhere. Its
        bytes travel, so float64 arrives as float64.

    Returns:
      A list of such pytrees of NumPy arrays, one per process in their order, equal everywhere.
    """
    leaves, structure = jax.tree.flatten(tree)
    leaves = [np.asarray(leaf) for leaf in leaves]
    rows = _gather_bytes(b"".join(leaf.tobytes() for leaf in leaves))
    trees = []
    for row in rows:
        parts, start = [], 0
        for leaf in leaves:
            part = np.frombuffer(row, leaf.dtype, leaf.size, start)
            parts.append(part.reshape(leaf.shape).copy())
            start += leaf.nbytes
        trees.append(structure.unflatten(parts))
    return trees


def total(tree):
    """Adds up over all processes, in float64 and in their order: the same bits everywhere.

    Args:
      tree: pytree of arrays or numbers, of the same structure and shapes everywhere.

    Returns:
      The pytree of float64 sums; the tree itself, in float64, with a single process.
    """
    trees = gather(jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), tree))
    return jax.tree.map(lambda *parts: sum(parts[1:], parts[0]), *trees)


def gather_values(value):
    """Collects values of any length.

    Args:
      value: JSON-able: numbers, text, lists, dictionaries; may differ between processes.

    Returns:
      A list of the values, one per process in their order, equal everywhere.
    """
    written = json.dumps(value).encode()
    sizes = [int(size) for size in gather(np.int64(len(written)))]
    rows = _gather_bytes(written.ljust(max(sizes)))
    return [json.loads(row[:size]) for row, size in zip(rows, sizes, strict=True)]


def agree(value, what):
    """Makes sure that all processes hold the same value.

    Args:
      value: JSON-able.
      what: what it is, for the message.

    Returns:
      The value.

    Raises:
      ValueError: they differ; on every process, naming each value.
    """
    values = gather_values(value)
    if any(other != values[0] for other in values):
        held = ", ".join(f"{other!r} in process {k}" for k, other in enumerate(values))
        raise ValueError(f"the processes disagree on {what}: {held}")
    return value


class StopWish:
    """Lets any process stop all of them after the same step, without waiting for each other.

    A call states this process's wish and returns the largest one of an earlier call, so that the
    devices agree on it while the next step runs. All processes must call it equally often. With
    a single process the wish comes back at once.
    """

    def __init__(self, *, every=1):
        """Prepares the exchange.

        Args:
          every: calls between two exchanges; a wish is heard at most `2 * every` calls later.
        """
        self._every, self._calls, self._asked = every, 0, None
        mesh = jax.sharding.Mesh(np.array(jax.devices()), ("devices",))
        self._split = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("devices"))
        everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
        self._largest = jax.jit(jnp.max, out_shardings=everywhere)

    def __call__(self, wish):
        """States a wish and hears what all agreed on.

        Args:
          wish: a signal's number, or None.

        Returns:
          The largest number that any process had stated at the exchange before, the same on all
          processes; None if there was none.
        """
        if count() == 1:
            return wish
        self._calls += 1
        if self._calls % self._every:
            return None
        heard = 0 if self._asked is None else int(self._asked.addressable_data(0))
        own = np.full(jax.local_device_count(), wish or 0, np.int32)
        self._asked = self._largest(jax.make_array_from_process_local_data(self._split, own))
        return heard or None


def _gather_bytes(own):
    """The bytes of all processes, equally many, in their order."""
    if count() == 1:
        return [own]
    from jax.experimental import multihost_utils

    rows = multihost_utils.process_allgather(np.frombuffer(own, np.uint8))
    return [row.tobytes() for row in rows]
