"""Procedural pairs: the same for the same seed, and the stated retouch."""

import numpy as np
import pytest

from bilateral_jax.data.synthetic import procedural


@pytest.mark.parametrize("retouch", procedural.RETOUCHES)
def test_target_is_the_known_retouch(retouch):
    source = procedural.SyntheticPairs(3, size=(33, 20), seed=4, retouch=retouch)
    for index in range(3):
        pair = source[index]
        image, target = pair["input"], pair["target"]
        assert (
            image.shape == target.shape == (33, 20, 3) and image.dtype == target.dtype == np.float32
        )
        assert 0 <= image.min() and image.max() <= 1 and 0 <= target.min() and target.max() <= 1
        np.testing.assert_array_equal(target, source.apply(image))
        assert np.abs(target - image).mean() > 0.02


def global_fit_error(source):
    """Root mean square that the best single 3x4 matrix leaves."""
    image = np.concatenate([source[i]["input"].reshape(-1, 3) for i in range(len(source))])
    target = np.concatenate([source[i]["target"].reshape(-1, 3) for i in range(len(source))])
    design = np.concatenate([image, np.ones_like(image[:, :1])], 1).astype(np.float64)
    solution = np.linalg.lstsq(design, target.astype(np.float64), rcond=None)[0]
    return float(np.sqrt(np.mean((design @ solution - target) ** 2)))


def test_one_matrix_fits_only_the_affine_retouch():
    affine = procedural.SyntheticPairs(4, size=32, seed=1)
    curve = procedural.SyntheticPairs(4, size=32, seed=1, retouch="curve")
    assert global_fit_error(affine) < 1e-6 < 5e-3 < global_fit_error(curve)


def test_elements_depend_on_seed_and_index():
    one, same = (procedural.SyntheticPairs(2, size=16, seed=7) for _ in range(2))
    other = procedural.SyntheticPairs(2, size=16, seed=8)
    np.testing.assert_array_equal(one[1]["input"], same[1]["input"])
    assert np.abs(one[1]["input"] - one[0]["input"]).max() > 0.1
    assert np.abs(one[1]["input"] - other[1]["input"]).max() > 0.1
    assert not np.allclose(one.matrix, other.matrix)
    assert one[0]["name"] != one[1]["name"]


def test_photos_have_edges_and_texture():
    photo = procedural.SyntheticPairs(1, size=96, seed=0)[0]["input"]
    steps = np.abs(np.diff(photo, axis=1)).max(-1)
    assert steps.max() > 0.2 and np.median(steps) > 0.005 and photo.std() > 0.1


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="sepia"):
        procedural.SyntheticPairs(1, retouch="sepia")
    with pytest.raises(ValueError, match="at least 1"):
        procedural.SyntheticPairs(0)
    with pytest.raises(ValueError, match="at least 1"):
        procedural.SyntheticPairs(1, size=(4, 0))
    with pytest.raises(IndexError, match="index 2"):
        procedural.SyntheticPairs(2)[2]
    assert procedural.SyntheticPairs(1, size=1)[0]["input"].shape == (1, 1, 3)
