"""Tunes an operator's parameters for one photo to raise the score that a critic (NIMA) predicts.

    python -m experiments.tune_photo IN OUT --critic NIMA [--operator grid] [--objective emd]

The parameters are tuned on a low-resolution copy and then applied to the photo. The penalty on
their strength keeps the operator from patterns that the critic overrates.

Reference: Talebi and Milanfar 2018, "Learned perceptual image enhancement", section on parameter
tuning; the target distribution is that of NICER (Fischer et al. 2020).
"""

import dataclasses
import pathlib
import sys
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from bilateral_jax import atomic, images, metrics
from bilateral_jax.cli import arguments as arguments_lib
from bilateral_jax.cli import compilation_cache, errors
from bilateral_jax.data.pipeline import whole_photos
from bilateral_jax.losses import emd
from bilateral_jax.models import nima
from experiments.operators import tunable_operators
from experiments.papers import perceptual

OBJECTIVES = ("emd", "mean")
# NICER's target distribution over the scores 1 to 10.
TARGET_DISTRIBUTION = (0.0, 0.0, 0.0, 0.0, 0.0, 0.01, 0.09, 0.15, 0.55, 0.20)
_INITIAL_DEVIATION = 0.01


class Tuned(NamedTuple):
    """Result of a tuning.

    Attributes:
      parameters: the operator's parameters with the smallest loss of all steps.
      losses: list of floats, one per step.
    """

    parameters: Any
    losses: list


