"""Slice and apply on a GPU: a row segment per program, nothing gathered, every pixel read once.

A segment lies, as a rule, between two neighbouring columns of cell centres. There all its pixels
use the same few table entries, which the program loads as scalars; only weights differ from pixel
to pixel, and those are arithmetic. Along the depth it loops over the planes that its guide values
touch: a smooth segment meets two or three of eight, noise meets all.

The table is the grid interpolated along gh to every pixel row, a small matrix product that XLA
does. See docs/kernels.md for bytes and operations per pixel.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from bilateral_jax import lattice as lattice_lib
from bilateral_jax.kernels import pallas
from bilateral_jax.kernels.gpu import tiling, tuning

# Outputs that a program computes together; their running sums live in registers.
OUTPUTS = 4


def slice_apply(grid, guide, image=None, window=None, *, lattice, order, dtype):
    """`ops/reference.py`'s `slice_apply`, argument for argument."""
    outputs = grid.shape[4]
    if not lattice.plane_count(order) or not guide.size:
        return jnp.zeros((*guide.shape, outputs), dtype)
    pixels = [guide] if image is None else [guide, image]
    read = functools.partial(_read, channels=0 if image is None else image.shape[-1])
    read = functools.partial(read, lattice=lattice, order=order)
    return run(
        read,
        grid,
        pixels,
        window,
        lattice=lattice,
        order=order,
        dtype=dtype,
        name=f"bilateral_slice_apply_gpu_order{order}",
    )


def guide_vjp(values, grid, guide, image=None, window=None, *, lattice, dtype):
    """`ops/reference.py`'s `guide_vjp`, argument for argument, in one kernel.

    It reads what a slice of order 1 reads and the values; it writes one number per pixel.
    """
    if not lattice.plane_count(1) or not guide.size:
        return jnp.zeros(guide.shape, dtype)
    pixels = [guide, values] if image is None else [guide, values, image]
    read = functools.partial(_read, channels=0 if image is None else image.shape[-1])
    out = run(
        functools.partial(read, lattice=lattice, order=1, skipped=1),
        grid,
        pixels,
        window,
        lattice=lattice,
        order=1,
        dtype=dtype if grid.shape[4] <= OUTPUTS else jnp.float32,
        name="bilateral_guide_vjp_gpu",
        contracted=1,
    )
    return out[..., 0] if out.shape[-1] == 1 else jnp.sum(out, axis=-1).astype(dtype)


def run(read, grid, pixels, window, *, lattice, order, dtype, name, contracted=None):
    """Runs the slicing kernel.

    Args:
      read: function of (refs of `pixels`, index of the pixels) that gives their depth positions and
        a list of their channels, float32 vectors.
      grid: `[n, gh, gw, gd, o, j]`.
      pixels: arrays that `read` reads; the first is `[n, h, w, ...]`.
      window: int32 `[n, 4]` or None.
      lattice: the `Lattice`.
      order: 0 or 1.
      dtype: of the result.
      name: of the kernel, found in the compiled program.
      contracted: index in `pixels` of the array to multiply outputs with and sum, or None.

    Returns:
      `[n, h, w, o]`; contracted, `[n, h, w, k]`, k partial sums.

    Raises:
      ValueError: if the result, an input or the table has 2**31 numbers or more.
    """
    batch, height = pixels[0].shape[:2]
    outputs = grid.shape[4]
    table = row_table(grid, lattice, window, order)
    results = batch * height * lattice.size[1] * outputs
    largest = max(results, table.size, *(array.size for array in pixels))
    if largest >= 1 << 31:
        raise ValueError(f"{name} takes arrays of less than 2**31 numbers, got {largest}: split n")
    sizes = tuning.tile_sizes()
    tiles = tiling.cut(lattice, window, 1, sizes.slice_columns)
    job = _Job(
        lattice=lattice,
        order=order,
        length=tiles.length,
        one_interval=tiling.cells_met(lattice, window, 1, tiles)[1] == 2,
        outputs=outputs,
        some_outputs=min(outputs, OUTPUTS),
        table_shape=table.shape[1:],
        contracted=contracted,
    )
    stored = outputs if contracted is None else job.groups
    out = pallas.core.pallas_call(
        functools.partial(_slice_kernel, read, job),
        out_shape=jax.ShapeDtypeStruct((batch * height * lattice.size[1] * stored,), dtype),
        grid=(tiles.count, height, batch * job.groups),
        compiler_params=pallas.triton.CompilerParams(num_warps=sizes.slice_warps, num_stages=1),
        name=name,
    )(
        table.ravel(),
        jnp.asarray(tiles.starts),
        lattice.affine_positions(1, window),
        *[array.ravel() for array in pixels],
    )
    return out.reshape(batch, height, lattice.size[1], stored)


