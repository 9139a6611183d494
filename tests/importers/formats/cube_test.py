"""Colour tables from files: .cube and Hald, there and back, damage in one sentence. 10 seconds."""

import dataclasses

import numpy as np
import pytest

import bilateral_jax as bj
from bilateral_jax import __main__ as command_line
from bilateral_jax import images, inference
from bilateral_jax.importers import color_table
from bilateral_jax.importers.formats import cube, hald
from tests import assets

RNG = np.random.default_rng(0)
VALUES = RNG.uniform(-0.2, 1.2, (3, 3, 3, 3)).astype(np.float32)


def written(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def body(count, numbers="0.5 0.25 1\n"):
    return numbers * count


def run(*words):
    return command_line.main([str(word) for word in words])


@pytest.mark.parametrize("values", [VALUES, VALUES[0, 0]], ids=["3D", "1D"])
def test_a_table_is_written_and_read_to_the_last_bit(tmp_path, values):
    table = cube.Table(values, (-0.5, 0.0, 0.1), (1.0, 2.0, 1e-3 + 0.1), "evening, no. 2")
    cube.write(tmp_path / "x.cube", table)
    again = cube.read(tmp_path / "x.cube")
    np.testing.assert_array_equal(again.values, values)
    assert dataclasses.replace(again, values=None) == dataclasses.replace(table, values=None)


def test_red_runs_fastest_and_what_the_format_allows_is_read(tmp_path):
    colors = [(r, g, b) for b in (0, 1) for g in (0, 1) for r in (0, 1)]
    lines = "\n".join(f"{r}.0\t{g} {b}e0 # node" for r, g, b in colors)
    text = '\ufeff# by hand\nTITLE "A # of things"\n\nLUT_3D_SIZE\t2 # small\n'
    text += f"DOMAIN_MAX 2 2 2\n{lines}"
    table = cube.read(written(tmp_path / "x.cube", text.replace("\n", "\r\n")))
    np.testing.assert_array_equal(table.values, bj.identity_table(2))
    assert table.title == "A # of things" and table.domain_max == (2.0, 2.0, 2.0)
    resolve = written(tmp_path / "y.cube", f"LUT_3D_SIZE 2\nLUT_3D_INPUT_RANGE -1 3\n{lines}\n")
    table = cube.read(resolve)
    assert (table.domain_min, table.domain_max) == ((-1.0,) * 3, (3.0,) * 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must have one of LUT_3D_SIZE and LUT_1D_SIZE, and has neither"),
        ("LUT_3D_SIZE 2\nLUT_1D_SIZE 2\n" + body(8), "and has both"),
        ("LUT_3D_SIZE 2\nLUT_3D_SIZE 3\n" + body(8), "it has LUT_3D_SIZE twice"),
        ("LUT_3D_SIZE 1\n" + body(1), "must be an int from 2 to 256, got '1'"),
        ("LUT_3D_SIZE 4096\n" + body(8), "must be an int from 2 to 256, got '4096'"),
        ("LUT_3D_SIZE " + "9" * 10_000 + "\n", "must be an int from 2 to 256, got '9999"),
        ("LUT_3D_SIZE 256\n" + body(8), "256 announces 16777216 lines, which 104 bytes cannot"),
        ("LUT_1D_SIZE 65537\n" + body(8), "must be an int from 2 to 65536"),
        ("LUT_3D_SIZE 2\n" + body(7), "announces 8 lines of 3 numbers, it has 7$"),
        ("LUT_3D_SIZE 2\n" + body(9), "announces 8 lines of 3 numbers, it has more$"),
        (
            "LUT_3D_SIZE 2\n" + body(8, "0.5 0.25 1 1\n"),
            "line 2 must be three finite numbers, got '0.5",
        ),
        (
            "LUT_3D_SIZE 2\n" + body(8, "0.5 nan 1\n"),
            "line 2 must be three finite numbers, got '0.5 nan",
        ),
        (
            "LUT_3D_SIZE 2\n" + body(7) + "1 x 2\n",
            "line 9 must be three finite numbers, got '1 x 2'",
        ),
        (
            "LUT_3D_SIZE 2\n# only\n# comments, no numbers at all\n",
            "announces 8 lines of 3 numbers, it has 0$",
        ),
        ("LUT_3D_SIZE 2\n" + body(8) + "DOMAIN_MAX 2 2 2\n", "line 10 must be three finite"),
        ("LUT_3D_SIZE 2\nDOMAIN_MAX 0 1 1\n" + body(8), "DOMAIN_MIN must be below DOMAIN_MAX"),
        ("LUT_3D_SIZE 2\nDOMAIN_MAX 1 1 1e39\n" + body(8), "below DOMAIN_MAX .* as float32"),
        ("LUT_3D_SIZE 2\nDOMAIN_MAX 1 1 1e-42\n" + body(8), "below DOMAIN_MAX .* as float32"),
        ("LUT_3D_SIZE 2\nDOMAIN_MAX 1 1\n" + body(8), "DOMAIN_MAX must be 3 numbers, got '1 1'"),
        ("LUT_3D_SIZE 2\nGAMMA 2.2\n" + body(8), "it has the keyword 'GAMMA'; known are TITLE"),
        ("\x89PNG\r\n\x1a\n", "it has the keyword|and has neither"),
    ],
)
def test_a_damaged_file_is_refused_in_a_sentence_that_names_it(tmp_path, text, message):
    path = written(tmp_path / "x.cube", text)
    with pytest.raises(ValueError, match=message) as caught:
        color_table.load(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (cube.Table(VALUES[:2]), r"must be \[n, n, n, 3\] or \[n, 3\], got \(2, 3, 3, 3\)"),
        (cube.Table(VALUES[:1, :1, :1]), "must have 2 to 256 nodes, got 1"),
        (cube.Table(VALUES * np.nan), "values must be finite numbers, got a NaN"),
        (cube.Table(VALUES, title='a "b"'), "title must have no"),
        (cube.Table(VALUES, domain_min=(1.0, 0.0, 0.0)), "DOMAIN_MIN must be below"),
    ],
)
def test_what_no_file_can_hold_is_not_written(tmp_path, table, message):
    with pytest.raises(ValueError, match=message):
        cube.write(tmp_path / "x.cube", table)
    assert not list(tmp_path.iterdir())


