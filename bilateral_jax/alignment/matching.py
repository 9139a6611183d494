"""Which spots of two photos show the same thing: SIFT, the ratio test, a seeded RANSAC.

Receives small grey copies of two photos from `align.py`.
Hands a first homography and its matches back to it.
"""

from __future__ import annotations

import dataclasses

import numpy as np

RATIO = 0.8  # Lowe's: the nearest descriptor against the second nearest
MAX_FEATURES = 6000
_CONTRAST = 0.02
_THRESHOLD = 2.0  # pixels of the small copies that an inlier may be off
_ITERATIONS = 10_000
_CELLS = 8  # per side, to see whether inliers are spread


@dataclasses.dataclass(frozen=True)
class Matches:
    """What two photos have in common, spot by spot.

    Attributes:
      camera: float64 `[n, 2]`, x and y in the camera's photo.
      phone: float64 `[n, 2]`, the same spots in the phone's.
    """

    camera: np.ndarray
    phone: np.ndarray

    def __len__(self) -> int:
        return len(self.camera)

    def where(self, chosen) -> Matches:
        """Keeps some.

        Args:
          chosen: index or mask.

        Returns:
          Those matches.
        """
        return Matches(self.camera[chosen], self.phone[chosen])


def match(camera, phone) -> Matches:
    """Finds spots that look alike in both, nearest to each other in both directions.

    Args:
      camera: uint8 `[h, w]`.
      phone: uint8 `[h, w]`.

    Returns:
      Matches that pass the ratio test, each spot at most once, in an order that depends on the
      photos alone.
    """
    there, theirs = _features(camera)
    here, ours = _features(phone)
    if len(there) < 2 or len(here) < 2:
        return Matches(np.zeros((0, 2)), np.zeros((0, 2)))
    similarity = theirs @ ours.T
    forth, ratio = _nearest(similarity)
    back, _ = _nearest(similarity.T)
    numbers = np.arange(len(forth))
    good = (back[forth] == numbers) & (ratio < RATIO)
    found = np.concatenate([there[good], here[forth[good]]], axis=1)
    # A spot with two directions has two descriptors and may match twice.
    _, first = np.unique(np.round(found, 2), axis=0, return_index=True)
    first.sort()
    return Matches(found[first, :2], found[first, 2:])


def fit(matches: Matches, *, threshold: float = _THRESHOLD, seed: int = 0):
    """Fits a homography to most of the matches.

    Args:
      matches: at least four.
      threshold: how far an inlier may be off, in pixels of the phone's photo.
      seed: of the random samples; the same matches and seed give the same homography.

    Returns:
      (float64 `[3, 3]` from camera to phone, bool `[n]` of the inliers); (None, all False) if no
      homography fits.
    """
    import cv2

    nothing = None, np.zeros(len(matches), bool)
    if len(matches) < 4:
        return nothing
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
        return nothing
    homography = homography / homography[2, 2]
    return homography, errors(homography, matches) < threshold


def errors(homography, matches: Matches) -> np.ndarray:
    """Measures how far each match is off.

    Args:
      homography: from camera to phone.
      matches: of the two.

    Returns:
      float64 `[n]`: distances in pixels of the phone's photo; infinite behind the horizon.
    """
    moved = matches.camera @ homography[:, :2].T + homography[:, 2]
    ahead = moved[:, 2] > 1e-12
    places = moved[:, :2] / np.where(ahead, moved[:, 2], 1)[:, None]
    return np.where(ahead, np.linalg.norm(places - matches.phone, axis=1), np.inf)


def spread(points, box) -> float:
    """Tells how well points fill a box.

    Args:
      points: `[n, 2]`.
      box: (top, left, bottom, right) of the region they should fill.

    Returns:
      Share of the box's 8 x 8 cells that hold a point.
    """
    top, left, bottom, right = box
    scaled = (np.asarray(points) - (left, top)) / (right - left, bottom - top) * _CELLS
    cells = np.clip(scaled.astype(int), 0, _CELLS - 1)
    return len(np.unique(cells, axis=0)) / _CELLS**2


def _features(grey):
    """Positions and unit-length descriptors; RootSIFT: square roots of the histograms."""
    import cv2

    sift = cv2.SIFT_create(
        nfeatures=MAX_FEATURES, contrastThreshold=_CONTRAST, enable_precise_upscale=True
    )
    spots, descriptors = sift.detectAndCompute(grey, None)
    if not spots:
        return np.zeros((0, 2)), np.zeros((0, 128), np.float32)
    shares = descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-6)
    return np.array([spot.pt for spot in spots]), np.sqrt(shares)


def _nearest(similarity):
    """For every row its most similar column, and that distance against the second smallest."""
    best = np.argmax(similarity, axis=1)
    rows = np.arange(len(similarity))
    first = similarity[rows, best]
    similarity[rows, best] = -1
    second = similarity.max(axis=1)
    similarity[rows, best] = first
    # Unit vectors: squared distance is 2 - 2 similarity.
    distances = np.sqrt(np.maximum(2 - 2 * np.stack([first, second]), 0))
    return best, distances[0] / np.maximum(distances[1], 1e-6)
