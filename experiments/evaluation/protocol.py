"""Evaluation protocol: the metrics of a prediction against its target, and their means.

Both images are rounded to 8 bits before they are compared; each image is scored whole, at its own
size, with one value per metric; the number of a data set is the mean over its images. Metrics named
`input_...` are those of the unprocessed input, the baseline.
"""

import dataclasses
import functools
from collections.abc import Callable

import jax
import numpy as np

from bilateral_jax import images
from bilateral_jax import metrics as metrics_lib
from bilateral_jax.training import evaluation


@dataclasses.dataclass(frozen=True)
class Metric:
    """A metric and how it is printed.

    Attributes:
      function: `(prediction, target) -> values [*b]`, float images in [0, 1].
      title: column title in tables.
      digits: decimals in tables.
      higher_is_better: True if the largest value is the best.
      protocol: definition of the metric, one line.
      smallest: smallest height or width of an image that the metric accepts.
      by_tiles: the value of one pair `[h, w, 3]`, by one program for all sizes; with None
        `function` is compiled for each size.
    """

    function: Callable
    title: str
    digits: int
    higher_is_better: bool
    protocol: str
    smallest: int = 1
    by_tiles: Callable | None = None


METRICS = {
    "psnr": Metric(
        metrics_lib.psnr, "PSNR dB", 2, True,
        "per image, mean squared error over pixels and channels, peak 1",
        by_tiles=metrics_lib.psnr_by_tiles,
    ),
    "ssim": Metric(
        metrics_lib.ssim, "SSIM", 4, True,
        "11 x 11 Gaussian window (sigma 1.5), windows inside the image, mean of R, G and B",
        smallest=11, by_tiles=metrics_lib.ssim_by_tiles,
    ),
    "ms_ssim": Metric(
        metrics_lib.ms_ssim, "MS-SSIM", 4, True,
        "SSIM's contrast at 5 scales, halved by 2 x 2 means, exponents of Wang 2003, per channel",
        smallest=161, by_tiles=metrics_lib.ms_ssim_by_tiles,
    ),
    "delta_e": Metric(
        metrics_lib.delta_e, "dE76", 2, False, "mean CIE76 colour difference, sRGB under D65",
        by_tiles=metrics_lib.delta_e_by_tiles,
    ),
    "delta_e_2000": Metric(
        metrics_lib.delta_e_2000, "dE2000", 2, False,
        "mean CIEDE2000 colour difference (kL = kC = kH = 1), sRGB under D65",
        by_tiles=metrics_lib.delta_e_2000_by_tiles,
    ),
}  # fmt: skip
DEFAULT = ("psnr", "ssim", "delta_e")
ROUNDING = "images rounded to 8 bit; one value per image; mean over images"
INPUT = "input_"  # prefix of the metrics of the unprocessed input


def perceptual(features, *, weights=None, origin="features of the caller"):
    """Makes a metric from the features of a network, for the `metrics` of the functions here.

    Args:
      features: as for `metrics.perceptual`.
      weights: as for `metrics.perceptual`.
      origin: name of the features in the protocol.

    Returns:
      A `Metric`.
    """
    function = functools.partial(metrics_lib.perceptual, features=features, weights=weights)
    return Metric(function, "perceptual", 4, False, f"distance of unit features, {origin}")


def select(names):
    """Looks up metrics by name.

    Args:
      names: sequence of names; a dictionary `{name: Metric}` is returned as it is.

    Returns:
      `{name: Metric}` in that order.

    Raises:
      ValueError: no names, or an unknown one.
    """
    if isinstance(names, dict) and names:
        return names
    unknown = sorted(set(names) - set(METRICS))
    if unknown or not names:
        raise ValueError(f"metrics must be some of {', '.join(METRICS)}; got {', '.join(names)!r}")
    return {name: METRICS[name] for name in names}


