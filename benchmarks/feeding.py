"""Idle time of a training step that loads photos. Part of `benchmarks/train_step.py`.

Pairs of photos are written to a temporary folder: sample photos that ship in packages, enlarged,
with noise added so that they compress like photos of their size. A few suffice, since every access
decodes them again; they are read from the system's memory, not from a disk. The training
step runs on crops of 256 x 256 pixels with the whole photo's low-resolution copy, as
`configs/hdrnet.py` says, and the seconds spent in `next(batches)` are its idle time. The first
batches, which include those prepared in advance, are not counted.
"""

import dataclasses
import itertools
import pathlib
import tempfile
import time

import jax
import numpy as np

from benchmarks import timing
from bilateral_jax import images
from bilateral_jax.data.pipeline import batches
from bilateral_jax.data.sources import pairs
from bilateral_jax.data.synthetic import demo_photos

CROP, BATCH, PREFETCH = 256, 8, 2
PHOTOS = 4
STRETCHES = 2  # measurements of each feed, interleaved


@dataclasses.dataclass(frozen=True)
class Feed:
    """One way to store photos and to load them.

    Attributes:
      name: for the table.
      size: (height, width) of the photos; None for one batch in memory, the baseline.
      suffix: ".jpg" or ".png".
      keep: keep photos decoded (`decoded_folder`).
      workers: processes that load; 0 for two threads.
      steps: steps that are timed per stretch.
    """

    name: str
    size: tuple[int, int] | None = None
    suffix: str = ".jpg"
    keep: bool = False
    workers: int = 0
    steps: int = 24


LARGE, MEDIUM = (3000, 4000), (1080, 1920)
FEEDS = (
    Feed("one batch, in memory"),
    Feed("JPEG, 1920 x 1080", MEDIUM),
    Feed("JPEG, 1920 x 1080, kept decoded", MEDIUM, keep=True),
    Feed("PNG, 1920 x 1080", MEDIUM, ".png", steps=12),
    Feed("PNG, 1920 x 1080, kept decoded", MEDIUM, ".png", keep=True),
    Feed("JPEG, 4000 x 3000", LARGE, steps=6),
    Feed("JPEG, 4000 x 3000, two worker processes", LARGE, workers=2, steps=6),
    Feed("JPEG, 4000 x 3000, kept decoded", LARGE, keep=True),
)
QUICK = (
    Feed("one batch, in memory", steps=4),
    Feed("JPEG, 600 x 400", (400, 600), steps=4),
    Feed("JPEG, 600 x 400, kept decoded", (400, 600), keep=True, steps=4),
)


def rows(trainer, batch, *, quick=False):
    """A row per feed, measured interleaved.

    Args:
      trainer: has `step(batch)`, which returns metrics that may still be computed.
      batch: the one in memory.
      quick: small photos.
    """
    feeds = QUICK if quick else FEEDS
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for feed in feeds:
            if feed.size and not photo_folder(folder, feed).exists():
                write_photos(photo_folder(folder, feed), feed.size, feed.suffix)
        samples = {feed: [] for feed in feeds}
        for _ in range(STRETCHES):
            for feed in feeds:
                samples[feed].append(stretch(trainer, feed, open_stream(feed, folder, batch)))
    for feed in feeds:
        seconds, idle = (np.concatenate(values) for values in zip(*samples[feed]))
        yield {
            "part": "input",
            "feed": feed.name,
            "crop": CROP,
            "batch": BATCH,
            "wall_seconds": timing.quartiles(seconds),
            "images_per_second": float(f"{BATCH * len(seconds) / seconds.sum():.4g}"),
            "idle_share": float(f"{idle.sum() / seconds.sum():.3g}"),
            "longest_wait_seconds": float(f"{idle.max():.3g}"),
        }


def photo_folder(folder, feed):
    """Folder of the photos of a feed."""
    height, width = feed.size
    return folder / f"{width}x{height}{feed.suffix}"


def write_photos(root, size, suffix):
    """Writes pairs: a sample photo enlarged, with noise, and a brighter version of it."""
    import PIL.Image

    rng = np.random.default_rng(0)
    names = list(demo_photos.PHOTOS["train"])[:PHOTOS]
    for member in ("input", "target"):
        (root / member).mkdir(parents=True)
    for name in names:
        photo = PIL.Image.fromarray(demo_photos.load("train", name))
        photo = np.asarray(photo.resize(size[::-1], PIL.Image.Resampling.BICUBIC), np.float32)
        photo += 4 * rng.standard_normal(size, np.float32)[..., None]
        photo = np.clip(photo, 0, 255) / 255
        for member, gamma in (("input", 1.0), ("target", 0.8)):
            path = root / member / f"{name}{suffix}"
            images.write(path, images.to_integer(photo ** np.float32(gamma), 8))


def stretch(trainer, feed, stream):
    """Trains some steps: (seconds of each step with its wait, seconds waited)."""
    stock = PREFETCH * max(feed.workers, 1) + 1 if feed.size else 1
    seconds, idle, waiting = [], [], None
    for step in range(stock + feed.steps):
        start = time.perf_counter()
        batch = next(stream)
        waited = time.perf_counter() - start
        metrics = trainer.step(batch)
        jax.device_get(waiting)  # as the loop does: the metrics of the previous step
        waiting = metrics
        if step >= stock:
            seconds.append(time.perf_counter() - start)
            idle.append(waited)
    jax.device_get(waiting)
    if feed.size:
        stream.close()
    return seconds, idle


def open_stream(feed, folder, batch):
    """Batches as `experiments/train.py` loads them."""
    if feed.size is None:
        return itertools.repeat(batch)
    photos = photo_folder(folder, feed)
    kept = folder / f"{photos.name}.decoded"
    stream = batches.train_batches(
        pairs.PairedFolder(photos),
        batch_size=BATCH,
        crop=CROP,
        seed=0,
        flips=True,
        lowres_from="photo",
        threads=1 if feed.workers else 2,
        workers=feed.workers,
        prefetch=PREFETCH,
        decoded_folder=kept if feed.keep else None,
    )
    if feed.keep and not (kept / f"{PHOTOS - 1:07d}").exists():
        for _ in range(2 * PHOTOS):  # the first epoch decodes
            next(stream)
    return stream


def describe(row):
    """One line of the console."""
    return (
        f"input    {row['feed']:40} {row['wall_seconds'][1] * 1e3:8.1f} ms a step, "
        f"{row['images_per_second']:6.1f} images/s, idle {row['idle_share']:6.1%}, "
        f"longest wait {row['longest_wait_seconds'] * 1e3:.1f} ms"
    )
