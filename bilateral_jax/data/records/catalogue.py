"""Data sets that can be prepared, and their splits.

A function here takes the folder that holds a data set and the options of its source, and returns
the source of each split. No split may be called "all", which the record files reserve for the sum
of all splits.
"""

from __future__ import annotations

import pathlib
import re

from bilateral_jax.data.sources import (
    ava,
    dped,
    fivek,
    fivek_splits,
    pairs,
    tid2013,
    unpaired,
    video,
)


def _fivek(source, *, split, part=None, **options):
    parts = fivek_splits.parts(split)
    if part is not None:
        parts = (part,)
    elif "train_input" in parts:
        # "train" would hold the same photos again; the two can be joined when reading.
        parts = tuple(name for name in parts if name != "train")
    return {
        "photos" if part == "all" else part: fivek.paired(source, split=split, part=part, **options)
        for part in parts
    }


def _dped(source, **options):
    return {split: dped.patches(source, split=split, **options) for split in ("train", "test")}


def _dped_photos(source, **options):
    return {"photos": dped.photos(source, **options)}


def _ava(source, *, test=0.2, validation=0.0, **options):
    fractions = {"test": test, "validation": validation, "train": 1 - test - validation}
    return {
        part: ava.votes(source, part=part, test=test, validation=validation, **options)
        for part in ("train", "validation", "test")
        if fractions[part] > 0
    }


def _tid2013(source, **options):
    return {part: tid2013.scores(source, part=part, **options) for part in ("train", "test")}


def _folder(source, *, inputs="input", **options):
    """Reads a folder of pairs, or one with a folder of pairs per split."""
    source = pathlib.Path(source)
    if (source / inputs).is_dir():
        return {"train": pairs.PairedFolder(source, inputs=inputs, **options)}
    splits = sorted(path.parent for path in source.glob(f"*/{inputs}"))
    if not splits:
        raise ValueError(f"there is neither a folder {source / inputs} nor {source}/SPLIT/{inputs}")
    return {path.name: pairs.PairedFolder(path, inputs=inputs, **options) for path in splits}


def _unpaired(source, *, inputs="input", targets="target", **options):
    source = pathlib.Path(source)
    return {
        split: unpaired.ImageSource.folder(source / folder, root=source, **options)
        for split, folder in (("input", inputs), ("target", targets))
    }


def _video(source, *, trees=".", **options):
    """Reads the frames of one tree of clips, or of several separated by commas."""
    splits = {}
    for tree in trees.split(","):
        split = re.sub(r"\W+", "_", tree.strip()).strip("_") or "clips"
        splits[split] = video.Frames(pathlib.Path(source) / tree.strip(), **options)
    return splits


SOURCES = {
    "ava": _ava,
    "dped": _dped,
    "dped_photos": _dped_photos,
    "fivek": _fivek,
    "folder": _folder,
    "intvid": _video,
    "tid2013": _tid2013,
    "unpaired": _unpaired,
    "vid3oc": _video,
}
