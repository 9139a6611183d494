"""PatchGAN's critic against loops in float64: scores, size, patches, spectral norm, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax import models
from bilateral_jax.models import model
from bilateral_jax.models.layers import spectral

pytestmark = pytest.mark.usefixtures("compiled_quickly")


def random_critic(**fields):
    module = models.create("PatchCritic", {"width": 2, **fields})
    rng = np.random.default_rng(0)
    params = jax.tree.map(
        lambda x: rng.normal(size=x.shape).astype(np.float32),
        model.variable_shapes(module)["params"],
    )
    return model.Model(params, {}, module)


def convolved(x, kernel, bias, stride):
    """One zero on every side."""
    padded = np.pad(x, [(1, 1), (1, 1), (0, 0)])
    rows, columns = ((n + 2 - 4) // stride + 1 for n in x.shape[:2])
    out = np.zeros((rows, columns, kernel.shape[-1]), x.dtype)
    for i in range(rows):
        for j in range(columns):
            patch = padded[i * stride : i * stride + 4, j * stride : j * stride + 4]
            out[i, j] = np.tensordot(patch, kernel, 3)
    return out + bias


def by_loops(critic, image):
    """The scores `[h, w]` of an image; complex ones for derivatives by a complex step."""
    x, strided = image.astype(np.result_type(image, np.float64)), critic.module.strided
    for i in range(strided + 2):
        layer = critic.params["last" if i == strided + 1 else f"conv_{i}"]
        kernel = layer["kernel"].astype(np.float64)
        if critic.module.norm == "spectral":
            matrix = kernel.reshape(-1, kernel.shape[-1])
            kernel = kernel / np.linalg.svd(matrix, compute_uv=False)[0]
        x = convolved(x, kernel, layer["bias"], 2 if i < strided else 1)
        if i == strided + 1:
            return x[..., 0]
        if i and critic.module.norm == "instance":
            x = x - x.mean((0, 1))
            x = x / np.sqrt((x**2).mean((0, 1)) + 1e-5)
        x = np.where(x.real > 0, x, 0.2 * x)
    raise AssertionError


@pytest.mark.parametrize(
    "fields, shape",
    [
        ({"strided": 3}, (24, 33, 3)),
        ({"strided": 1, "input_channels": 1}, (7, 9, 1)),
        ({"strided": 2, "norm": "spectral"}, (13, 17, 3)),
        ({"strided": 1, "norm": "none"}, (8, 6, 3)),
    ],
)
def test_scores_are_those_of_the_loops(fields, shape, monkeypatch):
    monkeypatch.setattr(spectral, "ITERATIONS", 100)
    critic = random_critic(**fields)
    images = np.random.default_rng(1).random((2, *shape), np.float32)
    scores = jax.jit(critic.apply)(images)
    expected = np.stack([by_loops(critic, image) for image in images])
    factor = 2**critic.module.strided
    assert scores.shape == (2, shape[0] // factor - 2, shape[1] // factor - 2)
    np.testing.assert_allclose(scores, expected, rtol=2e-4, atol=2e-4 * np.abs(expected).max())


def test_the_published_size():
    module = models.create("PatchCritic")
    layers = [(3, 64), (64, 128), (128, 256), (256, 512), (512, 1)]
    expected = sum(16 * before * after + after for before, after in layers)
    count = model.parameter_count(model.variable_shapes(module)["params"])
    assert count == expected == 2_764_737


@pytest.mark.parametrize("strided, side", [(3, 70), (2, 34), (1, 16)])
def test_a_score_depends_on_one_patch(strided, side):
    """Without instance norm, which lets every score depend on the whole image."""
    critic = random_critic(strided=strided, norm="spectral")
    image = jnp.asarray(np.random.default_rng(1).random((1, 90, 90, 3)), jnp.float32)
    middle = 90 // 2**strided // 2 - 1
    gradient = jax.jit(jax.grad(lambda x: critic.apply(x)[0, middle, middle]))(image)
    touched = np.flatnonzero(np.abs(np.asarray(gradient)).sum((0, 2, 3)))
    assert touched[-1] - touched[0] + 1 == len(touched) == side


def test_spectral_norm_leaves_a_largest_singular_value_of_1():
    rng = np.random.default_rng(0)
    normalise = jax.jit(spectral.normalise)
    for shape in ((4, 4, 16, 32), (4, 4, 32, 1)):
        kernel = rng.normal(size=shape).astype(np.float32)
        normal = np.asarray(normalise(kernel))
        value = np.linalg.svd(normal.reshape(-1, shape[-1]), compute_uv=False)[0]
        assert 1 - 1e-5 < value < 1.2, shape
        np.testing.assert_allclose(normalise(100 * kernel), normal, rtol=1e-4, atol=1e-6)
    assert not np.any(normalise(jnp.zeros_like(kernel)))


def test_the_derivative_of_spectral_norm():
    """Of `W / s` with `s = u^T W v` for constant u and v; so W itself has derivative 0."""
    kernel = jnp.asarray(np.random.default_rng(0).normal(size=(2, 2, 3, 5)), jnp.float32)
    _, change = jax.jvp(spectral.normalise, (kernel,), (kernel,))
    np.testing.assert_allclose(change, 0, atol=1e-5)
    other = jnp.asarray(np.random.default_rng(1).normal(size=kernel.shape), jnp.float32)
    _, change = jax.jvp(spectral.normalise, (kernel,), (other,))
    matrix = np.asarray(kernel, np.float64).reshape(-1, 5)
    normal = np.asarray(spectral.normalise(kernel), np.float64).reshape(-1, 5)
    scale = np.sqrt(np.square(matrix).sum() / np.square(normal).sum())
    left, _, right = np.linalg.svd(matrix)
    along = left[:, 0] @ np.asarray(other, np.float64).reshape(-1, 5) @ right[0]
    expected = np.asarray(other).reshape(-1, 5) / scale - matrix * along / scale**2
    np.testing.assert_allclose(np.asarray(change).reshape(-1, 5), expected, atol=0.03)


def test_errors_name_the_field_and_the_image():
    with pytest.raises(ValueError, match=r"must have 3 channels .*got shape \(1, 24, 24, 1\)"):
        random_critic().apply(jnp.zeros((1, 24, 24, 1)))
    with pytest.raises(ValueError, match="at least 24 rows and columns for 3 .*got 23 x 80"):
        random_critic().apply(jnp.zeros((1, 23, 80, 3)))
    with pytest.raises(ValueError, match="strided must be a positive int, got 0"):
        models.create("PatchCritic", {"strided": 0})
    with pytest.raises(ValueError, match=r"norm must be one of .*got 'batch'"):
        models.create("PatchCritic", {"norm": "batch"})
