"""Evaluation of held-out photos whole and in patches, as DPED's authors do.

Whole photos follow `protocol.py`. In patches: each photo is cut into non-overlapping patches from
its top left corner, each patch is enhanced on its own (instance norm sees the patch alone) and
scored, and all patches have the same weight. For a source of patches the two agree. `psnr_pooled`
is the PSNR of the mean squared error over all patches, unclipped and not rounded, as the published
code computes it for 50 at a time; it is below the mean of one PSNR per patch. MS-SSIM is that of
the published code: windows that shrink with the scale, channels averaged before the powers.
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

_MS_SSIM = {"window": "shrinking", "channels": "together"}
METRICS = {
    "psnr": protocol.METRICS["psnr"],
    "ssim": protocol.METRICS["ssim"],
    "ms_ssim": protocol.Metric(
        functools.partial(metrics_lib.ms_ssim, **_MS_SSIM),
        "MS-SSIM", 4, True,
        "5 scales, windows that shrink with the scale, channels averaged before the powers",
        smallest=17, by_tiles=functools.partial(metrics_lib.ms_ssim_by_tiles, **_MS_SSIM),
    ),
    "delta_e": protocol.METRICS["delta_e"],
}  # fmt: skip
_BATCH_SIZE = 8  # patches enhanced at a time


def evaluate(network, state, source, *, size, check, shard=(0, 1), gather=None, keep=0):
    """Evaluates a network on held-out pairs, whole and in patches.

    Args:
      network: `state -> Model` that enhances images.
      state: training state.
      source: has a length and random access, `[i] -> {"input", "target", "name"}`.
      size: side of the patches in pixels.
      check: called between photos; may raise.
      shard: as for `protocol.evaluate`.
      gather: as for `protocol.evaluate`.
      keep: how many photos to return.

    Returns:
      `(results, photos)` as `protocol.evaluate`; results also hold each metric with the prefix
      `patch_` (after `input_`) and `patch_psnr_pooled`, unless all photos are smaller than a patch.
    """
    model = network(state)
    whole = experiment.image_evaluation(
        lambda _, image: inference.enhance(model, image), metrics=METRICS
    )
    results, photos = whole(state, source, check=check, shard=shard, gather=gather, keep=keep)
    totals, count = evaluation.ExactMeans(), 0
    for position in range(shard[0], len(source), shard[1]):
        check()
        pair = {name: images.as_float(source[position][name]) for name in ("input", "target")}
        inputs, targets = (cut(pair[name], size) for name in ("input", "target"))
        if len(inputs):
            count += len(inputs)
            totals.add(_scores(_enhance(model, inputs), targets, inputs))
    if sum(gather(count) if gather else [count]):
        results = results | _pooled_psnr(totals.means(gather=gather))
    return results, photos


def cut(image, size):
    """Cuts an image into non-overlapping patches from the top left corner; drops the remainder.

    Args:
      image: `[h, w, c]`.
      size: side of the patches in pixels.

    Returns:
      `[n, size, size, c]`, row by row; n is 0 for an image smaller than a patch.
    """
    down, right = (side // size for side in image.shape[:2])
    kept = image[: down * size, : right * size]
    tiles = kept.reshape(down, size, right, size, image.shape[-1]).swapaxes(1, 2)
    return tiles.reshape(down * right, size, size, image.shape[-1])


def table(results, *, title="held-out photos"):
    """Formats the means of whole photos and of patches for a terminal.

    Args:
      results: as `evaluate` returns them.
      title: first cell of the header.

    Returns:
      Text.
    """
    lines = [protocol.table(results, metrics=METRICS, title=title)]
    if "patch_psnr" in results:
        of_patches = {k.replace("patch_", ""): v for k, v in results.items() if "patch_" in k}
        lines.append(protocol.table(of_patches, metrics=METRICS, title="the same in patches"))
        pooled = (results[p + "patch_psnr_pooled"] for p in (protocol.INPUT, ""))
        before, after = (protocol.number(value, 2) for value in pooled)
        lines.append(f"  PSNR of all patches pooled: {before} untouched, {after} enhanced")
    return "\n".join(lines)


def _scores(predictions, targets, inputs):
    """Every metric of each patch, and the squared errors to be pooled."""
    values = {}
    for prefix, patches in (("", predictions), (protocol.INPUT, inputs)):
        rounded = [metrics_lib.round_to_8bit(each) for each in (patches, targets)]
        for name, metric in METRICS.items():
            values[f"{prefix}patch_{name}"] = metric.function(*rounded)
        difference = np.asarray(patches, np.float64) - targets
        values[f"{prefix}patch_error"] = np.square(difference).mean((1, 2, 3))
    return values


def _pooled_psnr(means):
    """Converts the pooled mean squared errors to PSNR in dB."""
    named = {}
    for name, value in means.items():
        if name.endswith("patch_error"):
            name = name.replace("patch_error", "patch_psnr_pooled")
            value = -10 * float(np.log10(value)) if value else float("inf")
        named[name] = value
    return named


def _enhance(model, patches):
    """Enhances patches in batches of one size; the last batch is padded, so one compile serves."""
    filled = np.concatenate([patches, np.repeat(patches[-1:], -len(patches) % _BATCH_SIZE, axis=0)])
    parts = [_run(model, part) for part in np.split(filled, len(filled) // _BATCH_SIZE)]
    return np.concatenate(parts)[: len(patches)]


@jax.jit
def _run(model, images):
    return model.apply(jnp.asarray(images), method="enhance")
