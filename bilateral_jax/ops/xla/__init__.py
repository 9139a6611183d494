"""Slicing and splatting as dense arithmetic without gather or scatter; made for CPUs.

A gather of eight corners costs XLA a materialised array per corner, once something is applied to
what was gathered. Instead:

1.  The columns are cut into equal column tiles, so narrow that one tile meets only a few
    neighbouring cells, its taps (`column_tiles.py`). The grid becomes a table by tap and tile.
2.  Rows are processed in row tiles (`row_tiles.py`). A small matrix product interpolates the table
    along gh for each row.
3.  A pixel's coefficient is `sum over taps and depth planes of tap_tent * depth_tent * table`,
    written out as arithmetic on whole planes (`slice_loop.py`). The cost does not depend on the
    guide's values.

Splatting (`splat_loop.py`) is the transpose: one matrix product per row and column tile contracts
the pixels, small ones add rows and taps to the cells.
"""

from bilateral_jax.ops.xla.slicing import guide_vjp as guide_vjp
from bilateral_jax.ops.xla.slicing import slice_apply as slice_apply
from bilateral_jax.ops.xla.splat_loop import splat_apply as splat_apply
