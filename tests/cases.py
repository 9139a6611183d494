"""Named shapes and guides that every implementation must pass, kept as data."""

import dataclasses

import numpy as np

IMPLEMENTATIONS = ("reference", "xla")


@dataclasses.dataclass(frozen=True)
class Case:
    """One grid, one image; `window` is (top, left, full_height, full_width) or None."""

    name: str
    grid_shape: tuple[int, int, int]
    size: tuple[int, int]
    n_out: int = 3
    n_in: int = 3
    offset: bool = True
    window: tuple[int, int, int, int] | None = None
    convention: str = "half_pixel"
    boundary: tuple[str, str, str] = ("clamp", "clamp", "clamp")

    def __str__(self):
        return self.name

    @property
    def options(self):
        """The keyword arguments of a call."""
        return {
            "window": self.window,
            "convention": self.convention,
            "boundary": self.boundary,
        }

    def arrays(self, seed=0, batch=()):
        """Seeded float32 `grid`, `guide`, `image` and a `cotangent` like the output."""
        rng = np.random.default_rng(seed)
        matrix = (self.n_out, self.n_in + self.offset)
        grid = rng.normal(size=(*batch, *self.grid_shape, *matrix)).astype(np.float32)
        guide = np.stack([self.guide(rng) for _ in range(int(np.prod(batch)))])
        image = rng.uniform(size=(*batch, *self.size, self.n_in)).astype(np.float32)
        cotangent = rng.normal(size=(*batch, *self.size, self.n_out)).astype(np.float32)
        return grid, guide.reshape(*batch, *self.size), image, cotangent

    def guide(self, rng):
        """Random values with a few special ones: 0, 1, outside, exactly on a cell's centre."""
        guide = rng.uniform(-0.1, 1.1, size=self.size).astype(np.float32)
        special = [0.0, 1.0, -3.0, 5.0, 0.5 / self.grid_shape[2]]
        indices = rng.permutation(guide.size)[: len(special)]
        guide.flat[indices[: guide.size // 2]] = special[: min(len(indices), guide.size // 2)]
        return guide


CASES = (
    Case("one_pixel_one_cell", (1, 1, 1), (1, 1)),
    Case("odd", (3, 5, 7), (13, 11)),
    Case("prime_without_offset", (4, 3, 5), (19, 23), n_out=2, offset=False),
    Case("image_smaller_than_grid", (8, 9, 4), (3, 5)),
    Case("centres_coincide", (5, 6, 4), (5, 6)),
    Case("wide_tiles", (2, 4, 8), (6, 64)),
    Case("depth_one", (4, 4, 1), (9, 8)),
    Case("depth_two_grey", (3, 4, 2), (7, 9), n_out=1, n_in=1),
    Case("one_row", (4, 6, 8), (1, 17)),
    Case("one_column", (4, 6, 8), (17, 1)),
    Case("wide_features", (3, 4, 3), (10, 12), n_out=4, n_in=6),
    Case("window", (4, 5, 3), (7, 9), window=(11, 3, 29, 31)),
    Case(
        "align_corners_window",
        (4, 5, 6),
        (5, 6),
        window=(2, 7, 11, 13),
        convention="align_corners",
    ),
    Case(
        "corner_nodes_window", (4, 5, 6), (5, 7), window=(2, 6, 11, 13), convention="corner_nodes"
    ),
    Case("corner_nodes_one_pixel", (3, 1, 2), (1, 1), convention="corner_nodes"),
    Case("align_corners_one_row", (4, 5, 1), (1, 13), convention="align_corners"),
    Case("ring_everywhere", (3, 4, 5), (9, 11), boundary=("wrap", "wrap", "wrap")),
    Case("ring_of_one_and_two", (1, 2, 2), (5, 9), boundary=("wrap", "wrap", "wrap")),
    Case(
        "panorama_window",
        (3, 5, 4),
        (4, 6),
        window=(0, 14, 9, 20),
        boundary=("clamp", "wrap", "clamp"),
    ),
)