@dataclasses.dataclass(frozen=True)
class _Job:
    """Static parameters of the kernel.

    Attributes:
      lattice: the `Lattice`.
      order: 0 or 1.
      length: most pixels of a segment.
      one_interval: whether every segment lies between two neighbouring columns of cell centres.
      outputs: all `o`.
      some_outputs: outputs of one program.
      table_shape: `(h, gw, planes, o in full groups, j)`.
      contracted: which array of pixels the outputs are contracted with, or None.
    """

    lattice: lattice_lib.Lattice
    order: int
    length: int
    one_interval: bool
    outputs: int
    some_outputs: int
    table_shape: tuple[int, ...]
    contracted: int | None

    @property
    def groups(self) -> int:
        """Programs per segment, each for some of its outputs."""
        return self.table_shape[3] // self.some_outputs


def row_table(grid, lattice, window, order):
    """The grid interpolated along gh: float32 `[n, h, gw, plane, o, j]`, o in full groups."""
    grid = grid.astype(jnp.float32)
    if order == 1 or lattice.boundary[2] == "wrap":
        cells = lattice.plane_cells(order)
        grid = jnp.einsum("nyxzoj,uz->nyxuoj", grid, cells, precision=jax.lax.Precision.HIGHEST)
    if grid.shape[4] > OUTPUTS:
        grid = jnp.pad(grid, [(0, 0)] * 4 + [(0, -grid.shape[4] % OUTPUTS), (0, 0)])
    tents = jnp.asarray(lattice.axis_tents(0, window), jnp.float32)
    tents = jnp.broadcast_to(tents, (grid.shape[0], *tents.shape[1:]))
    flat = grid.reshape(*grid.shape[:2], -1)
    rows = jnp.einsum("nhy,nyk->nhk", tents, flat, precision=jax.lax.Precision.HIGHEST)
    return rows.reshape(*rows.shape[:2], *grid.shape[2:])


def _slice_kernel(read, job, table, starts, columns, *refs):
    """One row segment: loops over the intervals it meets and the depth planes its guide touches."""
    *pixels, out = refs
    segment, row, example = (pallas.core.program_id(axis) for axis in range(3))
    example, group = jax.lax.div(example, job.groups), jax.lax.rem(example, job.groups)
    start, stop = starts[segment], starts[segment + 1]
    number = example * job.lattice.size[0] + row
    first_pixel = number * job.lattice.size[1] + start
    lane = jnp.arange(job.length, dtype=jnp.int32)
    # Lanes beyond the end repeat the last pixel: no load leaves the array, no plane is added.
    own = jnp.minimum(lane, stop - start - 1) & (job.length - 1)
    depth, channels = read(pixels, (first_pixel, own))
    position, first, last = _positions(columns, example, start, own, stop, job)
    planes = _planes(depth, job)
    first_output = group * job.some_outputs
    add_interval = functools.partial(_add_interval, job, table, number, first_output)

    def interval(i, depth, sums):
        # Beyond the outermost centres the position in the interval stays at its end.
        offset = jnp.clip(position - i.astype(jnp.float32), 0.0, 1.0)
        return add_interval(i, depth, offset, channels, planes, sums)

    def interval_of_some(i, sums):
        # Outside its own interval a pixel gets a depth where every plane weighs 0.
        here = jnp.clip(jnp.floor(position).astype(jnp.int32), first, last) == i
        return interval(i, jnp.where(here, depth, -2.0), sums)

    # 0, or NaN for a pixel without a depth: a tent there may be 0, since a GPU's maximum drops NaN,
    # which no interpreter shows.
    zero = depth - depth if job.order == 0 else jnp.zeros(job.length, jnp.float32)
    sums = (zero,) * job.some_outputs
    if job.one_interval:
        sums = interval(first, depth, sums)
    else:
        sums = jax.lax.fori_loop(first, last + 1, interval_of_some, sums)
    if job.contracted is None:
        store(out, first_pixel, stop - start, first_output, sums, job)
    else:
        values = _values(pixels[job.contracted], (first_pixel, own), first_output, job)
        total = sum(value * sum_ for value, sum_ in zip(values, sums))
        index = anchored(first_pixel * job.groups, out) + (lane * job.groups + group)
        pallas.triton.store(out.at[index], total.astype(out.dtype), mask=lane < stop - start)


def _values(ref, at, first_output, job):
    """Values that a program's outputs are contracted with; 0 for outputs that pad its group."""
    for o in range(job.some_outputs):
        if job.groups == 1:
            yield load(ref, at, o, job.outputs)
        else:
            output = jnp.minimum(first_output + o, job.outputs - 1)
            value = load(ref, at, output, job.outputs)
            yield jnp.where(first_output + o < job.outputs, value, 0.0)


def _positions(columns, example, start, own, stop, job):
    """Positions of the pixels along gw, and the intervals of the first and the last."""
    example = 0 if columns.shape[0] == 1 else example
    scale, shift = columns[example, 0], columns[example, 1]
    cells = job.lattice.grid_shape[1]

    def interval(x):
        x = jnp.floor(x.astype(jnp.float32) * scale + shift).astype(jnp.int32)
        return x if job.lattice.boundary[1] == "wrap" else jnp.clip(x, 0, max(cells - 2, 0))

    position = (start + own).astype(jnp.float32) * scale + shift
    if job.one_interval:
        # By the middle pixel: the first may lie on a centre, where rounding would move it, and with
        # it the segment, to the interval before.
        only = interval((start + stop - 1).astype(jnp.float32) * 0.5)
        return position, only, only
    return position, interval(start), interval(stop - 1)


