"""Builders of tensorflow-datasets for every source of files: from a folder to record files.

Records are array_record files in the order of the source. Images keep the bytes of their files
where the source reads them as stored; what a source converts, develops or resizes becomes PNG,
without loss. TensorFlow is not needed.
"""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import pathlib
import re
import tempfile
from typing import NamedTuple

import numpy as np

from bilateral_jax import atomic, images
from bilateral_jax.data.records import catalogue, prepared

VERSION = "1.0.0"
# Options of validation, which do not change the data set.
_CHECKS = ("verify", "on_bad", "threads", "follow_links")


class Result(NamedTuple):
    """Result of a preparation.

    Attributes:
      root: folder of the record files, for `prepared.Prepared`.
      counts: split -> records.
      size: bytes of the records.
      skipped: (name, reason) of what was left out.
      fresh: False where the data set existed already.
    """

    root: pathlib.Path
    counts: dict
    size: int
    skipped: list
    fresh: bool


def prepare(name, source, data_dir, *, progress=None, **options) -> Result:
    """Writes a data set into record files; the folder appears whole or not at all.

    Args:
      name: a key of `catalogue.SOURCES`.
      source: the folder that holds the data set's files.
      data_dir: folder for prepared data sets; the records go to `data_dir/NAME/OPTIONS/VERSION`.
      progress: function (iterable, split, count) -> iterable that shows a progress bar; None for
        none.
      **options: of the source, see docs/data.md; `verify`, `on_bad`, `threads` of
        `file_source.FileSource`. Every image is decoded once, whatever `verify` says.

    Returns:
      The folder of the records, and what was skipped.

    Raises:
      ValueError: an unknown name; the folder holds a data set prepared from another one; bad files,
        unless they are skipped.
      TypeError: an unknown option.
      OSError: a file cannot be read or written.
      ImportError: tensorflow-datasets is not installed.
    """
    if name not in catalogue.SOURCES:
        raise ValueError(f"name must be one of {', '.join(catalogue.SOURCES)}, got {name!r}")
    tfds = prepared.package()
    facts = {
        "source": str(pathlib.Path(source).resolve()),
        "options": {key: _plain(value) for key, value in options.items()},
    }
    root = pathlib.Path(data_dir) / name / _config_name(options) / VERSION
    if (root / "features.json").is_file():
        return _existing(tfds, root, facts)
    atomic.check_folder(root)
    splits = catalogue.SOURCES[name](source, **options)
    with _quiet(tfds), tempfile.TemporaryDirectory() as empty:
        builder = _builder_class(name)(
            splits=splits,
            facts=facts,
            on_bad=options.get("on_bad", "refuse"),
            progress=progress or (lambda examples, split, count: examples),
            config=tfds.core.BuilderConfig(name=_config_name(options), version=VERSION),
            data_dir=str(data_dir),
            file_format="array_record",
        )
        builder.download_and_prepare(
            download_dir=empty,
            download_config=tfds.download.DownloadConfig(try_download_gcs=False),
        )
    skipped = [tuple(entry) for entry in builder.info.metadata["skipped"]]
    return Result(root, *_summary(builder.info), skipped, True)


def leftovers(name, data_dir) -> list[pathlib.Path]:
    """Finds incomplete folders of interrupted preparations; nothing reads them.

    Args:
      name: a key of `catalogue.SOURCES`.
      data_dir: folder for prepared data sets.

    Returns:
      Folders that may be deleted unless another preparation is running.
    """
    return sorted(pathlib.Path(data_dir).glob(f"{name}/*/incomplete.*"))


@contextlib.contextmanager
def _quiet(tfds):
    """Keeps the builder from drawing progress bars and printing."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    tfds.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        tfds.enable_progress_bar()
        logger.setLevel(level)


def _existing(tfds, root, facts):
    info = tfds.builder_from_directory(str(root)).info
    found = dict(info.metadata or {})
    if any(found.get(key) != value for key, value in facts.items()):
        raise ValueError(
            f"{root} was prepared from {found.get('source')} with {found.get('options')}; choose "
            "another data dir, or delete it first"
        )
    skipped = [tuple(entry) for entry in found.get("skipped", [])]
    return Result(root, *_summary(info), skipped, False)


def _summary(info):
    counts = {split: entry.num_examples for split, entry in info.splits.items()}
    return counts, sum(entry.num_bytes for entry in info.splits.values())


@functools.cache
def _builder_class(name):
    """Defines the builder's class, once: two classes of one name are refused."""
    tfds = prepared.package()

    class Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version(VERSION)
        # Folder of download checksums; deriving it needs a package that tensorflow-datasets does
        # not require.
        code_path = None

        def __init__(self, *, splits, facts, on_bad, progress, **options):
            self._splits, self._facts = splits, facts
            self._on_bad, self._progress = on_bad, progress
            super().__init__(**options)

        def _info(self):
            features = _features(tfds, self._splits)
            return tfds.core.DatasetInfo(
                builder=self,
                description=f"{name}, prepared by bilateral_jax for reading without TensorFlow.",
                features=tfds.features.FeaturesDict(features),
                metadata=tfds.core.MetadataDict({**self._facts, "skipped": [], "places": {}}),
                disable_shuffling=True,
            )

        def _split_generators(self, dl_manager):
            found = self.info.metadata["skipped"]
            for source in self._splits.values():
                found += [list(entry) for entry in source.skipped if list(entry) not in found]
            policy = (self._on_bad, self._progress, self.info.metadata)
            return {
                split: _examples(split, source, *policy) for split, source in self._splits.items()
            }

        def _generate_examples(self):
            raise NotImplementedError("every split has a generator of its own")

    Builder.name = name
    Builder.__name__ = Builder.__qualname__ = name.title().replace("_", "")
    return Builder


def _examples(split, source, on_bad, progress, metadata):
    """Yields (key, example) of the good records; adds the others and frame ids to the metadata."""
    frame_ids = getattr(source, "frame_ids", None)
    if frame_ids is not None:
        metadata["places"][split] = []
    key = 0
    for index in progress(range(len(source)), split, len(source)):
        try:
            example = source.encoded(index)
        except ValueError as error:
            if on_bad == "refuse":
                raise
            metadata["skipped"].append([source.name(index), str(error)])
            continue
        if frame_ids is not None:
            metadata["places"][split].append(list(frame_ids[index]))
        yield key, example
        key += 1


def _features(tfds, splits):
    """Describes the entries of a record by the first readable one."""
    for source in splits.values():
        for index in range(len(source)):
            with contextlib.suppress(ValueError):
                first = source.encoded(index)
                return {name: _feature(tfds, value) for name, value in first.items()}
    raise ValueError("no record can be read")


def _feature(tfds, value):
    if isinstance(value, str):
        return tfds.features.Text()
    if isinstance(value, bytes):
        dtype = images.decode(value).pixels.dtype
        return tfds.features.Image(shape=(None, None, 3), dtype=dtype.type)
    value = np.asarray(value)
    if value.ndim == 0:
        return tfds.features.Scalar(value.dtype.type)
    return tfds.features.Tensor(shape=value.shape, dtype=value.dtype.type)


def _config_name(options):
    """Returns the folder name of a choice of options, such as "phone_sony"."""
    chosen = {k: v for k, v in options.items() if k not in _CHECKS and k != "lists"}
    text = "-".join(f"{key}_{_plain(value)}" for key, value in sorted(chosen.items()))
    return re.sub(r"[^\w.-]+", "_", text) or "default"


def _plain(value):
    return value if isinstance(value, int | float | str | None) else str(value)
