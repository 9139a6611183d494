"""Tile sizes by device, measured or reasoned, each with its origin.

`benchmarks/gpu.py --tune` measures the alternatives; a new entry here is the whole change.
"""

import dataclasses

import jax


@dataclasses.dataclass(frozen=True)
class TileSizes:
    """Tile sizes of the kernels; powers of two.

    Attributes:
      device: prefix of JAX's `device_kind`.
      origin: "measured" or "reasoned, not measured", and the date.
      slice_columns: widths of a row segment to choose from; one program computes one segment.
      slice_warps: warps of a program that slices.
      splat_columns: pixel columns of a program that splats, to choose from; one per thread.
      splat_rows: pixel rows that such a program adds up, to choose from; any numbers.
      splat_sums: running sums per column at most; more are divided among programs.
    """

    device: str
    origin: str
    slice_columns: tuple[int, ...]
    slice_warps: int
    splat_columns: tuple[int, ...]
    splat_rows: tuple[int, ...]
    splat_sums: int


TABLE = (
    TileSizes(
        device="",
        origin="reasoned, not measured; 2026-11-20",
        slice_columns=(32, 64, 128, 256),
        slice_warps=1,
        splat_columns=(32, 64, 128),
        splat_rows=(16, 96),
        splat_sums=192,
    ),
)


def tile_sizes() -> TileSizes:
    """The first entry whose `device` is a prefix of this device's kind; the last fits every one."""
    kind = jax.local_devices()[0].device_kind
    return next(entry for entry in TABLE if kind.startswith(entry.device))
