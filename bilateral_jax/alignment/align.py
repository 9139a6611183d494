"""Two photos of one scene by two cameras, brought onto each other: how DPED's pairs were collected.

SIFT matches and a seeded RANSAC on small copies, refinement on the photos themselves, checks that
refuse what cannot be true, the overlap at one resolution, and patches that pass the correlation
filter. Pure functions on arrays; OpenCV does the vision. Which files belong together and where
patches go is the business of the `align` command.

Receives photos as uint8 arrays.
Hands aligned photos and the places of patches to the `align` command.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from bilateral_jax.alignment import geometry, matching, refinement, warp
from bilateral_jax.alignment import patches as patches_lib

MIN_INLIERS = 25
MIN_INLIER_SHARE = 0.08
MIN_SPREAD = 0.1  # share of the overlap's cells that hold an inlier
MIN_AGREEING = 0.5  # share of the windows that show anything in both photos
MIN_KEPT = 0.1  # share of the places that show anything
MIN_SIDE = 64  # of a photo, in pixels
# A camera photo enlarged by less than this is taken as it is.
_SAME_SCALE = 1.02


@dataclasses.dataclass(frozen=True)
class Fit:
    """What a pair of photos gave.

    Attributes:
      homography: float64 `[3, 3]` from the camera's pixels to the phone's, or None.
      reason: why the pair is refused, or None.
      matches: SIFT matches that passed the ratio test, in the photos' own pixels.
      inliers: bool `[n]`, which of them the first homography explains.
      windows: what `align_refinement.refine` saw, or None where it did not come to that.
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
      phone: uint8 `[h, w, 3]`, the phone's own pixels if `scale` is 1.
      scale: of the phone's photo.
      box: where the crops lie in the phone's photo after scaling.
      homography: from the camera's photo to the scaled phone's.
    """

    camera: np.ndarray
    phone: np.ndarray
    scale: float
    box: tuple[int, int, int, int]
    homography: np.ndarray


def find_homography(camera, phone, *, reduced: int = 1600, seed: int = 0) -> Fit:
    """Finds where each pixel of the camera's photo lies in the phone's, and whether that is sure.

    Args:
      camera: uint8 `[h, w, 3]`.
      phone: uint8 `[h, w, 3]`.
      reduced: longest side of the copies in which SIFT looks; the refinement sees every pixel.
      seed: of RANSAC; the same photos and seed give the same result.

    Returns:
      The fit; `reason` says why it is not to be used, if so.

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
    camera, phone = _stretched(_grey(camera)), _stretched(_grey(phone))
    (small_camera, camera_scale), (small_phone, phone_scale) = (
        _reduced(photo, reduced) for photo in (camera, phone)
    )
    matches = matching.match(small_camera, small_phone)
    homography, inliers = matching.fit(matches, seed=seed)
    reason = _doubt(homography, matches, inliers, small_camera.shape, small_phone.shape)
    matches = matching.Matches(
        *(
            (spots + 0.5) / scale - 0.5
            for spots, scale in ((matches.camera, camera_scale), (matches.phone, phone_scale))
        )
    )
    if homography is not None:
        homography = geometry.resized(homography, 1 / camera_scale, 1 / phone_scale)
    if reason:
        return Fit(homography, reason, matches, inliers)
    homography, windows = refinement.refine(
        camera, phone, homography, reach=3 / phone_scale, seed=seed
    )
    reason = geometry.problem(homography, camera.shape, phone.shape) or _dissent(windows)
    return Fit(homography, reason, matches, inliers, windows)


def crop(camera, phone, homography, *, scale: float | None = None) -> Crops:
    """Cuts what both photos show out of both, at one resolution.

    Args:
      camera: uint8 `[h, w, 3]`.
      phone: uint8 `[h, w, 3]`.
      homography: from camera to phone.
      scale: of the phone's photo, in (0, 1]. None: 1 where the camera has pixels enough, else as
        small as it must be so that the camera's photo is nowhere enlarged.

    Returns:
      Both crops, the largest upright rectangle of the overlap.

    Raises:
      ValueError: the scale is outside of (0, 1], the camera's photo would have to be enlarged for
        it, or the photos share nothing.
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
        shrinking = geometry.resized(np.eye(3), 1, scale)
        phone = warp.warp(phone, shrinking, (0, 0, *size))
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
    """Judges every place where a pair of patches could be cut.

    Args:
      crops: from `crop`.
      size: of a patch, in pixels.
      stride: from one place to the next.
      search: how far the camera's patch may be shifted, in pixels.
      correlation: what the grey values of a pair must exceed after the shift.

    Returns:
      Every place, row by row, with what it is worth; see `align_patches.find`.

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


def disagreement(places) -> str | None:
    """Tells why patches speak against a pair of photos.

    Args:
      places: from `patches`.

    Returns:
      The reason to refuse the pair, or None.
    """
    kept = sum(place.kept for place in places)
    told = sum(not np.isnan(place.correlation) for place in places)
    if not places:
        return "the overlap is smaller than a patch"
    if not told:
        return "the overlap shows nothing but flat surfaces"
    if kept < max(1, MIN_KEPT * told):
        return f"{kept} of {told} places with texture pass the correlation filter"
    return None


def _doubt(homography, matches, inliers, camera_size, phone_size):
    """Why the matches do not carry a homography; None if they do."""
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
    filled = matching.spread(matches.phone[inliers], box)
    if filled < MIN_SPREAD:
        return f"the matches that agree fill only {filled:.0%} of the overlap"
    return None


def _dissent(windows):
    """Why the photos do not look alike under a homography; None if they do."""
    if windows.agreeing < max(refinement.MIN_WINDOWS, MIN_AGREEING * windows.textured):
        return (
            f"the photos differ under the homography: {windows.agreeing} of {windows.textured} "
            "windows agree"
        )
    return None


def _refused(reason):
    nothing = matching.Matches(np.zeros((0, 2)), np.zeros((0, 2)))
    return Fit(None, reason, nothing, np.zeros(0, bool))


def _check(photo, name):
    if photo.dtype != np.uint8:
        raise TypeError(f"{name} must be uint8, got {photo.dtype}")
    if photo.ndim != 3 or photo.shape[2] != 3:
        raise ValueError(f"{name} must be [h, w, 3], got {photo.shape}")


def _grey(photo):
    import cv2

    return cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)


def _stretched(grey):
    """Uses the whole range of greys, so that an underexposed photo has features, too."""
    low, high = np.percentile(grey[::3, ::3], (0.5, 99.5))
    levels = np.clip((np.arange(256) - low) * (255 / max(high - low, 16.0)), 0, 255)
    return np.rint(levels).astype(np.uint8)[grey]


def _reduced(grey, longest):
    """A copy whose longest side is at most that, and its scale."""
    scale = min(1.0, longest / max(grey.shape))
    if scale == 1:
        return grey, 1.0
    size = tuple(max(1, int(side * scale)) for side in grey.shape)
    return warp.warp(grey, geometry.resized(np.eye(3), 1, scale), (0, 0, *size)), scale