def _planes(depth, job):
    """First and past the last depth plane that any of these pixels touches."""
    # A NaN guide must not widen the range.
    known = jnp.where(depth == depth, depth, 0.0)
    most = job.table_shape[2] - 1
    lowest = jnp.floor(jnp.clip(jnp.min(known), 0.0, most)).astype(jnp.int32)
    highest = jnp.floor(jnp.clip(jnp.max(known), 0.0, most)).astype(jnp.int32)
    return lowest, (jnp.minimum(highest + 1, most) if job.order == 0 else highest) + 1


def _add_interval(job, table, number, first_output, i, depth, offset, channels, planes, sums):
    """Adds one interval's part to the sums of all pixels: the loop over depth planes."""
    _, cells, depths, all_outputs, length = job.table_shape
    if job.lattice.boundary[1] == "wrap":
        left, right = (jax.lax.rem(i + step, cells) for step in (cells, cells + 1))
    else:
        left, right = i, jnp.minimum(i + 1, cells - 1)
    moved = [channel * offset for channel in channels]

    def matrices(k):
        """Indices of plane `k`'s two matrices in the table."""
        for column in (left, right):
            index = ((number * cells + column) * depths + k) * all_outputs + first_output
            yield anchored(index * length, table)

    def coefficient(indices, o, j):
        near, far = (table[index + (o * length + j)] for index in indices)
        return near, far - near

    def matrix_row(indices, o):
        value = 0.0
        for j in range(len(channels), length):  # the offset, or features alone
            near, slope = coefficient(indices, o, j)
            value = pallas.multiply_add(slope, offset, near)
        for j, channel in enumerate(channels):
            near, slope = coefficient(indices, o, j)
            value = pallas.multiply_add(near, channel, value)
            value = pallas.multiply_add(slope, moved[j], value)
        return value

    def plane(k, sums):
        weight = lattice_lib.plane_weights(
            depth, k.astype(jnp.float32), job.order, larger=jnp.maximum
        )
        indices = tuple(matrices(k))
        return tuple(
            pallas.multiply_add(weight, matrix_row(indices, o), sum_) for o, sum_ in enumerate(sums)
        )

    return jax.lax.fori_loop(*planes, plane, sums)


def _read(pixels, at, *, channels, lattice, order, skipped=0):
    """Depth positions and channels; `skipped` arrays lie between guide and image."""
    guide, *rest = pixels
    depth = lattice.plane_positions(load(guide, at), order)
    return depth, [load(rest[skipped], at, c, channels) for c in range(channels)]


def load(ref, at, channel=0, channels=1):
    """One channel of the pixels `at` (first, offsets from it) of a flat array, as float32."""
    first, further = at
    index = anchored(first * channels, ref) + (further * channels + channel)
    return pallas.triton.load(ref.at[index]).astype(jnp.float32)


def anchored(index, ref):
    """Bounds an index for the compiler, so that adding a small number cannot overflow.

    The small number then becomes a constant in the load or store, instead of two instructions
    before each (seen in the machine code; a third of a kernel).
    """
    return index & ((1 << (ref.shape[0] - 1).bit_length()) - 1)


def store(out, first_pixel, count, first_output, values, job):
    """Stores the channels of a segment's pixels side by side.

    Three stores of every third number would send each sector of memory three times. Joined into one
    array `[pixel, channel]`, neighbouring threads write neighbouring numbers.
    """
    lane = jnp.arange(job.length, dtype=jnp.int32)
    first = anchored(first_pixel * job.outputs, out)
    values = [value.astype(out.dtype) for value in values]
    if len(values) == 1:
        index = first + (lane * job.outputs + first_output)
        pallas.triton.store(out.at[index], values[0], mask=lane < count)
        return
    joined = _joined(values)
    channel = jnp.arange(joined.shape[1], dtype=jnp.int32)[None, :]
    mask = channel < len(values)
    if job.groups > 1:
        mask = mask & (first_output + channel < job.outputs)
    mask = lane[:, None] < jnp.where(mask, count, 0)
    index = first + (lane[:, None] * job.outputs + first_output + channel)
    pallas.triton.store(out.at[index], joined, mask=mask)


def _joined(values):
    """Up to four vectors `[p]` as the columns of an array `[p, 2 or 4]`."""
    if len(values) == 2:
        return jnp.stack(values, axis=-1)
    fourth = values[3] if len(values) == 4 else values[0]
    pairs = [jnp.stack([values[0], values[2]], axis=-1), jnp.stack([values[1], fourth], axis=-1)]
    return jnp.stack(pairs, axis=-1).reshape(-1, 4)
