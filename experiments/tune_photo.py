"""Tunes an operator's own parameters so that a critic likes one photo better.

    python -m experiments.tune_photo IN OUT --critic NIMA [--operator grid] [--objective emd]

The parameters are tuned on a small copy and then applied to the photo itself. Without a penalty on
their strength the operator would end in whatever pattern the critic overrates.

Receives a photo and a critic from the command line.
Hands the photo, with the parameters that were found, to the user.

Reference: Talebi and Milanfar 2018, "Learned perceptual image enhancement", section on parameter
tuning; the target distribution is that of NICER (Fischer et al. 2020).
"""

import argparse
import pathlib
import sys
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from bilateral_jax import images, metrics
from bilateral_jax.data.pipeline import whole_photos
from bilateral_jax.losses import emd
from bilateral_jax.models import nima
from experiments.operators import tunable_operators
from experiments.papers import perceptual

OBJECTIVES = ("emd", "mean")
# What NICER wants a photo's opinions to be, for the scores 1 to 10.
WISHED = (0.0, 0.0, 0.0, 0.0, 0.0, 0.01, 0.09, 0.15, 0.55, 0.20)
_START = 0.01


class Tuned(NamedTuple):
    """What came of a tuning.

    Attributes:
      parameters: of the operator, those with the smallest loss on the way.
      losses: list of floats, one per step.
    """

    parameters: Any
    losses: list


def tune(operator, judge, image, *, objective="mean", strength=0.5, steps=50, rate=0.05, seed=0):
    """Tunes an operator's parameters for the score of one photo.

    Args:
      operator: an `adjustable.Adjustable`.
      judge: a `Model` of NIMA.
      image: float32 `[h, w, 3]` in [0, 1]; a small copy of the photo will do.
      objective: "mean" (10 - mean score) or "emd" (distance of the distribution of scores from
        `WISHED`, r = 2).
      strength: weight of the operator's strength.
      steps: of Adam.
      rate: of Adam, falling to 0 as a cosine.
      seed: of the small random start.

    Returns:
      A `Tuned`.

    Raises:
      ValueError: an unknown objective, a negative strength or rate, no steps, or a loss that is not
        finite.
    """
    if objective not in OBJECTIVES:
        raise ValueError(f"objective must be one of {OBJECTIVES}, got {objective!r}")
    for name, value in (("strength", strength), ("rate", rate)):
        if not value >= 0:
            raise ValueError(f"{name} must be at least 0, got {value}")
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    rule = optax.adam(optax.cosine_decay_schedule(rate, steps))

    @jax.jit
    def advance(parameters, opt_state, judge, image):
        def loss(parameters):
            output = jnp.clip(operator.apply(parameters, image), 0.0, 1.0)
            missed = _missed(judge, output, objective)
            return missed + strength * operator.strength(parameters)

        value, gradient = jax.value_and_grad(loss)(parameters)
        change, opt_state = rule.update(gradient, opt_state)
        return value, optax.apply_updates(parameters, change), opt_state

    parameters = tunable_operators.drawn(jax.random.key(seed), operator.zero, _START)
    opt_state, best, losses = rule.init(parameters), parameters, []
    for _ in range(steps):
        value, moved, opt_state = advance(parameters, opt_state, judge, image)
        losses.append(float(value))
        if not np.isfinite(losses[-1]):
            raise ValueError(f"the loss is {losses[-1]} after {len(losses) - 1} steps")
        best = parameters if losses[-1] == min(losses) else best
        parameters = moved
    return Tuned(best, losses)


def _missed(judge, output, objective):
    if objective == "mean":
        return nima.SCORES - nima.mean_score(judge, output)
    return emd.emd(nima.distribution(judge, output, method="antialias"), jnp.array(WISHED))


@jax.jit
def opinion(judge, picture):
    """The mean and the deviation of the scores of a picture as a file would keep it."""
    shares = nima.distribution(judge, metrics.round_to_8bit(picture), method="antialias")
    return nima.mean(shares), nima.deviation(shares)


def run(source, target, *, critic, operator, cells, short_side, quality=95, **options):
    """Tunes for the photo of a file and writes it.

    Args:
      source: the file.
      target: the file to write, with the profile and the tags of the source.
      critic: folder of a NIMA.
      operator: a name of `adjustable.KINDS`.
      cells: as for `adjustable.make`.
      short_side: of the copy to tune on.
      quality: of a JPEG.
      **options: of `tune`.

    Returns:
      `(rows, parameters)`: `{what: (mean score, deviation)}` before and after, on the copy and on
      the photo itself, and the parameters by name.

    Raises:
      OSError: a file cannot be read or written.
      ValueError: as `tune`, or the critic is no NIMA.
    """
    chosen, judge = tunable_operators.make(operator, cells=cells), perceptual.read_critic(critic)
    photo = images.read(source)
    small, full = (
        whole_photos.limit_short_side(photo.pixels, short_side),
        images.to_float(photo.pixels),
    )
    found = tune(chosen, judge, small, **options).parameters
    apply = jax.jit(chosen.apply)
    after = np.clip(apply(found, full), 0.0, 1.0)
    rows = {
        "copy, before": opinion(judge, small),
        "copy, after": opinion(judge, apply(found, small)),
        "photo, before": opinion(judge, full),
        "photo, after": opinion(judge, after),
    }
    pixels = images.to_integer(after, 8 * photo.pixels.dtype.itemsize)
    images.write(target, pixels, icc_profile=photo.icc_profile, exif=photo.exif, quality=quality)
    told = chosen.tell(found) | {"PSNR to the input": float(metrics.psnr(after, full))}
    return {name: tuple(map(float, pair)) for name, pair in rows.items()}, told


def text(rows, told):
    """Writes a result for a terminal.

    Args:
      rows: as `run` gives them.
      told: as `run` gives it.

    Returns:
      Lines of text.
    """
    lines = [f"{'':30s}{'mean score':>12s}{'deviation':>12s}"]
    lines += [f"{name:30s}{mean:12.3f}{spread:12.3f}" for name, (mean, spread) in rows.items()]
    return "\n".join([*lines, *(f"{name:30s}{value:12.3f}" for name, value in told.items())])


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m experiments.tune_photo",
        description="Tune an operator's parameters for the score of one photo.",
    )
    add = parser.add_argument
    add("source", metavar="IN", type=pathlib.Path, help="photo")
    add("target", metavar="OUT", type=pathlib.Path, help="file to write")
    add("--critic", metavar="NIMA", required=True, help="folder of a run or an imported model")
    add("--operator", choices=tunable_operators.KINDS, default="local_laplacian")
    add("--cells", type=int, nargs=3, default=tunable_operators.CELLS, help="of the grid (4 4 4)")
    add("--objective", choices=OBJECTIVES, default="mean", help="what the score is to be (mean)")
    add("--strength", type=float, default=0.5, help="weight of the operator's strength (0.5)")
    add("--steps", type=int, default=50, help="of Adam (50)")
    add("--rate", type=float, default=0.05, help="of Adam (0.05)")
    add("--seed", type=int, default=0, help="of the small random start (0)")
    add("--short-side", type=int, default=224, help="of the copy to tune on (224)")
    add("--quality", type=int, default=95, help="of a JPEG (95)")
    return parser


def main(arguments=None) -> int:
    """Runs the command and gives its exit code."""
    options = vars(_parser().parse_args(arguments))
    try:
        rows, told = run(**options)
    except (OSError, ValueError, TypeError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    print(text(rows, told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
