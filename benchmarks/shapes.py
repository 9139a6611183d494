"""Shapes for which the default implementation is slower than `reference`.

Measures images of about a megapixel with awkward widths, other depths, more features, features
alone, several at once, and bfloat16; forward and with gradients, against `reference` in the same
rounds. A case for which the default is `reference` itself is named and not compared.

    python -m benchmarks.shapes [--cases "depth 4" "batch 4"] [--rounds 3] [--quick]

prints a table and writes `results/<device>/shapes-<jax version>.json`. A run of some cases
keeps the others there, if the same code gave them.
"""

import argparse

import jax
import jax.numpy as jnp

from benchmarks import records, slice_apply, table, timing

# (height, width) and what differs from `slice_apply.operands`.
CASES = {
    "1024 wide": (1024, 1024, {}),
    "1367 wide (odd)": (768, 1367, {}),
    "4001 wide (prime)": (256, 4001, {}),
    "6000 wide": (170, 6000, {}),
    "7 wide (7 < 16 cells)": (131072, 7, {}),
    "7 high": (7, 131072, {}),
    "depth 4": (1024, 1024, {"depth": 4}),
    "depth 16": (1024, 1024, {"depth": 16}),
    "depth 32": (1024, 1024, {"depth": 32}),
    "36 features": (1024, 1024, {"features": (9, 4)}),
    "3 features, not applied": (1024, 1024, {"features": (3,)}),
    "12 features, not applied": (1024, 1024, {"features": (12,)}),
    "bfloat16": (1024, 1024, {"dtype": jnp.bfloat16}),
    "batch 4": (384, 512, {"batch": 4}),
    "batch 8": (256, 256, {"batch": 8}),
    "batch 16": (192, 256, {"batch": 16}),
}
DEFAULT_ITSELF = "the default is `reference` itself"
QUICK = ("1367 wide (odd)", "7 wide (7 < 16 cells)")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=CASES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="few cases, nothing written")
    options = parser.parse_args()
    rows = []
    print(
        f"jax {jax.__version__} on {records.device()}; medians; ratio: wall time over the default's"
    )
    print(table.HEADER)
    for case in options.cases or (QUICK if options.quick else CASES):
        height, width, settings = CASES[case]
        arguments = slice_apply.operands(height, width, **settings)
        applied = len(settings.get("features", (3, 4))) == 2
        ours = slice_apply.ours if applied else slice_apply.ours_without_image
        for task, wrap in slice_apply.TASKS.items():
            candidates = {"default": wrap(ours(None)), "reference": wrap(ours("reference"))}
            if programs_are_equal(*candidates.values(), arguments):
                candidates["reference"] = timing.Unavailable(DEFAULT_ITSELF)
            measured = timing.measure(candidates, arguments, options.rounds)
            for measurement in measured.values():
                pixels = settings.get("batch", 1) * height * width
                row = {"case": case, "pixels": pixels, "task": task}
                rows.append(row | measurement.summary(measured["default"]))
                print(table.line(case, rows[-1]), flush=True)
    if not options.quick:
        records.write("shapes", rows, "case", CASES)


def programs_are_equal(one, other, arguments):
    """Whether two functions are lowered to the same program."""
    first, second = (jax.jit(f).lower(*arguments).as_text() for f in (one, other))
    return first == second


if __name__ == "__main__":
    main()
