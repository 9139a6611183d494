"""All devices of all processes at once: the only file that knows about `pmap`.

The state is replicated: it goes in and comes out without a device axis (`in_axes=None`,
`out_axes=None`). JAX does not check that the copies agree, so whatever an update returns must have
passed through `mean` (or depend on nothing but such values); `unsynchronised_leaves` finds what did
not. Every process brings its shard of the batch, which is split over its devices along the leading
axis.
"""

import jax
import jax.numpy as jnp
import numpy as np

AXIS = "batch"


def replicate(tree, *, devices=None):
    """Puts a pytree on every local device, once; updates then pass it on without moving it.

    With several processes an update needs this: a state that it had to move itself would be gone
    before the first step ("Array has been deleted").

    Args:
      tree: pytree of arrays (NumPy or JAX). What lies on one of the devices already may be used
        as it is: do not touch the tree once the result went through an update.
      devices: devices to use; None for all local ones.
    """
    mesh = jax.sharding.Mesh(np.array(devices or jax.local_devices()), (AXIS,))
    return jax.device_put(tree, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec()))


def update(function, *, frozen=(), devices=None):
    """Turns an update of one device's shard into an update of a whole batch on all devices.

    Args:
      function: `(state, batch, *frozen) -> (state, metrics)`, where batch is this device's shard
        and every returned value has been averaged over `AXIS`.
      frozen: tuple of pytrees that every call gets and none changes; placed on every device once.
      devices: devices to use; None for all, those of the other processes included, which then must
        make the same calls with shards of the same size.

    Returns:
      The same function for this process's shard `[b, ...]` of the batch; b must divide by its
      number of devices. The state's buffers are reused: the caller must not touch the state it
      passed in. It comes from `replicate` or from an earlier call.
      Its attribute `trace` takes the same and returns the shapes of the results: nothing is
      compiled, the state stays as it is, and a call with these shapes does not trace again.
    """
    count = len(devices) if devices else jax.local_device_count()
    step = mapped(function, frozen=len(frozen), devices=devices)
    frozen = tuple(replicate(tree, devices=devices) for tree in frozen)

    def call(state, batch):
        return step(state, split(batch, count), *frozen)

    call.trace = lambda state, batch: jax.eval_shape(step, state, split(batch, count), *frozen)
    return call


def mapped(function, *, frozen=0, devices=None):
    """Maps an update over devices, as `update` does; also for compiling ahead of time.

    Args:
      function: as for `update`.
      frozen: number of pytrees that it takes after the batch.
      devices: as for `update`.

    Returns:
      The mapped function, which takes shards with the devices in front, and can be lowered.
    """
    return jax.pmap(
        function,
        axis_name=AXIS,
        in_axes=(None, 0, *[None] * frozen),
        out_axes=(None, None),
        devices=devices,
        donate_argnums=0,
    )


def split(batch, count):
    """Reshapes every array `[b, ...]` of a batch to `[count, b / count, ...]`.

    Args:
      batch: a pytree of arrays with one leading axis.
      count: number of devices.

    Returns:
      The pytree with the devices in front.

    Raises:
      ValueError: the batch size does not divide by the number of devices, or its arrays disagree
        on it.
    """
    size = _batch_size(batch)
    if size % count:
        raise ValueError(
            f"a batch of {size} examples cannot be split evenly over {count} devices; "
            f"choose a batch size that is a multiple of {count}"
        )
    return jax.tree.map(lambda x: x.reshape((count, size // count, *x.shape[1:])), batch)


def unsynchronised_leaves(tree):
    """Finds the leaves that an update left different on its devices.

    Args:
      tree: pytree of arrays that should be equal on all local devices, as `update` returns them.

    Returns:
      The paths of the leaves whose copies differ in any bit, sorted.
    """
    paths = []
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = jax.random.key_data(leaf)
        copies = {np.asarray(shard.data).tobytes() for shard in leaf.addressable_shards}
        if len(copies) > 1:
            paths.append(jax.tree_util.keystr(path, simple=True, separator="/"))
    return sorted(paths)


def mean(tree, axis_name=AXIS):
    """Averages every leaf over all devices; for use inside an update.

    Args:
      tree: a pytree of arrays.
      axis_name: the mapped axis.

    Returns:
      The averages, the same on every device.
    """
    return jax.lax.pmean(tree, axis_name)


def total(tree, axis_name=AXIS):
    """Sums every leaf over all devices; for use inside an update.

    Args:
      tree: a pytree of arrays.
      axis_name: the mapped axis.

    Returns:
      The sums, the same on every device.
    """
    return jax.lax.psum(tree, axis_name)


def gather(array, axis_name=AXIS):
    """Concatenates what the devices hold along the leading axis; for use inside an update.

    Args:
      array: `[count, ...]` of this device's shard.
      axis_name: the mapped axis.

    Returns:
      `[devices * count, ...]` in the order of the whole batch, the same on every device.
    """
    return jax.lax.all_gather(array, axis_name, tiled=True)


def own_part(array, count, axis_name=AXIS):
    """Selects this device's rows of an array that all devices hold; for use inside an update.

    Args:
      array: `[devices * count, ...]` in the order of the whole batch.
      count: examples of one device's shard.
      axis_name: the mapped axis.

    Returns:
      `[count, ...]`.
    """
    first = count * jax.lax.axis_index(axis_name)
    return jax.lax.dynamic_slice_in_dim(array, first, count)


def per_example_draw(draw, count, axis_name=AXIS):
    """Draws random numbers for every example of the whole batch; for use inside an update.

    What an example gets depends on its position in the batch, not on the number of devices.

    Args:
      draw: `number of examples -> array [that many, ...]`, the same on every device.
      count: examples of one device's shard.
      axis_name: the mapped axis.

    Returns:
      `[count, ...]`, this device's rows.
    """
    return own_part(draw(count * jax.lax.psum(1, axis_name)), count, axis_name)


def step_key(key, step, axis_name=AXIS):
    """Derives a random key for every step and every device; for use inside an update.

    Args:
      key: the key of the run.
      step: number of the step.
      axis_name: the mapped axis.

    Returns:
      A key that no other step and no other device gets.
    """
    return jax.random.fold_in(jax.random.fold_in(key, step), jax.lax.axis_index(axis_name))


def _batch_size(batch):
    sizes = {np.shape(leaf)[0] if np.ndim(leaf) else None for leaf in jax.tree.leaves(batch)}
    if len(sizes) != 1 or None in sizes:
        raise ValueError(
            "the arrays of a batch must share one leading axis, "
            f"got leading sizes {sorted(map(str, sizes))}"
        )
    return sizes.pop()
