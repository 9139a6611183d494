"""The simulated phone is the same for all photos, seeded, and degrades them."""

import numpy as np
import pytest

from bilateral_jax import metrics
from bilateral_jax.data import registry
from bilateral_jax.data.synthetic import demo_photos, simulated_phone

for package in ("skimage", "sklearn", "matplotlib", "cv2"):
    pytest.importorskip(package, reason=f"{package} is not installed")


@pytest.fixture(scope="module")
def heldout():
    return simulated_phone.SimulatedPhone("heldout", variants=2, seed=5)


def test_the_photo_is_the_target_and_the_input_is_degraded(heldout):
    names = [heldout[i]["name"] for i in range(len(heldout))]
    assert names[:3] == ["coffee_00", "coffee_01", "chelsea_00"] and len(names) == 6
    for i in (0, 2, 4):
        pair = heldout[i]
        assert pair["input"].dtype == pair["target"].dtype == np.uint8
        np.testing.assert_array_equal(pair["target"], demo_photos.load("heldout", names[i][:-3]))
        image, target = (pair[name].astype(np.float32) / 255 for name in ("input", "target"))
        assert 12 < metrics.psnr(image, target) < 24
        assert image.std() < 0.9 * target.std()


def test_variants_differ_in_exposure_and_the_seed_fixes_them(heldout):
    one, two = heldout[0]["input"].astype(float), heldout[1]["input"].astype(float)
    assert abs(one.mean() - two.mean()) > 0.3
    again = simulated_phone.SimulatedPhone("heldout", variants=2, seed=5)
    other = simulated_phone.SimulatedPhone("heldout", variants=1, seed=6)
    np.testing.assert_array_equal(again[1]["input"], heldout[1]["input"])
    assert np.any(other[0]["input"] != heldout[0]["input"]) and other[0]["name"] == "coffee"


def test_the_same_photo_gives_the_same_colors_but_for_exposure_and_noise():
    """A grey wedge: the tint is there, and brightness keeps its order."""
    wedge = np.repeat(np.linspace(40, 255, 64).astype(np.uint8)[None, :, None], 32, 0)
    out = simulated_phone.degrade(np.repeat(wedge, 3, 2), np.random.default_rng(0)).astype(float)
    profile = out.mean((0, 2)).reshape(8, 8).mean(1)
    assert (np.diff(profile) > 0).all()
    red, green, blue = out.mean((0, 1))
    assert red < green < blue


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="split must be one of"):
        simulated_phone.SimulatedPhone("test")
    with pytest.raises(ValueError, match="variants must be at least 1"):
        simulated_phone.SimulatedPhone("train", variants=0)
    with pytest.raises(TypeError, match="colour"):
        registry.make("phone", split="train", colour=1)
