"""The perceptual distance in the features of the published EfficientNet-Lite0. 15 s to compile."""

import jax
import numpy as np
import pytest
from scipy import ndimage

from bilateral_jax import metrics
from bilateral_jax.models import feature_networks
from tests import published_features

skimage_data = pytest.importorskip("skimage.data", reason="scikit-image is not installed")
LEVELS = 3


def distorted(image, rng):
    """Versions of an image in rising strength, of three kinds: `[kinds, LEVELS, h, w, 3]`."""
    noise = rng.normal(size=image.shape)
    strengths = range(1, LEVELS + 1)
    rows = [
        [ndimage.gaussian_filter(image, (0.7 * k, 0.7 * k, 0)) for k in strengths],
        [image + 0.04 * k * noise for k in strengths],
        [image ** (1 + 0.4 * k) for k in strengths],
    ]
    return np.clip(np.asarray(rows), 0, 1).astype(np.float32)


def test_the_distance_rises_with_the_strength_of_a_distortion():
    network = published_features.network()
    cat = skimage_data.chelsea()[80:176, 130:226].astype(np.float32) / 255
    versions = distorted(cat, np.random.default_rng(0)).reshape(-1, *cat.shape)
    images = np.concatenate([cat[None], versions, cat[None, ::-1]])

    @jax.jit
    def distance(network, images, target):
        features = feature_networks.perceptual_features(network, layers=("block2", "block4"))
        return metrics.perceptual(images, target, features=features)

    same, *found, flipped = distance(network, images, np.broadcast_to(cat, images.shape))
    assert same == 0
    rows = np.reshape(found, (-1, LEVELS))
    assert (np.diff(rows, axis=1) > 0.1 * rows[:, 1:]).all(), rows
    assert flipped > rows.max()  # other content
