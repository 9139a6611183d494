"""The demo photos: found without network, disjoint splits, targets of the operator."""

import builtins
import sys

import numpy as np
import pytest

from bilateral_jax import images
from bilateral_jax.data.synthetic import demo_photos
from bilateral_jax.filters import local_laplacian

pytestmark = pytest.mark.usefixtures("compiled_quickly")

for package in ("PIL", "cv2", "skimage", "sklearn", "matplotlib"):
    pytest.importorskip(package, reason=f"{package} is not installed")


@pytest.fixture(scope="module")
def heldout():
    return demo_photos.DemoPhotos("heldout")


@pytest.fixture(scope="module")
def train():
    # Smaller than the real ones, for speed; nothing else is cached between sources.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo_photos, "SIZE", (48, 72))
        return demo_photos.DemoPhotos("train", variants=3, seed=5)


def psnr(one, other):
    return -10 * np.log10(np.mean((images.to_float(one) - images.to_float(other)) ** 2))


def test_every_photo_exists_and_has_colour():
    for split in demo_photos.PHOTOS:
        for name in demo_photos.PHOTOS[split]:
            photo = demo_photos.load(split, name)
            assert photo.dtype == np.uint8 and photo.ndim == 3 and photo.shape[-1] == 3
            assert min(photo.shape[:2]) >= 300
            assert np.std(photo.astype(int) - photo.mean(-1, keepdims=True)) > 5


def test_heldout_photos_are_not_trained_on(heldout, train):
    assert len(demo_photos.PHOTOS["heldout"]) == 3
    assert not set(demo_photos.PHOTOS["train"].values()) & set(
        demo_photos.PHOTOS["heldout"].values()
    )
    names = [heldout[i]["name"] for i in range(len(heldout))]
    assert names == list(demo_photos.PHOTOS["heldout"])
    assert not {train[i]["name"].rsplit("_", 1)[0] for i in range(len(train))} & set(names)


def test_heldout_input_is_the_plain_photo(heldout):
    """Only resized to the common size: the mean colour is that of the photo."""
    for index, name in enumerate(demo_photos.PHOTOS["heldout"]):
        pixels = heldout[index]["input"]
        assert pixels.shape == (*demo_photos.SIZE, 3) and pixels.dtype == np.uint8
        photo = demo_photos.load("heldout", name)
        np.testing.assert_allclose(pixels.mean((0, 1)), photo.mean((0, 1)), atol=1.5)


def test_target_is_the_result_of_the_operator(heldout):
    import jax

    pair = heldout[1]
    image = images.to_float(pair["input"])
    target = jax.jit(lambda image: local_laplacian.enhance(image, **demo_photos.FILTER))(image)
    difference = np.abs(images.to_integer(target, 8).astype(int) - pair["target"])
    assert difference.max() <= 1


def test_one_matrix_does_not_fit_the_targets(heldout):
    """Neither the input nor the best single colour matrix is close to the target."""
    for index in range(len(heldout)):
        pair = heldout[index]
        assert 12 < psnr(pair["input"], pair["target"]) < 20
    pair = heldout[0]
    image, target = (images.to_float(pair[k]).reshape(-1, 3) for k in ("input", "target"))
    design = np.concatenate([image, np.ones_like(image[:, :1])], axis=1)
    solution = np.linalg.lstsq(design, target, rcond=None)[0]
    assert -10 * np.log10(np.mean((design @ solution - target) ** 2)) < 26


def test_variants_differ_and_the_first_is_the_photo(train):
    assert len(train) == 3 * len(demo_photos.PHOTOS["train"])
    for start in range(0, len(train), 3):
        plain, *varied = (train[start + k] for k in range(3))
        assert plain["input"].shape == plain["target"].shape
        assert plain["name"].endswith("_00") and varied[1]["name"].endswith("_02")
        assert {pair["input"].shape[:2] for pair in (plain, *varied)} <= {(48, 72), (72, 48)}
    means = [train[k]["input"].mean() for k in range(len(train))]
    assert np.std(means) > 10


def test_portrait_photos_are_the_transpose_of_landscape(train):
    import jax

    portrait = [train[k] for k in range(len(train)) if train[k]["input"].shape[0] == 72]
    assert portrait
    image = images.to_float(portrait[0]["input"])
    target = jax.jit(lambda image: local_laplacian.enhance(image, **demo_photos.FILTER))(image)
    difference = np.abs(images.to_integer(target, 8).astype(int) - portrait[0]["target"])
    assert difference.max() <= 1


def test_variants_depend_on_the_seed(monkeypatch):
    monkeypatch.setattr(demo_photos, "SIZE", (16, 24))
    monkeypatch.setitem(
        demo_photos.PHOTOS, "train", {"rocket": demo_photos.PHOTOS["train"]["rocket"]}
    )
    one, same, other = (demo_photos.DemoPhotos("train", variants=3, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(one[2]["input"], same[2]["input"])
    np.testing.assert_array_equal(one[2]["target"], same[2]["target"])
    np.testing.assert_array_equal(one[0]["input"], other[0]["input"])
    assert np.any(one[2]["input"].mean() != other[2]["input"].mean())


def test_a_folder_of_photos_gets_the_same_operator(monkeypatch, tmp_path):
    monkeypatch.setattr(demo_photos, "SIZE", (16, 24))
    for name in ("coffee", "chelsea"):
        images.write(tmp_path / f"{name}.png", demo_photos.load("heldout", name))
    (own, *_), other = demo_photos.DemoPhotos("heldout"), demo_photos.RetouchedFolder(tmp_path)
    assert len(other) == 2 and other[1]["name"] == "coffee.png" and other.skipped == []
    for member in ("input", "target"):
        np.testing.assert_array_equal(other[1][member], own[member])


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="validation"):
        demo_photos.DemoPhotos("validation")
    with pytest.raises(ValueError, match="got 0"):
        demo_photos.DemoPhotos("train", variants=0)
    with pytest.raises(ValueError, match="1 for heldout; got 2"):
        demo_photos.DemoPhotos("heldout", variants=2)


def test_a_missing_package_names_the_extra(monkeypatch):
    original = builtins.__import__

    def without(name, *arguments, **options):
        if name == "sklearn":
            raise ImportError("No module named 'sklearn'")
        return original(name, *arguments, **options)

    monkeypatch.delitem(sys.modules, "sklearn", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"china .*scikit-learn.*bilateral_jax\[demo\]"):
        demo_photos.load("heldout", "china")


def test_a_package_without_its_photo_says_so(monkeypatch):
    monkeypatch.setitem(demo_photos.PHOTOS["train"], "rocket", ("skimage", "data/absent.jpg"))
    with pytest.raises(ImportError, match="scikit-image came without .*absent"):
        demo_photos.load("train", "rocket")
