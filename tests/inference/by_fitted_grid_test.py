"""Enhancement by a grid that is fitted to a network's result on a small copy; 15 s, compiling."""

import functools

import jax
import numpy as np
import pytest

from bilateral_jax import inference, models, resize
from bilateral_jax.inference import by_fitted_grid
from bilateral_jax.models import model as model_lib

pytestmark = pytest.mark.usefixtures("compiled_quickly")
SIZE, SIDE = (60, 44), 30
MATRIX = np.float32([[0.6, 0.2, 0.1], [0, 0.7, 0.2], [0.1, 0.1, 0.6]])


@functools.cache
def affine_model():
    """A colour table that is one affine map."""
    model = model_lib.Model.init(
        models.create("ColorTable", {"nodes": [2, 2, 2]}), jax.random.key(0)
    )
    return model.replace(params={"table": model.params["table"] @ MATRIX.T + 0.05})


def image(dtype=np.float32, size=SIZE):
    """Smooth colours with edges."""
    y, x = np.mgrid[0 : size[0], 0 : size[1]] / max(size)
    disc = (y - 0.5) ** 2 + (x - 0.3) ** 2 < 0.04
    values = np.stack([0.2 + 0.5 * x, 0.6 - 0.4 * y, 0.3 + 0.3 * x * y], -1) + 0.2 * disc[..., None]
    return (
        values.astype(dtype)
        if dtype == np.float32
        else np.rint(values * np.iinfo(dtype).max).astype(dtype)
    )


def enhance(dtype=np.float32, model=None, **options):
    return inference.enhance(model or affine_model(), image(dtype), grid_side=SIDE, **options)


@pytest.mark.parametrize("dtype, atol", [(np.float32, 0.01), (np.uint8, 3), (np.uint16, 650)])
def test_an_affine_map_is_reproduced(dtype, atol):
    """By pixel, so that the network's own result does not depend on the size."""
    expected = inference.enhance(affine_model(), image(dtype))
    out = enhance(dtype)
    assert out.dtype == dtype and out.shape == (*SIZE, 3)
    assert np.abs(expected.astype(float) - image(dtype)).max() > 8 * atol
    np.testing.assert_allclose(out.astype(float), expected, atol=atol)
    np.testing.assert_allclose(
        enhance(dtype, tile_rows=8).astype(float), out, atol=1e-5 if atol < 1 else 1
    )


def test_strength_is_that_of_the_grid():
    expected = image() + 0.25 * (enhance() - image())
    np.testing.assert_allclose(enhance(strength=0.25), expected, atol=1e-6)
    np.testing.assert_allclose(enhance(strength=0), image(), atol=1e-6)


def can():
    """By row tiles: it sees the small copy only."""
    module = models.create("CAN", {"width": 4, "dilations": [1, 1]})
    return model_lib.Model.init(module, jax.random.key(0))


def test_the_network_sees_the_small_copy(monkeypatch):
    seen = []
    fit = by_fitted_grid._fit
    monkeypatch.setattr(by_fitted_grid, "_fit", lambda *pair: seen.append(pair) or fit(*pair))
    out = enhance(model=can())
    ((small, target),) = seen
    np.testing.assert_array_equal(small, resize.resize_pixels(image(), (30, 22), method="area"))
    np.testing.assert_array_equal(target, inference.enhance(can(), small))
    assert np.isfinite(out).all()


def test_a_small_image_goes_through_the_network_itself():
    for side in (60, 512):
        out = inference.enhance(can(), image(), grid_side=side)
        np.testing.assert_array_equal(out, inference.enhance(can(), image()))


def test_sizes_of_the_small_copy():
    assert by_fitted_grid.reduced_size((3000, 4000), 512) == (384, 512)
    assert by_fitted_grid.reduced_size((4000, 1), 512) == (512, 1)


def test_a_network_that_predicts_a_grid_is_refused():
    fields = {"net_input_size": 16, "spatial_bin": 4, "luma_bins": 2}
    module = models.create("HDRNetCurves", fields)
    with pytest.raises(ValueError, match="HDRNetCurves predicts a bilateral grid itself"):
        enhance(model=model_lib.Model({}, {}, module))
    with pytest.raises(ValueError, match="VGG declares no way to enhance"):
        by_fitted_grid.check_model(model_lib.Model({}, {}, models.create("VGG")))


@pytest.mark.parametrize("side", [0, 1.5, True])
def test_a_bad_side_is_named(side):
    with pytest.raises(ValueError, match=f"grid_side must be a positive int, got {side}"):
        inference.enhance(affine_model(), image(), grid_side=side)


def test_a_wrong_number_of_conditions_is_named():
    with pytest.raises(ValueError, match="ColorTable takes 0 conditions, got 1"):
        enhance(conditions=[0.5])


def test_nan_is_refused_for_integers_and_kept_in_floats():
    model = affine_model()
    broken = model.replace(params={"table": model.params["table"] * np.nan})
    with pytest.raises(ValueError, match="the network gives NaN"):
        enhance(np.uint8, broken)
    assert np.isnan(enhance(model=broken)).all()


def test_a_fit_that_does_not_converge_is_an_error(monkeypatch):
    fit = by_fitted_grid._fit
    monkeypatch.setattr(by_fitted_grid, "_fit", lambda *pair: (fit(*pair)[0], np.float32(0.5)))
    with pytest.raises(ValueError, match="no grid could be fitted .* residual 0.5"):
        enhance()
