"""AVA: photos of a contest with their votes, ten counts for the scores 1 to 10.

Layout: `ROOT/images/ID.jpg` and `ROOT/AVA.txt`, a line per photo of 15 integers: index, id, ten
counts, two tags, challenge. Instead of `AVA.txt` a JSON list of `{"image_id": ID, "label": [ten
numbers]}` is accepted. A few files of the published set are corrupt: `on_bad="skip"` leaves them
out.

Reference: Murray, Marchesotti and Perronnin, "AVA: A Large-Scale Database for Aesthetic Visual
Analysis", CVPR 2012.
"""

from __future__ import annotations

import json
import pathlib

import numpy as np

from bilateral_jax import regular_files
from bilateral_jax.data.sources import image_files, labelled

PARTS = ("all", "train", "validation", "test")
_COLUMNS, _SCORES = 15, 10


def votes(
    root,
    *,
    labels: str = "AVA.txt",
    images: str = "images",
    part: str = "all",
    test: float = 0.2,
    validation: float = 0.0,
    seed: int = 0,
    ids=None,
    follow_links: bool = False,
    **checks,
) -> labelled.LabelledImages:
    """Lists the photos with their votes.

    Args:
      root: the folder that holds the data set.
      labels: file of the votes, relative to `root`: `AVA.txt`, or JSON.
      images: folder of the photos, relative to `root`.
      part: "train", "validation", "test" or "all". A photo's part depends only on `seed` and
        its id, not on which other photos there are.
      test: fraction in the test part.
      validation: fraction in the validation part.
      seed: of the parts.
      ids: a list file with one id per line (as the set's own `.jpgl` lists), or a sequence: use
        these photos only.
      follow_links: accept links that lead out of `root`.
      **checks: `verify`, `on_bad`, `threads` of `file_source.FileSource`.

    Returns:
      Source of `{"image": uint8 [h, w, 3], "votes": float32 [10], "name": the id}`, sorted by id.

    Raises:
      ValueError: an unknown part, impossible fractions, a malformed file of votes, or as
        `file_source.FileSource`: a missing photo counts as bad.
      OSError: a file of votes or ids cannot be read.
    """
    if part not in PARTS:
        raise ValueError(f"part must be one of {PARTS}, got {part!r}")
    if min(test, validation) < 0 or test + validation > 1:
        raise ValueError(f"test and validation must be fractions of 1, got {test} and {validation}")
    root = pathlib.Path(root)
    counts = read_votes(root / labels)
    if ids is not None:
        counts = _select(counts, ids)
    if part != "all":
        counts = {id_: c for id_, c in counts.items() if part == _part(id_, seed, test, validation)}
    found = image_files.images_in(root / images, root=root, follow_links=follow_links)
    records, lost = [], []
    for id_ in sorted(counts, key=image_files.number_key):
        if id_ in found:
            records.append(labelled.LabelledFile(id_, found[id_], {"votes": counts[id_]}))
        else:
            lost.append((id_, f"no photo {id_} in {root / images}"))
    return labelled.LabelledImages(records, lost=lost, **checks)


def read_votes(file) -> dict[str, np.ndarray]:
    """Reads a file of votes.

    Args:
      file: `AVA.txt` or JSON (by suffix).

    Returns:
      Id -> float32 `[10]`.

    Raises:
      OSError: it cannot be read.
      ValueError: it is malformed; the line or entry is named.
    """
    file = pathlib.Path(file)
    entries = _from_json(file) if file.suffix == ".json" else _from_text(file)
    counts = {}
    for where, id_, label in entries:
        label = np.asarray(label, np.float32)
        if label.shape != (_SCORES,) or not np.isfinite(label).all() or label.min() < 0:
            raise ValueError(f"{file}, {where}: votes must be {_SCORES} numbers of at least 0")
        if label.sum() == 0:
            raise ValueError(f"{file}, {where}: photo {id_} has no votes")
        if id_ in counts:
            raise ValueError(f"{file}, {where}: photo {id_} is listed twice")
        if not id_ or set(id_) & set("/\\") or id_.startswith("."):
            raise ValueError(f"{file}, {where}: {id_!r} is no id of a photo")
        counts[id_] = label
    if not counts:
        raise ValueError(f"{file} holds no votes")
    return counts


def _from_text(file):
    for count, line in enumerate(regular_files.read_text(file).splitlines(), 1):
        columns = line.split()
        if not columns:
            continue
        if len(columns) != _COLUMNS or not all(column.isdigit() for column in columns):
            raise ValueError(f"{file}, line {count}: expected {_COLUMNS} integers: {line!r}")
        yield f"line {count}", columns[1], [int(column) for column in columns[2:12]]


def _from_json(file):
    try:
        entries = json.loads(regular_files.read_text(file))
        return [
            (f"entry {count}", str(entry["image_id"]), [float(n) for n in entry["label"]])
            for count, entry in enumerate(entries)
        ]
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f'{file} must be a JSON list of {{"image_id": ID, "label": [numbers]}} ({error})'
        ) from error


def _select(counts, ids):
    if isinstance(ids, str | pathlib.Path):
        ids = [line.removesuffix(".jpg") for line in image_files.read_lines(ids)]
    ids = [str(id_) for id_ in ids]
    unknown = [id_ for id_ in ids if id_ not in counts]
    if unknown:
        raise ValueError(f"there are no votes for {image_files.join_names(unknown)}")
    return {id_: counts[id_] for id_ in ids}


def _part(id_, seed, test, validation):
    drawn = labelled.uniform_hash(f"{seed} {id_}")
    if drawn < test:
        return "test"
    return "validation" if drawn < test + validation else "train"
