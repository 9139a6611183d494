"""Tiles with a halo equal the whole image: a toy network with strides, skips, global features."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax import inference, resize
from bilateral_jax.inference import by_halo_tiles
from bilateral_jax.models import inference_methods
from bilateral_jax.models import model as model_lib
from bilateral_jax.models.layers import convolutions


class Toy(nn.Module):
    """Two strided convolutions, two enlargements with skips; SAME padding, biases.

    Reach: 1 (head) + 1 (stride 2) + 2 (stride 4) + 4 (middle) and the 3 by which nearest-neighbour
    enlargement and its cut move a pixel, then 1 (last).
    """

    with_features: bool = False
    conditions: int = 0

    @property
    def inference_method(self):
        return inference_methods.ByHaloTiles(
            halo=12,
            features=6,
            stride=4,
            conditions=self.conditions,
            net_input_size=8 if self.with_features else None,
        )

    def setup(self):
        options = {"bias_init": nn.initializers.normal(0.5)}
        self.head = convolutions.Linear(6, **options)
        self.down = [convolutions.Linear(6, stride=2, **options) for _ in range(2)]
        self.middle = convolutions.Linear(6, **options)
        self.last = convolutions.Linear(3, activate=False, **options)
        if self.with_features:
            self.summary = convolutions.Linear(6, 0, **options)

    def example_inputs(self):
        return (jnp.zeros((1, 8, 8, 3 + self.conditions)),)

    def global_features(self, lowres):
        return self.summary(lowres.mean((1, 2)))

    def enhance_tile(self, tile, features):
        levels = [self.head(tile)]
        for layer in self.down:
            levels.append(layer(levels[-1]))
        x = self.middle(levels.pop())
        if features is not None:
            x = x + features[:, None, None, :]
        while levels:
            skip = levels.pop()
            x = x.repeat(2, 1).repeat(2, 2)[:, : skip.shape[1], : skip.shape[2]] + skip
        return self.last(x)

    def enhance(self, image):
        small = resize.resize(image[..., :3], 8, method="area")
        return self.enhance_tile(image, self.global_features(small) if self.with_features else None)

    __call__ = enhance


class WholeToy(Toy):
    """The same network, declared as one that needs the image whole."""

    @property
    def inference_method(self):
        return inference_methods.Whole(conditions=self.conditions)


class CroppedToy(WholeToy):
    """A network whose convolutions take a border off the image."""

    def enhance(self, image):
        return Toy.enhance(self, image)[:, 1:-1]


@functools.cache
def toy(kind=Toy, **fields):
    return model_lib.Model.init(kind(**fields), jax.random.key(0))


def noise(*size):
    return np.random.default_rng(0).random((*size, 3), np.float32)


@pytest.mark.parametrize("with_features", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (5, 38), (37, 53), (64, 40), (83, 1), (66, 67)])
def test_halo_tiles_equal_the_whole(with_features, size, monkeypatch):
    monkeypatch.setattr(by_halo_tiles, "_LEAST_SIDE", 5)
    monkeypatch.setattr(by_halo_tiles.tiles, "FEATURES", 6 * 30 * 30)
    model, image = toy(with_features=with_features), noise(*size)
    whole = jax.jit(lambda image: model(image))(image)
    for tile_rows in (None, 3, 9):
        out = inference.enhance(model, image, tile_rows=tile_rows)
        assert out.dtype == np.float32
        np.testing.assert_allclose(out, whole, atol=1e-5)


def test_a_network_that_changes_the_size_is_named():
    with pytest.raises(ValueError, match=r"CroppedToy gives .* \(7, 9, 3\) for one of \(9, 9, 3\)"):
        inference.enhance(toy(CroppedToy), noise(9, 9))


def test_a_halo_smaller_than_the_receptive_field_shows(monkeypatch):
    class Short(Toy):
        @property
        def inference_method(self):
            return inference_methods.ByHaloTiles(halo=4, features=6, stride=4)

    model, image = toy(Short), noise(40, 9)
    out = inference.enhance(model, image, tile_rows=8)
    assert np.abs(out - model(image)).max() > 1e-3


@pytest.mark.parametrize("kind", [Toy, WholeToy])
def test_conditions_and_integers(kind):
    pixels = (noise(41, 12) * 255).astype(np.uint8)
    model = toy(kind, conditions=1)
    out = inference.enhance(model, pixels, tile_rows=8, conditions=[0.5])
    inputs = np.concatenate([pixels / np.float32(255), np.full((41, 12, 1), 0.5, np.float32)], -1)
    expected = np.clip(model.apply(inputs[None])[0], 0, 1) * 255
    assert out.dtype == np.uint8 and 0 < out.std()
    np.testing.assert_allclose(out, expected, atol=0.501)
    with pytest.raises(ValueError, match=f"{kind.__name__} takes 1 conditions, got 0"):
        inference.enhance(model, pixels)
    with pytest.raises(ValueError, match="conditions must be finite"):
        inference.enhance(model, pixels, conditions=[np.nan])
    model = model.replace(params=jax.tree.map(lambda leaf: leaf * np.nan, model.params))
    with pytest.raises(ValueError, match="the network gives NaN"):
        inference.enhance(model, pixels, tile_rows=8, conditions=[0.5])


def test_all_tiles_of_an_image_share_one_compiled_function():
    model = toy()
    inference.enhance(model, noise(90, 10), tile_rows=8)
    before = by_halo_tiles._render._cache_size()
    inference.enhance(model, noise(142, 10), tile_rows=8)  # the same modulo the stride
    assert by_halo_tiles._render._cache_size() == before


@pytest.mark.parametrize("stride, halo", [(1, 0), (1, 3), (4, 5), (8, 8)])
def test_windows_cover_an_axis_once(stride, halo):
    method = inference_methods.ByHaloTiles(halo=halo, features=1, stride=stride)
    for size in (*range(1, 70), 1000):
        windows = by_halo_tiles.tile_windows(size, 9, method=method)
        assert len({stop - start for start, stop, *_ in windows}) == 1
        kept = 0
        for start, stop, first, last in windows:
            assert first == kept and 0 <= start <= first < last <= stop <= size
            assert start % stride == 0 and (stop - start - size) % stride == 0
            assert start == 0 or first - start >= halo
            assert stop == size or stop - last >= halo
            kept = last
        assert kept == size
