"""Speed of the lookup in a colour table and of its gradients, against other formulations.

Measures a table of 33^3 nodes and 3 channels, one float32 photo of smooth colours with noise.
`gathers` reads the eight corners of a cell for the whole photo at once, `window` the cell in one
gather, `dense` multiplies by the tents of all nodes; their gradients are JAX's. `pillow` is
Pillow's filter, of 8-bit pixels.

    python -m benchmarks.table_lookup [--sizes 1080p] [--rounds 5] [--quick]

prints a table and writes `results/<device>/table_lookup-<jax version>.json`. A run of some sizes
keeps the others there, if the same code gave them.
"""

import argparse
import functools

import jax
import jax.numpy as jnp
import numpy as np

import bilateral_jax as bj
from benchmarks import records, slice_apply, table, timing

NODES = 33
DEFAULT = ("512", "1080p")
QUICK = ("512",)
# Dense tents take microseconds per pixel, and their gradients hold every tent.
_DENSE_PIXELS = 300_000


def forward(function):
    return lambda values, image, cotangent: function(values, image)


def gradient_of_table(function):
    def run(values, image, cotangent):
        return jax.vjp(lambda values: function(values, image), values)[1](cotangent)

    return run


def gradient_of_image(function):
    def run(values, image, cotangent):
        return jax.vjp(lambda image: function(values, image), image)[1](cotangent)

    return run


TASKS = {
    "trilinear": forward,
    "tetrahedral": forward,
    "gradient of table": gradient_of_table,
    "gradient of image": gradient_of_image,
}


def candidates(task, pixels):
    """`{name: candidate}`, ours first: ratios are to the first."""
    from benchmarks.peers import color_tables

    wrap = TASKS[task]
    interpolation = task if task == "tetrahedral" else "trilinear"
    found = {"ours": wrap(functools.partial(bj.table_lookup, interpolation=interpolation))}
    if task == "tetrahedral":
        return found
    found |= {name: wrap(getattr(color_tables, name)) for name in ("gathers", "window", "dense")}
    if pixels > _DENSE_PIXELS:
        found["dense"] = timing.Unavailable("takes microseconds per pixel")
    if task == "trilinear":
        found["pillow"] = timing.Eager(lambda values, image, _: color_tables.pillow(values, image))
    return found


def operands(height, width):
    """`(table, image, cotangent)`."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width] / 100
    waves = (np.sin(x) * np.cos(1.3 * y), np.sin(0.7 * x + y), np.cos(x - 0.4 * y))
    image = 0.5 + 0.4 * np.stack(waves, axis=-1) + 0.05 * rng.standard_normal((height, width, 3))
    values = bj.identity_table(NODES) + 0.1 * rng.standard_normal((NODES,) * 3 + (3,))
    cotangent = rng.standard_normal((height, width, 3))
    arrays = (values, image.clip(0, 1), cotangent)
    return tuple(jnp.asarray(array, jnp.float32) for array in arrays)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", choices=slice_apply.SIZES)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--quick", action="store_true", help="small, not written")
    options = parser.parse_args()
    rows = []
    print(f"jax {jax.__version__} on {records.device()}; medians; ratio: wall time over ours")
    print(table.HEADER)
    for size in options.sizes or (QUICK if options.quick else DEFAULT):
        height, width, rounds = slice_apply.SIZES[size]
        rounds = options.rounds or (3 if options.quick else min(rounds, 7))
        for task in TASKS:
            chosen = candidates(task, height * width)
            measured = timing.measure(chosen, operands(height, width), rounds)
            for measurement in measured.values():
                row = {"size": size, "pixels": height * width, "task": task}
                row |= measurement.summary(measured["ours"])
                rows.append(row)
                print(table.line(size, row), flush=True)
    if not options.quick:
        records.write("table_lookup", rows, "size", slice_apply.SIZES)


if __name__ == "__main__":
    main()
