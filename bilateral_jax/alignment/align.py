"""Aligns two photos of one scene by two cameras and finds pairs of patches, as for DPED.

SIFT matches and a seeded RANSAC on downscaled copies, refinement on the full photos, plausibility
checks, the overlap at one resolution, and patches that pass a correlation filter. Pure functions on
arrays, with OpenCV.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from bilateral_jax.alignment import geometry, matching, refinement, warp
from bilateral_jax.alignment import patches as patches_lib

MIN_INLIERS = 25
MIN_INLIER_SHARE = 0.08
MIN_COVERAGE = 0.1  # share of the overlap's cells that hold an inlier
MIN_AGREEING = 0.5  # share of the windows with texture in both photos
MIN_KEPT = 0.1  # share of the candidate patches with texture
MIN_SIDE = 64  # of a photo, in pixels
# A camera photo enlarged by less than this counts as not enlarged.
_SAME_SCALE = 1.02


@dataclasses.dataclass(frozen=True)
class Fit:
    """A homography between two photos, or the reason why there is none.

    Attributes:
      homography: float64 `[3, 3]` from the camera's pixels to the phone's, or None.
      reason: why the pair is refused, or None.
      matches: SIFT matches that passed the ratio test, in pixels of the full photos.
      inliers: bool `[n]`, the matches that fit the first homography.
      windows: result of the refinement, or None if the pair was refused before it.
    """

    homography: np.ndarray | None
    reason: str | None
    matches: matching.Matches
    inliers: np.ndarray
    windows: refinement.Windows | None = None


@dataclasses.dataclass(frozen=True)
class Crops:
    """The overlap of a pair at one resolution.

    Attributes:
      camera: uint8 `[h, w, 3]`, warped.
      phone: uint8 `[h, w, 3]`, the phone's original pixels if `scale` is 1.
      scale: of the phone's photo.
      box: of the crops in the scaled phone's photo.
      homography: from the camera's photo to the scaled phone's.
    """

    camera: np.ndarray
    phone: np.ndarray
    scale: float
    box: tuple[int, int, int, int]
    homography: np.ndarray


def find_homography(camera, phone, *, reduced: int = 1600, seed: int = 0) -> Fit:
    """Estimates the homography from the camera's photo to the phone's, and checks it.

    Args:
      camera: uint8 `[h, w, 3]`.
      phone: uint8 `[h, w, 3]`.
      reduced: longest side of the copies for SIFT; the refinement uses the full photos.
      seed: of RANSAC; the same photos and seed give the same result.

    Returns:
      The fit; if its `reason` is not None, the pair is refused.

    Raises:
      TypeError: a photo is not uint8.
      ValueError: a photo is not `[h, w, 3]`, or `reduced` is less than 64.
    """
    _check(camera, "camera")
    _check(phone, "phone")
    if reduced < MIN_SIDE:
        raise ValueError(f"reduced must be at least {MIN_SIDE} pixels, got {reduced}")
    for name, photo in (("camera", camera), ("phone", phone)):
        if min(photo.shape[:2]) < MIN_SIDE:
            return _refused(f"the {name} photo has a side of less than {MIN_SIDE} pixels")
    camera, phone = _full_contrast(_grey(camera)), _full_contrast(_grey(phone))
    (small_camera, camera_scale), (small_phone, phone_scale) = (
        _downscaled(photo, reduced) for photo in (camera, phone)
    )
    matches = matching.match(small_camera, small_phone)
    homography, inliers = matching.fit(matches, seed=seed)
    reason = _match_problem(homography, matches, inliers, small_camera.shape, small_phone.shape)
    matches = matching.Matches(
        *(
            (points + 0.5) / scale - 0.5
            for points, scale in ((matches.camera, camera_scale), (matches.phone, phone_scale))
        )
    )
    if homography is not None:
        homography = geometry.resized(homography, 1 / camera_scale, 1 / phone_scale)
    if reason:
        return Fit(homography, reason, matches, inliers)
    homography, windows = refinement.refine(
        camera, phone, homography, reach=3 / phone_scale, seed=seed
    )
    reason = geometry.problem(homography, camera.shape, phone.shape) or _window_problem(windows)
    return Fit(homography, reason, matches, inliers, windows)


def crop(camera, phone, homography, *, scale: float | None = None) -> Crops:
    """Crops both photos to their overlap, at one resolution.

    Args:
      camera: uint8 `[h, w, 3]`.
      phone: uint8 `[h, w, 3]`.
      homography: from camera to phone.
      scale: of the phone's photo, in (0, 1]. None: the largest at which the camera's photo is not
        enlarged.

    Returns:
      Both crops, the largest upright rectangle of the overlap.

    Raises:
      ValueError: the scale is outside of (0, 1] or would enlarge the camera's photo, or the photos
        do not overlap.
    """
    if scale is not None and not 0 < scale <= 1:
        raise ValueError(f"scale must be in (0, 1], got {scale}")
    polygon = geometry.overlap(homography, camera.shape[:2], phone.shape[:2])
    box = geometry.largest_box(polygon)
    if box == (0, 0, 0, 0):
        raise ValueError("the photos share no pixels")
    enlarged = warp.magnification(homography, box)[1]
    if scale is None:
        scale = 1.0 if enlarged <= _SAME_SCALE else 1 / enlarged
    elif enlarged * scale > _SAME_SCALE:
        raise ValueError(
            f"the camera photo would be enlarged {enlarged * scale:.2f} times; "
            f"scale {1 / enlarged:.2f} of the phone photo is the most that it has pixels for"
        )
    if scale < 1:
        size = tuple(max(1, int(side * scale)) for side in phone.shape[:2])
        phone = warp.warp(phone, geometry.resized(np.eye(3), 1, scale), (0, 0, *size))
        homography = geometry.resized(homography, 1, scale)
        polygon = geometry.overlap(homography, camera.shape[:2], size)
        box = geometry.largest_box(polygon)
        if box == (0, 0, 0, 0):
            raise ValueError("the photos share no pixels")
    top, left, bottom, right = box
    warped = warp.warp(camera, homography, box)
    return Crops(warped, phone[top:bottom, left:right], scale, box, homography)


def patches(
    crops: Crops,
    *,
    size: int = 100,
    stride: int = 100,
    search: int = 5,
    correlation: float = 0.9,
) -> list[patches_lib.Patch]:
    """Finds candidate pairs of patches and marks those that pass the correlation filter.

    Args:
      crops: from `crop`.
      size: of a patch, in pixels.
      stride: between patches, in pixels.
      search: largest shift of the camera's patch, in pixels.
      correlation: the grey values of a pair must correlate by more than this, after the shift.

    Returns:
      All candidates, row by row; see `patches.find`.

    Raises:
      ValueError: a number is out of range.
    """
    if size < 8 or stride < 1 or search < 0 or not -1 <= correlation < 1:
        raise ValueError(
            "size must be at least 8, stride 1, search 0, correlation in [-1, 1); "
            f"got {size}, {stride}, {search}, {correlation}"
        )
    return patches_lib.find(
        _grey(crops.camera),
        _grey(crops.phone),
        size=size,
        stride=stride,
        search=search,
        correlation=correlation,
    )


def patch_problem(candidates) -> str | None:
    """Checks whether enough patches of a pair of photos were kept.

    Args:
      candidates: from `patches`.

    Returns:
      The reason to refuse the pair, or None.
    """
    kept = sum(patch.kept for patch in candidates)
    textured = sum(not np.isnan(patch.correlation) for patch in candidates)
    if not candidates:
        return "the overlap is smaller than a patch"
    if not textured:
        return "the overlap has no texture, only flat surfaces"
    if kept < max(1, MIN_KEPT * textured):
        return f"{kept} of {textured} patches with texture pass the correlation filter"
    return None


def _match_problem(homography, matches, inliers, camera_size, phone_size):
    """Why the matches do not support the homography; None if they do."""
    if homography is None or inliers.sum() < MIN_INLIERS:
        return f"{int(inliers.sum())} of {len(matches)} matches agree; {MIN_INLIERS} must"
    if inliers.mean() < MIN_INLIER_SHARE:
        return f"only {inliers.mean():.0%} of {len(matches)} matches agree"
    reason = geometry.problem(homography, camera_size, phone_size)
    if reason:
        return reason
    box = geometry.largest_box(geometry.overlap(homography, camera_size, phone_size))
    if box == (0, 0, 0, 0):
        return "the photos share no rectangle"
    covered = matching.coverage(matches.phone[inliers], box)
    if covered < MIN_COVERAGE:
        return f"the matches that agree cover only {covered:.0%} of the overlap"
    return None


def _window_problem(windows):
    """Why the windows do not support the homography; None if they do."""
    if windows.agreeing < max(refinement.MIN_WINDOWS, MIN_AGREEING * windows.textured):
        return (
            f"the photos differ under the homography: {windows.agreeing} of {windows.textured} "
            "windows agree"
        )
    return None


def _refused(reason):
    empty = matching.Matches(np.zeros((0, 2)), np.zeros((0, 2)))
    return Fit(None, reason, empty, np.zeros(0, bool))


def _check(photo, name):
    if photo.dtype != np.uint8:
        raise TypeError(f"{name} must be uint8, got {photo.dtype}")
    if photo.ndim != 3 or photo.shape[2] != 3:
        raise ValueError(f"{name} must be [h, w, 3], got {photo.shape}")


def _grey(photo):
    import cv2

    return cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)


def _full_contrast(grey):
    """Stretches contrast to the full range, so that SIFT finds features in dark photos, too."""
    low, high = np.percentile(grey[::3, ::3], (0.5, 99.5))
    levels = np.clip((np.arange(256) - low) * (255 / max(high - low, 16.0)), 0, 255)
    return np.rint(levels).astype(np.uint8)[grey]


def _downscaled(grey, longest):
    """A copy whose longest side is at most `longest`, and its scale."""
    scale = min(1.0, longest / max(grey.shape))
    if scale == 1:
        return grey, 1.0
    size = tuple(max(1, int(side * scale)) for side in grey.shape)
    return warp.warp(grey, geometry.resized(np.eye(3), 1, scale), (0, 0, *size)), scale
