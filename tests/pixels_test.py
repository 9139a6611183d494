"""Integer pixels and floats: scaling, rounding, depths, NumPy against JAX."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from bilateral_jax import pixels


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_numpy_and_jax_agree(dtype):
    every = np.arange(np.iinfo(dtype).max + 1, dtype=dtype)
    values = pixels.to_float(every)
    compiled = jax.jit(pixels.as_float)(every)
    np.testing.assert_allclose(compiled, values, rtol=2e-7)
    np.testing.assert_array_equal(pixels.to_dtype(jnp.asarray(values), dtype), every)
    assert pixels.to_float(jnp.asarray(every)).dtype == jnp.float32


def test_floats_are_cast_and_not_clipped():
    values = np.array([-0.5, 2.0], np.float16)
    assert pixels.as_float(values).dtype == np.float32
    np.testing.assert_array_equal(pixels.to_dtype(jnp.asarray(values), np.float32), values)
    np.testing.assert_array_equal(pixels.to_dtype(jnp.asarray(values), np.uint8), [0, 255])


def test_depths_convert_to_the_nearest_level():
    every = np.arange(65536, dtype=np.uint16)
    np.testing.assert_array_equal(pixels.to_bits(every, 8), np.rint(every / 257.0))
    np.testing.assert_array_equal(
        pixels.to_bits(pixels.to_bits(every[:256] * 257, 8), 16), every[:256] * 257
    )
    assert pixels.to_bits(every, 16) is every


def test_other_types_are_named():
    for function in (pixels.to_float, pixels.as_float, lambda x: pixels.to_bits(x, 8)):
        with pytest.raises(TypeError, match="uint8.*uint16.*got int32"):
            function(np.zeros(3, np.int32))
    with pytest.raises(TypeError, match="got bool"):
        pixels.white(np.dtype(bool))
    with pytest.raises(ValueError, match="bits must be 8 or 16, got 12"):
        pixels.to_bits(np.zeros(3, np.uint8), 12)


@pytest.mark.parametrize("dtype, bits", [(np.uint8, 8), (np.uint16, 16)])
def test_integers_to_floats_and_back_is_exact(dtype, bits):
    every = np.arange(np.iinfo(dtype).max + 1).astype(dtype)
    values = pixels.to_float(every)
    assert values.dtype == np.float32 and values[0] == 0 and values[-1] == 1
    np.testing.assert_array_equal(pixels.to_integer(values, bits), every)
    np.testing.assert_array_equal(pixels.to_integer(values.astype(np.float64), bits), every)


def test_to_integer_rounds_and_clips():
    values = np.array([-1.0, 0.49 / 255, 0.51 / 255, 1.0, 7.0, np.inf, -np.inf])
    np.testing.assert_array_equal(pixels.to_integer(values, 8), [0, 0, 1, 255, 255, 255, 0])
    half = np.array([0.5], np.float16)
    assert pixels.to_integer(half, 16)[0] in (32767, 32768)
    assert pixels.to_integer(np.array([1.0], ml_dtypes.bfloat16), 16)[0] == 65535


def test_invalid_conversions():
    with pytest.raises(TypeError, match="uint8"):
        pixels.to_integer(np.zeros(3, np.uint8), 8)
    with pytest.raises(ValueError, match="bits .* 12"):
        pixels.to_integer(np.zeros(3), 12)
    with pytest.raises(ValueError, match="2 NaN"):
        pixels.to_integer(np.array([0.0, np.nan, np.nan]), 8)
