"""Operations on bilateral grids: slice, splat, apply, blur, sample, learned guides.

Contracts in `bilateral`, `grids` and `guided`; implementations in `reference`, `xla` and
`bilateral_jax/kernels`, chosen by `dispatch`; derivatives in `primitives`. Colour tables have a
contract (`tables`), an implementation (`table_corners`) and derivatives (`table_primitives`) of
their own.

Receives grids from `models/` or a caller, guides and images from a caller.
Hands normalised arrays to an implementation, and images, grids or features to the caller.
"""
