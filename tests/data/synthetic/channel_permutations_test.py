"""Photos with their channels in all orders: names, values, greys, halves without pairs."""

import numpy as np
import pytest

from bilateral_jax.data import registry
from bilateral_jax.data.sources import views
from bilateral_jax.data.synthetic import channel_permutations, procedural


class Photos:
    """Three photos of different colours, one of them grey."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.images = list(rng.integers(0, 255, (2, 4, 6, 3), dtype=np.uint8))
        self.images.append(np.full((4, 6, 3), 90, np.uint8))

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return {"image": self.images[index], "name": f"p{index}.png"}


def test_every_order_occurs_once():
    photos = Photos()
    source = channel_permutations.ChannelPermutations(photos)
    assert len(source) == 18
    found = [source[i] for i in range(18)]
    assert len({element["name"] for element in found}) == 18
    assert [found[i]["name"] for i in (0, 3, 17)] == ["p0.png", "p0.png_rbg", "p2.png_bgr"]
    for number, image in enumerate(photos.images):
        means = {tuple(found[number + 3 * order]["image"].mean((0, 1))) for order in range(6)}
        assert len(means) == (1 if number == 2 else 6)
        np.testing.assert_array_equal(found[number]["image"], image)
        for order in range(6):
            changed = found[number + 3 * order]["image"]
            np.testing.assert_array_equal(np.sort(changed, -1), np.sort(image, -1))
    np.testing.assert_array_equal(found[15]["image"], photos.images[0][..., ::-1])
    with pytest.raises(IndexError, match="18"):
        source[18]


def test_of_pairs_the_inputs_are_taken():
    pairs = procedural.SyntheticPairs(count=2, size=8)
    element = channel_permutations.ChannelPermutations(pairs)[2]
    assert set(element) == {"image", "name"}
    np.testing.assert_array_equal(element["image"], pairs[0]["input"][..., [0, 2, 1]])


def test_halves_stay_apart_and_the_tint_is_the_same_in_all_orders(monkeypatch):
    monkeypatch.setitem(registry.KINDS, "three", Photos)
    dull = {
        "untouched": 0.0, "tint": (0.5, 0.0, -0.5), "stops": (0, 0), "cast": 0.0,
        "saturation": (1, 1), "contrast": (1, 1),
    }  # fmt: skip
    options = {"photos": {"kind": "three"}, "dull": dull, "seed": 1, "rounds": 2}
    source = registry.make("unpaired_halves", permute_channels=True, **options)
    assert len(source) == 1 * 6 * 2 and not views.is_paired(source)
    elements = [source[i] for i in range(len(source))]
    sides = [
        {element[member].split("_")[0] for element in elements}
        for member in ("name", "target_name")
    ]
    assert not sides[0] & sides[1]
    plain = registry.make("unpaired_halves", **options)
    assert len(plain) == 1 * 2
    # The tint is added after the channels have changed places: red stays the brightest on average.
    tints = [element["input"].mean((0, 1)) for element in elements]
    assert np.mean(tints, 0)[0] > np.mean(tints, 0)[1] > np.mean(tints, 0)[2]
