"""Dulled photos: changes drawn from seed and index, untouched ones, targets of a teacher."""

import numpy as np
import pytest

from bilateral_jax import color, images
from bilateral_jax.data import registry
from bilateral_jax.data.synthetic import dulled, operator_targets

PHOTOS = [
    {"image": np.full((20, 30, 3), [200, 120, 60], np.uint8), "name": f"p{i}"} for i in range(3)
]
NOTHING = {
    "stops": (0, 0), "saturation": (1, 1), "contrast": (1, 1), "cast": 0.0, "untouched": 0.0,
}  # fmt: skip


def dull(**options):
    return images.to_float(dulled.Dulled(PHOTOS, **NOTHING | options)[0]["input"])[0, 0]


def test_each_change_has_its_own_strength():
    photo = images.to_float(PHOTOS[0]["image"])[0, 0]
    linear = color.srgb_to_linear(photo)
    np.testing.assert_array_equal(dull(), photo)
    darker = color.linear_to_srgb(linear / 2)
    np.testing.assert_allclose(dull(stops=(-1, -1)), darker, atol=2.1e-3)
    paler = color.linear_to_srgb(color.scale_saturation(linear, np.float32(0.6)))
    np.testing.assert_allclose(dull(saturation=(0.6, 0.6)), paler, atol=2.1e-3)
    np.testing.assert_allclose(dull(contrast=(0.5, 0.5)), photo / 2 + 0.25, atol=2.1e-3)
    gains = np.log2(color.srgb_to_linear(dull(cast=0.3)) / linear)
    assert 0.02 < np.abs(gains).max() < 0.33 and gains.std() > 0.01
    tinted = np.log2(color.srgb_to_linear(dull(tint=(0.2, 0.0, -0.3))) / linear)
    np.testing.assert_allclose(tinted, (0.2, 0, -0.3), atol=0.03)


def test_noise_is_added_to_display_values():
    photos = [{"image": np.full((200, 200, 3), 128, np.uint8), "name": "grey"}]
    noisy, again = (
        dulled.Dulled(photos, **NOTHING | {"noise": 0.02})[0]["input"] for _ in range(2)
    )
    np.testing.assert_array_equal(noisy, again)
    difference = images.to_float(noisy) - images.to_float(photos[0]["image"])
    assert abs(difference.mean()) < 1e-3 and abs(difference.std() - 0.02) < 1e-3


def test_elements_depend_on_seed_and_index():
    source, again = (dulled.Dulled(PHOTOS, seed=3, rounds=2, untouched=0.0) for _ in range(2))
    means = [source[i]["input"].mean() for i in range(6)]
    assert len(source) == 6 and len(set(means)) == 6
    np.testing.assert_array_equal(source[4]["input"], again[4]["input"])
    np.testing.assert_array_equal(source[-1]["input"], source[5]["input"])
    assert [source[i]["name"] for i in (1, 4)] == ["p1", "p1_dull1"]
    assert all(source[i]["target"] is PHOTOS[i % 3]["image"] for i in range(6))
    other = dulled.Dulled(PHOTOS, seed=4, rounds=2, untouched=0.0)
    assert other[4]["input"].mean() != source[4]["input"].mean()


