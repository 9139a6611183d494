"""Adversarial losses of generators and critics.

A critic gives scores of images: `[b]`, one number for each, the larger the more like a real image;
`[b, h, w]`, one for each patch; or `[b, 2]`, the logits of real and generated, whose score is the
first minus the second. The number of axes tells them apart, so there is one axis of examples.

With s for the score and p = 1 / (1 + exp(-s)) for the probability of being real, a generator
minimises, and a critic minimises at real and at generated images:

    form               generator        critic: real       generated
    "minimax"          log(1 - p)       -log p             -log(1 - p)
    "non_saturating"   -log p           -log p             -log(1 - p)
    "hinge"            -s               max(0, 1 - s)      max(0, 1 + s)
    "least_squares"    (s - 1)^2        (s - 1)^2          s^2
    "wasserstein"      -s               -s                 s

"minimax" has no gradient where the critic is certain; it is what the published DPED code minimises,
and "non_saturating" what its paper states. "wasserstein" needs a bound on the critic's slope
(`gradient_penalties`). Probabilities of `[b, 2]` are clipped to at least 1e-10, without gradient
below, as in the published DPED code; those of scores are not.

References: Goodfellow et al. 2014, "Generative adversarial nets"; Lim and Ye 2017, "Geometric GAN";
Mao et al. 2017, "Least squares generative adversarial networks"; Arjovsky, Chintala and Bottou
2017, "Wasserstein GAN"; Ignatov et al. 2017, "DSLR-quality photos on mobile devices with deep
convolutional networks", section 3.1; Isola et al. 2017, "Image-to-image translation with
conditional adversarial networks", section 3.2.2, for scores of patches.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

FORMS = ("minimax", "non_saturating", "hinge", "least_squares", "wasserstein")

_MIN_LOG_PROBABILITY = math.log(1e-10)


def generator_loss(scores, *, form="minimax") -> jax.Array:
    """Adversarial loss of a generator.

    Args:
      scores: float `[b]`, `[b, 2]` or `[b, h, w]`, of generated images.
      form: one of `FORMS`.

    Returns:
      float32 `[b]`, to be minimised; the mean over patches.

    Raises:
      ValueError: an unknown form, or scores of another shape.
    """
    _check_form(form)
    scores = _checked(scores)
    if form == "minimax":
        return _patch_mean(_log_probabilities(scores)[1])
    if form == "non_saturating":
        return -_patch_mean(_log_probabilities(scores)[0])
    if form == "least_squares":
        return _patch_mean(jnp.square(_margin(scores) - 1.0))
    return -_patch_mean(_margin(scores))


def critic_loss(scores, real, *, form="minimax") -> jax.Array:
    """Loss of a critic at real or generated images.

    Args:
      scores: float `[b]`, `[b, 2]` or `[b, h, w]`.
      real: bool or 0 and 1 `[b]`: which images are real; or one bool for all.
      form: one of `FORMS`; the first two are the same for a critic: cross-entropy.

    Returns:
      float32 `[b]`, to be minimised; the mean over patches.

    Raises:
      TypeError: `real` is neither bool nor int, such as the 0.9 of smoothed labels.
      ValueError: an unknown form, or shapes that do not fit.
    """
    _check_form(form)
    scores = _checked(scores)
    real = _real(real, scores)
    if scores.ndim == 3:
        real = jnp.broadcast_to(real, scores.shape[:1])[:, None, None]
    if form in ("minimax", "non_saturating"):
        of_real, of_generated = _log_probabilities(scores)
        return -_patch_mean(jnp.where(real, of_real, of_generated))
    score = _margin(scores)
    if form == "least_squares":
        return _patch_mean(jnp.square(score - jnp.where(real, 1.0, 0.0)))
    signed = jnp.where(real, 1.0, -1.0) * score
    return _patch_mean(jnp.maximum(0.0, 1.0 - signed) if form == "hinge" else -signed)


def example_scores(scores) -> jax.Array:
    """One score for each image: the mean over patches, or the first logit minus the second.

    Args:
      scores: float `[b]`, `[b, 2]` or `[b, h, w]`, as a critic gives them.

    Returns:
      float32 `[b]`, above 0 where a critic by probabilities takes an image for real.

    Raises:
      ValueError: scores of another shape.
    """
    return _patch_mean(_margin(_checked(scores)))


def accuracy(scores, real, *, form="minimax") -> jax.Array:
    """Whether a critic takes images for what they are.

    Args:
      scores: float `[b]`, `[b, 2]` or `[b, h, w]`.
      real: bool or 0 and 1 `[b]`: which images are real; or one bool for all.
      form: the form that the critic is trained with, one of `FORMS`. An image is taken for real
        where its score (of patches their mean) is above the middle of what real and generated
        images are to have: 1/2 in "least_squares", 0 in the others; in "wasserstein" the scores
        have no middle, and 0 means nothing.

    Returns:
      float32 `[b]`, 1 or 0.

    Raises:
      ValueError: an unknown form, or shapes that do not fit.
    """
    _check_form(form)
    scores = example_scores(scores)
    taken = scores > (0.5 if form == "least_squares" else 0.0)
    return (taken == _real(real, scores)).astype(jnp.float32)


def _real(real, scores):
    kind = real.dtype if hasattr(real, "dtype") else np.asarray(real).dtype
    if kind.kind not in "biu":
        raise TypeError(f"real must be bool, or int of 0 and 1, got {kind} ({real!r})")
    real = jnp.asarray(real, bool)
    if real.shape not in ((), scores.shape[:1]):
        raise ValueError(f"real must be [b] = {scores.shape[:1]} or one bool, got {real.shape}")
    return real


def _margin(scores):
    """The score of a sigmoid in place of the softmax of two logits."""
    return scores[:, 0] - scores[:, 1] if scores.ndim == 2 else scores


def _log_probabilities(scores):
    """Of real and of generated: two arrays without the axis of logits."""
    if scores.ndim == 2:
        values = jnp.maximum(jax.nn.log_softmax(scores, axis=-1), _MIN_LOG_PROBABILITY)
        return values[:, 0], values[:, 1]
    return jax.nn.log_sigmoid(scores), jax.nn.log_sigmoid(-scores)


def _patch_mean(values):
    return values.mean((1, 2)) if values.ndim == 3 else values


def _check_form(form):
    if form not in FORMS:
        raise ValueError(f"form must be one of {FORMS}, got {form!r}")


def _checked(scores):
    shape = jnp.shape(scores)
    if len(shape) not in (1, 2, 3) or (len(shape) == 2 and shape[1] != 2):
        advice = "; scores[..., 0] leaves out the last axis" if shape[-1:] == (1,) else ""
        raise ValueError(
            "scores must be [b], [b, 2] (logits of real and generated) or [b, h, w], "
            f"got {shape}{advice}"
        )
    return jnp.asarray(scores, jnp.float32)
