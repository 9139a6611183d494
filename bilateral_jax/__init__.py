"""Bilateral grids and published photo-enhancement networks in JAX.

    import bilateral_jax as bj
    out = bj.slice_apply(grid, guide, image)

`bilateral_jax.lattice` states the conventions: axis letters, value ranges, the position of a pixel
in a grid.
"""

from bilateral_jax import submodules

# Grids: from pixels to a grid, inside it, and back.
from bilateral_jax.ops.bilateral import apply as apply
from bilateral_jax.ops.bilateral import bilateral_slice as bilateral_slice
from bilateral_jax.ops.bilateral import slice_apply as slice_apply
from bilateral_jax.ops.bilateral import splat as splat
from bilateral_jax.ops.grids import blur as blur
from bilateral_jax.ops.grids import grid_from_channels_first as grid_from_channels_first
from bilateral_jax.ops.grids import grid_to_channels_first as grid_to_channels_first
from bilateral_jax.ops.grids import identity_grid as identity_grid
from bilateral_jax.ops.grids import sample as sample
from bilateral_jax.ops.grids import total_variation as total_variation
from bilateral_jax.ops.guided import guided_slice_apply as guided_slice_apply

# Colour tables.
from bilateral_jax.ops.tables import identity_table as identity_table
from bilateral_jax.ops.tables import table_lookup as table_lookup

# Filters built on them.
from bilateral_jax.filters.bilateral import bilateral_filter as bilateral_filter  # isort: skip
from bilateral_jax.filters.fitting.affine_grid import fit_grid as fit_grid  # isort: skip

# The only builtin name that is rebound, and only here: write `bj.slice`.
slice = bilateral_slice

__version__ = "0.1.0"

# `slice` is left out on purpose: a star import must not shadow the builtin.
__all__ = [
    "apply",
    "bilateral_filter",
    "bilateral_slice",
    "blur",
    "fit_grid",
    "grid_from_channels_first",
    "grid_to_channels_first",
    "guided_slice_apply",
    "identity_grid",
    "identity_table",
    "sample",
    "slice_apply",
    "splat",
    "table_lookup",
    "total_variation",
]

# Modules are imported when they are first used: `bj.inference.enhance(...)`.
submodules.attach(
    __name__,
    __path__,
    *__all__,
    "__version__",
    "slice",
    only=(
        "alignment",
        "checkpoints",
        "color",
        "data",
        "filters",
        "images",
        "importers",
        "inference",
        "lattice",
        "losses",
        "metrics",
        "models",
        "pixels",
        "resize",
        "training",
    ),
)
