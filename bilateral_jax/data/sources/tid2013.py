"""TID2013: 25 photos, each distorted in 24 ways at 5 levels, with mean opinion scores from 0 to 9.

Layout: `ROOT/distorted_images/iRR_DD_L.bmp` (reference RR, distortion DD, level L; lower and upper
case are mixed), `ROOT/mos_with_names.txt` with a line "score name" per image, and optionally
`ROOT/mos_std.txt` with the standard deviations of the scores in the same order.

Reference: Ponomarenko et al., "Image database TID2013: Peculiarities, results and perspectives",
Signal Processing: Image Communication 30, 2015.
"""

from __future__ import annotations

import pathlib
import re

import numpy as np

from bilateral_jax.data.sources import image_files, labelled

# References of the test part; the others are for training.
TEST_REFERENCES = (1, 2, 3)
PARTS = ("all", "train", "test")


def scores(
    root, *, part: str = "all", references=None, follow_links: bool = False, **checks
) -> labelled.LabelledImages:
    """Lists the distorted photos with their scores.

    Args:
      root: the folder that holds the data set.
      part: "train", "test" (all images of `TEST_REFERENCES`) or "all".
      references: numbers of the references (1 to 25) to use, in place of a part.
      follow_links: accept links that lead out of `root`.
      **checks: `verify`, `on_bad`, `threads` of `file_source.FileSource`.

    Returns:
      Source of `{"image": uint8 [h, w, 3], "score": float32 (mean opinion, 0 to 9), "deviation":
      float32 (NaN without `mos_std.txt`), "reference", "distortion", "level": int32, "name"}`,
      sorted by name.

    Raises:
      ValueError: an unknown part, a malformed list, or as `file_source.FileSource`: a missing image
        counts as bad.
      OSError: the scores cannot be read.
    """
    if part not in PARTS:
        raise ValueError(f"part must be one of {PARTS}, got {part!r}")
    root = pathlib.Path(root)
    if references is None:
        every = range(1, 26)
        selected = {"all": every, "test": TEST_REFERENCES}.get(
            part, [r for r in every if r not in TEST_REFERENCES]
        )
    else:
        selected = [int(reference) for reference in references]
    listed = read_scores(root)
    found = image_files.images_in(root / "distorted_images", root=root, follow_links=follow_links)
    if len({stem.lower() for stem in found}) < len(found):
        raise ValueError(f"{root / 'distorted_images'} holds names that differ in case alone")
    found = {stem.lower(): path for stem, path in found.items()}
    records, lost = [], []
    for name, numbers in sorted(listed.items()):
        if int(numbers["reference"]) not in selected:
            continue
        if name in found:
            records.append(labelled.LabelledFile(name, found[name], numbers))
        else:
            lost.append((name, f"no image {name} in {root / 'distorted_images'}"))
    return labelled.LabelledImages(records, lost=lost, **checks)


def read_scores(root) -> dict[str, dict]:
    """Reads the lists of scores.

    Args:
      root: the folder that holds the data set.

    Returns:
      Name in lower case, without suffix -> `{"score", "deviation", "reference", "distortion",
      "level"}`.

    Raises:
      OSError: the scores cannot be read.
      ValueError: a malformed line, or lists of different length.
    """
    root = pathlib.Path(root)
    file, std_file = root / "mos_with_names.txt", root / "mos_std.txt"
    lines = image_files.read_lines(file)
    deviations = (
        [_number(line, std_file) for line in image_files.read_lines(std_file)]
        if std_file.is_file()
        else []
    )
    if deviations and len(deviations) != len(lines):
        raise ValueError(f"{std_file} has {len(deviations)} lines, {file} has {len(lines)}")
    listed = {}
    for count, line in enumerate(lines):
        score, name = (line.split() + ["", ""])[:2]
        match = re.fullmatch(r"(i(\d\d)_(\d\d)_(\d))(\.bmp)?", name.lower())
        if not match or len(line.split()) != 2:
            raise ValueError(f"{file}: expected a score and a name such as I01_01_1.bmp: {line!r}")
        if match[1] in listed:
            raise ValueError(f"{file} lists {name} twice")
        listed[match[1]] = {
            "score": np.float32(_number(score, file)),
            "deviation": np.float32(deviations[count] if deviations else np.nan),
            "reference": np.int32(match[2]),
            "distortion": np.int32(match[3]),
            "level": np.int32(match[4]),
        }
    return listed


def _number(text, file):
    try:
        return float(text)
    except ValueError as error:
        raise ValueError(f"{file}: {text!r} is not a number") from error