def test_a_table_of_many_lines_is_read_in_parts_and_a_wrong_line_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(cube, "_LINES", 4)
    cube.write(tmp_path / "x.cube", cube.Table(VALUES))
    np.testing.assert_array_equal(cube.read(tmp_path / "x.cube").values, VALUES)
    lines = (tmp_path / "x.cube").read_text().splitlines()
    path = written(tmp_path / "y.cube", "\n".join([*lines[:20], "# half", "0 0", *lines[20:]]))
    with pytest.raises(
        ValueError, match="y.cube .* line 22 must be three finite numbers, got '0 0'"
    ):
        cube.read(path)


def test_a_hald_image_holds_the_table_it_was_made_by(tmp_path):
    identity = hald.identity(2)
    assert identity.shape == (8, 8, 3)
    np.testing.assert_array_equal(identity[0, :5, 0] * 3, [0, 1, 2, 3, 0])  # red runs fastest
    np.testing.assert_allclose(hald.table(identity), bj.identity_table(4), atol=1e-7)
    out = np.asarray(bj.table_lookup(np.clip(VALUES, 0, 1), identity))
    images.write(tmp_path / "hald.png", images.to_integer(out, 16))
    network = color_table.load(tmp_path / "hald.png", interpolation="trilinear")
    assert network.module.nodes == (4, 4, 4)
    np.testing.assert_allclose(network(identity), out, atol=1e-5)
    for shape, message in (
        ((8, 9), "must be square"),
        ((9, 9), "third power of a Hald level .8, 27"),
    ):
        images.write(tmp_path / "other.png", np.zeros((*shape, 3), np.uint8))
        with pytest.raises(ValueError, match=message):
            color_table.load(tmp_path / "other.png")
    with pytest.raises(ValueError, match="x.jpg must be .* other formats of images may change"):
        images.write(tmp_path / "x.jpg", images.to_integer(identity, 8))
        color_table.load(tmp_path / "x.jpg")
    with pytest.raises(ValueError, match="x.txt must be a .cube file or a Hald image"):
        color_table.load(written(tmp_path / "x.txt", "1"))


