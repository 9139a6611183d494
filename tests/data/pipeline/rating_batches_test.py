"""Rating distributions, synthetic ratings, and batches of rated images."""

import numpy as np
import PIL.Image
import pytest

from bilateral_jax import resize
from bilateral_jax.data.pipeline import rating_batches, rating_distributions
from bilateral_jax.data.synthetic import demo_photos, synthetic_ratings
from bilateral_jax.models import nima


def moments(shares):
    scores = np.arange(len(shares))
    mean = shares @ scores
    return mean, np.sqrt(shares @ (scores - mean) ** 2)


def test_the_published_distribution_of_a_tid2013_image():
    shares = rating_distributions.maximum_entropy(5.51429)  # mean opinion score of I01_01_1
    np.testing.assert_allclose(shares[0], 0.0531122, atol=5e-8)
    np.testing.assert_allclose(shares[1:] / shares[:-1], 1.134514, atol=5e-7)


@pytest.mark.parametrize(
    ("mean", "deviation"),
    [(4.5, None), (0.2, None), (7.3, 1.2), (3.5, 4.1), (5.0, 0.4), (6.2, 0.5)],
)
def test_maximum_entropy_has_the_moments_and_the_exponential_form(mean, deviation):
    shares = rating_distributions.maximum_entropy(mean, deviation=deviation)
    got = moments(shares)
    np.testing.assert_allclose(got[0], mean, atol=1e-7)
    if deviation is not None:
        np.testing.assert_allclose(got[1], deviation, atol=1e-7)
    bends = np.diff(np.log(shares), 3 if deviation else 2)  # the exponent is quadratic, or linear
    np.testing.assert_allclose(bends[shares[-len(bends) :] > 1e-9], 0, atol=1e-4)


def test_extreme_means_and_deviations():
    np.testing.assert_allclose(rating_distributions.maximum_entropy(0.0), np.eye(10)[0])
    np.testing.assert_allclose(rating_distributions.maximum_entropy(9.0), np.eye(10)[9])
    low, high = rating_distributions.deviation_range(2.25)
    assert low == pytest.approx(np.sqrt(3) / 4) and high == pytest.approx(np.sqrt(2.25 * 6.75))
    np.testing.assert_allclose(
        rating_distributions.maximum_entropy(2.25, deviation=low)[2:4], [0.75, 0.25]
    )
    np.testing.assert_allclose(
        rating_distributions.maximum_entropy(2.25, deviation=high)[[0, 9]], [0.75, 0.25]
    )
    with pytest.raises(ValueError, match=r"mean must lie in \[0, 9\], got 9.5"):
        rating_distributions.maximum_entropy(9.5)
    with pytest.raises(ValueError, match="has a deviation of 0.5 to 4.5, got 0.1"):
        rating_distributions.maximum_entropy(4.5, deviation=0.1)


def test_distributions_of_votes_and_scores():
    votes = np.array([7, 15, 25, 41, 67, 41, 12, 11, 4, 1], np.float32)
    shares = rating_distributions.distribution({"votes": votes})
    assert shares.dtype == np.float32
    np.testing.assert_allclose(shares @ np.arange(1, 11), 4.799, atol=5e-4)
    scored = {"score": np.float32(5.0), "deviation": np.float32(0.8), "name": "i01"}
    np.testing.assert_allclose(
        moments(rating_distributions.distribution(scored))[0], 5.0, atol=1e-5
    )
    np.testing.assert_allclose(
        moments(rating_distributions.distribution(scored, spread=True)), (5, 0.8), atol=1e-5
    )
    narrow = scored | {"score": np.float32(5.5), "deviation": np.float32(0.1)}
    np.testing.assert_allclose(
        rating_distributions.distribution(narrow, spread=True)[5:7], 0.5, atol=1e-6
    )
    with pytest.raises(ValueError, match="'i01' has a score without a deviation"):
        rating_distributions.distribution(scored | {"deviation": np.float32("nan")}, spread=True)
    with pytest.raises(ValueError, match="'x' has no ratings"):
        rating_distributions.distribution({"image": 0, "name": "x"})


