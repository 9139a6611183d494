"""Alignment: accuracy under known homographies, and pairs that are refused."""

import itertools
import re

import cv2
import numpy as np
import pytest
from scipy import ndimage

from bilateral_jax import images
from bilateral_jax.alignment import align, geometry, matching, refinement, warp
from tests import assets, scenes

SIZE = (400, 560)
VIEWS = {
    "shift": {"shift": (21.3, -14.6)},
    "smaller": {"scale": 0.75, "degrees": 6, "shift": (5, 9)},
    "larger": {"scale": 1.35, "degrees": -7},
    "tilted": {"tilt": (0.09, -0.07), "degrees": 3},
}


@pytest.fixture(scope="module")
def photo():
    return scenes.scene(0, SIZE)


def corner_errors(found, truth, size=SIZE):
    ends = geometry.corners(size)
    origin = geometry.transform(np.linalg.inv(truth), ends)
    return np.linalg.norm(geometry.transform(found, origin) - ends, axis=1)


@pytest.mark.parametrize("name", VIEWS)
def test_known_homographies(photo, name):
    truth = scenes.homography(SIZE, **VIEWS[name])
    phone = scenes.view(photo, truth)
    fit = align.find_homography(photo, phone)
    assert fit.reason is None
    assert corner_errors(fit.homography, truth).max() < 0.1
    retaken = align.find_homography(photo, scenes.retaken(phone, np.random.default_rng(0)))
    assert retaken.reason is None
    assert corner_errors(retaken.homography, truth).max() < 0.4


def test_refinement_of_a_rough_homography(photo):
    truth = scenes.homography(SIZE, **VIEWS["tilted"])
    phone = scenes.retaken(scenes.view(photo, truth), np.random.default_rng(1))
    rough = scenes.homography(SIZE, degrees=0.4, shift=(2.5, -2)) @ truth
    assert corner_errors(rough, truth).min() > 1
    grey = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (photo, phone))
    exact, windows = refinement.refine(*grey, rough, reach=6)
    assert corner_errors(exact, truth).max() < 0.3
    assert windows.agreeing > 0.95 * windows.textured > 50


def test_matching_on_small_copies_is_as_accurate(photo):
    truth = scenes.homography(SIZE, **VIEWS["tilted"])
    fit = align.find_homography(photo, scenes.view(photo, truth), reduced=200)
    assert corner_errors(fit.homography, truth).max() < 0.1


def test_photos_of_different_sizes_and_shapes(photo):
    # The phone sees a part of it, upright, with pixels of 1.3 times the size.
    truth = scenes.homography(SIZE, degrees=2, scale=1 / 1.3, shift=(-160, -40))
    phone = scenes.view(photo, truth, (330, 230))
    fit = align.find_homography(photo, phone)
    assert fit.reason is None
    assert corner_errors(fit.homography, truth, (330, 230)).max() < 0.2
    crops = align.crop(photo, phone, fit.homography)
    assert crops.scale == 1
    assert crops.camera.shape == crops.phone.shape


def test_the_same_photos_give_the_same_bits(photo):
    truth = scenes.homography(SIZE, **VIEWS["smaller"])
    phone = scenes.retaken(scenes.view(photo, truth), np.random.default_rng(2))
    threads, found = cv2.getNumThreads(), []
    try:
        for count in (1, 2, 2):
            cv2.setNumThreads(count)
            found.append(align.find_homography(photo, phone).homography)
    finally:
        cv2.setNumThreads(threads)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[1], found[2])


