"""DPED: patches of both splits ordered by number, whole photos, errors."""

import numpy as np
import pytest

from bilateral_jax import images
from bilateral_jax.data.sources import dped
from tests import fake_datasets, optional_packages

optional_packages.need_images()


@pytest.fixture
def root(tmp_path):
    home = tmp_path / "dped" / "sony"
    for split, count in (("training_data", 12), ("test_data/patches", 2)):
        for index in range(count):
            for camera in ("sony", "canon"):
                path = home / split / camera / f"{index}.jpg"
                fake_datasets.write(path, index, shape=(100, 100, 3))
    for index in (10, 9):
        path = home / "test_data" / "full_size_test_images" / f"{index}.jpg"
        fake_datasets.write(path, shape=(30, 40, 3))
    return tmp_path


def test_patches_in_the_order_of_their_numbers(root):
    train = dped.patches(root, phone="sony")
    assert [train.name(i) for i in range(12)] == [f"{i}.jpg" for i in range(12)]
    element = train[11]
    home = root / "dped" / "sony" / "training_data"
    np.testing.assert_array_equal(element["target"], images.read(home / "canon" / "11.jpg").pixels)
    assert len(dped.patches(root / "dped", phone="sony", split="test")) == 2


def test_whole_photos(root):
    photos = dped.photos(root, phone="sony")
    assert [photos[i]["name"] for i in range(2)] == ["9.jpg", "10.jpg"]
    assert photos[0]["image"].shape == (30, 40, 3)


def test_patches_of_another_size_or_without_partner_are_bad(root):
    home = root / "dped" / "sony" / "training_data"
    (home / "canon" / "3.jpg").unlink()
    for camera in ("sony", "canon"):
        fake_datasets.write(home / camera / "4.jpg", shape=(99, 100, 3))
    with pytest.warns(UserWarning, match="2 of 12"):
        source = dped.patches(root, phone="sony", on_bad="skip")
    assert [name for name, _ in source.skipped] == ["3.jpg", "4.jpg"]
    assert "is 99 x 100; a patch is 100 x 100" in source.skipped[1][1]
    with pytest.raises(ValueError, match="2 of 12 records are bad"):
        dped.patches(root, phone="sony")


def test_unknown_phones_and_splits(root):
    with pytest.raises(ValueError, match="no folder .*nokia; published are iphone"):
        dped.patches(root, phone="nokia")
    with pytest.raises(ValueError, match="no folder .*iphone"):
        dped.photos(root, phone="iphone")
    with pytest.raises(ValueError, match="must be the name of a folder, got '../sony'"):
        dped.photos(root, phone="../sony")
    with pytest.raises(ValueError, match="split must be"):
        dped.patches(root, phone="sony", split="validation")


def test_another_phone(root):
    """As `align --phone` writes it."""
    home = root / "dped" / "sony"
    home.rename(root / "dped" / "mine")
    for split in ("training_data", "test_data/patches"):
        folder = root / "dped" / "mine" / split
        (folder / "sony").rename(folder / "mine")
    assert len(dped.patches(root, phone="mine")) == 12