@pytest.fixture(scope="module")
def heldout():
    pytest.importorskip("skimage", reason="the demo's photos are not installed")
    return synthetic_ratings.SyntheticRatings("heldout", spoilt="alone")


def test_graded_photos_cover_every_kind_and_level(heldout):
    assert len(heldout) == len(demo_photos.PHOTOS["heldout"]) * (
        1 + len(synthetic_ratings.DISTORTIONS) * 4
    )
    first, strongest = heldout[0], heldout[len(synthetic_ratings.DISTORTIONS) * 4]
    assert first["name"].endswith("none_0.00") and strongest["strength"] == 1
    assert first["image"].shape == (*synthetic_ratings.SIZE, 3) and first["image"].dtype == np.uint8
    scores = np.arange(1, 11)
    np.testing.assert_allclose(first["shares"] @ scores, 8, atol=1e-4)
    np.testing.assert_allclose(strongest["shares"] @ scores, 2, atol=1e-4)
    np.testing.assert_array_equal(heldout[0]["image"], first["image"])
    assert [int(heldout[i]["reference"]) for i in (0, 33, 98)] == [0, 1, 2]
    with pytest.raises(IndexError):
        heldout[len(heldout)]


def test_mixed_distortions_grow_with_the_strength():
    source = synthetic_ratings.SyntheticRatings("heldout", size=(24, 32))
    count = synthetic_ratings.MIXES + 1
    assert len(source) == count * len(demo_photos.PHOTOS["heldout"])
    elements = [source[i] for i in range(count)]
    assert elements[0]["image"].shape == (24, 32, 3)
    strengths = [float(element["strength"]) for element in elements]
    np.testing.assert_allclose(strengths, np.linspace(0, 1, count), atol=1e-6)
    flawless = elements[0]["image"].astype(float)
    away = [np.abs(element["image"] - flawless).mean() for element in elements]
    ranks = np.argsort(np.argsort(away))
    assert away[0] == 0 and np.corrcoef(ranks, np.arange(count))[0, 1] > 0.7
    means = [element["shares"] @ np.arange(1, 11) for element in elements]
    np.testing.assert_allclose(means, np.linspace(8, 2, count), atol=1e-3)


def test_a_mix_has_one_distortion_of_each_group_and_one_of_full_strength():
    for seed in range(20):
        names, factors = zip(*synthetic_ratings._factors("mix", np.random.default_rng(seed)))
        groups = synthetic_ratings.GROUPS
        assert len(names) == 4 and all(name in group for name, group in zip(names, groups))
        assert max(factors) == 1 and min(factors) >= 0.5


def test_training_photos_differ_and_depend_on_the_seed(heldout):
    source, other = (
        synthetic_ratings.SyntheticRatings("train", variants=3, seed=s) for s in (0, 1)
    )
    assert len(source) == 3 * len(demo_photos.PHOTOS["train"])
    assert not set(demo_photos.PHOTOS["train"]) & set(demo_photos.PHOTOS["heldout"])
    names = {source[i]["name"] for i in range(3)} | {other[i]["name"] for i in range(3)}
    assert len(names) == 6
    again = synthetic_ratings.SyntheticRatings("train", variants=3)[4]
    np.testing.assert_array_equal(again["image"], source[4]["image"])


@pytest.mark.parametrize("kind", sorted(synthetic_ratings.DISTORTIONS))
def test_a_stronger_distortion_is_further_from_the_photo(kind):
    rng = np.random.default_rng(0)
    smooth = np.linspace(0, 1, 40 * 48).reshape(40, 48, 1) * np.array([1.0, 0.8, 0.6])
    noise = rng.uniform(size=(40, 48, 3))
    photo = synthetic_ratings.normalize((255 * (0.9 * smooth + 0.1 * noise)).astype(np.uint8))
    kept = synthetic_ratings.distort(photo, "none", 0.0, rng).astype(float)
    away = [
        np.abs(synthetic_ratings.distort(photo, kind, s, np.random.default_rng(1)) - kept).mean()
        for s in (0.05, 0.25, 0.5, 0.75, 1.0)
    ]
    assert (np.diff(away) > 0).all() and away[0] < 0.6 * away[-1]


