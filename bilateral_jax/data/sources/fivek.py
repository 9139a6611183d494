"""MIT-Adobe FiveK: 5,000 photos, retouched by five experts, in the layouts in common use."""

from __future__ import annotations

import pathlib
from typing import NamedTuple

from bilateral_jax.data.sources import fivek_splits, image_files, pairs, readers, unpaired

EXPERTS = ("a", "b", "c", "d", "e")
COLORS = ("srgb", "prophoto", "raw")


class Layout(NamedTuple):
    """Folders and colour spaces of one layout of the data set.

    Attributes:
      inputs: folders of inputs, relative to the root; `*` matches any one name.
      targets: folders of targets; `{e}` and `{E}` stand for the expert's letter.
      input_color: colour space of the inputs: "srgb" (read as stored), "prophoto" or "raw".
      target_color: the same for the targets.
      lists: folder of the lists of published splits.
    """

    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    input_color: str = "srgb"
    target_color: str = "srgb"
    lists: str = "."


_TIFF = ("tiff16_{e}", "img/tiff16_{e}", "../tiff16_{e}", "../img/tiff16_{e}")
LAYOUTS = {
    # The official archive; the experts' files are separate downloads, beside or inside it.
    "archive": Layout(
        ("raw_photos/*/photos", "fivek_dataset/raw_photos/*/photos"), _TIFF, "raw", "prophoto"
    ),
    "single_files": Layout(
        ("img/dng", "dng", "fivek/img/dng"), (*_TIFF, "fivek/img/tiff16_{e}"), "raw", "prophoto"
    ),
    "yuukicammy": Layout(
        ("raw/*", "MITAboveFiveK/raw/*"),
        ("processed/tiff16_{e}", "MITAboveFiveK/processed/tiff16_{e}"),
        "raw",
        "prophoto",
    ),
    "480p": Layout(("input/JPG/480p",), ("expert{E}/JPG/480p",)),
    "480p_xyz": Layout(("input/PNG/480p_16bits_XYZ_WB",), ("expert{E}/JPG/480p",)),
    "exposure": Layout(
        (
            "FiveK_Lightroom_Export_InputDayLight",
            "fivek_dataset/FiveK_Lightroom_Export_InputDayLight",
        ),
        ("artists/FiveK_{E}", "FiveK_{E}"),
        "prophoto",
    ),
    "dpe": Layout(("input",), ("label",)),
    "guide": Layout(("dataA", "FiveK/dataA"), ("dataB", "FiveK/dataB")),
    "folders": Layout(("input",), ("expert_{e}",)),
}
_SUFFIXES = {
    "srgb": (".jpg", ".jpeg", ".png", ".tif", ".tiff"),
    "prophoto": (".tif", ".tiff"),
    "raw": (".dng",),
}


def paired(root, *, split: str, part: str, **options) -> pairs.FilePairs:
    """Pairs each photo with an expert's retouch of it.

    Args:
      root: the folder that holds the data set.
      split: one of `fivek_splits.NAMES`.
      part: one of `fivek_splits.parts(split)`.
      **options: see `_sides`; `verify`, `on_bad`, `threads` of `file_source.FileSource`.

    Returns:
      Source of `{"input", "target": uint8 or uint16 [h, w, 3], "name"}`, sorted by id.

    Raises:
      ValueError: an unknown option's value, no such layout in `root`, or as
        `file_source.FileSource`; a missing photo of the split counts as bad and is named.
      ImportError: raw files are to be read and rawpy is not installed.
    """
    checks, options = _checks(options)
    (ids, _), *sides = _sides(root, split, (part, part), **options)
    (inputs, input_reader), (targets, target_reader) = sides
    found, lost = pairs.matched(
        {id_: inputs[id_] for id_ in ids if id_ in inputs},
        {id_: targets[id_] for id_ in ids if id_ in targets},
        "the inputs",
        "the targets",
    )
    lost += _absent(id_ for id_ in ids if id_ not in inputs and id_ not in targets)
    return pairs.FilePairs(found, lost=lost, input=input_reader, target=target_reader, **checks)


def unpaired_photos(
    root,
    *,
    split: str,
    input_part: str = "train_input",
    target_part: str = "train_target",
    seed: int = 0,
    rounds: int = 64,
    **options,
) -> unpaired.Unpaired:
    """Combines photos at random with retouches of other photos.

    Args:
      root: the folder that holds the data set.
      split: one of `fivek_splits.NAMES`.
      input_part: the part whose photos are the inputs.
      target_part: the part whose retouches are the targets.
      seed: of the combination, see `unpaired.Unpaired`.
      rounds: see `unpaired.Unpaired`.
      **options: as for `paired`.

    Returns:
      Source of `{"input", "target", "name", "target_name"}`.

    Raises:
      ValueError: as `paired`.
      ImportError: as `paired`.
    """
    checks, options = _checks(options)
    selected, *sides = _sides(root, split, (input_part, target_part), **options)
    sources = []
    for ids, (found, reader) in zip(selected, sides):
        files = [unpaired.ImageFile(found[id_].name, found[id_]) for id_ in ids if id_ in found]
        lost = _absent(id_ for id_ in ids if id_ not in found)
        sources.append(unpaired.ImageSource(files, reader=reader, lost=lost, **checks))
    return unpaired.Unpaired(*sources, seed=seed, rounds=rounds)


