"""Time and compilations of a folder of photos of many sizes, against photos of one size.

Question: how much more time does a folder of many sizes take? Twelve random 8-bit photos of about
0.2 megapixels, of twelve sizes and of one, are enhanced (`bilateral_jax.inference.enhance`)
or scored with all metrics (`experiments.evaluation.protocol.score`). Every run has a process of its
own without a compilation cache, so that everything is compiled once.

    python -m benchmarks.sizes [--subjects HDRNetCurves CAN ...] [--quick]

prints a table and writes `results/<device>/sizes-<jax version>.json`.
"""

import argparse
import json
import subprocess
import sys
import time

import jax
import jax.monitoring
import numpy as np

from benchmarks import records
from bilateral_jax import inference, models
from bilateral_jax.models import model as model_lib
from experiments.evaluation import protocol

# (height, width); portrait, landscape and square, no two alike.
SIZES = (
    (400, 500), (500, 400), (367, 550), (550, 367), (333, 600), (600, 333),
    (448, 448), (387, 516), (516, 387), (423, 480), (310, 644), (461, 437),
)  # fmt: skip
SUBJECTS = ("HDRNetCurves", "HDRNetGaussianPyrNN", "CAN", "DPED", "metrics")
_COMPILED = "/jax/core/compile/backend_compile_duration"


def subject(name):
    """The function of a photo that is measured."""
    if name == "metrics":
        rng = np.random.default_rng(1)

        def run(photo):
            other = np.clip(photo + rng.integers(-9, 10, photo.shape), 0, 255).astype(np.uint8)
            return protocol.score(other, photo, metrics=tuple(protocol.METRICS))

        return run
    options = {"width": 16} if name == "DPED" else {}
    model = model_lib.Model.init(models.create(name, options), jax.random.key(0))
    return lambda photo: inference.enhance(model, photo)


def measure(name, sizes):
    """Seconds of all photos, processor seconds, and the number of programs compiled."""
    programs = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, seconds, **_: programs.append(seconds) if event == _COMPILED else None
    )
    run, rng = subject(name), np.random.default_rng(0)
    photos = [rng.integers(0, 256, (*size, 3), np.uint8) for size in sizes]
    before = len(programs)
    start, busy = time.perf_counter(), time.process_time()
    for photo in photos:
        run(photo)
    return {
        "wall_seconds": time.perf_counter() - start,
        "processor_seconds": time.process_time() - busy,
        "programs": len(programs) - before,
    }


def row(name, count):
    """Measures one subject in two processes."""
    results = {}
    for kind in ("one_size", "many_sizes"):
        command = [sys.executable, "-m", "benchmarks.sizes", "--measure", name, kind, str(count)]
        run = subprocess.run(command, check=True, capture_output=True, text=True)
        results[kind] = json.loads(run.stdout)
    return {"subject": name, "photos": count, **results}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subjects", nargs="+", choices=SUBJECTS, default=SUBJECTS)
    parser.add_argument("--quick", action="store_true", help="three photos, nothing written")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        name, kind, count = options.measure
        sizes = SIZES if kind == "many_sizes" else SIZES[:1] * len(SIZES)
        print(json.dumps(measure(name, sizes[: int(count)])))
        return
    print(f"jax {jax.__version__} on {records.device()}; seconds of the processor, and programs")
    print(f"{'':20} {'one size':>16} {'many sizes':>16} {'ratio':>7}")
    rows = []
    for name in options.subjects:
        rows.append(row(name, 3 if options.quick else len(SIZES)))
        print(describe(rows[-1]), flush=True)
    if not options.quick:
        records.write("sizes", rows, "subject", SUBJECTS)


def describe(measured):
    """One line of the table."""
    one, many = measured["one_size"], measured["many_sizes"]
    cells = "".join(f"{x['processor_seconds']:10.1f} {x['programs']:6d}" for x in (one, many))
    ratio = many["processor_seconds"] / one["processor_seconds"]
    return f"{measured['subject']:20}{cells} {ratio:7.2f}"


if __name__ == "__main__":
    main()
