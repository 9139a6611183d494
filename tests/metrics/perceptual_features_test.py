"""The perceptual distance in the features of the published EfficientNet-Lite0."""

import jax
import numpy as np
import pytest

from bilateral_jax import images, metrics
from bilateral_jax.data.synthetic import synthetic_ratings
from bilateral_jax.models import feature_networks
from tests import published_features

pytest.importorskip("skimage.data", reason="scikit-image is not installed")
pytest.importorskip("cv2", reason="OpenCV is not installed")
pytestmark = pytest.mark.usefixtures("compiled_quickly")
LEVELS = len(synthetic_ratings.LEVELS)


@jax.jit
def distance(network, prediction, target):
    features = feature_networks.perceptual_features(network)
    return metrics.perceptual(prediction, target, features=features)


def test_the_distance_rises_with_the_strength_of_every_distortion():
    """Of a held-out photo with one distortion: exposure, contrast, blur, noise, JPEG, sharpness."""
    network = published_features.network()
    copies = synthetic_ratings.SyntheticRatings("heldout", spoilt="alone", size=(64, 96))
    versions = [copies[i] for i in range(1 + LEVELS * len(synthetic_ratings.DISTORTIONS))]
    assert len({int(version["reference"]) for version in versions}) == 1
    photos = np.stack([images.to_float(version["image"]) for version in versions])
    photos = np.concatenate([photos, photos[:1, ::-1]])
    same, *found, flipped = distance(network, photos, np.broadcast_to(photos[0], photos.shape))
    assert same == 0
    rows = np.reshape(found, (-1, LEVELS))
    assert (np.diff(rows, axis=1) > 0.05 * rows[:, 1:]).all(), rows
    assert flipped > 0.1


def test_the_gradient_is_finite_for_equal_and_black_images_too():
    network = published_features.network()
    photo = np.random.default_rng(0).random((40, 48, 3), np.float32)
    black = np.zeros_like(photo)
    prediction, target = np.stack([photo, photo, black, black]), np.stack([photo, black] * 2)
    gradient = jax.jit(jax.grad(lambda x: distance(network, x, target).sum()))(prediction)
    assert np.isfinite(gradient).all()


def test_mistakes_are_named():
    network = published_features.network()
    image = np.zeros((2, 8, 8, 3), np.float32)
    with pytest.raises(TypeError, match="prediction has dtype uint8; expected floats"):
        distance(network, image.astype(np.uint8), image)
    with pytest.raises(ValueError, match=r"\(2, 8, 8, 3\).*\(2, 8, 9, 3\)"):
        distance(network, image, np.zeros((2, 8, 9, 3), np.float32))
    with pytest.raises(
        ValueError, match=r"image must be \[\*b, h, w, 3\], got shape \(2, 8, 8, 4\)"
    ):
        distance(network, *[np.zeros((2, 8, 8, 4), np.float32)] * 2)
