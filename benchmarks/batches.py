"""Time per pixel of a batch of four images against one image.

Measures `slice_apply`, forward and with gradients, of one image, of a batch of four of its size,
and of one image with as many pixels as the four, all in the same rounds; also torch, whose
`grid_sample` has a thread per image and gains from batches (not at the largest size: gigabytes that
the system takes back slowly would slow the candidate that is measured next). All is repeated where
the C library gives no memory back (`environments.py`).

    python -m benchmarks.batches [--rounds 15] [--quick]

prints a table and writes `results/<device>/batches-<jax version>.json`; `pixel_ratio` is time per
pixel over that of the one image, in the same round.
"""

import numpy as np

from benchmarks import environments, slice_apply, timing

SIZES = {
    "256 x 256": (256, 256),
    "512 x 384": (384, 512),
    "1024 x 768": (768, 1024),
    "1920 x 1080": (1080, 1920),
}
QUICK = ("256 x 256",)
_LARGEST_OF_TORCH = 1 << 20


def candidates(height, width, task):
    """`{name: (candidate, pixels)}`."""
    ours = slice_apply.TASKS[task](slice_apply.ours(None))
    one = slice_apply.operands(height, width)
    four = slice_apply.operands(height, width, batch=4)
    large = slice_apply.operands(2 * height, 2 * width)
    pixels = height * width
    if pixels <= _LARGEST_OF_TORCH:
        torch = slice_apply.torch_candidate(task.replace("+", "_and_"))
    else:
        torch = timing.Unavailable("needs gigabytes")
    return {
        "one": (timing.Applied(ours, one), pixels),
        "four": (timing.Applied(ours, four), 4 * pixels),
        "as large": (timing.Applied(ours, large), 4 * pixels),
        "torch, one": (timing.Applied(torch, one), pixels),
        "torch, four": (timing.Applied(torch, four), 4 * pixels),
    }


def measured_rows(names, rounds):
    """Rows of some sizes in this process's environment."""
    return [
        row for size in names for task in slice_apply.TASKS for row in compared(size, task, rounds)
    ]


def compared(size, task, rounds):
    """Rows of all candidates."""
    named = candidates(*SIZES[size], task)
    applied = {name: candidate for name, (candidate, _) in named.items()}
    measured = timing.measure(applied, (), rounds)
    one = np.divide(measured["one"].wall, named["one"][1])
    for name, (_, pixels) in named.items():
        row = {"size": size, "pixels": pixels, "task": task} | measured[name].summary()
        if not measured[name].skipped:
            ratio = np.divide(measured[name].wall, pixels) / one
            row["pixel_ratio"] = timing.quartiles(ratio)
        yield row


def main():
    environments.ask(
        __spec__.name,
        measured_rows,
        ("", ", kept"),
        rounds=15,
        sizes=SIZES,
        quick=QUICK,
        ratio=("pixel_ratio", "time per pixel over one's"),
    )


if __name__ == "__main__":
    main()
