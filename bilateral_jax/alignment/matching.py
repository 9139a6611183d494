"""Feature matching: SIFT, the ratio test, and a homography by seeded RANSAC."""

from __future__ import annotations

import dataclasses

import numpy as np

RATIO = 0.8  # Lowe's ratio test: distance of the nearest descriptor over the second nearest
MAX_FEATURES = 6000
_CONTRAST = 0.02
_THRESHOLD = 2.0  # largest error of an inlier, in pixels of the downscaled copies
_ITERATIONS = 10_000
_CELLS = 8  # per side, for `coverage`


@dataclasses.dataclass(frozen=True)
class Matches:
    """Matching points of two photos.

    Attributes:
      camera: float64 `[n, 2]`, x and y in the camera's photo.
      phone: float64 `[n, 2]`, the same points in the phone's.
    """

    camera: np.ndarray
    phone: np.ndarray

    def __len__(self) -> int:
        return len(self.camera)

    def select(self, mask) -> Matches:
        """Selects matches by a mask.

        Args:
          mask: bool `[n]`.

        Returns:
          The matches where the mask is True.
        """
        return Matches(self.camera[mask], self.phone[mask])


def match(camera, phone) -> Matches:
    """Matches SIFT features that are mutual nearest neighbours and pass the ratio test.

    Args:
      camera: uint8 `[h, w]`.
      phone: uint8 `[h, w]`.

    Returns:
      The matches, each pair of points once, in a deterministic order.
    """
    camera_points, camera_descriptors = _features(camera)
    phone_points, phone_descriptors = _features(phone)
    if len(camera_points) < 2 or len(phone_points) < 2:
        return Matches(np.zeros((0, 2)), np.zeros((0, 2)))
    similarity = camera_descriptors @ phone_descriptors.T
    forward, ratio = _nearest(similarity)
    backward, _ = _nearest(similarity.T)
    mutual = backward[forward] == np.arange(len(forward))
    good = mutual & (ratio < RATIO)
    found = np.concatenate([camera_points[good], phone_points[forward[good]]], axis=1)
    # A point with two orientations has two descriptors and may match twice.
    _, first = np.unique(np.round(found, 2), axis=0, return_index=True)
    first.sort()
    return Matches(found[first, :2], found[first, 2:])


def fit(matches: Matches, *, threshold: float = _THRESHOLD, seed: int = 0):
    """Fits a homography to the matches by RANSAC (MAGSAC scores).

    Args:
      matches: at least four.
      threshold: largest error of an inlier, in pixels of the phone's photo.
      seed: of the random samples; the same matches and seed give the same homography.

    Returns:
      (float64 `[3, 3]` from camera to phone, bool `[n]` of the inliers); (None, all False) if no
      homography fits.
    """
    import cv2

    no_fit = None, np.zeros(len(matches), bool)
    if len(matches) < 4:
        return no_fit
    options = cv2.UsacParams()
    options.confidence = 0.99999
    options.maxIterations = _ITERATIONS
    options.threshold = threshold
    options.sampler = cv2.SAMPLING_UNIFORM
    options.score = cv2.SCORE_METHOD_MAGSAC
    options.loMethod = cv2.LOCAL_OPTIM_SIGMA
    options.isParallel = False
    options.randomGeneratorState = seed
    homography, _ = cv2.findHomography(matches.camera, matches.phone, options)
    if homography is None or not np.isfinite(homography).all() or homography[2, 2] == 0:
        return no_fit
    homography = homography / homography[2, 2]
    return homography, errors(homography, matches) < threshold


def errors(homography, matches: Matches) -> np.ndarray:
    """Reprojection error of each match.

    Args:
      homography: from camera to phone.
      matches: of the two photos.

    Returns:
      float64 `[n]` in pixels of the phone's photo; infinite behind the horizon.
    """
    moved = matches.camera @ homography[:, :2].T + homography[:, 2]
    in_front = moved[:, 2] > 1e-12
    points = moved[:, :2] / np.where(in_front, moved[:, 2], 1)[:, None]
    return np.where(in_front, np.linalg.norm(points - matches.phone, axis=1), np.inf)


def coverage(points, box) -> float:
    """Fraction of the cells of a box, 8 x 8, that hold a point.

    Args:
      points: `[n, 2]`.
      box: (top, left, bottom, right).

    Returns:
      In [0, 1].
    """
    top, left, bottom, right = box
    scaled = (np.asarray(points) - (left, top)) / (right - left, bottom - top) * _CELLS
    cells = np.clip(scaled.astype(int), 0, _CELLS - 1)
    return len(np.unique(cells, axis=0)) / _CELLS**2


def _features(grey):
    """Positions and unit-length RootSIFT descriptors (square roots of the histograms)."""
    import cv2

    sift = cv2.SIFT_create(
        nfeatures=MAX_FEATURES, contrastThreshold=_CONTRAST, enable_precise_upscale=True
    )
    points, descriptors = sift.detectAndCompute(grey, None)
    if not points:
        return np.zeros((0, 2)), np.zeros((0, 128), np.float32)
    normalised = descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-6)
    return np.array([point.pt for point in points]), np.sqrt(normalised)


def _nearest(similarity):
    """For every row its most similar column, and its distance over that of the second."""
    best = np.argmax(similarity, axis=1)
    rows = np.arange(len(similarity))
    first = similarity[rows, best]
    similarity[rows, best] = -1
    second = similarity.max(axis=1)
    similarity[rows, best] = first
    # Unit vectors: squared distance is 2 - 2 similarity.
    distances = np.sqrt(np.maximum(2 - 2 * np.stack([first, second]), 0))
    return best, distances[0] / np.maximum(distances[1], 1e-6)
