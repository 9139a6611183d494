"""Draws `docs/figures/default_enhancer.jpg`: held-out demo photos, before and after the default.

    python -m docs.figures.default_enhancer [OUT.jpg]

coffee, chelsea and china ship in scikit-image and scikit-learn; the network was not trained on
them. Above the photos as they are, below the default network's results.
"""

import sys

import numpy as np

from bilateral_jax import images, inference
from bilateral_jax.checkpoints import packed
from bilateral_jax.data.synthetic import demo_photos

OUT = "docs/figures/default_enhancer.jpg"
SIZE, GAP = (270, 405), 6


def draw():
    """The figure, uint8 `[h, w, 3]`."""
    model, columns = packed.default_model(), []
    for name in demo_photos.PHOTOS["heldout"]:
        photo = demo_photos.load("heldout", name)
        pair = [photo, inference.enhance(model, photo)]
        columns.append([demo_photos.resized_crop(pixels, size=SIZE) for pixels in pair])
    (height, width), count = SIZE, len(columns)
    sheet = np.full((2 * height + GAP, count * (width + GAP) - GAP, 3), 255, np.uint8)
    for column, pair in enumerate(columns):
        for row, pixels in enumerate(pair):
            top, left = row * (height + GAP), column * (width + GAP)
            sheet[top : top + height, left : left + width] = pixels
    return sheet


if __name__ == "__main__":
    path = sys.argv[1] if len(sys.argv) > 1 else OUT
    images.write(path, draw(), quality=85)
    print(path)
