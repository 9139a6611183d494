"""Time and memory of enhancing a photo, from decoded array to array.

Question: `bilateral_jax.inference.enhance` with HDRNet (curves guide, grid 16x16x8, preset
"recommended", random weights) on 8-bit photos, by part: resizing the photo to 256x256 (by area),
the network on it, and everything at full resolution (guide, slice_apply, conversion from and to 8
bit, in row tiles). Peak memory is that of a process of its own, with Python and XLA in it. The
paper states 61 ms for 12 megapixels on a phone's GPU.

    python -m benchmarks.enhance [--sizes 1080p 12mp 200mp] [--rounds 5] [--quick]

prints a table and writes `results/<device>/enhance-<jax version>.json`. A run of some sizes
keeps the others there, if the same code gave them.
"""

import argparse
import time
from unittest import mock

import jax
import numpy as np

from benchmarks import memory, records, timing
from bilateral_jax import inference
from bilateral_jax.inference import by_grid
from bilateral_jax.models import hdrnet
from bilateral_jax.models import model as model_lib

# (height, width) and rounds.
SIZES = {"1080p": (1080, 1920, 15), "12mp": (3000, 4000, 7), "200mp": (12240, 16320, 3)}
QUICK = ("1080p",)
PARTS = {"_lowres": "lowres_seconds", "_coefficients": "network_seconds"}


def photo(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def hdrnet_curves():
    module = hdrnet.HDRNetCurves(**hdrnet.PRESETS["recommended"])
    return model_lib.Model.init(module, jax.random.key(0))


def timed_parts(model, image):
    """Seconds of one `enhance`: in all, and of each part of it."""
    seconds = {}

    def timed(function, name):
        def run(*arguments):
            start = time.perf_counter()
            result = jax.block_until_ready(function(*arguments))
            seconds[name] = time.perf_counter() - start
            return result

        return run

    wrapped = {part: timed(getattr(by_grid, part), name) for part, name in PARTS.items()}
    with mock.patch.multiple(by_grid, **wrapped):
        start = time.perf_counter()
        out = inference.enhance(model, image)
        seconds["wall_seconds"] = time.perf_counter() - start
    del out
    known = sum(seconds[name] for name in PARTS.values())
    return seconds | {"full_resolution_seconds": seconds["wall_seconds"] - known}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", choices=SIZES)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--quick", action="store_true", help="small, nothing written")
    parser.add_argument("--peak", metavar="SIZE", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        inference.enhance(hdrnet_curves(), photo(*SIZES[options.peak][:2]))
        print(memory.peak())
        return
    rows = []
    print(f"jax {jax.__version__} on {records.device()}; medians in ms, peak of the process in MB")
    print(f"{'':6} {'total':>9} {'low-res':>9} {'network':>9} {'full-res':>9} {'peak MB':>9}")
    for size in options.sizes or (QUICK if options.quick else SIZES):
        rounds = options.rounds or (3 if options.quick else SIZES[size][2])
        rows.append(measure(size, rounds))
        print(describe(rows[-1]), flush=True)
    if not options.quick:
        records.write("enhance", rows, "size", SIZES)


def measure(size, rounds):
    """The row of one size."""
    height, width, _ = SIZES[size]
    model, image = hdrnet_curves(), photo(height, width)
    inference.enhance(model, image)
    samples = [timed_parts(model, image) for _ in range(rounds)]
    row = {"size": size, "pixels": height * width, "array_megabytes": image.nbytes / 1e6}
    for name in ("wall_seconds", *PARTS.values(), "full_resolution_seconds"):
        row[name] = timing.quartiles([sample[name] for sample in samples])
    return row | {"peak_process_megabytes": memory.of_fresh_process(__spec__.name, size)}


def describe(row):
    """One line of the table."""
    names = ("wall_seconds", *PARTS.values(), "full_resolution_seconds")
    times = " ".join(f"{row[name][1] * 1e3:9.1f}" for name in names)
    return f"{row['size']:6} {times} {row['peak_process_megabytes']:9.0f}"


if __name__ == "__main__":
    main()
