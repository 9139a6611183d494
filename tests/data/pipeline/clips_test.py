"""The frame axis: every stage treats all frames of a clip alike, or refuses clips by name."""

import numpy as np
import pytest

from bilateral_jax.data.pipeline import augment, batches, rating_batches, whole_photos
from bilateral_jax.data.synthetic import operator_targets, underexposed
from tests.data.pipeline import batches_test

pytest.importorskip("grain", reason="Grain is not installed")

FRAMES = 3
ALL = batches_test.ALL | {"rotations": True}


class Clips:
    """Clips whose frames are one random image, plus the number of the frame."""

    def __init__(self, count=4, size=(40, 48), target_size=None, frames=FRAMES):
        self._count, self._frames = count, frames
        self._sizes = (size, target_size or size)

    def __len__(self):
        return self._count

    def __getitem__(self, index):
        rng = np.random.default_rng(index)
        offsets = np.arange(self._frames, dtype=np.uint8)[:, None, None, None]
        pair = [rng.integers(0, 200, (*size, 3), np.uint8) + offsets for size in self._sizes]
        return {"input": pair[0], "target": pair[1], "name": f"clip {index}"}


class Frame:
    """One frame of every clip, as a source of images."""

    def __init__(self, clips, frame):
        self._clips, self._frame = clips, frame

    def __len__(self):
        return len(self._clips)

    def __getitem__(self, index):
        clip = self._clips[index]
        return clip | {member: clip[member][self._frame] for member in augment.PAIR}


def make(source, **options):
    return batches.train_batches(source, **{"batch_size": 2, "crop": 24, "seed": 3} | options)


def assert_frames_equal(clips, images, frame):
    """A batch of clips has, in one frame, the values of the batch of the images in that frame."""
    assert clips.keys() == images.keys()
    for key in clips:
        value = clips[key][:, frame] if key in ("input", "target", "lowres") else clips[key]
        np.testing.assert_array_equal(value, images[key], err_msg=key)


@pytest.mark.parametrize(
    "options",
    [
        ALL,
        {"flips": True, "rotations": True},
        {"lowres_from": "photo", "lowres_size": 16, "lowres_method": "nearest_legacy"},
        {"paired": False, "flips": True, "rotations": True, "lowres_from": "photo"},
    ],
)
def test_every_frame_is_augmented_as_an_image_alone(options):
    loaders = [make(Frame(Clips(), frame), **options) for frame in range(FRAMES)]
    clips = make(Clips(), **options)
    for _ in range(3):
        batch = next(clips)
        assert batch["input"].shape == batch["target"].shape == (2, FRAMES, 24, 24, 3)
        for frame, images in enumerate(loaders):
            assert_frames_equal(batch, next(images), frame)


def test_the_frame_axis_is_not_cropped():
    """More frames than the crop is high; they all stay, in order."""
    batch = next(make(Clips(frames=30), flips=True, rotations=True))
    steps = np.diff(batch["input"], axis=1)
    assert batch["input"].shape == (2, 30, 24, 24, 3)
    np.testing.assert_allclose(steps, 1 / 255, atol=1e-6)


def test_clips_are_seeded_resumed_and_cached(tmp_path):
    one, two = make(Clips(), **ALL), make(Clips(), threads=0, **ALL)
    for _ in range(2):
        batches_test.assert_equal(next(one), next(two))
    resumed = make(Clips(), **ALL)
    resumed.set_state(one.get_state())
    batches_test.assert_equal(next(one), next(resumed))
    other = make(Clips(), **ALL | {"seed": 4})
    assert not np.array_equal(next(other)["input"], next(make(Clips(), **ALL))["input"])
    options = {"flips": True, "lowres_from": "photo", "lowres_size": 16}
    cached = make(Clips(), decoded_folder=tmp_path, threads=0, **options)
    plain = make(Clips(), **options)
    for _ in range(3):
        expected, found = next(plain), next(cached)
        np.testing.assert_array_equal(found["input"], expected["input"])
        np.testing.assert_allclose(found["lowres"], expected["lowres"], atol=1e-6)


@pytest.mark.parametrize("paired", [True, False])
def test_whole_clips(paired):
    options = {"batch_size": 2, "seed": 1, "short_sides": (20, 30), "flips": True, "threads": 0}
    options |= {"paired": paired, "pad_to": (32, 36)}
    clips = whole_photos.train_batches(Clips(), **options)
    images = [whole_photos.train_batches(Frame(Clips(), i), **options) for i in range(FRAMES)]
    for _ in range(3):
        batch = next(clips)
        assert batch["input"].shape == (2, FRAMES, 32, 36, 3)
        assert batch["valid"].shape == (2, 32, 36) and ("target_valid" in batch) != paired
        for frame, loader in enumerate(images):
            assert_frames_equal(batch, next(loader), frame)


def test_resized_clips_are_resized_frame_by_frame():
    source = whole_photos.Resized(Clips(), 20)
    assert source[1]["input"].shape == (FRAMES, 20, 24, 3)
    for frame in range(FRAMES):
        image = whole_photos.Resized(Frame(Clips(), frame), 20)[1]["input"]
        np.testing.assert_array_equal(source[1]["input"][frame], image)


def test_underexposed_clips_keep_their_shape():
    element = underexposed.Underexposed(Clips())[0]
    assert element["input"].shape == (FRAMES, 40, 48, 3)


def test_stages_without_a_frame_axis_refuse_clips():
    class Rated:
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return {"image": Clips()[0]["input"], "votes": np.ones(10), "name": "clip"}

    loader = rating_batches.train_batches(
        Rated(), batch_size=1, seed=0, size=8, resize="nearest", threads=0
    )
    with pytest.raises(ValueError, match=r"must be \[h, w, 3\], without frames, got \(3, 40, 48"):
        next(loader)
    source = operator_targets.OperatorTargets(Clips(), lambda pixels: pixels, label="identity")
    with pytest.raises(ValueError, match=r"clip 0 must be \[h, w, 3\] .* without frames"):
        source[0]


def test_shapes_that_are_neither_image_nor_clip_are_named():
    class Grey(Clips):
        def __getitem__(self, index):
            return {"input": np.zeros((8, 8), np.uint8), "target": None, "name": f"grey {index}"}

    for loader in (
        make(Grey(), threads=0, crop=4),
        whole_photos.train_batches(Grey(), batch_size=1, seed=0, threads=0),
    ):
        with pytest.raises(ValueError, match=r"input of 'grey .*\[t, h, w, 3\], got \(8, 8\)"):
            next(loader)


def test_paired_clips_of_different_lengths_are_named():
    class Uneven(Clips):
        def __getitem__(self, index):
            clip = super().__getitem__(index)
            return clip | {"target": clip["target"][1:]}

    with pytest.raises(ValueError, match="one size: 3 x 40 x 48 and 2 x 40 x 48"):
        next(make(Uneven(), threads=0))
