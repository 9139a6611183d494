"""Speed and memory of slice_apply, forward and with all gradients, against peers.

Measures an affine grid 16x16x8x(3x4), one float32 photo, a smooth guide with noise; time, peak
memory, XLA temporaries and compile time of `xla`, `reference` and three peers (`peers/`).
Gradients are those of grid, guide and image for a given cotangent, together with the output.

    python -m benchmarks.slice_apply [--sizes 256 1080p 12mp] [--rounds 5] [--quick]

prints a table and writes `results/<device>/slice_apply-<jax version>.json`. A run of some sizes
keeps the others there, if the same code gave them.
"""

import argparse
import functools
import importlib.util

import jax
import jax.numpy as jnp
import numpy as np

import bilateral_jax as bj
from benchmarks import memory, records, table, timing
from benchmarks.peers import google, map_coordinates

# (height, width) and rounds: the median of a millisecond needs more of them.
SIZES = {
    "256": (256, 256, 41),
    "512": (512, 512, 21),
    "1080p": (1080, 1920, 7),
    "12mp": (3000, 4000, 5),
    "48mp": (6000, 8000, 3),
}
DEFAULT = ("256", "512", "1080p", "12mp")
QUICK = ("256", "1080p")


def forward(function):
    return lambda grid, guide, image, cotangent: function(grid, guide, image)


def forward_and_gradients(function):
    def run(grid, guide, image, cotangent):
        out, pullback = jax.vjp(function, grid, guide, image)
        return out, pullback(cotangent)

    return run


TASKS = {"forward": forward, "forward+gradients": forward_and_gradients}


def ours(implementation):
    return lambda *operands: bj.slice_apply(*operands, implementation=implementation)


def ours_without_image(implementation):
    """Features alone: nothing is applied, and the image's gradient is 0."""
    return lambda grid, guide, image: bj.slice(grid, guide, implementation=implementation)


def candidates(task):
    """`{name: candidate}`, ours first: ratios are to the first."""
    wrap = TASKS[task]
    no_derivative = timing.Unavailable("SciPy has no derivatives")
    return {
        "xla": wrap(ours("xla")),
        "reference": wrap(ours("reference")),
        "google": wrap(jax.vmap(google.slice_apply)),
        "torch": torch_candidate(task.replace("+", "_and_")),
        "scipy": timing.Eager(map_coordinates.forward) if task == "forward" else no_derivative,
    }


def torch_candidate(name, *settings):
    """A function of `peers/grid_sample.py`, or the reason why it is missing."""
    if importlib.util.find_spec("torch") is None:
        return timing.Unavailable("torch is not installed (pip install torch)")
    from benchmarks.peers import grid_sample

    return timing.Eager(functools.partial(getattr(grid_sample, name), *settings))


def operands(height, width, *, batch=1, depth=8, features=(3, 4), dtype=jnp.float32):
    """`(grid, guide, image, cotangent)` of photos; `features` `(c,)` are for slicing alone."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width] / 100
    smooth = 0.5 + 0.4 * np.sin(x) * np.cos(1.3 * y)
    guide = smooth + 0.05 * rng.standard_normal((batch, height, width))
    arrays = (
        rng.standard_normal((batch, 16, 16, depth, *features)),
        guide.clip(0, 1),
        rng.random((batch, height, width, features[1] - 1 if len(features) > 1 else 1)),
        rng.standard_normal((batch, height, width, features[0])),
    )
    return tuple(jnp.asarray(array, dtype) for array in arrays)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", choices=SIZES)
    parser.add_argument("--rounds", type=int)
    parser.add_argument(
        "--quick", action="store_true", help="small sizes, no peak memory, nothing written"
    )
    parser.add_argument("--peak", nargs=3, metavar=("SIZE", "TASK", "NAME"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        print(peak(*options.peak))
        return
    rows = []
    print(f"jax {jax.__version__} on {records.device()}; medians; ratio: wall time over xla's")
    print(table.HEADER)
    for size in options.sizes or (QUICK if options.quick else DEFAULT):
        height, width, rounds = SIZES[size]
        rounds = options.rounds or (3 if options.quick else rounds)
        arguments = operands(height, width)
        for task in TASKS:
            measured = timing.measure(candidates(task), arguments, rounds)
            for name, measurement in measured.items():
                row = {"size": size, "pixels": height * width, "task": task}
                row |= measurement.summary(measured["xla"])
                if not options.quick and height * width > 1e6 and not measurement.skipped:
                    row["peak_megabytes"] = memory.of_fresh_process(__spec__.name, size, task, name)
                rows.append(row)
                print(table.line(size, row), flush=True)
    if not options.quick:
        records.write("slice_apply", rows, "size", SIZES)


def peak(size, task, name):
    """Megabytes over the operands', output included."""
    measurement = timing.prepared(name, candidates(task)[name], operands(*SIZES[size][:2]))
    return memory.growth(measurement.call)


if __name__ == "__main__":
    main()
