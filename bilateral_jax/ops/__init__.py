"""Operations on bilateral grids: slice, splat, apply, blur, sample, learned guides.

Contracts in `bilateral`, `grids`, `guided` and, for colour tables, `tables` (with an implementation
and derivatives of its own, `table_corners` and `table_primitives`); implementations in `reference`, `xla` and
`bilateral_jax/kernels`, chosen by `dispatch`; derivatives in `primitives`.

Receives grids from `models/` or a caller, guides and images from a caller.
Hands normalised arrays to an implementation, and images, grids or features to the caller.
"""
