"""Sources of record files (array_record) written by `python -m bilateral_jax prepare`.

The elements are those of the sources of files, bit for bit: images are kept as encoded bytes and
decoded by the same code. Neither preparing nor reading needs TensorFlow.
"""

from __future__ import annotations

import os

import numpy as np

from bilateral_jax import images, regular_files
from bilateral_jax.data.sources import unpaired, video, video_pairs, views
from bilateral_jax.data.synthetic import degraded_clips

IMAGES = ("input", "target", "image")


class Prepared:
    """One split of a prepared data set.

    Args:
      root: the folder that `prepare` printed, which holds `features.json`.
      split: name of a split, or several joined as in "train_input+train_target", or a part as in
        "train[:90%]".
      only: names of the entries to read; None for all.

    Raises:
      ValueError: there is no prepared data set, or no such split or entry.
      ImportError: tensorflow-datasets is not installed.
    """

    def __init__(self, root, *, split: str, only=None):
        tfds = package()
        root = os.fspath(root)
        if not os.path.isfile(os.path.join(root, "features.json")):
            raise ValueError(
                f"{root} holds no prepared data set; give the folder that prepare printed, the "
                "one with features.json"
            )
        for name in os.listdir(root):
            if reason := regular_files.fault(path := os.path.join(root, name)):
                raise ValueError(f"{path} {reason}")
        builder = tfds.builder_from_directory(root)
        known = list(builder.info.splits)
        if not set(_names_of(split)) <= set(known):
            raise ValueError(f"split must be of {known}, got {split!r}")
        self.metadata = dict(builder.info.metadata or {})
        self._features = {
            name: feature
            for name, feature in builder.info.features.items()
            if only is None or name in only
        }
        if only is not None and len(self._features) < len(tuple(only)):
            raise ValueError(f"entries must be of {list(builder.info.features)}, got {list(only)}")
        self._types = {
            name: (tuple(feature.shape), feature.np_dtype)
            for name, feature in self._features.items()
            if name not in IMAGES and not isinstance(feature, tfds.features.Text)
        }
        decoders = {
            name: tfds.decode.SkipDecoding() for name in IMAGES if name in builder.info.features
        }
        self._records = builder.as_data_source(split=split, decoders=decoders)
        self._split = split

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> dict:
        """Reads one record.

        Args:
          index: position in [-len, len).

        Returns:
          The element of the source of files.

        Raises:
          IndexError: there is no such record.
          ValueError: an image cannot be decoded.
        """
        record = self._records[views.check_index(index, len(self), "records")]
        return {name: self._decoded(name, record[name], record) for name in self._features}

    exact = __getitem__

    @property
    def skipped(self) -> list:
        """(name, reason) of what `prepare` left out of this data set."""
        return [tuple(entry) for entry in self.metadata.get("skipped", [])]

    @property
    def frame_ids(self) -> list[video.FrameId]:
        """The clip and number of every frame, in order, where the records are video frames."""
        kept = self.metadata.get("places", {})
        if self._split not in kept:
            raise ValueError(f"split {self._split!r} holds no video frames")
        return [video.FrameId(clip, number) for clip, number in kept[self._split]]

    def _decoded(self, name, value, record):
        if name in IMAGES:
            return images.decode(value, label=_text(record.get("name", name))).pixels
        if name not in self._types:
            return _text(value)
        shape, dtype = self._types[name]
        return np.asarray(value, dtype).reshape(shape) if shape else np.dtype(dtype).type(value)


class _Member(views.View):
    """One entry of the records, as a source of images."""

    def __init__(self, records, entry):
        super().__init__(records)
        self._entry = entry

    def __getitem__(self, index):
        element = self._source[index]
        return {"image": element[self._entry], "name": element["name"]}


def open_(root, *, split: str) -> Prepared:
    """Opens one split of a prepared data set.

    Args:
      root: the folder that `prepare` printed.
      split: see `Prepared`.

    Returns:
      Source with the elements of the source of files.

    Raises:
      ValueError: as `Prepared`.
      ImportError: as `Prepared`.
    """
    return Prepared(root, split=split)


def unpaired_images(
    root, *, inputs: str, targets: str, seed: int = 0, rounds: int = 64
) -> unpaired.Unpaired:
    """Combines images of two splits at random.

    Args:
      root: the folder that `prepare` printed.
      inputs: split of the inputs; of pairs, their inputs are taken.
      targets: split of the targets; of pairs, their targets are taken.
      seed: see `unpaired.Unpaired`.
      rounds: see `unpaired.Unpaired`.

    Returns:
      Source of `{"input", "target", "name", "target_name"}`.

    Raises:
      ValueError: as `Prepared`.
      ImportError: as `Prepared`.
    """
    sides = []
    for split, member in ((inputs, "input"), (targets, "target")):
        features = Prepared(root, split=split)._features
        entry = "image" if "image" in features else member
        sides.append(_Member(Prepared(root, split=split, only=(entry, "name")), entry))
    return unpaired.Unpaired(*sides, seed=seed, rounds=rounds)


def windows(
    root,
    *,
    inputs: str,
    targets: str | None = None,
    pairing: str = "weak",
    frames: int = 7,
    stride: int = 1,
    step: int | None = None,
    seed: int = 0,
    rounds: int = 1,
    **options,
):
    """Makes pairs of windows of prepared video frames.

    Args:
      root: the folder that `prepare` printed.
      inputs: split of the inputs; with pairing "degraded", of the clean frames.
      targets: split of the targets.
      pairing: "weak" (see `video_pairs.WeakPairs`), "none" (`unpaired.Unpaired`) or "degraded"
        (`degraded_clips.DegradedClips`).
      frames: in a window.
      stride: see `video.Windows`.
      step: see `video.Windows`.
      seed: of the offsets, the combination or the qualities.
      rounds: passes over the inputs.
      **options: others of the class that `pairing` names.

    Returns:
      Source of `{"input", "target": [t, h, w, 3], "name"}`.

    Raises:
      ValueError: an unknown pairing, or as the classes.
      ImportError: as `Prepared`.
    """
    makers = {
        "weak": video_pairs.WeakPairs,
        "none": unpaired.Unpaired,
        "degraded": degraded_clips.DegradedClips,
    }
    if pairing not in makers or (pairing == "degraded") != (targets is None):
        raise ValueError(
            f'pairing must be one of {tuple(makers)}, with targets for all but "degraded"; got '
            f"{pairing!r} and targets {targets!r}"
        )
    sides = [
        video.Windows(Prepared(root, split=split), count=frames, stride=stride, step=step)
        for split in (inputs, targets)
        if split is not None
    ]
    return makers[pairing](*sides, seed=seed, rounds=rounds, **options)


def package():
    """Imports tensorflow-datasets, which only prepared data sets need.

    Returns:
      The module.

    Raises:
      ImportError: it is not installed.
    """
    try:
        import tensorflow_datasets
    except ImportError as error:
        raise ImportError(
            "prepared data sets need tensorflow-datasets, which is not installed: "
            'pip install "bilateral_jax[prepared]"'
        ) from error
    return tensorflow_datasets


def _names_of(split):
    return [part.split("[")[0].strip() for part in split.split("+")]


def _text(value):
    return value.decode() if isinstance(value, bytes) else str(value)
