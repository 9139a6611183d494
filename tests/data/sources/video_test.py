"""Folders of frames: windows without gaps, weak pairs, unpaired windows, degraded clips."""

import collections

import numpy as np
import pytest

from bilateral_jax.data import registry
from bilateral_jax.data.pipeline import batches
from bilateral_jax.data.sources import video, video_pairs
from bilateral_jax.data.synthetic import degraded_clips
from tests import fake_datasets, optional_packages

optional_packages.need_images()

SHAPE = (16, 24, 3)


def frame(camera, clip, number):
    """A flat image whose colour is its camera, clip and number."""
    pixels = fake_datasets.pixels(number, shape=SHAPE)
    pixels[0, 0] = {"zed": 1, "canon": 2}[camera], int(clip), number
    return pixels


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    """Two cameras; clip 000 lacks frame 6, clip 001 is whole, the canon's clips are shorter."""
    from bilateral_jax import images

    root = tmp_path_factory.mktemp("rig")
    for camera, length in (("zed", 12), ("canon", 10)):
        for clip in ("000", "001"):
            folder = root / "train" / camera / clip
            folder.mkdir(parents=True)
            for number in range(length):
                if (clip, number) != ("000", 6):
                    pixels = frame(camera, clip, number)
                    images.write(folder / f"{number:06d}.png", pixels)
    return root


def marks(window):
    return [tuple(int(v) for v in image[0, 0]) for image in window]


def windows(rig, **options):
    return video.Windows(video.Frames(rig / "train" / "zed"), **options)


def test_windows_do_not_span_missing_frames(rig):
    source = windows(rig, count=3)
    assert [source.name(i) for i in range(len(source))] == [
        *("000/000000", "000/000003", "000/000009"),
        *("001/000000", "001/000003", "001/000006", "001/000009"),
    ]
    element = source[2]
    assert element["image"].shape == (3, *SHAPE)
    assert marks(element["image"]) == [(1, 0, 9), (1, 0, 10), (1, 0, 11)]


def test_stride_and_step(rig):
    source = windows(rig, count=3, stride=2, step=1)
    starts = [(p.clip, p.number) for p in source.starts]
    # Every window of clip 000 that frame 6 is not part of.
    assert starts == [("000", n) for n in (0, 1, 3, 5, 7)] + [("001", n) for n in range(8)]
    assert marks(source[1]["image"]) == [(1, 0, 1), (1, 0, 3), (1, 0, 5)]


def test_frames_are_sorted_by_number_not_by_letter(tmp_path):
    for number in (10, 9, 100):
        fake_datasets.write(tmp_path / "clip" / f"f{number}.png", number)
    frames = video.Frames(tmp_path)
    assert [frame_id.number for frame_id in frames.frame_ids] == [9, 10, 100]
    assert len(video.Windows(frames, count=2)) == 1


def pairs_of(rig, **options):
    return video_pairs.weak_pairs(
        rig, inputs="train/zed", targets="train/canon", frames=3, **options
    )


def test_weak_pairs_are_of_one_clip_within_the_offset(rig):
    with pytest.warns(UserWarning, match="2 of 7 records are skipped: 000/000009 .no partner"):
        exact = pairs_of(rig, max_offset=0, on_bad="skip", rounds=1)
    for element in exact:
        assert [m[1:] for m in marks(element["input"])] == [m[1:] for m in marks(element["target"])]
    source = pairs_of(rig, max_offset=2, rounds=20)
    seen = collections.defaultdict(set)
    for element in source:
        frames, partners = marks(element["input"]), marks(element["target"])
        assert {m[0] for m in frames} == {1} and {m[0] for m in partners} == {2}
        assert frames[0][1] == partners[0][1], "another clip"
        offsets = {b[2] - a[2] for a, b in zip(frames, partners)}
        assert len(offsets) == 1
        seen[element["name"]] |= offsets
    assert set().union(*seen.values()) == {-2, -1, 0, 1, 2}
    assert seen["001/000009"] == {-2}, "the canon has no frame 10"
    assert len(seen) == 7


def test_offsets_depend_on_seed_and_index(rig):
    one, same, other = (pairs_of(rig, rounds=9, seed=seed) for seed in (1, 1, 2))
    targets = [marks(one[i]["target"]) for i in range(len(one))]
    assert targets == [marks(same[i]["target"]) for i in reversed(range(len(same)))][::-1]
    assert targets != [marks(other[i]["target"]) for i in range(len(other))]


@pytest.mark.parametrize("kind", ["video", "video_unpaired", "intvid"])
def test_training_batches_of_every_kind_of_clips(rig, kind):
    pytest.importorskip("grain", reason="Grain is not installed")
    options = {"root": rig, "inputs": "train/zed", "targets": "train/canon"}
    if kind == "intvid":
        options = {"root": rig / "train" / "zed"}
    source = registry.make(kind, frames=3, **options)
    loader = batches.train_batches(
        source, batch_size=2, crop=8, seed=0, paired=kind != "video_unpaired", flips=True
    )
    for _ in range(2):
        batch = next(loader)
        assert batch["input"].shape == batch["target"].shape == (2, 3, 8, 8, 3)
    loader.close()


