"""Single images, and unpaired sources: inputs and targets of different photos."""

from __future__ import annotations

import pathlib
from typing import NamedTuple

import numpy as np

from bilateral_jax.data.sources import disjoint, file_source, image_files, readers, views


class ImageFile(NamedTuple):
    """An image file and the name of its record."""

    name: str
    path: pathlib.Path


class ImageSource(file_source.ImageRecords):
    """Single images: `source[i]` is `{"image": uint8 or uint16 [h, w, 3], "name": str}`.

    Args:
      files: list of `ImageFile`.
      reader: how they are read, see `data/sources/readers.py`; None for `AsStored`.
      **checks: `lost`, `verify`, `on_bad`, `threads` of `file_source.FileSource`.

    Raises:
      ValueError: as `file_source.FileSource`.
    """

    def __init__(self, files, *, reader=None, **checks):
        super().__init__(files, reader or readers.AsStored(), **checks)

    @classmethod
    def folder(
        cls, folder, *, root=None, follow_links=False, bits=None, long_side=None, **checks
    ) -> ImageSource:
        """Lists the images of one folder, sorted by name.

        Args:
          folder: the folder.
          root: another folder that links may lead into.
          follow_links: accept links that lead anywhere.
          bits: 8 or 16 to accept nothing else.
          long_side: larger images are reduced to it; None for no resizing.
          **checks: `verify`, `on_bad`, `threads` of `file_source.FileSource`.

        Returns:
          The source.

        Raises:
          ValueError: the folder is missing or empty, a name occurs twice, a link leads out, or as
            `file_source.FileSource`.
        """
        found = image_files.images_in(folder, root=root, follow_links=follow_links)
        image_files.warn_left_out(folder)
        files = [ImageFile(path.name, path) for path in found.values()]
        return cls(files, reader=readers.resized(readers.AsStored(bits), long_side), **checks)


class Unpaired:
    """Combines two sources at random, anew in each round.

    The source is `rounds` times as long as its inputs: element `r * len(inputs) + i` holds input i
    with a random target. The targets come in a random order that continues over the rounds, each as
    often as any other, whichever of the two sets is larger. Element k depends only on the seed and
    k, so a loader may shuffle, shard and resume it like any source.

    Args:
      inputs: source of images or clips (`{"image", "name"}`); of pairs, their inputs are taken.
      targets: source of the same kind; of pairs, their targets are taken.
      seed: of the combination.
      rounds: passes over the inputs, each with other targets.

    Raises:
      ValueError: no rounds, or a source is empty.
    """

    paired = False

    def __init__(self, inputs, targets, *, seed: int = 0, rounds: int = 64):
        if rounds < 1 or not len(inputs) or not len(targets):
            raise ValueError(
                "an unpaired source needs inputs, targets and at least one round, got "
                f"{len(inputs)}, {len(targets)} and {rounds}"
            )
        self._inputs, self._targets = inputs, targets
        self._seed, self._rounds, self._orders = seed, rounds, {}

    def __len__(self) -> int:
        return len(self._inputs) * self._rounds

    @property
    def skipped(self) -> list:
        """(name, reason) of what the two sources have left out."""
        return [*getattr(self._inputs, "skipped", []), *getattr(self._targets, "skipped", [])]

    def identity(self) -> dict:
        """Describes the records, see `views.identity`, and those of both sources."""
        sides = {"inputs": self._inputs, "targets": self._targets}
        return {"records": len(self)} | {n: views.identity(side) for n, side in sides.items()}

    def smaller_than(self, height: int, width: int) -> list[str]:
        """Lists the images of both sources that are too small, see `views.smaller_than`."""
        sides = (self._inputs, self._targets)
        return [name for side in sides for name in views.smaller_than(side, height, width)]

    def indices(self, index: int) -> tuple[int, int]:
        """Returns which input and which target make an element.

        Args:
          index: position in [-len, len).

        Returns:
          (Index in the inputs, index in the targets.)

        Raises:
          IndexError: there is no such element.
        """
        index = views.check_index(index, len(self), "pairs")
        epoch, rank = divmod(index, len(self._targets))
        return index % len(self._inputs), int(self._order(epoch)[rank])

    def __getitem__(self, index: int) -> dict:
        """Reads one input and one target.

        Args:
          index: position in [-len, len).

        Returns:
          `{"input", "target": pixels, sizes may differ, "name": the input's, "target_name"}`.

        Raises:
          IndexError: there is no such element.
          ValueError: an image cannot be read.
        """
        input_index, target_index = self.indices(index)
        element, target = self._inputs[input_index], self._targets[target_index]
        return {
            "input": views.photo_of(element),
            "target": target["image"] if "image" in target else target["target"],
            "name": element["name"],
            "target_name": target["name"],
        }

    def _order(self, epoch):
        """Draws the order of the targets in their n-th pass, once."""
        if epoch not in self._orders:
            rng = np.random.default_rng((self._seed, epoch))
            self._orders[epoch] = rng.permutation(len(self._targets)).astype(np.int32)
        return self._orders[epoch]


def folders(
    root,
    *,
    inputs: str = "input",
    targets: str = "target",
    seed: int = 0,
    rounds: int = 64,
    follow_links: bool = False,
    input_bits: int | None = None,
    target_bits: int | None = None,
    **checks,
) -> Unpaired:
    """Combines the images of two folders at random.

    Args:
      root: the folder that holds both.
      inputs: name of the folder of inputs.
      targets: name of the folder of targets.
      seed: of the combination.
      rounds: see `Unpaired`.
      follow_links: accept links that lead out of `root`.
      input_bits: 8 or 16 to accept nothing else.
      target_bits: the same for the targets.
      **checks: `verify`, `on_bad`, `threads` of `file_source.FileSource`; with verify="none" no
        photo is looked for in both folders.

    Returns:
      The source.

    Raises:
      ValueError: as `ImageSource.folder`, or the folders have a photo in common.
    """
    root = pathlib.Path(root)
    sides = [
        ImageSource.folder(root / name, root=root, follow_links=follow_links, bits=bits, **checks)
        for name, bits in ((inputs, input_bits), (targets, target_bits))
    ]
    if checks.get("verify") != "none":
        disjoint.refuse_shared_files(root / inputs, root / targets)
    return Unpaired(*sides, seed=seed, rounds=rounds)