def test_normalized_photos_have_one_brightness():
    rng = np.random.default_rng(0)
    for low, high in ((10, 60), (100, 255)):
        photo = rng.integers(low, high, (64, 64, 3), dtype=np.uint8)
        image = synthetic_ratings.normalize(photo)
        assert image.min() == 0 and image.max() == 1
        luma = image @ np.array([0.2126, 0.7152, 0.0722], np.float32)
        np.testing.assert_allclose(luma.mean(), 0.45, atol=0.02)
    assert np.isfinite(synthetic_ratings.normalize(np.full((8, 8, 3), 7, np.uint8))).all()


def test_bad_arguments_of_synthetic_ratings():
    image, rng = np.zeros((8, 8, 3), np.float32), np.random.default_rng(0)
    with pytest.raises(ValueError, match="kind must be one of"):
        synthetic_ratings.distort(image, "rust", 0.5, rng)
    with pytest.raises(ValueError, match=r"strength must lie in \[0, 1\], got 2"):
        synthetic_ratings.distort(image, "dark", 2, rng)
    with pytest.raises(ValueError, match="split must be one of"):
        synthetic_ratings.SyntheticRatings("test")
    with pytest.raises(ValueError, match="variants must be at least 1"):
        synthetic_ratings.SyntheticRatings("train", variants=0)
    with pytest.raises(ValueError, match="spoilt must be one of .*got 'both'"):
        synthetic_ratings.SyntheticRatings("train", spoilt="both")
    with pytest.raises(ValueError, match=r"size must be \(height, width\).*got \(8, 90\)"):
        synthetic_ratings.SyntheticRatings("train", size=(8, 90))


class Source:
    """Noise with votes."""

    def __len__(self):
        return 6

    def __getitem__(self, index):
        pixels = np.random.default_rng(index).integers(0, 256, (40, 60, 3), dtype=np.uint8)
        return {"image": pixels, "votes": np.eye(10)[index] * 3, "name": f"n{index}"}


def stream(**options):
    options = {"batch_size": 4, "seed": 0, "size": 16, "resize": "nearest", "threads": 0} | options
    return rating_batches.train_batches(Source(), **options)


def test_batches():
    batch = next(stream(load_size=20))
    assert batch["input"].shape == (4, 16, 16, 3) and batch["input"].dtype == np.float32
    np.testing.assert_allclose(batch["target"], np.eye(10)[batch["record"]])
    np.testing.assert_array_equal(batch["weight"], 1)
    for row, record in enumerate(batch["record"]):
        pixels = PIL.Image.fromarray(Source()[record]["image"])
        large = np.asarray(pixels.resize((20, 20), PIL.Image.NEAREST), np.float32) / 255
        crops = [
            large[i : i + 16, j : j + 16][:, ::step]
            for i in range(5) for j in range(5) for step in (1, -1)
        ]  # fmt: skip
        assert any(np.array_equal(crop, batch["input"][row]) for crop in crops)


def test_batches_without_augmentation_equal_the_resizing_of_the_network():
    for method in resize.PILLOW_METHODS:
        batch = next(stream(flips=False, resize=method))
        photo = Source()[batch["record"][0]]["image"] / np.float32(255)
        expected = nima.resize(photo, size=16, method=method)
        np.testing.assert_allclose(batch["input"][0], expected, atol=1.01 / 255)


def test_a_loader_is_resumed(tmp_path):
    one, two = stream(load_size=24), stream(load_size=24)
    next(one)
    two.set_state(one.get_state())
    np.testing.assert_array_equal(next(one)["input"], next(two)["input"])


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"size must lie in \[1, load_size\], got 16 and 8"):
        stream(load_size=8)
    with pytest.raises(ValueError, match="resize must be one of"):
        stream(resize="cubic")
    with pytest.raises(TypeError, match="must be uint8, got float32"):
        rating_batches.square(np.zeros((4, 4, 3), np.float32), size=2, method="nearest")
    with pytest.raises(ValueError, match=r"must be \[h, w, 3\], without frames"):
        rating_batches.square(np.zeros((4, 4), np.uint8), size=2, method="nearest")
