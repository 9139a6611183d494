"""What a critic's opinion is worth: to the generator that it judges, and to itself.

A critic gives every picture two logits, of a real one and of a made one. The forms: "minimax" is
what the published DPED code minimises (the logarithm of the probability of being recognised: its
gradient fades where the critic is sure); "non_saturating" is the paper's, minus the logarithm of
the probability of passing for real; "hinge" works on the difference of the logits.

Receives logits [*b, 2] from experiments.
Hands one value per example [*b] to training/step.py's weighted mean or sum.

References: Ignatov et al. 2017, "DSLR-quality photos on mobile devices with deep convolutional
networks", section 3.1; Goodfellow et al. 2014, "Generative adversarial nets"; Lim and Ye 2017,
"Geometric GAN"; Mescheder et al. 2018, "Which training methods for GANs do actually converge?".
"""

import math

import jax
import jax.numpy as jnp

FORMS = ("minimax", "non_saturating", "hinge")

_LEAST = math.log(1e-10)  # the published code lets no probability fall below this


def generator(logits, *, form="minimax"):
    """Measures how well a critic sees through made pictures.

    Args:
      logits: float `[*b, 2]` of made pictures.
      form: one of `FORMS`.

    Returns:
      float32 `[*b]`, to be minimised: `log p(made)`, `-log p(real)`, or the second logit minus the
      first; probabilities count as at least 1e-10.

    Raises:
      ValueError: an unknown form, or the logits are not `[*b, 2]`.
    """
    logits = _checked(logits, form)
    if form == "minimax":
        return _log_probability(logits)[..., 1]
    if form == "non_saturating":
        return -_log_probability(logits)[..., 0]
    return -_margin(logits)


def critic(logits, real, *, form="minimax"):
    """Measures how wrong a critic is.

    Args:
      logits: float `[*b, 2]`.
      real: bool or 0 and 1 `[*b]`: which pictures are real.
      form: one of `FORMS`; the first two are the same for the critic, the cross-entropy.

    Returns:
      float32 `[*b]`, to be minimised.

    Raises:
      ValueError: an unknown form, or shapes that do not fit.
    """
    logits = _checked(logits, form)
    real = jnp.asarray(real, bool)
    if real.shape != logits.shape[:-1]:
        raise ValueError(f"real must be [*b] = {logits.shape[:-1]}, got {real.shape}")
    if form == "hinge":
        return jnp.maximum(0.0, 1.0 - jnp.where(real, 1.0, -1.0) * _margin(logits))
    log_probability = _log_probability(logits)
    return -jnp.where(real, log_probability[..., 0], log_probability[..., 1])


def gradient_penalty(judge, image):
    """Measures how steep a critic is: the squared length of its gradient ("R1" at real pictures).

    Args:
      judge: `image [b, h, w, c] -> logits [b, 2]`, each example on its own.
      image: float `[b, h, w, c]`.

    Returns:
      float32 `[b]`.
    """
    slope = jax.grad(lambda x: _margin(judge(x)).sum())(image)
    return jnp.square(slope).sum(axis=(-3, -2, -1))


def _margin(logits):
    """By how much a picture passes for real: the logit of a sigmoid in place of the softmax."""
    return logits[..., 0] - logits[..., 1]


def _log_probability(logits):
    """Of a made and of a real picture; below the least one there is no gradient, as in the code."""
    return jnp.maximum(jax.nn.log_softmax(logits, axis=-1), _LEAST)


def _checked(logits, form):
    if form not in FORMS:
        raise ValueError(f"form must be one of {FORMS}, got {form!r}")
    if jnp.ndim(logits) < 1 or jnp.shape(logits)[-1] != 2:
        raise ValueError(f"logits must be [*b, 2], got {jnp.shape(logits)}")
    return jnp.asarray(logits, jnp.float32)
