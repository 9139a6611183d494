"""Pallas kernels: the operations of `ops/`, hand-written for a GPU and for a TPU.

Each of `kernels/gpu` and `kernels/tpu` offers `slice_apply` and `splat_apply` with the arguments of
`ops/reference.py`, and `unsupported`, which says why a call cannot be taken. Nothing here checks
arguments, chooses an implementation or knows of derivatives: `ops/` does.

Receives normalised arrays from `ops/primitives.py`, through the table of `ops/dispatch.py`.
Hands pixels or grids back to it.
"""
