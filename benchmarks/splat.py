"""Speed and memory of splat, against the gradients that other libraries compute it by.

Measures twelve float32 values per pixel into a grid 16x16x8, over a smooth guide with noise.
Elsewhere splat exists only as the gradient of slicing in its grid: `autodiff` is JAX's gradient of
a slice that gathers eight corners (eight scatter-adds), `google` the contraction that google/hdrnet
wrote by hand, `torch` the backward pass of `grid_sample` for its input alone.

    python -m benchmarks.splat [--sizes 1080p 12mp] [--rounds 5] [--quick]

prints a table and writes `results/<device>/splat-<jax version>.json`. A run of some sizes
keeps the others there, if the same code gave them.
"""

import argparse

import jax
import jax.numpy as jnp

import bilateral_jax as bj
from benchmarks import memory, records, slice_apply, table, timing
from benchmarks.peers import google

GRID = (16, 16, 8)
DEFAULT = ("1080p", "12mp")
QUICK = ("256",)


def ours(implementation):
    return lambda values, guide: bj.splat(values, guide, GRID, implementation=implementation)


def autodiff(values, guide):
    """The pullback of slicing by gathers; slicing is linear, so the point does not matter."""

    def pullback(values, guide):
        grid = jnp.zeros((*GRID, values.shape[-1]), values.dtype)
        return jax.vjp(lambda grid: google.gather_slice(grid, guide), grid)[1](values)[0]

    return jax.vmap(pullback)(values, guide)


def candidates():
    """`{name: candidate}`, ours first: ratios are to the first."""
    return {
        "xla": ours("xla"),
        "reference": ours("reference"),
        "autodiff": autodiff,
        "google": jax.vmap(lambda values, guide: google.splat(values, guide, GRID)),
        "torch": slice_apply.torch_candidate("splat", GRID),
    }


def operands(height, width):
    """`(values, guide)` of one photo."""
    _, guide, image, _ = slice_apply.operands(height, width)
    return jnp.concatenate([image, 1 - image, image**2, image - 0.5], axis=-1), guide


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", choices=slice_apply.SIZES)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--quick", action="store_true", help="small, no peak memory, not written")
    parser.add_argument("--peak", nargs=2, metavar=("SIZE", "NAME"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        print(peak(*options.peak))
        return
    rows = []
    print(f"jax {jax.__version__} on {records.device()}; medians; ratio: wall time over xla's")
    print(table.HEADER)
    for size in options.sizes or (QUICK if options.quick else DEFAULT):
        height, width, rounds = slice_apply.SIZES[size]
        rounds = options.rounds or (3 if options.quick else rounds)
        measured = timing.measure(candidates(), operands(height, width), rounds)
        for name, measurement in measured.items():
            row = {"size": size, "pixels": height * width, "task": "splat"}
            row |= measurement.summary(measured["xla"])
            if not options.quick and not measurement.skipped:
                row["peak_megabytes"] = memory.of_fresh_process(__spec__.name, size, name)
            rows.append(row)
            print(table.line(size, row), flush=True)
    if not options.quick:
        records.write("splat", rows, "size", slice_apply.SIZES)


def peak(size, name):
    """Megabytes over the operands', output included."""
    height, width, _ = slice_apply.SIZES[size]
    measurement = timing.prepared(name, candidates()[name], operands(height, width))
    return memory.growth(measurement.call)


if __name__ == "__main__":
    main()