def test_unpaired_windows_come_from_any_clip(rig):
    source = video_pairs.unpaired_clips(
        rig, inputs="train/zed", targets="train/canon", frames=3, seed=1, rounds=20
    )
    clips = {(e["name"][:3], e["target_name"][:3]) for e in (source[i] for i in range(len(source)))}
    assert clips == {(a, b) for a in ("000", "001") for b in ("000", "001")}
    assert source[0]["input"].shape == (3, *SHAPE)


def copy_of(rig, tmp_path):
    import shutil

    return shutil.copytree(rig / "train" / "zed", tmp_path / "zed")


def test_windows_with_a_bad_frame_are_left_out(rig, tmp_path):
    root = copy_of(rig, tmp_path)
    fake_datasets.truncate(root / "001" / "000004.png")
    with pytest.raises(ValueError, match="1 of 23 records are bad: 001/000004"):
        video.Frames(root)
    with pytest.warns(UserWarning, match="001/000004"):
        frames = video.Frames(root, on_bad="skip")
    source = video.Windows(frames, count=3, on_bad="skip")
    names = [source.name(i) for i in range(len(source))]
    assert "001/000003" not in names and "001/000006" in names
    assert [name for name, _ in source.skipped] == ["001/000004"]


def test_a_window_with_a_frame_found_bad_while_reading_is_replaced(rig, tmp_path):
    root = copy_of(rig, tmp_path)
    frames = video.Frames(root)
    source, strict = video.Windows(frames, count=3, on_bad="skip"), video.Windows(frames, count=3)
    (root / "001" / "000004.png").write_bytes(b"")
    with pytest.warns(UserWarning, match="it is empty"):
        assert source[4]["name"] == "001/000006"
    with pytest.raises(ValueError, match=r"000004\.png: it is empty"):
        strict[4]


def test_frames_of_two_sizes_are_refused(rig, tmp_path):
    root = copy_of(rig, tmp_path)
    fake_datasets.write(root / "001" / "000004.png", shape=(24, 16, 3))
    source = video.Windows(video.Frames(root), count=3)
    with pytest.raises(ValueError, match="001/000003 to 001/000005 differ in size"):
        source[4]


def test_bad_arguments_and_folders_are_named(rig, tmp_path):
    with pytest.raises(ValueError, match="no clip has 13 frames in a row"):
        windows(rig, count=13)
    with pytest.raises(ValueError, match="at least 1, got 3, 0 and 1"):
        windows(rig, count=3, stride=0, step=1)
    with pytest.raises(ValueError, match="holds no folders"):
        video.Frames(rig / "train" / "zed" / "000")
    fake_datasets.write(tmp_path / "clip" / "01.png")
    fake_datasets.write(tmp_path / "clip" / "1.png")
    with pytest.raises(ValueError, match="01.png and 1.png in .* have one number"):
        video.Frames(tmp_path)
    fake_datasets.write(tmp_path / "other" / "clip" / "first.png")
    with pytest.raises(ValueError, match="has no number"):
        video.Frames(tmp_path / "other")
    with pytest.raises(ValueError, match="max_offset"):
        pairs_of(rig, max_offset=-1)


def test_degraded_copies_are_seeded_and_depend_on_quality(rig):
    root = rig / "train" / "zed"
    options = {"frames": 3, "scale": 0.5, "seed": 5}
    low = degraded_clips.clips(root, quality=(5, 5), **options)
    high = degraded_clips.clips(root, quality=(95, 95), **options)
    clean = windows(rig, count=3)
    for index in range(len(clean)):
        element = low[index]
        np.testing.assert_array_equal(element["target"], clean[index]["image"])
        assert element["input"].shape == element["target"].shape
        np.testing.assert_array_equal(element["input"], low[index]["input"])

    def error(source):
        return np.mean([np.mean(np.square(e["input"] - e["target"].astype(float))) for e in source])

    assert error(low) > error(high)
    small = degraded_clips.clips(root, same_size=False, **options)
    assert small[0]["input"].shape == (3, 8, 12, 3)


def test_one_quality_per_window_and_another_in_each_round(rig):
    source = degraded_clips.clips(rig / "train" / "zed", frames=3, quality=(10, 90), rounds=6)
    count = len(source) // 6
    again = [source[r * count]["input"] for r in range(6)]
    assert len({pixels.tobytes() for pixels in again}) > 3
    with pytest.raises(IndexError):
        source[len(source)]
    with pytest.raises(ValueError, match="quality two values"):
        degraded_clips.clips(rig / "train" / "zed", frames=3, quality=(50, 10))
    # A flat image survives any quality: no colour shifted, no channels swapped.
    flat = [{"image": np.full((2, 16, 16, 3), (200, 100, 50), np.uint8), "name": "flat"}]
    element = degraded_clips.DegradedClips(flat, quality=(80, 80))[0]
    assert np.abs(element["input"] - element["target"].astype(int)).max() <= 4
