"""Builders of tensorflow-datasets for every source of files: from a folder to record files.

Records are array_record files in the order of the source. Pictures stay the bytes of their files
where these are what the source reads; what a source converts, develops or scales is kept as PNG,
without loss. TensorFlow is not needed.

Receives folders from the user, sources from this folder.
Hands record files to `data/records/prepared.py`.
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

from bilateral_jax import images
from bilateral_jax.data.records import catalogue, prepared

VERSION = "1.0.0"
# These say how bad files are looked for, not what the data set is.
_CHECKS = ("verify", "on_bad", "threads", "follow_links")


class Result(NamedTuple):
    """What a preparation came to.

    Attributes:
      root: folder of the record files, for `prepared.Prepared`.
      counts: split -> records.
      size: bytes of the records.
      skipped: (name, reason) of what was left out.
      fresh: False where the data set was there already.
    """

    root: pathlib.Path
    counts: dict
    size: int
    skipped: list
    fresh: bool


def prepare(name, source, data_dir, *, progress=None, **options) -> Result:
    """Writes a data set into record files; the folder appears whole or not at all.

    Args:
      name: a key of `preparable.SOURCES`.
      source: the folder that holds the data set's files.
      data_dir: folder for prepared data sets; the records go to `data_dir/NAME/OPTIONS/VERSION`.
      progress: function (iterable, split, count) -> iterable that shows how far it is; None shows
        nothing.
      **options: of the reader, see docs/data.md; `verify`, `on_bad`, `threads` of
        `checked.Checked`. Every picture is decoded once, whatever `verify` says.

    Returns:
      Where the records are and what became of them.

    Raises:
      ValueError: an unknown name; the folder holds a data set prepared from another one; what the
        reader finds wrong, unless it is to be skipped.
      TypeError: an option that the reader does not know.
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
        return _there(tfds, root, facts)
    splits = catalogue.SOURCES[name](source, **options)
    with _quiet(tfds), tempfile.TemporaryDirectory() as nothing:
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
            download_dir=nothing,
            download_config=tfds.download.DownloadConfig(try_download_gcs=False),
        )
    skipped = [tuple(entry) for entry in builder.info.metadata["skipped"]]
    return Result(root, *_summary(builder.info), skipped, True)


def leftovers(name, data_dir) -> list[pathlib.Path]:
    """Finds what interrupted preparations have left behind; nothing reads it.

    Args:
      name: a key of `preparable.SOURCES`.
      data_dir: folder for prepared data sets.

    Returns:
      Folders that may be deleted unless another preparation is running.
    """
    return sorted(pathlib.Path(data_dir).glob(f"{name}/*/incomplete.*"))


@contextlib.contextmanager
def _quiet(tfds):
    """Keeps the builder from drawing bars and printing; what the caller shows says more."""
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


def _there(tfds, root, facts):
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
    """Makes the builder's class, once: classes of one name cannot be made twice."""
    tfds = prepared.package()

    class Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version(VERSION)
        # Where checksums of downloads would lie; finding that out needs a package that
        # tensorflow-datasets does not ask for.
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
    """Gives (key, example) for the good records of a split; notes the others, and places."""
    places = getattr(source, "places", None)
    if places is not None:
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
        if places is not None:
            metadata["places"][split].append(list(places[index]))
        yield key, example
        key += 1


def _features(tfds, splits):
    """Describes the entries of a record by the first that can be read."""
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
    """Names a choice of options, such as "phone_sony"."""
    chosen = {k: v for k, v in options.items() if k not in _CHECKS and k != "lists"}
    text = "-".join(f"{key}_{_plain(value)}" for key, value in sorted(chosen.items()))
    return re.sub(r"[^\w.-]+", "_", text) or "default"


def _plain(value):
    return value if isinstance(value, int | float | str | None) else str(value)
