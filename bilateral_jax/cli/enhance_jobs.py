"""The outputs of `enhance`: which file each photo goes to, and what forbids it."""

from __future__ import annotations

import collections
import dataclasses
import os
import pathlib

from bilateral_jax import images, regular_files
from bilateral_jax.images import formats

_LONGEST_NAME = 255  # bytes, of the file systems in use


@dataclasses.dataclass(frozen=True)
class Job:
    """One photo.

    Attributes:
      source: the input.
      target: the output.
      problem: the reason that the output cannot be written, if any.
      exists: there is a file of the output's name, which must not be replaced.
    """

    source: pathlib.Path
    target: pathlib.Path
    problem: str | None = None
    exists: bool = False


def goes_into_folder(sources, target) -> bool:
    """Decides whether the target is a folder or a file.

    Args:
      sources: the paths of the inputs.
      target: the path of the output, which need not exist.

    Returns:
      True for a folder.

    Raises:
      ValueError: several photos, and a target that is a file or named like one.
    """
    if target.is_dir():
        return True
    if len(sources) == 1 and not sources[0].is_dir():
        return not target.suffix and not target.exists()
    if target.exists():
        raise ValueError(f"{target} is a file; for several photos give a folder")
    if target.suffix.lower() in images.READABLE_SUFFIXES:
        raise ValueError(f"{target} is named like a file; for several photos give a folder")
    return True


def make(photos, target, *, into_folder: bool, bits, overwrite: bool, kept=()) -> list[Job]:
    """Pairs every photo with its output.

    Args:
      photos: list of `photo_paths.PhotoFile`.
      target: a folder, or a file for a single photo.
      into_folder: whether it is a folder; sub-folders of the inputs are kept in it.
      bits: 8 or 16 asked for the output, or None.
      overwrite: files that exist may be replaced; inputs never.
      kept: paths of other files that are read, such as a colour table: inputs, too.

    Returns:
      The jobs, in order.

    Raises:
      ValueError: several outputs would replace inputs: the target is the folder of the inputs.
    """
    inputs = {path.resolve() for path in (*(photo.path for photo in photos), *kept)}
    names = output_names([photo.relative for photo in photos], bits)
    jobs, taken = [], {}
    for photo, name in zip(photos, names, strict=True):
        out = target / name if into_folder else target
        problem = _problem(out, inputs, taken, bits)
        exists = problem is None and not overwrite and (out.exists() or out.is_symlink())
        jobs.append(Job(photo.path, out, problem, exists))
        taken.setdefault(out.resolve(), photo.path)
    replacing = [job for job in jobs if job.target.resolve() in inputs]
    if len(replacing) > 1:
        raise ValueError(
            f"{len(replacing)} outputs in {target} would replace inputs, the first "
            f"{replacing[0].target}; give another folder"
        )
    return jobs


def output_names(relative, bits) -> list[pathlib.PurePath]:
    """Names the outputs of photos in a folder: as the inputs, but for formats that are only read.

    Args:
      relative: the inputs' paths below their folders.
      bits: 8 or 16 asked for, or None.

    Returns:
      Their paths below the folder of outputs. Where the input's format is not written, or is JPEG
      and 16 bits are asked for, the suffix is .png; if that is the name of another output, too, the
      whole name is kept before it (IMG_1.heic.png).
    """
    names = [_as_png(path, bits) or path for path in relative]
    count = collections.Counter(names)
    return [
        path.with_name(f"{path.name}.png") if count[name] > 1 and name != path else name
        for path, name in zip(relative, names, strict=True)
    ]


def _as_png(path, bits):
    """The path as .png where its own format cannot be written; else None."""
    suffix = path.suffix.lower()
    if suffix not in images.SUFFIXES or (bits == 16 and suffix in formats.JPEG_SUFFIXES):
        return path.with_suffix(".png")
    return None


def _problem(out, inputs, taken, bits):
    suffix = out.suffix.lower()
    if len(os.fsencode(out.name)) > _LONGEST_NAME:
        return f"the output's name {out.name} is longer than {_LONGEST_NAME} bytes"
    if suffix not in images.SUFFIXES:
        return f"the output {out} must end in one of {', '.join(images.SUFFIXES)}"
    if bits == 16 and suffix in formats.JPEG_SUFFIXES:
        return f"the output {out} cannot hold 16 bits; use .png or .tif"
    if out.resolve() in inputs:
        return f"the output {out} is an input; choose another path"
    if out.resolve() in taken:
        return f"the output {out} is that of {taken[out.resolve()]}, too"
    if out.exists() and not out.is_file():
        return f"the output {out} is {regular_files.kind(out)}, not a regular file"
    return None
