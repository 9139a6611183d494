"""How a network enhances an image of any size in bounded memory: five methods, one declaration.

A network that enhances images has a property `inference_method` that returns one of the classes
below, with the methods that the class names, and a method

    enhance(image): float `[b, h, w, 3 + conditions]` to `[b, h, w, 3]`, all in memory.

`bilateral_jax.inference.enhance` does the rest; it asks for nothing that is not declared here. A
network without an `inference_method` (a critic, a feature extractor) enhances no images.
"""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class ByGrid:
    """A low-res input gives coefficients, such as a bilateral grid; they render the image in tiles.

    Methods of the network:

        coefficients(lowres): `[b, n, n, 3]` to a pytree of arrays with the leading axis b.
        plan_tile(corner, size, full_size): a `TilePlan`.
        render_tile(coefficients, pixels, arrays): the planned tile, equal to that part of the whole
          image.

    Attributes:
      net_input_size: side n of the low-res input.
      lowres_method: how the image is resized to it, one of `resize.METHODS`.
    """

    net_input_size: int
    lowres_method: str

    conditions = 0


@dataclasses.dataclass(frozen=True)
class ByRowTiles:
    """Convolutions and norms with statistics of the whole image, computed in row tiles.

    Each statistic takes one pass over all tiles; a last pass renders. Method of the network:

        run(tile, known, *, stop): `RowTile` to `RowTile` (models/layers/row_tiles.py) with the
          `Moments` measured before; `stop` returns the features of one statistic.

    Attributes:
      statistics: number of moments of the whole image, in the order of use.
      features: channels of the widest layer at full resolution; the tiles' size follows from it.
      conditions: channels beyond red, green and blue, constant over the image.
      stride: the product of all strides on the way to the coarsest layer. Tiles start and end at
        multiples of it.
    """

    statistics: int
    features: int
    conditions: int = 0
    stride: int = 1


@dataclasses.dataclass(frozen=True)
class ByHaloTiles:
    """A fully convolutional network, computed in overlapping tiles.

    A tile's border towards the rest of the image (its halo) is computed twice and cut off; at the
    image's own border a tile ends with the image, so that padding acts as it does on the whole.
    Tiles start at multiples of `stride` and are as long, modulo `stride`, as the image, so that
    strided layers sample the same pixels. The result is the whole image's to rounding if nothing
    but `global_features` depends on pixels beyond the halo. Methods of the network:

        enhance_tile(tile, features): `[b, h, w, 3 + conditions]` to `[b, h, w, 3]`; `features` is
          what `global_features` returned, or None.
        global_features(lowres): `[b, n, n, 3]` to a pytree; only with `net_input_size`.

    Attributes:
      halo: largest distance in pixels, per axis, from an output pixel to an input pixel it depends
        on; the receptive field is at most `2 * halo + 1` wide.
      features: channels of the widest layer at full resolution; the tiles' size follows from it.
      stride: the product of all strides on the way to the coarsest layer.
      conditions: channels beyond red, green and blue, constant over the image.
      net_input_size: side n of the low-res input of the global features; None without any.
      lowres_method: how the image is resized to it, one of `resize.METHODS`.
      mirrored: the network was trained on square images, to which photos were continued by
        mirroring below and to the right. The low-res input then keeps the aspect ratio and is
        continued likewise; so is the image itself, to the square or as far as the halo reaches
        (`mirrored_size`), and its sides become multiples of `stride`.
    """

    halo: int
    features: int
    stride: int = 1
    conditions: int = 0
    net_input_size: int | None = None
    lowres_method: str = "area"
    mirrored: bool = False

    def mirrored_size(self, height: int, width: int) -> tuple[int, int]:
        """Returns the size to which an image is continued by mirroring.

        Args:
          height: rows of the image.
          width: columns.

        Returns:
          (height, width): multiples of `stride`. The image's own pixels get what they would get in
          the square whose side is the longer side, rounded up to a multiple of `stride`.
        """
        square, *reached = (
            -(-size // self.stride) * self.stride
            for size in (max(height, width), height + self.halo, width + self.halo)
        )
        return tuple(min(square, size) for size in reached)


@dataclasses.dataclass(frozen=True)
class ByPixel:
    """A colour transform with a few parameters that are predicted from samples of the image.

    Pixels are enhanced in pieces of any shape; the result does not depend on where they lie.
    Methods of the network:

        samples(image): `[h, w, 3]` in NumPy to a pytree of arrays whose shapes take few values.
        parameters(samples): these to a pytree.
        enhance_pixels(colors, parameters): `[n, 3]` to `[n, 3]`.

    Attributes:
      features: channels of the widest layer of `enhance_pixels`; the pieces' size follows from it.
    """

    features: int

    conditions = 0


@dataclasses.dataclass(frozen=True)
class Whole:
    """The image is enhanced in one piece, by `enhance`: memory grows with the image.

    Attributes:
      conditions: channels beyond red, green and blue, constant over the image.
    """

    conditions: int = 0


@dataclasses.dataclass(frozen=True)
class TilePlan:
    """What a `ByGrid` network needs to render a tile of a larger image.

    Attributes:
      rows: (first, past the last) source row; outside the image its border is repeated.
      columns: (first, past the last) source column, likewise.
      arrays: numbers that depend on the tile's position and the image's size; their shapes depend
        on the tile's size only, so one compiled function serves many images.
    """

    rows: tuple[int, int]
    columns: tuple[int, int]
    arrays: dict


class RenderedByWindow:
    """The tiles of a `ByGrid` network whose `render` takes a window of the image."""

    def plan_tile(
        self, corner: tuple[int, int], size: tuple[int, int], full_size: tuple[int, int]
    ) -> TilePlan:
        """Plans the rendering of a tile.

        Args:
          corner: its first row and column, multiples of 4.
          size: its rows and columns; it may reach beyond the image below and to the right.
          full_size: (height, width) of the image.

        Returns:
          The plan.
        """
        window = np.asarray([[*corner, *full_size]], np.int32)
        rows, columns = ((first, first + count) for first, count in zip(corner, size, strict=True))
        return TilePlan(rows, columns, {"window": window})

    def render_tile(self, coefficients, pixels, arrays: dict):
        """Renders a planned tile, equal to that part of `render` on the whole image.

        Args:
          coefficients: what `coefficients` returned.
          pixels: `[1, r, c, 3]`, the source rows and columns that the plan names.
          arrays: of the plan.

        Returns:
          `[1, *size, 3]`.
        """
        return self.render(coefficients, pixels, window=arrays["window"])


def declared(module) -> ByGrid | ByRowTiles | ByHaloTiles | ByPixel | Whole:
    """Returns the inference method that a network declares.

    Args:
      module: a linen module.

    Returns:
      Its `inference_method`.

    Raises:
      ValueError: it declares none.
    """
    method = getattr(type(module), "inference_method", None)
    if method is None:
        raise ValueError(
            f"{type(module).__name__} declares no way to enhance an image; a network that does has "
            "an inference_method (models/inference_methods.py)"
        )
    return module.inference_method