def test_a_window_is_a_part_of_the_photo_at_a_random_position():
    rows, columns = np.mgrid[:20, :30].astype(np.uint8)
    photo = np.stack([rows, columns, rows + columns], axis=-1)
    photos = [{"image": photo, "name": "ramp"}]
    windows = dulled.Dulled(photos, window=(0.5, 0.5), untouched=1.0, rounds=30)
    corners = set()
    for i in range(30):
        pair = windows[i]
        top, left = map(int, pair["input"][0, 0, :2])
        corners.add((top, left))
        np.testing.assert_array_equal(pair["input"], photo[top : top + 10, left : left + 15])
        np.testing.assert_array_equal(pair["target"], pair["input"])
    assert len(corners) > 20 and {top for top, _ in corners} >= {0, 10}
    sizes = [
        dulled.Dulled(photos, window=(0.3, 1.0), rounds=30)[i]["input"].shape for i in range(30)
    ]
    assert min(sizes) < (8,) and max(sizes) > (17,)
    dull, whole = (dulled.Dulled(photos, window=w, seed=5)[0] for w in ((0.4, 0.6), (1.0, 1.0)))
    assert dull["input"].shape == dull["target"].shape < whole["input"].shape == photo.shape


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_some_photos_have_no_colours(dtype):
    photos = [{"image": PHOTOS[0]["image"].astype(dtype) * (257 if dtype == np.uint16 else 1)}]
    photos[0]["name"] = "p"
    plain, grey = (
        dulled.Dulled(photos, rounds=200, untouched=0.3, grey=part) for part in (0.0, 0.25)
    )
    count = 0
    for i in range(200):
        pair = grey[i]
        if (pair["input"] == pair["input"][..., :1]).all():
            count += 1
            assert (pair["target"] == pair["target"][..., :1]).all()
            light = (images.to_float(one) for one in (plain[i]["input"], pair["input"]))
            expected, found = (color.luminance(color.srgb_to_linear(one)) for one in light)
            np.testing.assert_allclose(found, expected, atol=5e-3)
            assert pair["target"].dtype == pair["input"].dtype == dtype
        else:
            np.testing.assert_array_equal(pair["input"], plain[i]["input"])
    assert 30 < count < 75
    again = dulled.grey_of_luminance(pair := dulled.grey_of_luminance(photos[0]["image"]))
    np.testing.assert_array_equal(again, pair)


def test_the_depth_is_kept():
    photos = [{"image": PHOTOS[0]["image"].astype(np.uint16) * 257, "name": "deep"}]
    pixels = dulled.Dulled(photos, untouched=0.0)[0]["input"]
    assert pixels.dtype == np.uint16 and (pixels % 257).any()


def test_untouched_photos_keep_themselves_as_targets():
    """A teacher is not asked about photos that need nothing."""
    source = dulled.Dulled(PHOTOS, rounds=100, untouched=0.2)
    taught = operator_targets.OperatorTargets(
        source, lambda pixels: 255 - pixels, label="negative", keep_equal=True
    )
    same = [np.array_equal(source[i]["input"], source[i]["target"]) for i in range(300)]
    assert 40 < sum(same) < 80
    for i in (same.index(True), same.index(False)):
        pixels = source[i]["input"]
        expected = pixels if same[i] else 255 - pixels
        np.testing.assert_array_equal(taught[i]["target"], expected)


def test_bad_arguments_are_named():
    for options, words in (
        ({"stops": (1, 0)}, r"stops must be \(least, most\).* \(1, 0\)"),
        ({"stops": (float("-inf"), 0)}, "stops must be"),
        ({"saturation": (-0.1, 1)}, "saturation must be .*factors at least 0"),
        ({"contrast": (1, float("nan"))}, "contrast must be"),
        ({"cast": -1}, "cast must be at least 0"),
        ({"tint": (0.1, 0.2)}, r"tint must be three finite numbers.* \[0.1, 0.2\]"),
        ({"noise": -0.1}, "noise at least 0; got .*-0.1"),
        ({"window": (0, 1)}, r"window must be \(least, most\) in \(0, 1\], got \(0, 1\)"),
        ({"window": (0.8, 0.5)}, "window must be"),
        ({"window": (0.5, float("nan"))}, "window must be"),
        ({"untouched": 1.5}, r"untouched and grey in \[0, 1\]"),
        ({"grey": -0.1}, r"untouched and grey in \[0, 1\]"),
        ({"rounds": 0}, "rounds at least 1"),
    ):
        with pytest.raises(ValueError, match=words):
            dulled.Dulled(PHOTOS, **options)
    with pytest.raises(TypeError, match="'dulled' .*'haze'"):
        registry.make("dulled", photos={"kind": "demo_inputs", "split": "heldout"}, haze=1)
