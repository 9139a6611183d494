"""Global colour baseline: one affine colour transform for all pixels of a photo."""

import numpy as np


def fit_affine(pairs, *, ridge=1e-6):
    """Fits the colour matrix that maps inputs to targets with the least squared error.

    Every photo has the same weight, whatever its size; sums are in float64.

    Args:
      pairs: iterable of `(input, target)`, float `[h, w, 3]` images in [0, 1].
      ridge: weight of a ridge penalty towards the identity, so that a photo of one colour has a
        solution too.

    Returns:
      float32 `[3, 4]`, offset last: `output = matrix @ (r, g, b, 1)`.

    Raises:
      ValueError: no pairs, or the two images of a pair differ in shape.
    """
    identity = np.eye(4, 3)
    square, mixed, count = ridge * np.eye(4), ridge * identity, 0
    for image, target in pairs:
        if np.shape(image) != np.shape(target):
            raise ValueError(
                f"a pair must have one shape, got {np.shape(image)} and {np.shape(target)}"
            )
        colors = np.asarray(image, np.float64).reshape(-1, 3)
        target = np.asarray(target, np.float64).reshape(-1, 3)
        colors = np.concatenate([colors, np.ones((len(colors), 1))], axis=1)
        square = square + colors.T @ colors / len(colors)
        mixed = mixed + colors.T @ target / len(colors)
        count += 1
    if not count:
        raise ValueError("there are no pairs to fit")
    return np.linalg.solve(square, mixed).T.astype(np.float32)


def apply_affine(matrix, image):
    """Applies a colour matrix `[3, 4]` to a float image `[h, w, 3]`."""
    return np.asarray(image, np.float32) @ matrix[:, :3].T + matrix[:, 3]
