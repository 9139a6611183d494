"""Photo files named one by one or as folders of them."""

import pathlib

from bilateral_jax import images


def find(sources) -> list[pathlib.Path]:
    """Lists files, and the photos in folders.

    Args:
      sources: paths of files and folders.

    Returns:
      The files as given; those of a folder sorted, without hidden ones.

    Raises:
      FileNotFoundError: a source does not exist.
      ValueError: a folder holds no photo.
    """
    found = []
    for source in map(pathlib.Path, sources):
        if not source.exists():
            raise FileNotFoundError(f"no such file or folder: {source}")
        found += _in_folder(source) if source.is_dir() else [source]
    return found


def _in_folder(folder):
    found = [p for p in sorted(folder.iterdir()) if p.suffix.lower() in images.SUFFIXES]
    found = [p for p in found if p.is_file() and not p.name.startswith(".")]
    if not found:
        raise ValueError(f"{folder} holds no photo ({', '.join(images.SUFFIXES)})")
    return found
