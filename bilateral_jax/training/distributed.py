"""One training in several processes: start, gathering, agreement on a stop; also for a single one.

Every process runs the same program on its own devices, and all must call the functions below in the
same order. Process 0 alone writes files. A process whose peer dies, or whose coordinator cannot be
reached, is aborted by JAX (SIGABRT) after the seconds given to `initialize`; then all of them are
started again, from the last checkpoint.
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
    """Joins the other processes; must be called before JAX is asked for a device.

    Args:
      coordinator: "HOST:PORT", where process 0 listens; "auto" on a cluster that announces it
        (TPU pods, SLURM, Open MPI, Kubernetes); None for a single process: nothing is done.
      processes: how many there are; with "HOST:PORT" only.
      process: number of this one, from 0; with "HOST:PORT" only.
      start_seconds: how long to wait for the others.
      silence_seconds: after how long without a heartbeat a process counts as dead.

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
    """The number of this process, from 0."""
    return jax.process_index()


def count():
    """The number of processes."""
    return jax.process_count()


def is_first():
    """Whether this is process 0, the one that writes files."""
    return index() == 0


def gather(tree):
    """Collects a pytree from every process.

    Args:
      tree: pytree of arrays or numbers, of the same structure, shapes and dtypes everywhere. Bytes
        are sent, so float64 stays float64.

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


def gather_values(value):
    """Collects a JSON-able value of any length from every process.

    Args:
      value: JSON-able: numbers, text, lists, dictionaries; may differ between processes.

    Returns:
      A list of the values, one per process in their order, equal everywhere.
    """
    written = json.dumps(value).encode()
    sizes = [int(size) for size in gather(np.int64(len(written)))]
    rows = _gather_bytes(written.ljust(max(sizes)))
    return [json.loads(row[:size]) for row, size in zip(rows, sizes, strict=True)]


class StopAgreement:
    """Lets any process stop all of them after the same step, without waiting for each other.

    A call states this process's stop request and returns the largest one of an earlier call, so
    that the devices exchange it while the next step runs. All processes must call it equally often.
    With a single process the request is returned at once.
    """

    def __init__(self, *, every=1):
        """Prepares the exchange.

        Args:
          every: calls between two exchanges; a request takes effect at most `2 * every` calls
            later.
        """
        self._every, self._calls, self._pending = every, 0, None
        mesh = jax.sharding.Mesh(np.array(jax.devices()), ("devices",))
        self._split = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("devices"))
        everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
        self._largest = jax.jit(jnp.max, out_shardings=everywhere)

    def __call__(self, request):
        """States a request and returns what all processes agreed on.

        Args:
          request: a signal's number, or None.

        Returns:
          The largest number that any process had stated at the exchange before, the same on all
          processes; None if there was none.
        """
        if count() == 1:
            return request
        self._calls += 1
        if self._calls % self._every:
            return None
        agreed = 0 if self._pending is None else int(self._pending.addressable_data(0))
        own = np.full(jax.local_device_count(), request or 0, np.int32)
        self._pending = self._largest(jax.make_array_from_process_local_data(self._split, own))
        return agreed or None


def _gather_bytes(own):
    """The bytes of all processes, equally many, in their order."""
    if count() == 1:
        return [own]
    from jax.experimental import multihost_utils

    rows = multihost_utils.process_allgather(np.frombuffer(own, np.uint8))
    return [row.tobytes() for row in rows]
