"""What a learned enhancement has to beat: one affine colour transform for every pixel.

Receives pairs of float photos from data sources.
Hands 3x4 colour matrices to experiments/demo.py; `bj.apply` puts them to work.
"""

import numpy as np


def fit_affine(pairs, *, ridge=1e-6):
    """Finds the colour matrix that maps inputs to targets with the least squared error.

    Every photo counts alike, whatever its size; sums run in float64.

    Args:
      pairs: iterable of `(input, target)`, float `[h, w, 3]` photos in [0, 1].
      ridge: small pull towards the identity, so that a photo of one colour has an answer too.

    Returns:
      float32 `[3, 4]`, offset last: `output = matrix @ (r, g, b, 1)`.

    Raises:
      ValueError: no pairs, or the members of one differ in shape.
    """
    identity = np.eye(4, 3)
    square, mixed, count = ridge * np.eye(4), ridge * identity, 0
    for given, wanted in pairs:
        if np.shape(given) != np.shape(wanted):
            raise ValueError(
                f"a pair must have one shape, got {np.shape(given)} and {np.shape(wanted)}"
            )
        colors = np.asarray(given, np.float64).reshape(-1, 3)
        wanted = np.asarray(wanted, np.float64).reshape(-1, 3)
        colors = np.concatenate([colors, np.ones((len(colors), 1))], axis=1)
        square = square + colors.T @ colors / len(colors)
        mixed = mixed + colors.T @ wanted / len(colors)
        count += 1
    if not count:
        raise ValueError("there are no pairs to fit")
    return np.linalg.solve(square, mixed).T.astype(np.float32)


def apply_affine(matrix, image):
    """Applies a colour matrix `[3, 4]` to a float photo `[h, w, 3]`."""
    return np.asarray(image, np.float32) @ matrix[:, :3].T + matrix[:, 3]