def find_layout(root, *, expert: str = "c") -> str:
    """Recognises the layout in which a folder holds the data set.

    Args:
      root: the folder.
      expert: whose retouches.

    Returns:
      The first key of `LAYOUTS` whose folders of inputs and targets both exist.

    Raises:
      ValueError: none of them.
    """
    for name, layout in LAYOUTS.items():
        if _folders(root, layout.inputs, expert) and _folders(root, layout.targets, expert):
            return name
    raise ValueError(
        f"{root} holds no known layout of FiveK with expert {expert!r} (known: "
        f"{', '.join(LAYOUTS)}); inputs=FOLDER and targets=FOLDER name the folders themselves"
    )


def _sides(
    root,
    split,
    parts,
    *,
    layout: str | None = None,
    expert: str = "c",
    inputs: str | None = None,
    targets: str | None = None,
    input_color: str | None = None,
    target_color: str | None = None,
    lists=None,
    ids=None,
    long_side: int | None = None,
    follow_links: bool = False,
):
    """Finds the files of inputs and targets, and their readers.

    Args:
      root: the folder that holds the data set.
      split: see `paired`.
      parts: (of the inputs, of the targets).
      layout: a key of `LAYOUTS`; None to recognise it.
      expert: whose retouches: "a" to "e".
      inputs: folder of inputs below `root`, in place of the layout's.
      targets: folder of targets below `root`.
      input_color: "srgb" takes colours as stored, "prophoto" converts 16-bit TIFF, "raw" develops;
        None for the layout's.
      target_color: the same for the targets.
      lists: folder with the lists of published splits; None for the layout's.
      ids: list file (or sequence of ids) to use in place of the split's part.
      long_side: reduce both images to this long side in pixels.
      follow_links: accept links that lead out of `root`.

    Returns:
      ((ids, ids), (id -> input file, reader), (id -> target file, reader)).
    """
    root = pathlib.Path(root)
    if expert not in EXPERTS:
        raise ValueError(f"expert must be one of {EXPERTS}, got {expert!r}")
    if layout is not None and layout not in LAYOUTS:
        raise ValueError(f"layout must be one of {tuple(LAYOUTS)}, got {layout!r}")
    if layout is None:
        layout = "folders" if inputs and targets else find_layout(root, expert=expert)
    known = LAYOUTS[layout]
    sides = []
    for side, color in (
        ((inputs,) if inputs else known.inputs, input_color or known.input_color),
        ((targets,) if targets else known.targets, target_color or known.target_color),
    ):
        if color not in COLORS:
            raise ValueError(f"input_color and target_color must be of {COLORS}, got {color!r}")
        folders = _folders(root, side, expert)
        if not folders:
            raise ValueError(
                f"there is no folder {root / side[0].format(e=expert, E=expert.upper())}"
            )
        found = _files(folders, root, follow_links, color)
        sides.append((found, readers.resized(_READERS[color](), long_side)))
    selected = _select(split, parts, ids, root / known.lists if lists is None else lists)
    if split == "all" and ids is None:
        selected = tuple(sorted(sides[0][0].keys() | sides[1][0].keys()) for _ in parts)
    return selected, *sides


_READERS = {
    "srgb": readers.AsStored,
    "prophoto": readers.ProPhoto,
    "raw": readers.Raw,
}


def _select(split, parts, ids, lists):
    if ids is None:
        return tuple(fivek_splits.ids(split, part, lists=lists) for part in parts)
    ids = fivek_splits.read(ids) if isinstance(ids, str | pathlib.Path) else ids
    return tuple(sorted({int(id_) for id_ in ids}) for _ in parts)


def _folders(root, patterns, expert):
    """Returns the folders of the first pattern that exists."""
    root = pathlib.Path(root)
    for pattern in patterns:
        pattern = pattern.format(e=expert, E=expert.upper())
        if "*" not in pattern:
            if (root / pattern).is_dir():
                return [root / pattern]
            continue
        found = sorted(path for path in root.glob(pattern) if path.is_dir())
        if found:
            return found
    return []


def _files(folders, root, follow_links, color):
    """Maps ids to the files of several folders."""
    found = {}
    for folder in folders:
        for path in image_files.entries(folder, root=root, follow_links=follow_links):
            if path.suffix.lower() not in _SUFFIXES[color]:
                continue
            id_ = fivek_splits.id_of(path.name)
            if id_ is None:
                raise ValueError(f"{path} is not named as a photo of FiveK (a0001 to a5000)")
            if id_ in found:
                raise ValueError(f"photo {id_} exists twice: {found[id_]} and {path}")
            found[id_] = path
    if not found:
        raise ValueError(f"{folders[0]} holds no files ({', '.join(_SUFFIXES[color])})")
    return found


def _absent(ids):
    return [(f"a{id_:04d}", f"photo {id_} of the split is missing") for id_ in ids]


def _checks(options):
    """Separates the options of `file_source.FileSource` from the others."""
    names = ("verify", "on_bad", "threads")
    checks = {name: options[name] for name in names if name in options}
    return checks, {name: value for name, value in options.items() if name not in names}
