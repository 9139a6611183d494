"""JPEG compression artefacts."""

import numpy as np


def compress(pixels, quality: int) -> np.ndarray:
    """Compresses an image as JPEG and decodes it.

    Args:
      pixels: uint8 `[h, w, 3]`.
      quality: from 1 to 100, as OpenCV's.

    Returns:
      uint8 `[h, w, 3]`.

    Raises:
      ValueError: OpenCV cannot compress it.
    """
    import cv2

    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    done, content = cv2.imencode(".jpg", np.ascontiguousarray(pixels[..., ::-1]), options)
    if not done:
        raise ValueError(f"OpenCV could not compress an image of {pixels.shape} as JPEG")
    return np.ascontiguousarray(cv2.imdecode(content, cv2.IMREAD_COLOR)[..., ::-1])
