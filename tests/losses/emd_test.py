"""Earth mover's distance: exact values, and a gradient of 0 for equal distributions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax.losses import emd

FIRST, LAST, EVEN = np.eye(10)[0], np.eye(10)[9], np.full(10, 0.1)


@pytest.mark.parametrize(
    ("one", "other", "exponent", "expected"),
    [
        (FIRST, LAST, 2, 0.9**0.5),
        (FIRST, LAST, 1, 0.9),
        (EVEN, FIRST, 2, 0.285**0.5),
        (EVEN, FIRST, 1, 0.45),
        (EVEN, EVEN, 2, 0.0),
        (LAST, LAST, 1, 0.0),
    ],
)
def test_exact_values(one, other, exponent, expected):
    for pair in ((one, other), (other, one)):
        np.testing.assert_allclose(emd.emd(*pair, exponent=exponent), expected, rtol=1e-6)


def test_one_value_per_example_and_exponent_2_by_default():
    rng = np.random.default_rng(0)
    one, other = (rng.dirichlet(np.ones(10), (2, 3)) for _ in range(2))
    got = emd.emd(one, other)
    error = np.cumsum(one, -1) - np.cumsum(other, -1)
    np.testing.assert_allclose(got, np.sqrt((error**2).mean(-1)), rtol=1e-5)
    assert got.shape == (2, 3) and got.dtype == jnp.float32
    assert emd.emd(jnp.asarray(one, jnp.bfloat16), jnp.asarray(other)).dtype == jnp.float32


def test_the_gradient_is_finite_everywhere():
    gradient = jax.grad(lambda p, q: emd.emd(p, q))
    even = jnp.asarray(EVEN, jnp.float32)
    assert not np.asarray(gradient(even, even)).any()
    near = even.at[3].add(1e-7)
    assert np.isfinite(gradient(near, even)).all()
    step = jnp.linspace(-1e-3, 1e-3, 10)
    change = emd.emd(even + step, jnp.asarray(FIRST)) - emd.emd(even - step, jnp.asarray(FIRST))
    expected = 2 * float(gradient(even, jnp.asarray(FIRST, jnp.float32)) @ step)
    np.testing.assert_allclose(change, expected, rtol=1e-3)


def test_errors_name_the_argument():
    with pytest.raises(ValueError, match=r"must both be \[\*b, n\], got \(10,\) and \(9,\)"):
        emd.emd(EVEN, EVEN[:9])
    with pytest.raises(ValueError, match="must both be"):
        emd.emd(np.float32(1), np.float32(1))
    with pytest.raises(ValueError, match=r"exponent must be one of \(1, 2\), got 3"):
        emd.emd(EVEN, EVEN, exponent=3)
