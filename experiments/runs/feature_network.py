"""The feature network of a run: a frozen VGG or EfficientNet-Lite0 for losses and metrics."""

import functools

from bilateral_jax.checkpoints import networks
from bilateral_jax.importers import efficientnet
from bilateral_jax.losses import features as features_lib
from bilateral_jax.models import feature_networks

INSTALLED = "efficientnet-lite0"


def read(features, *, layers=None, option="loss.features"):
    """Reads a feature network.

    Args:
      features: folder of imported weights, or `INSTALLED` for those of the installed package.
      layers: names of its layers that will be compared, to be checked; or None.
      option: name of `features` in messages.

    Returns:
      A `Model`.

    Raises:
      FileNotFoundError: there is no such folder; the message says what is expected.
      ImportError: the package is not installed.
      ValueError: the folder holds another network or none, or an unknown layer.
    """
    if features == INSTALLED:
        network = efficientnet.load(efficientnet.installed())
    else:
        try:
            network = networks.load_model(features)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f'{option}: {error}; "{INSTALLED}", or a folder that `import vgg` or `import '
                "efficientnet` wrote, gives features"
            ) from None
    if not isinstance(network.module, feature_networks.NETWORKS):
        kind = type(network.module).__name__
        raise ValueError(
            f"{option}: {features} holds a {kind}, expected a VGG or an EfficientNetLite0 "
            "(import vgg, import efficientnet)"
        )
    if layers is not None:
        feature_networks.content_features(network, layers=layers)
    return network


def content_loss(network, *, layers=None):
    """Makes the content loss of a feature network.

    Args:
      network: a `Model`, as `read` returns it.
      layers: names of the layers to compare; None for those of the network's `content_layers`.

    Returns:
      `(prediction, target, **options) -> values [*b]`, see `losses.features.content_loss`.
    """
    features = feature_networks.content_features(network, layers=layers)
    return functools.partial(features_lib.content_loss, features=features)
