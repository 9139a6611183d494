"""Examples to score, `{"name", "output", "target"}` and "input": enhanced now, or from folders."""

import numpy as np

from bilateral_jax import images, inference
from bilateral_jax.data.sources import image_files, views


class EnhancedPairs:
    """Pairs of a source with the model's output for each input.

    Args:
      model: a trained model.
      source: has a length and random access, elements with "input", "target" and "name".
      chosen: range of the indices to take.

    Raises:
      TypeError: the source is unpaired.
    """

    def __init__(self, model, source, chosen):
        if not views.is_paired(source):
            raise TypeError("the source is unpaired: its inputs and targets are unrelated photos")
        self._model, self._chosen = model, chosen
        # A source that skips bad records returns another record instead: an evaluation must not.
        self._read = getattr(source, "exact", source.__getitem__)

    def __len__(self):
        return len(self._chosen)

    def __getitem__(self, index):
        """Reads pair `index` and enhances its input.

        Raises:
          TypeError: the source does not yield pairs of images.
          ValueError: the pair cannot be read, or its sizes differ.
        """
        element = self._read(self._chosen[index])
        missing = {"input", "target", "name"} - set(element)
        if missing or np.ndim(element["target"]) != 3:
            shapes = {key: np.shape(value) for key, value in element.items()}
            raise TypeError(f"a score needs pairs of images, but the source gives {shapes}")
        pair = {key: element[key] for key in ("name", "input", "target")}
        if np.shape(pair["input"]) != np.shape(pair["target"]):
            raise ValueError(
                f"{pair['name']}: input and target must have one size, got "
                f"{np.shape(pair['input'])} and {np.shape(pair['target'])}"
            )
        return pair | {"output": inference.enhance(self._model, pair["input"])}


class ImageFolders:
    """Images of two or three folders, matched by file name without suffix.

    Args:
      outputs: folder of the images to score.
      targets: folder of their targets.
      inputs: folder of their inputs, or None.
      mixed_bits: accept 8-bit images beside 16-bit ones; both are rounded to 8 bits anyway.

    Raises:
      ValueError: a folder is missing or empty, or an image is missing in one of them.
    """

    def __init__(self, outputs, targets, inputs=None, *, mixed_bits=False):
        folders = {"output": outputs, "target": targets, "input": inputs}
        self._paths = {
            member: image_files.images_in(folder, follow_links=True)
            for member, folder in folders.items()
            if folder is not None
        }
        for folder in filter(None, folders.values()):
            image_files.warn_left_out(folder)
        self._mixed_bits = mixed_bits
        self._names = sorted(set().union(*self._paths.values()))
        for member, found in self._paths.items():
            missing = [name for name in self._names if name not in found]
            if missing:
                more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
                raise ValueError(f"{folders[member]} lacks {', '.join(missing[:5])}{more}")

    def __len__(self):
        return len(self._names)

    def __getitem__(self, index):
        """Reads the images of one name."""
        paths = {member: found[self._names[index]] for member, found in self._paths.items()}
        read = {member: images.read(path).pixels for member, path in paths.items()}
        for member in read:
            self._check(paths["output"], read["output"], paths[member], read[member])
        return {"name": paths["output"].name, **read}

    def _check(self, path, pixels, other_path, other):
        if pixels.shape != other.shape:
            raise ValueError(
                f"{path} is {pixels.shape[0]} x {pixels.shape[1]}, {other_path} is "
                f"{other.shape[0]} x {other.shape[1]} (height x width, upright)"
            )
        if pixels.dtype != other.dtype and not self._mixed_bits:
            bits = [images.bit_depth(x) for x in (pixels, other)]
            raise ValueError(
                f"{path} has {bits[0]} bits, {other_path} has {bits[1]}; "
                "--mixed-bits compares them all the same, both rounded to 8"
            )
