"""The protocol behind every number we print: which metrics, of which pictures, in which form.

Both pictures are rounded to the 8 bits of a file before they are compared; every picture is judged
whole and gets one value per metric; a data set's number is the mean over its pictures. Values
called `input_...` are those of the untouched input: the bar to beat.

Receives pictures and targets from experiments/train.py and experiments/evaluate.py.
Hands numbers, and the photos for a sheet, back to them.
"""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from bilateral_jax import images
from bilateral_jax import metrics as metrics_lib
from bilateral_jax.training import evaluation


@dataclasses.dataclass(frozen=True)
class Metric:
    """One metric and how to show it.

    Attributes:
      function: `(prediction, target) -> values [*b]`, float pictures in [0, 1].
      title: for tables.
      digits: behind the point.
      higher_is_better: which way is up.
      protocol: what exactly is measured, one line.
      smallest: the shortest side of a picture that can be judged.
    """

    function: Callable
    title: str
    digits: int
    higher_is_better: bool
    protocol: str
    smallest: int = 1


METRICS = {
    "psnr": Metric(
        metrics_lib.psnr, "PSNR dB", 2, True,
        "per picture, mean squared error over pixels and channels, peak 1",
    ),
    "ssim": Metric(
        metrics_lib.ssim, "SSIM", 4, True,
        "11 x 11 Gaussian window (sigma 1.5), windows inside the picture, mean of R, G and B",
        smallest=11,
    ),
    "ms_ssim": Metric(
        metrics_lib.ms_ssim, "MS-SSIM", 4, True,
        "SSIM's contrast at 5 scales, halved by 2 x 2 means, exponents of Wang 2003, per channel",
        smallest=161,
    ),
    "delta_e": Metric(
        metrics_lib.delta_e, "dE76", 2, False, "mean CIE76 colour difference, sRGB under D65",
    ),
    "delta_e_2000": Metric(
        metrics_lib.delta_e_2000, "dE2000", 2, False,
        "mean CIEDE2000 colour difference (kL = kC = kH = 1), sRGB under D65",
    ),
}  # fmt: skip
DEFAULT = ("psnr", "ssim", "delta_e")
ROUNDING = "pictures rounded to 8 bit; one value per picture; mean over pictures"


def perceptual(features, *, weights=None, origin="features of the caller"):
    """Makes a metric of a network's features; add it to the `metrics` of the functions here.

    Args:
      features: as for `metrics.perceptual`.
      weights: as for `metrics.perceptual`.
      origin: where the features come from, for the protocol.

    Returns:
      A `Metric`.
    """
    function = functools.partial(metrics_lib.perceptual, features=features, weights=weights)
    return Metric(function, "perceptual", 4, False, f"distance of unit features, {origin}")


def select(names):
    """Looks metrics up.

    Args:
      names: sequence of names; or a dictionary `{name: Metric}`, which is given back.

    Returns:
      `{name: Metric}` in that order.

    Raises:
      ValueError: no names, or one that is not known.
    """
    if isinstance(names, dict) and names:
        return names
    unknown = sorted(set(names) - set(METRICS))
    if unknown or not names:
        raise ValueError(f"metrics must be some of {', '.join(METRICS)}; got {', '.join(names)!r}")
    return {name: METRICS[name] for name in names}


def score(picture, target, *, metrics=DEFAULT):
    """Judges one picture as an 8-bit file would keep it.

    Args:
      picture: `[h, w, 3]`, float in [0, 1] (clipped and rounded here) or uint8 or uint16 pixels.
      target: the same.
      metrics: names from `METRICS`, or what `select` gives.

    Returns:
      `{name: float}`.

    Raises:
      ValueError: the shapes differ, a metric is unknown, or the picture is too small for it.
    """
    chosen = select(metrics)
    return {
        name: float(_compiled(metric.function)(picture, target)) for name, metric in chosen.items()
    }


def compare(output, target, given, *, metrics=DEFAULT):
    """Judges an output, and the input it was made from.

    Args:
      output: as `picture` of `score`.
      target: the same.
      given: the untouched input, the same.
      metrics: names from `METRICS`.

    Returns:
      `{name: float, "input_" + name: float}`.
    """
    before = score(given, target, metrics=metrics)
    return score(output, target, metrics=metrics) | {
        f"input_{name}": value for name, value in before.items()
    }


def evaluate(enhance, source, *, metrics=DEFAULT, further=None, keep=0, shard=(0, 1), gather=None):
    """Enhances every photo of a source whole and averages the metrics over all of them.

    Args:
      enhance: `image [h, w, 3] float in [0, 1] -> [h, w, 3]`.
      source: has a length and random access, `[i] -> {"input", "target", "name"}`.
      metrics: names from `METRICS`.
      further: `photo -> {name: float}`, more to average, of photos as they are given back; None for
        nothing more.
      keep: how many photos, the first ones of the source, to give back; only with shard 0.
      shard: `(index, count)`: which part of the photos this process takes.
      gather: how the parts come together, as for `training/evaluation.average`.

    Returns:
      `(results, kept)`: `{name: mean, "input_" + name: mean}` and the means of `further`, equal on
      all processes and for any number of them, and the first photos
      `{"name", "input", "output", "target"}`.
    """
    (index, count), totals, kept = shard, evaluation.Totals(), []
    for position in range(len(source)):
        mine, shown = position % count == index, index == 0 and position < keep
        if not mine and not shown:
            continue
        element = source[position]
        photo = {key: images.as_float(element[key]) for key in ("input", "target")}
        photo["name"] = element["name"]
        photo["output"] = np.asarray(enhance(photo["input"]))
        if shown:
            kept.append(photo)
        if mine:
            values = compare(photo["output"], photo["target"], photo["input"], metrics=metrics)
            values |= further(photo) if further else {}
            totals.add({name: [value] for name, value in values.items()})
    return totals.means(gather=gather), kept


def table(results, *, metrics=DEFAULT, title="held-out photos"):
    """Writes means for a terminal: the untouched inputs above the enhanced ones.

    Args:
      results: `{name: number}` with and without the prefix `input_`; None (an infinite number that
        JSON could not hold) is shown as such.
      metrics: names, the columns.
      title: what the first line says.

    Returns:
      Lines of text.
    """
    chosen = select(metrics)
    lines = [f"{title:32s}" + "".join(f"{metric.title:>10s}" for metric in chosen.values())]
    for label, prefix in (("untouched input", "input_"), ("enhanced", "")):
        if all(prefix + name in results for name in chosen):
            cells = [
                number(results[prefix + name], metric.digits) for name, metric in chosen.items()
            ]
            lines.append(f"  {label:30s}" + "".join(f"{cell:>10s}" for cell in cells))
    return "\n".join(lines)


def number(value, digits):
    """Writes one number of a table; None is an infinity that JSON could not hold."""
    return "inf" if value is None else f"{value:.{digits}f}"


@functools.cache
def _compiled(function):
    return jax.jit(lambda *pair: function(*(_as_in_a_file(picture) for picture in pair)))


def _as_in_a_file(picture):
    if picture.dtype == jnp.uint16:
        picture = picture.astype(jnp.float32) / 65535.0
    if picture.dtype == jnp.uint8:
        return picture.astype(jnp.float32) / 255.0
    return metrics_lib.round_to_8bit(picture)
