"""Adversarial losses of generators and critics.

A critic gives every image two logits: real, generated. The forms: "minimax" is what the published
DPED code minimises, the log probability of being classified as generated (its gradient vanishes
where the critic is certain); "non_saturating" is the paper's, minus the log probability of being
classified as real; "hinge" works on the difference of the logits.

References: Ignatov et al. 2017, "DSLR-quality photos on mobile devices with deep convolutional
networks", section 3.1; Goodfellow et al. 2014, "Generative adversarial nets"; Lim and Ye 2017,
"Geometric GAN"; Mescheder et al. 2018, "Which training methods for GANs do actually converge?".
"""

import math

import jax
import jax.numpy as jnp

from bilateral_jax.losses import reconstruction

FORMS = ("minimax", "non_saturating", "hinge")

_MIN_LOG_PROBABILITY = math.log(1e-10)  # the published code clips probabilities to 1e-10


def generator_loss(logits, *, form="minimax") -> jax.Array:
    """Adversarial loss of a generator.

    Args:
      logits: float `[*b, 2]` of generated images.
      form: one of `FORMS`.

    Returns:
      float32 `[*b]`, to be minimised: `log p(generated)`, `-log p(real)`, or the second logit minus
      the first; probabilities are clipped to at least 1e-10.

    Raises:
      ValueError: an unknown form, or the logits are not `[*b, 2]`.
    """
    logits = _checked(logits, form)
    if form == "minimax":
        return _log_probability(logits)[..., 1]
    if form == "non_saturating":
        return -_log_probability(logits)[..., 0]
    return -_margin(logits)


def critic_loss(logits, real, *, form="minimax") -> jax.Array:
    """Classification loss of a critic.

    Args:
      logits: float `[*b, 2]`.
      real: bool or 0 and 1 `[*b]`: which images are real.
      form: one of `FORMS`; the first two are the same for a critic: cross-entropy.

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


def gradient_penalty(critic, image) -> jax.Array:
    """Squared norm of a critic's gradient with respect to the image ("R1" at real images).

    Args:
      critic: `image [b, h, w, c] -> logits [b, 2]`, each example on its own.
      image: float `[b, h, w, c]`.

    Returns:
      float32 `[b]`.
    """
    gradient = jax.grad(lambda x: _margin(critic(x)).sum())(image)
    return jnp.square(gradient.astype(jnp.float32)).sum(axis=(-3, -2, -1))


def slope_penalty(critic, real, generated, fraction) -> jax.Array:
    """Squared deviation of a critic's slope from 1 between real and generated images ("WGAN-GP").

    Args:
      critic: `image [b, h, w, c] -> score [b]`, each example on its own.
      real: float `[b, h, w, c]`.
      generated: float of the same shape.
      fraction: float `[b]` in [0, 1]: how much of the real image the mixture has where the slope is
        measured.

    Returns:
      float32 `[b]`: `(|gradient of the score in the image| - 1)^2`; its derivative is finite where
      the gradient is 0, too.

    Raises:
      ValueError: the images differ in shape.

    Reference: Gulrajani et al. 2017, "Improved training of Wasserstein GANs", equation 3.
    """
    if jnp.shape(real) != jnp.shape(generated):
        raise ValueError(
            f"real and generated images must have one shape, got {jnp.shape(real)} and "
            f"{jnp.shape(generated)}"
        )
    fraction = fraction[:, None, None, None]
    mixture = fraction * real + (1 - fraction) * generated
    gradient = jax.grad(lambda x: critic(x).sum())(mixture).astype(jnp.float32)
    norm = reconstruction.l2_norm(gradient)
    return jnp.square(norm - 1)


def _margin(logits):
    """The logit of "real" for a sigmoid in place of the softmax."""
    return logits[..., 0] - logits[..., 1]


def _log_probability(logits):
    """Clipped, without gradient below the bound, as in the published code."""
    return jnp.maximum(jax.nn.log_softmax(logits, axis=-1), _MIN_LOG_PROBABILITY)


def _checked(logits, form):
    if form not in FORMS:
        raise ValueError(f"form must be one of {FORMS}, got {form!r}")
    if jnp.ndim(logits) < 1 or jnp.shape(logits)[-1] != 2:
        raise ValueError(f"logits must be [*b, 2], got {jnp.shape(logits)}")
    return jnp.asarray(logits, jnp.float32)