def test_wrong_arguments_of_a_table_are_named():
    with pytest.raises(ValueError, match="level must be an int from 2 to 16, got 2.0"):
        hald.identity(2.0)
    for low in (0.5, 0.7):
        table = cube.Table(VALUES, (0.0, low, 0.0), (1.0, 0.5, 1.0))
        with pytest.raises(ValueError, match=f"below domain_max .*got .0.0, {low}, 0.0. and"):
            color_table.from_table(table)


@pytest.mark.parametrize("values", [VALUES, np.sort(VALUES[0, 0], axis=0)], ids=["3D", "1D"])
def test_a_table_enhances_inside_its_domain_and_clamps_outside(values):
    table = cube.Table(values, (-1.0, 0.0, 0.2), (1.0, 0.5, 0.8))
    network = color_table.from_table(table, interpolation="trilinear")
    image = RNG.uniform(size=(6, 7, 3)).astype(np.float32)
    position = np.clip(
        (image - table.domain_min) / np.subtract((1.0, 0.5, 0.8), (-1, 0, 0.2)), 0, 1
    )
    if values.ndim == 4:
        expected = bj.table_lookup(values, position.astype(np.float32))
    else:
        nodes = np.linspace(0, 1, len(values))
        expected = np.stack(
            [np.interp(position[..., k], nodes, values[:, k]) for k in range(3)], axis=-1
        )
    np.testing.assert_allclose(inference.enhance(network, image), expected, atol=1e-5)
    np.testing.assert_allclose(network(image), expected, atol=1e-5)


def test_the_published_hald_is_reproduced_within_a_level(tmp_path):
    cube_file, source, expected = (
        assets.path("nilut", name) for name in ("LUT01.cube", "hald_identity.png", "hald_lut01.png")
    )
    assert run("enhance", source, tmp_path / "out.png", "--table", cube_file) == 0
    out, expected = (images.read(path).pixels for path in (tmp_path / "out.png", expected))
    difference = np.abs(out.astype(int) - expected)
    assert difference.max() <= 1 and np.mean(difference == 0) > 0.77


def test_a_table_on_the_command_line(tmp_path, capsys):
    pixels = RNG.integers(0, 65_536, (5, 6, 3)).astype(np.uint16)
    images.write(tmp_path / "in.png", pixels)
    cube.write(tmp_path / "x.cube", cube.Table(VALUES))
    words = "enhance", tmp_path / "in.png", tmp_path / "out.png", "--table"
    assert run(*words, tmp_path / "x.cube") == 0
    out = images.read(tmp_path / "out.png").pixels
    expected = bj.table_lookup(VALUES, images.to_float(pixels), interpolation="tetrahedral")
    np.testing.assert_allclose(out, np.clip(expected, 0, 1) * 65_535, atol=1)
    assert run(*words, tmp_path / "x.cube", "--overwrite", "--step", "3") == 1
    assert "--step and --network choose from a --checkpoint" in capsys.readouterr().err
    assert run(*words, tmp_path / "none.cube", "--overwrite") == 1
    assert "no such file" in capsys.readouterr().err


def test_an_output_never_replaces_the_table(tmp_path, capsys):
    images.write(tmp_path / "in.png", np.zeros((5, 6, 3), np.uint8))
    images.write(tmp_path / "hald.png", images.to_integer(hald.identity(2), 8))
    content = (tmp_path / "hald.png").read_bytes()
    table = tmp_path / "hald.png"
    assert run("enhance", tmp_path / "in.png", table, "--table", table, "--overwrite") == 1
    assert "hald.png is an input; choose another path" in capsys.readouterr().err
    assert (tmp_path / "hald.png").read_bytes() == content
