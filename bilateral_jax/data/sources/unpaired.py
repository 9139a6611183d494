"""Two sets of photos that do not belong together: what one has, and what it should look like.

Receives folders from the user, or two sources of single pictures.
Hands elements to `data/pipeline/batches.py`.
"""

from __future__ import annotations

import pathlib
from typing import NamedTuple

import numpy as np

from bilateral_jax.data.sources import file_source, image_files, index_checks, readers


class Picture(NamedTuple):
    """One file and the name of its record."""

    name: str
    path: pathlib.Path


class Pictures(file_source.Checked):
    """Single pictures: `source[i]` is `{"image": uint8 or uint16 [h, w, 3], "name": str}`.

    Args:
      pictures: list of `Picture`.
      rendition: how they are read, see `data/sources/readers.py`.
      **checks: `lost`, `verify`, `on_bad`, `threads` of `checked.Checked`.

    Raises:
      ValueError: as `checked.Checked`.
    """

    def __init__(self, pictures, *, rendition=None, **checks):
        self._rendition = rendition or readers.AsStored()
        super().__init__(pictures, **checks)

    @classmethod
    def folder(cls, folder, *, root=None, follow_links=False, bits=None, **checks) -> Pictures:
        """Takes the pictures of one folder, sorted by name.

        Args:
          folder: the folder.
          root: links may also lead to places in here.
          follow_links: accept links that lead anywhere.
          bits: 8 or 16 where nothing else is to be accepted.
          **checks: `verify`, `on_bad`, `threads` of `checked.Checked`.

        Returns:
          The source.

        Raises:
          ValueError: the folder is missing or empty, a name occurs twice, a link leads out, or as
            `checked.Checked`.
        """
        found = image_files.pictures(folder, root=root, follow_links=follow_links)
        pictures = [Picture(path.name, path) for path in found.values()]
        return cls(pictures, rendition=readers.AsStored(bits), **checks)

    def _name(self, record):
        return record.name

    def _inspect(self, record):
        self._rendition.size(record.path)

    def _read(self, record):
        return {"image": self._rendition.read(record.path), "name": record.name}

    def _encode(self, record):
        return {"image": self._rendition.encoded(record.path)[0], "name": record.name}


class Unpaired:
    """Puts two sources side by side, by chance, in another way each time around.

    The source is `rounds` times as long as its inputs: element `r * len(inputs) + i` holds input i
    with a target drawn for round r. The targets come in a random order that runs on over the
    rounds, each as often as any other, whichever of the two sets is larger. Element k depends on
    the seed and k alone, so that a loader may shuffle, share out and resume at will. A loader that
    shuffles the whole sees each input `rounds` times before the pairings come again.

    Args:
      inputs: source of pictures (`{"image", "name"}`), or of clips.
      targets: source of the same kind.
      seed: of the pairing.
      rounds: how many times the inputs are gone through.

    Raises:
      ValueError: no rounds, or a source is empty.
    """

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
        """What the two sources have left out, as (name, reason)."""
        return [*getattr(self._inputs, "skipped", []), *getattr(self._targets, "skipped", [])]

    def indices(self, index: int) -> tuple[int, int]:
        """Says which input and which target make an element.

        Args:
          index: position in [-len, len).

        Returns:
          (Position among the inputs, position among the targets.)

        Raises:
          IndexError: there is no such element.
        """
        index = index_checks.position(index, len(self), "pairs")
        time_around, place = divmod(index, len(self._targets))
        return index % len(self._inputs), int(self._order(time_around)[place])

    def __getitem__(self, index: int) -> dict:
        """Reads one pair of strangers.

        Args:
          index: position in [-len, len).

        Returns:
          `{"input", "target": pixels, sizes may differ, "name": the input's, "target_name"}`.

        Raises:
          IndexError: there is no such element.
          ValueError: a picture cannot be read.
        """
        given, wanted = self.indices(index)
        given, wanted = self._inputs[given], self._targets[wanted]
        return {
            "input": given["image"],
            "target": wanted["image"],
            "name": given["name"],
            "target_name": wanted["name"],
        }

    def _order(self, time_around):
        """Draws the order of the targets when they are gone through for the n-th time; keeps it."""
        if time_around not in self._orders:
            rng = np.random.default_rng((self._seed, time_around))
            self._orders[time_around] = rng.permutation(len(self._targets)).astype(np.int32)
        return self._orders[time_around]


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
    """Takes the pictures of two folders that have nothing to do with each other.

    Args:
      root: the folder that holds both.
      inputs: name of the folder of inputs.
      targets: name of the folder of targets.
      seed: of the pairing.
      rounds: see `Unpaired`.
      follow_links: accept links that lead out of `root`.
      input_bits: 8 or 16 where nothing else is to be accepted.
      target_bits: the same for the targets.
      **checks: `verify`, `on_bad`, `threads` of `checked.Checked`.

    Returns:
      The source.

    Raises:
      ValueError: as `Pictures.folder`.
    """
    root = pathlib.Path(root)
    sides = [
        Pictures.folder(root / name, root=root, follow_links=follow_links, bits=bits, **checks)
        for name, bits in ((inputs, input_bits), (targets, target_bits))
    ]
    return Unpaired(*sides, seed=seed, rounds=rounds)
