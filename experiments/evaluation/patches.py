"""Held-out photos judged twice: whole, and in patches as DPED's authors judged theirs.

Whole: the protocol of `cli/score.py`. In patches: every photo is cut into patches without overlap
from its top left corner, each is enhanced on its own (its statistics are those of the patch, not of
the photo) and judged, and all patches count alike. A source of patches is judged the same both
ways. `psnr_pooled` takes one mean squared error of all patches, unclipped and not rounded, as the
published code does for 50 at a time; the mean of one PSNR per patch is higher. MS-SSIM is the
published code's: windows that shrink with the picture, channels averaged before the powers.

Receives networks from experiments/papers/dped.py, held-out sources from experiments/train.py.
Hands numbers, photos for a sheet and a table back.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from bilateral_jax import images, inference
from bilateral_jax import metrics as metrics_lib
from bilateral_jax.training import evaluation
from experiments import experiment
from experiments.evaluation import protocol

METRICS = {
    "psnr": protocol.METRICS["psnr"],
    "ssim": protocol.METRICS["ssim"],
    "ms_ssim": protocol.Metric(
        functools.partial(metrics_lib.ms_ssim, window="shrinking", channels="together"),
        "MS-SSIM", 4, True,
        "5 scales, windows that shrink with the picture, channels averaged before the powers",
        smallest=17,
    ),
    "delta_e": protocol.METRICS["delta_e"],
}  # fmt: skip
_TOGETHER = 8  # patches that a network works on at a time


def evaluate(network, state, source, *, size, check, shard=(0, 1), gather=None, keep=0):
    """Judges a network on held-out pairs.

    Args:
      network: `state -> Model` that enhances pictures.
      state: what is trained.
      source: has a length and random access, `[i] -> {"input", "target", "name"}`.
      size: side of the patches.
      check: called between photos; may raise.
      shard: `(index, count)`: which part of the photos this process takes.
      gather: how the parts come together, as for `training/evaluation.average`.
      keep: how many photos to give back.

    Returns:
      `(results, photos)` as `scoring.evaluate`; results gain the same names with the prefix
      `patch_` (after `input_`) and `patch_psnr_pooled`, unless no photo holds a patch.
    """
    model = network(state)
    whole = experiment.enhancing(lambda _, image: inference.enhance(model, image), metrics=METRICS)
    results, photos = whole(state, source, check=check, shard=shard, gather=gather, keep=keep)
    totals, count = evaluation.Totals(), 0
    for position in range(shard[0], len(source), shard[1]):
        check()
        pair = {name: images.as_float(source[position][name]) for name in ("input", "target")}
        given, wanted = (cut(pair[name], size) for name in ("input", "target"))
        if len(given):
            count += len(given)
            totals.add(_judge(_enhance(model, given), wanted, given))
    if sum(gather(count) if gather else [count]):
        results = results | _named(totals.means(gather=gather))
    return results, photos


def cut(image, size):
    """Cuts a picture into patches, from the top left corner, without what is left over.

    Args:
      image: `[h, w, c]`.
      size: side of the patches.

    Returns:
      `[n, size, size, c]`, row by row; n is 0 for a picture that is too small.
    """
    down, right = (side // size for side in image.shape[:2])
    kept = image[: down * size, : right * size]
    tiles = kept.reshape(down, size, right, size, image.shape[-1]).swapaxes(1, 2)
    return tiles.reshape(down * right, size, size, image.shape[-1])


def table(results, *, title="held-out photos"):
    """Writes means for a terminal, of whole photos and of patches.

    Args:
      results: what `evaluate` gives.
      title: what the first line says.

    Returns:
      Lines of text.
    """
    lines = [protocol.table(results, metrics=METRICS, title=title)]
    if "patch_psnr" in results:
        of_patches = {k.replace("patch_", ""): v for k, v in results.items() if "patch_" in k}
        lines.append(protocol.table(of_patches, metrics=METRICS, title="the same in patches"))
        pooled = (results["input_patch_psnr_pooled"], results["patch_psnr_pooled"])
        before, after = (protocol.number(value, 2) for value in pooled)
        lines.append(f"  PSNR of all patches pooled: {before} untouched, {after} enhanced")
    return "\n".join(lines)


def _judge(output, wanted, given):
    """One value per patch of every metric, and squared errors to be pooled."""
    values = {}
    for prefix, picture in (("", output), ("input_", given)):
        rounded = [metrics_lib.round_to_8bit(each) for each in (picture, wanted)]
        for name, metric in METRICS.items():
            values[f"{prefix}patch_{name}"] = metric.function(*rounded)
        difference = np.asarray(picture, np.float64) - wanted
        values[f"{prefix}patch_error"] = np.square(difference).mean((1, 2, 3))
    return values


def _named(means):
    """Turns the pooled squared errors into PSNRs."""
    named = {}
    for name, value in means.items():
        if name.endswith("patch_error"):
            name = name.replace("patch_error", "patch_psnr_pooled")
            value = -10 * float(np.log10(value)) if value else float("inf")
        named[name] = value
    return named


def _enhance(model, patches):
    """Enhances patches a few at a time; the last few are filled up, so that one program does."""
    filled = np.concatenate([patches, np.repeat(patches[-1:], -len(patches) % _TOGETHER, axis=0)])
    parts = [_run(model, part) for part in np.split(filled, len(filled) // _TOGETHER)]
    return np.concatenate(parts)[: len(patches)]


@jax.jit
def _run(model, images):
    return model.apply(jnp.asarray(images), method="enhance")
