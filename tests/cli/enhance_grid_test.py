"""`enhance --grid`: a fitted grid in place of the network at full size; 8 s, compiling."""

import numpy as np
import pytest

from bilateral_jax import __main__ as command_line
from bilateral_jax import images
from bilateral_jax.images import photo as photo_lib
from tests import optional_packages

optional_packages.need_images()

CUBE = "LUT_3D_SIZE 2\n" + "".join(
    f"{0.1 + 0.6 * r + 0.2 * g} {0.8 * g} {0.2 + 0.5 * b}\n"
    for b in (0, 1)
    for g in (0, 1)
    for r in (0, 1)
)


def run(*arguments):
    return command_line.main(["enhance", *map(str, arguments)])


def test_alpha_and_depth_are_those_of_the_photo(tmp_path):
    y, x = np.mgrid[0:40, 0:30] / 40
    pixels = np.rint(65535 * np.stack([x, y, 1 - x], -1)).astype(np.uint16)
    alpha = np.rint(65535 * y).astype(np.uint16)
    images.write_photo(tmp_path / "in.png", photo_lib.Photo(pixels, alpha=alpha))
    (tmp_path / "table.cube").write_text(CUBE)
    table = "--table", tmp_path / "table.cube"
    assert run(tmp_path / "in.png", tmp_path / "plain.png", *table) == 0
    assert run(tmp_path / "in.png", tmp_path / "grid.png", *table, "--grid-side", 20) == 0
    assert run(tmp_path / "in.png", tmp_path / "small.png", *table, "--grid") == 0
    plain, grid, small = (images.read(tmp_path / f"{n}.png") for n in ("plain", "grid", "small"))
    assert grid.pixels.dtype == np.uint16
    np.testing.assert_array_equal(grid.alpha, alpha)
    difference = np.abs(grid.pixels.astype(float) - plain.pixels)
    assert 0 < difference.max() < 650
    np.testing.assert_array_equal(small.pixels, plain.pixels)  # no larger than 512 pixels


def test_a_network_that_predicts_a_grid_is_refused_once(tmp_path, checkpoint, capsys):
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.png"):
        images.write(tmp_path / "in" / name, np.zeros((4, 5, 3), np.uint8))
    arguments = tmp_path / "in", tmp_path / "out", "--checkpoint", checkpoint, "--grid"
    assert run(*arguments) != 0
    shown = capsys.readouterr()
    assert shown.err.count("HDRNetCurves predicts a bilateral grid itself") == 1
    assert not list((tmp_path / "out").glob("*"))


def test_grid_and_its_side_exclude_each_other(capsys):
    with pytest.raises(SystemExit):
        run("in.png", "out.png", "--grid", "--grid-side", 256)
    assert "not allowed with" in capsys.readouterr().err