def tune(operator, critic, image, *, objective="mean", strength=0.5, steps=50, rate=0.05, seed=0):
    """Tunes an operator's parameters for the score of one photo.

    Args:
      operator: a `tunable_operators.TunableOperator`.
      critic: a `Model` of NIMA.
      image: float32 `[h, w, 3]` in [0, 1], usually a low-resolution copy of the photo.
      objective: "mean" (10 - mean score) or "emd" (earth mover's distance of the distribution of
        scores to `TARGET_DISTRIBUTION`, r = 2).
      strength: weight of the operator's strength.
      steps: number of Adam steps.
      rate: learning rate of Adam, with cosine decay to 0.
      seed: seed of the random start.

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
    def step(parameters, opt_state, critic, image):
        def loss(parameters):
            output = jnp.clip(operator.apply(parameters, image), 0.0, 1.0)
            error = _objective(critic, output, objective)
            return error + strength * operator.strength(parameters)

        value, gradient = jax.value_and_grad(loss)(parameters)
        change, opt_state = rule.update(gradient, opt_state)
        return value, optax.apply_updates(parameters, change), opt_state

    parameters = tunable_operators.perturb(
        jax.random.key(seed), operator.identity, _INITIAL_DEVIATION
    )
    opt_state, best, losses = rule.init(parameters), parameters, []
    for _ in range(steps):
        value, updated, opt_state = step(parameters, opt_state, critic, image)
        losses.append(float(value))
        if not np.isfinite(losses[-1]):
            raise ValueError(f"the loss is {losses[-1]} after {len(losses) - 1} steps")
        best = parameters if losses[-1] == min(losses) else best
        parameters = updated
    return Tuned(best, losses)


def _objective(critic, output, objective):
    if objective == "mean":
        return nima.SCORES - nima.mean_score(critic, output)
    distribution = nima.distribution(critic, output, method="antialias")
    return emd.emd(distribution, jnp.array(TARGET_DISTRIBUTION))


@jax.jit
def score(critic, image):
    """Mean and standard deviation of the predicted scores of an image, rounded to 8 bits."""
    distribution = nima.distribution(critic, metrics.round_to_8bit(image), method="antialias")
    return nima.mean(distribution), nima.deviation(distribution)


def run(source, target, *, critic, operator, cells, short_side, quality=95, **options):
    """Tunes an operator for a photo and writes the result.

    Args:
      source: path of the photo.
      target: path to write, with the alpha channel, profile and metadata of the source.
      critic: folder of a NIMA, a run or an imported model.
      operator: a name of `tunable_operators.KINDS`.
      cells: as for `tunable_operators.make`.
      short_side: short side in pixels of the copy to tune on.
      quality: JPEG quality.
      **options: as for `tune`.

    Returns:
      `(rows, parameters)`: `{name: (mean score, deviation)}` before and after, of the copy and of
      the photo; and the operator's parameters and the PSNR to the input, by name.

    Raises:
      OSError: a file cannot be read or written.
      ValueError: as `tune`, or the critic is no NIMA.
    """
    tunable, network = tunable_operators.make(operator, cells=cells), perceptual.read_critic(critic)
    photo = images.read(source)
    for note in photo.notes:
        print(f"note: {source}: {note}", file=sys.stderr)
    images.check_writable(target, photo, bits=images.bit_depth(photo.pixels), quality=quality)
    atomic.check_folder(pathlib.Path(target).parent)
    small, full = (
        whole_photos.limit_short_side(photo.pixels, short_side),
        images.to_float(photo.pixels),
    )
    found = tune(tunable, network, small, **options).parameters
    apply = jax.jit(tunable.apply)
    after = np.clip(apply(found, full), 0.0, 1.0)
    rows = {
        "copy, before": score(network, small),
        "copy, after": score(network, apply(found, small)),
        "photo, before": score(network, full),
        "photo, after": score(network, after),
    }
    pixels = images.to_integer(after, images.bit_depth(photo.pixels))
    images.write_photo(target, dataclasses.replace(photo, pixels=pixels), quality=quality)
    parameters = tunable.describe(found) | {"PSNR to the input": float(metrics.psnr(after, full))}
    return {name: tuple(map(float, pair)) for name, pair in rows.items()}, parameters


def text(rows, parameters):
    """Formats a result for a terminal.

    Args:
      rows: as `run` returns them.
      parameters: as `run` returns them.

    Returns:
      Text.
    """
    lines = [f"{'':30s}{'mean score':>12s}{'deviation':>12s}"]
    lines += [f"{name:30s}{mean:12.3f}{spread:12.3f}" for name, (mean, spread) in rows.items()]
    return "\n".join([*lines, *(f"{name:30s}{value:12.3f}" for name, value in parameters.items())])


def _parser():
    parser = arguments_lib.Parser(
        prog="python -m experiments.tune_photo",
        description="Tune an operator's parameters for the score of one photo.",
    )
    add = parser.add_argument
    add("source", metavar="IN", help="photo")
    add("target", metavar="OUT", help="file to write")
    add("--critic", metavar="NIMA", required=True, help="folder of a run or an imported model")
    add("--operator", choices=tunable_operators.KINDS, default="local_laplacian")
    add("--cells", type=int, nargs=3, default=tunable_operators.CELLS, help="of the grid (4 4 4)")
    add(
        "--objective",
        choices=OBJECTIVES,
        default="mean",
        help="maximise the mean score, or match a distribution of scores (mean)",
    )
    add("--strength", type=float, default=0.5, help="weight of the operator's strength (0.5)")
    add("--steps", type=int, default=50, help="of Adam (50)")
    add("--rate", type=float, default=0.05, help="of Adam (0.05)")
    add("--seed", type=int, default=0, help="of the random start (0)")
    add("--short-side", type=int, default=224, help="of the copy to tune on (224)")
    add("--quality", type=int, default=95, help="of a JPEG (95)")
    compilation_cache.add_option(parser)
    return parser


def main(arguments=None) -> int:
    """Runs the command; returns its exit code."""
    options = vars(_parser().parse_args(arguments))
    compilation_cache.use(options.pop("compilation_cache"))
    return errors.exit_code(_run, options, caught=errors.SOURCE_ERRORS)


def _run(options):
    rows, parameters = run(**options)
    print(text(rows, parameters))
    return 0


if __name__ == "__main__":
    sys.exit(main())
