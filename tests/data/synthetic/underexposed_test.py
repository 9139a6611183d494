"""Simulated underexposure: its strength, drawn from seed and index; targets unchanged."""

import numpy as np
import pytest

from bilateral_jax import color, images
from bilateral_jax.data import registry
from bilateral_jax.data.synthetic import underexposed

PAIRS = [
    {
        "input": np.full((40, 50, 3), [200, 120, 60], np.uint8),
        "target": np.full((40, 50, 3), 9, np.uint8),
        "name": f"p{i}",
    }
    for i in range(3)
]


def test_stops_gamma_and_noise_have_the_given_ranges():
    dark = underexposed.Underexposed(PAIRS, stops=(2, 2), gamma=(1.1, 1.1), noise=0.01)[0]
    linear = color.srgb_to_linear(images.to_float(PAIRS[0]["input"])) / 4
    expected = color.linear_to_srgb(linear) ** 1.1
    pixels = images.to_float(dark["input"])
    assert dark["input"].dtype == np.uint8
    np.testing.assert_allclose(pixels.mean((0, 1)), expected[0, 0], atol=2e-3)
    np.testing.assert_allclose((pixels - expected).std((0, 1)), 0.01, rtol=0.05)
    assert dark["target"] is PAIRS[0]["target"] and dark["name"] == "p0"


def test_elements_depend_on_seed_and_index():
    source, again = (underexposed.Underexposed(PAIRS, seed=3, rounds=2) for _ in range(2))
    means = [source[i]["input"].mean() for i in range(6)]
    assert len(source) == 6 and len(set(means)) == 6
    np.testing.assert_array_equal(source[4]["input"], again[4]["input"])
    np.testing.assert_array_equal(source[-1]["input"], source[5]["input"])
    assert [source[i]["name"] for i in (1, 4)] == ["p1", "p1_dark1"]
    other = underexposed.Underexposed(PAIRS, seed=4, rounds=2)
    assert other[4]["input"].mean() != source[4]["input"].mean()
    photo = PAIRS[0]["input"].mean()
    assert all(mean < 0.75 * photo for mean in means)


def test_bad_arguments_are_named():
    for options, words in (
        ({"stops": (2, 1)}, r"stops must be \(least, most\).* \(2, 1\)"),
        ({"gamma": (0, 1)}, "gamma above 0"),
        ({"noise": -1}, "noise must be at least 0"),
        ({"rounds": 0}, "rounds at least 1"),
    ):
        with pytest.raises(ValueError, match=words):
            underexposed.Underexposed(PAIRS, **options)
    with pytest.raises(IndexError, match="outside a source of 3 pairs"):
        underexposed.Underexposed(PAIRS)[3]


def test_any_paired_source_can_be_underexposed():
    inner = {"kind": "synthetic", "count": 4, "size": 24}
    source = registry.make("darkened", pairs=inner, start=2)
    plain = registry.make(**inner)
    assert len(source) == 2 and source[1]["name"] == plain[3]["name"]
    np.testing.assert_array_equal(source[1]["target"], plain[3]["target"])
    assert source[1]["input"].mean() < plain[3]["input"].mean()