def stripes(phase):
    y, x = np.mgrid[:300, :400] + phase
    wall = np.where((x // 25 + y // 25) % 2, 200, 60).astype(np.uint8)
    return np.repeat(wall[..., None], 3, axis=-1)


def same_frame(a, b):
    """Two scenes inside the same wide frame."""
    framed = []
    for seed in (a, b):
        image = scenes.scene(77, (420, 420))
        image[60:-60, 60:-60] = scenes.scene(seed, (300, 300))
        framed.append(image)
    return framed


def same_stamp(a, b):
    return [
        cv2.putText(scenes.scene(seed), "2026:11:24 17:05:33", (90, 390), 0, 1.1, (255, 160, 0), 2)
        for seed in (a, b)
    ]


WRONG_PAIRS = {
    "two scenes": lambda: (scenes.scene(1), scenes.scene(2)),
    "mirror": lambda: (scenes.scene(1), scenes.scene(1)[:, ::-1]),
    "upside down": lambda: (scenes.scene(1), scenes.scene(1)[::-1, ::-1]),
    "on its side": lambda: (scenes.scene(1), np.rot90(scenes.scene(1))),
    "two halves": lambda: (scenes.scene(1)[:, :280], scenes.scene(1)[:, 280:]),
    "flat": lambda: (np.full((300, 400, 3), 90, np.uint8), np.full((300, 400, 3), 120, np.uint8)),
    "repeated texture": lambda: (stripes(0), stripes(13)),
    "the same frame": lambda: same_frame(1, 2),
    "the same date stamp": lambda: same_stamp(1, 2),
    "tiny": lambda: (scenes.scene(1)[:60, :60], scenes.scene(1)[:60, :60]),
}


REASONS = {
    "flat": "0 of 0 matches agree",
    "on its side": "rotated by -?90 degrees",
    "the same frame": "windows agree",
    "tiny": "side of less than 64",
    "upside down": "rotated by -?180 degrees",
}


@pytest.mark.parametrize("name", WRONG_PAIRS)
def test_wrong_pairs_are_refused(name):
    camera, phone = (np.ascontiguousarray(photo) for photo in WRONG_PAIRS[name]())
    fit = align.find_homography(camera, phone)
    assert fit.reason
    assert re.search(REASONS.get(name, ""), fit.reason), fit.reason


def test_patches_shifted_by_depth_are_found(photo):
    # A foreground that a second camera sees 4 pixels farther left.
    near = np.zeros(SIZE, bool)
    near[:, 330:] = True
    phone = np.where(near[..., None], np.roll(photo, -4, axis=1), photo)
    fit = align.find_homography(photo, phone)
    assert fit.reason is None
    crops = align.crop(photo, phone, fit.homography)
    candidates = align.patches(crops, size=48, stride=24)
    shifts = {patch.right for patch in candidates if patch.kept}
    assert max(shifts) - min(shifts) >= 3


def test_problems_of_homographies():
    def problem(matrix):
        return geometry.problem(matrix, SIZE, SIZE)

    view = scenes.homography
    assert problem(view(SIZE, degrees=5, scale=0.8, tilt=(0.1, 0.1))) is None
    assert "rotated by 40" in problem(view(SIZE, degrees=40))
    assert "10.0 times in scale" in problem(view(SIZE, scale=10))
    assert "perspective" in problem(view(SIZE, tilt=(1.2, 0)))
    assert "folds" in problem(view(SIZE, tilt=(2.5, 0)))
    assert "mirrors" in problem(np.diag([-1.0, 1, 1]) @ view(SIZE))
    assert "stretches one direction 1.50" in problem(np.diag([1.5, 1, 1]))
    assert "share only" in problem(view(SIZE, shift=(500, 0)))
    assert "singular" in problem(np.zeros((3, 3)))
    assert "singular" in problem(np.full((3, 3), np.nan))


def test_jacobians_are_the_derivative():
    matrix = scenes.homography(SIZE, degrees=5, scale=0.8, tilt=(0.2, 0.1))
    points, step = np.array([[3.0, 7], [500, 300]]), 1e-4
    for axis in range(2):
        moved = points + step * np.eye(2)[axis]
        slope = geometry.transform(matrix, moved) - geometry.transform(matrix, points)
        exact = geometry.jacobians(matrix, points)[:, :, axis]
        np.testing.assert_allclose(slope / step, exact, rtol=1e-3, atol=1e-6)


def test_largest_box_against_a_search():
    rng = np.random.default_rng(3)
    for _ in range(12):
        angles = np.sort(rng.uniform(0, 2 * np.pi, 5))
        polygon = np.stack([np.cos(angles), np.sin(angles)], axis=1) * (14, 11) + 16
        inside = np.ones((32, 32), bool)
        y, x = np.mgrid[:32, :32]
        for a, b in zip(polygon, np.roll(polygon, -1, axis=0)):
            inside &= (b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0]) >= -1e-9
        sums = np.pad(inside.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
        best = 0
        for top, bottom in itertools.combinations(range(33), 2):
            for left, right in itertools.combinations(range(33), 2):
                size = (bottom - top) * (right - left)
                if size <= best:
                    continue
                full = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
                best = size if full == size else best
        top, left, bottom, right = geometry.largest_box(polygon)
        assert inside[top:bottom, left:right].all()
        assert (bottom - top) * (right - left) == best


def test_largest_box_of_a_large_polygon():
    matrix = scenes.homography((3000, 4000), degrees=4, scale=0.9)
    polygon = geometry.overlap(matrix, (3000, 4000), (3000, 4000))
    top, left, bottom, right = geometry.largest_box(polygon)
    ends = np.array([[left, top], [right - 1, top], [right - 1, bottom - 1], [left, bottom - 1]])
    origin = geometry.transform(np.linalg.inv(matrix), ends)
    assert (origin >= 0).all() and (origin <= (3999, 2999)).all()
    grown = ends + np.array([[-2, -2], [2, -2], [2, 2], [-2, 2]])
    origin = geometry.transform(np.linalg.inv(matrix), grown)
    # Two pixels more on every side would leave the part that interpolation can reach.
    assert ((origin < 2) | (origin > (3997, 2997))).any(axis=1).all()


def test_no_overlap():
    shifted = scenes.homography(SIZE, shift=(0, 900))
    polygon = geometry.overlap(shifted, SIZE, SIZE)
    assert geometry.area(polygon) == 0
    assert geometry.largest_box(polygon) == (0, 0, 0, 0)
    with pytest.raises(ValueError, match="share no pixels"):
        align.crop(scenes.scene(1), scenes.scene(1), shifted)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_warps_that_are_known_exactly(dtype):
    rng = np.random.default_rng(4)
    photo = rng.integers(0, 256, (40, 60, 3)).astype(dtype)
    box = (5, 7, 30, 41)
    np.testing.assert_array_equal(warp.warp(photo, np.eye(3), box), photo[5:30, 7:41])
    moved = np.array([[1.0, 0, 3], [0, 1, -2], [0, 0, 1]])
    np.testing.assert_array_equal(warp.warp(photo, moved, box), photo[7:32, 4:38])
    halved = warp.warp(photo, geometry.resized(np.eye(3), 1, 0.5), (0, 0, 20, 30))
    means = photo.reshape(20, 2, 30, 2, 3).astype(float).mean(axis=(1, 3))
    assert np.abs(halved - means).max() <= 0.5
    grey = warp.warp(photo[..., 0], np.eye(3), box)
    np.testing.assert_array_equal(grey, photo[5:30, 7:41, 0])


def test_warp_agrees_with_splines_and_row_tiles_with_the_whole(photo, monkeypatch):
    truth = scenes.homography(SIZE, degrees=7, scale=1.1, tilt=(0.05, 0.02))
    box = (60, 80, 340, 480)
    whole = warp.warp(photo, truth, box)
    exact = scenes.view(photo, truth)[60:340, 80:480]
    assert np.abs(whole.astype(int) - exact).mean() < 1.5
    for shift in ((0.25, 0), (0, 0.25)):
        # A quarter of a pixel off would be seen.
        shifted = ndimage.shift(exact.astype(float), (*shift, 0), order=3, mode="nearest")
        right = np.abs(whole - exact.astype(float)).mean()
        assert np.abs(whole - shifted).mean() > 1.5 * right
    shrinking = scenes.homography(SIZE, degrees=7, scale=0.4)
    parts = (150, 200, 250, 350)
    expected = warp.warp(photo, shrinking, parts)
    monkeypatch.setattr(warp, "_TILE_PIXELS", 9 * 150 * 7)
    tiled = warp.warp(photo, shrinking, parts)
    assert np.abs(tiled.astype(int) - expected).max() <= 1


def test_a_shrinking_warp_averages():
    # Lines one pixel wide become grey, not stripes of another width.
    lines = np.zeros((300, 300, 3), np.uint8)
    lines[:, ::2] = 255
    small = warp.warp(lines, geometry.resized(np.eye(3), 1, 0.37), (5, 5, 100, 100))
    assert np.abs(small.astype(int) - 127).max() < 40


def test_nothing_is_enlarged(photo):
    truth = scenes.homography(SIZE, scale=1.3)
    phone = scenes.view(photo, truth)
    crops = align.crop(photo, phone, truth)
    assert crops.scale == pytest.approx(1 / 1.3, abs=1e-3)
    assert crops.phone.shape == crops.camera.shape
    assert warp.magnification(crops.homography, crops.box)[1] <= 1.001
    with pytest.raises(ValueError, match=r"enlarged 1\.30 times; scale 0\.77"):
        align.crop(photo, phone, truth, scale=1.0)
    half = align.crop(photo, phone, truth, scale=0.5)
    assert half.scale == 0.5 and half.phone.shape == (200, 280, 3)
    assert np.abs(half.phone.astype(int) - half.camera).mean() < 3
    for scale in (0, 1.5):
        with pytest.raises(ValueError, match=r"scale must be in \(0, 1\]"):
            align.crop(photo, phone, truth, scale=scale)


def test_at_full_scale_phone_pixels_are_unchanged(photo):
    truth = scenes.homography(SIZE, scale=0.8, degrees=3)
    phone = scenes.view(photo, truth)
    crops = align.crop(photo, phone, truth)
    top, left, bottom, right = crops.box
    np.testing.assert_array_equal(crops.phone, phone[top:bottom, left:right])
    assert np.abs(crops.phone.astype(int) - crops.camera).mean() < 2


def shifted_crops(photo, down, right):
    """Crops with the camera's shifted down and right."""
    camera = np.roll(photo, (down, right), axis=(0, 1))
    return align.Crops(camera, photo, 1.0, (0, 0, *photo.shape[:2]), np.eye(3))


@pytest.mark.parametrize("down, right", [(0, 0), (3, -2), (-5, 5), (0, 5)])
def test_patches_find_the_shift(photo, down, right):
    candidates = align.patches(shifted_crops(photo, down, right), size=64, stride=64)
    assert len(candidates) == 6 * 8
    assert all(patch.kept for patch in candidates)
    assert {(patch.down, patch.right) for patch in candidates} == {(down, right)}
    assert min(patch.correlation for patch in candidates) > 0.999


@pytest.mark.parametrize("down, right", [(6, 0), (0, -6), (9, 9)])
def test_patches_farther_than_the_search_are_not_kept(photo, down, right):
    candidates = align.patches(shifted_crops(photo, down, right), size=64, stride=64)
    assert not any(patch.kept for patch in candidates)
    assert all(
        patch.kept for patch in align.patches(shifted_crops(photo, down, right), size=64, search=9)
    )


def test_patches_without_texture_or_match(photo):
    rng = np.random.default_rng(5)
    other = scenes.scene(9, SIZE)
    crops = align.Crops(other, photo, 1.0, (0, 0, *SIZE), np.eye(3))
    assert not any(patch.kept for patch in align.patches(crops, size=64))
    assert "pass the correlation filter" in align.patch_problem(align.patches(crops, size=64))
    flat = np.full((*SIZE, 3), 100, np.uint8)
    crops = align.Crops(flat, flat, 1.0, (0, 0, *SIZE), np.eye(3))
    candidates = align.patches(crops, size=64)
    assert all(np.isnan(patch.correlation) and not patch.kept for patch in candidates)
    assert "flat" in align.patch_problem(candidates)
    assert "smaller than a patch" in align.patch_problem([])
    # An edge fits as well anywhere along itself: noise must not pull it away.
    edge = np.where(np.arange(560) < 280, 60.0, 190.0) + np.zeros((400, 1))
    noisy = [
        np.repeat(np.uint8(edge + rng.normal(0, 6, SIZE))[..., None], 3, axis=-1) for _ in range(2)
    ]
    crops = align.Crops(*noisy, 1.0, (0, 0, *SIZE), np.eye(3))
    kept = [patch for patch in align.patches(crops, size=100, stride=20) if patch.kept]
    assert len(kept) > 10
    assert max(max(abs(patch.down), abs(patch.right)) for patch in kept) <= 1


def test_arguments_are_checked(photo):
    with pytest.raises(TypeError, match="camera must be uint8, got float64"):
        align.find_homography(photo / 255, photo)
    with pytest.raises(ValueError, match=r"phone must be \[h, w, 3\], got \(400, 560\)"):
        align.find_homography(photo, photo[..., 0])
    with pytest.raises(ValueError, match="reduced must be at least 64"):
        align.find_homography(photo, photo, reduced=32)
    crops = shifted_crops(photo, 0, 0)
    for wrong in ({"size": 4}, {"stride": 0}, {"search": -1}, {"correlation": 1.0}):
        with pytest.raises(ValueError, match="size must be at least 8"):
            align.patches(crops, **wrong)


def test_too_few_matches_fit_nothing():
    points = matching.Matches(np.zeros((3, 2)), np.zeros((3, 2)))
    homography, inliers = matching.fit(points)
    assert homography is None and not inliers.any()


@pytest.mark.parametrize("retouched", ["expert_c", "clhe"])
def test_real_photos_and_their_retouched_versions(retouched):
    photos = sorted(assets.path("fivek_sample", "input").glob("*.png"))[:3]
    assert len(photos) == 3
    for before in photos:
        after = assets.path("fivek_sample", retouched) / before.name
        pair = [images.read(path).pixels for path in (before, after)]
        fit = align.find_homography(*pair)
        assert fit.reason is None
        assert corner_errors(fit.homography, np.eye(3), pair[0].shape[:2]).max() < 1.0


def test_real_photos_of_different_scenes():
    folder = assets.path("fivek_sample", "input")
    photos = [images.read(path).pixels for path in sorted(folder.glob("*.png"))]
    assert len(photos) > 1
    for camera, phone in itertools.permutations(photos, 2):
        assert align.find_homography(camera, phone).reason
