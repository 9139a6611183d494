"""Feature networks: ImageNet classifiers whose features a loss or a metric compares.

VGG (the network of the papers) and EfficientNet-Lite0 (whose weights come with a Python package)
have one interface: `layers`, the names of all; `content_layers`, those of a content loss, and
`feature_scale`, what it divides their features by; `stage_layers`, the last of every resolution,
for a perceptual distance; and the method `features`.
"""

from collections.abc import Callable, Sequence

from bilateral_jax.models import efficientnet, vgg
from bilateral_jax.models.layers import feature_layers

NETWORKS = (vgg.VGG, efficientnet.EfficientNetLite0)


def content_features(model, *, layers: Sequence[str] | None = None) -> Callable:
    """Makes the `features` of `losses.features.content_loss`.

    Args:
      model: a `Model` of one of `NETWORKS`.
      layers: names of its layers; None for its `content_layers`.

    Returns:
      `image [*b, h, w, 3] in [0, 1] -> list of float32 [*b, h_l, w_l, c_l]`, one per layer, divided
      by the network's `feature_scale`. It raises ValueError for an image of another shape.

    Raises:
      ValueError: another network, no layers, or one that the network does not have.
    """
    names = _names(model, layers, "content_layers")
    scales = [model.module.feature_scale(name) for name in names]

    def features(image):
        return [x / scale for x, scale in zip(_computed(model, image, names), scales, strict=True)]

    return features


def perceptual_features(model, *, layers: Sequence[str] | None = None) -> Callable:
    """Makes the `features` of `metrics.perceptual`.

    Args:
      model: a `Model` of one of `NETWORKS`.
      layers: names of its layers; None for its `stage_layers`.

    Returns:
      `image [*b, h, w, 3] in [0, 1] -> list of float32 [*b, h_l, w_l, c_l]`, one per layer. It
      raises ValueError for an image of another shape.

    Raises:
      ValueError: as `content_features`.
    """
    names = _names(model, layers, "stage_layers")
    return lambda image: list(_computed(model, image, names))


def _computed(model, image, names):
    if image.ndim < 3 or image.shape[-1] != 3:
        raise ValueError(f"image must be [*b, h, w, 3], got shape {image.shape}")
    flat = image.reshape(-1, *image.shape[-3:])
    layers = model.apply(flat, names, method="features")
    return [x.reshape(*image.shape[:-3], *x.shape[-3:]) for x in layers]


def _names(model, layers, default):
    module = model.module
    if not isinstance(module, NETWORKS):
        kinds = ", ".join(kind.__name__ for kind in NETWORKS)
        raise ValueError(f"model must be one of {kinds}, got {type(module).__name__}")
    names = getattr(module, default) if layers is None else layers
    feature_layers.last_layer(names, names=module.layers)
    return tuple(names)