def score(prediction, target, *, metrics=DEFAULT):
    """Metrics of one image against its target, both rounded to 8 bits.

    Args:
      prediction: `[h, w, 3]`, float in [0, 1] (clipped and rounded here), or uint8 or uint16
        pixels.
      target: as `prediction`.
      metrics: names from `METRICS`, or what `select` returns.

    Returns:
      `{name: float}`.

    Raises:
      ValueError: the shapes differ, a metric is unknown, or the image is too small for it.
    """
    rounded = [_round(np.asarray(image)) for image in (prediction, target)]
    return {
        name: float((metric.by_tiles or _compiled(metric.function))(*rounded))
        for name, metric in select(metrics).items()
    }


def compare(prediction, target, source, *, metrics=DEFAULT):
    """Metrics of a prediction, and of the input it was made from.

    Args:
      prediction: as for `score`.
      target: as for `score`.
      source: the unprocessed input, as for `score`.
      metrics: names from `METRICS`.

    Returns:
      `{name: float, "input_" + name: float}`.
    """
    baseline = score(source, target, metrics=metrics)
    return score(prediction, target, metrics=metrics) | {
        INPUT + name: value for name, value in baseline.items()
    }


def evaluate(enhance, source, *, metrics=DEFAULT, further=None, keep=0, shard=(0, 1), gather=None):
    """Enhances every photo of a source at full size and averages the metrics over them.

    Args:
      enhance: `image [h, w, 3] float in [0, 1] -> [h, w, 3]`.
      source: has a length and random access, `[i] -> {"input", "target", "name"}`.
      metrics: names from `METRICS`.
      further: `photo -> {name: float}`, further metrics of a photo as it is returned; or None.
      keep: how many photos to return, the first ones of the source; shard 0 alone returns them.
      shard: `(index, count)`: this process evaluates every `count`-th photo, from `index`.
      gather: `value -> list of the values of all processes`, for values that JSON can represent
        (`training/distributed.gather_values`); None for a single process.

    Returns:
      `(results, kept)`: the means `{name: float, "input_" + name: float}` with those of `further`,
      bit for bit the same on all processes and for any number of them; and the first photos,
      `{"name", "input", "output", "target"}`.
    """
    (index, count), totals, kept = shard, evaluation.ExactMeans(), []
    for position in range(len(source)):
        scored, returned = position % count == index, index == 0 and position < keep
        if not scored and not returned:
            continue
        element = source[position]
        photo = {key: images.as_float(element[key]) for key in ("input", "target")}
        photo["name"] = element["name"]
        photo["output"] = np.asarray(enhance(photo["input"]))
        if returned:
            kept.append(photo)
        if scored:
            values = compare(photo["output"], photo["target"], photo["input"], metrics=metrics)
            values |= further(photo) if further else {}
            totals.add({name: [value] for name, value in values.items()})
    return totals.means(gather=gather), kept


def table(results, *, metrics=DEFAULT, title="held-out photos"):
    """Formats means for a terminal: untouched inputs above enhanced images.

    Args:
      results: `{name: number}` with and without the prefix `input_`; None stands for infinity.
      metrics: names, the columns.
      title: first cell of the header.

    Returns:
      Text of two or three lines.
    """
    chosen = select(metrics)
    lines = [f"{title:32s}" + "".join(f"{metric.title:>10s}" for metric in chosen.values())]
    for label, prefix in (("untouched input", INPUT), ("enhanced", "")):
        if all(prefix + name in results for name in chosen):
            cells = [
                number(results[prefix + name], metric.digits) for name, metric in chosen.items()
            ]
            lines.append(f"  {label:30s}" + "".join(f"{cell:>10s}" for cell in cells))
    return "\n".join(lines)


def number(value, digits):
    """Formats a number for a table; None stands for infinity, which JSON cannot represent."""
    return "inf" if value is None else f"{value:.{digits}f}"


_compiled = functools.cache(jax.jit)


def _round(image):
    """`metrics.round_to_8bit` of float or integer pixels in NumPy: no program for each size."""
    if image.dtype == np.uint8:
        return images.to_float(image)
    values = np.clip(images.as_float(image), 0, 1)
    return np.round(values * np.float32(255)) / np.float32(255)
