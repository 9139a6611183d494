"""Procedural photos with corners and texture, and views of them by a second camera."""

import numpy as np
from scipy import ndimage

from bilateral_jax import images
from bilateral_jax.alignment import geometry


def scene(seed, size=(400, 560)):
    """Draws discs and boxes on a textured ground; uint8 `[h, w, 3]`."""
    rng = np.random.default_rng(seed)
    height, width = size
    y, x = np.mgrid[:height, :width]
    ground = ndimage.gaussian_filter(rng.standard_normal((height, width)), 2)
    image = 0.5 + 0.6 * ground[..., None] * rng.uniform(0.5, 1, 3)
    for number in range(140):
        top, left = rng.uniform(0, height), rng.uniform(0, width)
        radius, flat = rng.uniform(4, 0.06 * width), rng.uniform(0.4, 1)
        if number % 2:
            inside = (abs(y - top) < radius * flat) & (abs(x - left) < radius)
        else:
            inside = np.hypot((y - top) / flat, x - left) < radius
        image[inside] = 0.8 * rng.uniform(0.05, 0.95, 3) + 0.2 * image[inside]
    image = ndimage.gaussian_filter(image, (0.6, 0.6, 0))
    return images.to_integer(np.clip(image, 0, 1), 8)


def view(photo, homography, size=None):
    """Warps a photo by a homography with SciPy's cubic splines, mirrored at the border."""
    height, width = size or photo.shape[:2]
    fine = 2
    steps = (np.arange(fine) + 0.5) / fine - 0.5
    x, y = ((np.arange(n)[:, None] + steps).ravel() for n in (width, height))
    points = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    there = geometry.transform(np.linalg.inv(homography), points)[:, ::-1].T
    channels = [
        ndimage.map_coordinates(channel.astype(float), there, order=3, mode="mirror")
        for channel in np.moveaxis(photo, -1, 0)
    ]
    drawn = np.stack(channels, axis=-1).reshape(height, fine, width, fine, 3).mean(axis=(1, 3))
    return images.to_integer(np.clip(drawn / 255, 0, 1), 8)


def homography(size, *, degrees=0.0, scale=1.0, tilt=(0.0, 0.0), shift=(0.0, 0.0)):
    """A homography that rotates, scales and tilts about the centre of a photo, then shifts."""
    middle = np.array(size[::-1]) / 2 - 0.5
    angle = np.radians(degrees)
    linear, perspective = np.eye(3), np.eye(3)
    linear[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    linear[:2, :2] *= scale
    perspective[2, :2] = np.array(tilt) / max(size)
    there, back = np.eye(3), np.eye(3)
    there[:2, 2], back[:2, 2] = middle + shift, -middle
    return there @ perspective @ linear @ back


def retaken(photo, rng):
    """Changes exposure, gamma and white balance, and adds noise."""
    image = (photo / 255.0) ** 1.25 * 0.75 * np.array([1.1, 1.0, 0.85])
    image = image + rng.normal(0, 0.02, image.shape)
    return images.to_integer(np.clip(image, 0, 1), 8)
