"""CAN: a published image at full size, the size of every variant, the command line."""

import numpy as np
import pytest

from bilateral_jax import __main__ as command_line
from bilateral_jax import images, inference, models
from bilateral_jax.importers import can as can_importer
from bilateral_jax.models import model
from tests import assets
from tests.models import row_tiles_test

DEEP = {"width": 32, "dilations": [1, 2, 4, 8, 16, 32, 64, 128, 1]}


def test_l0_smoothing_reproduces_a_published_photo():
    """The photo is run whole, 1627 x 1080 pixels: any part of it has other statistics."""
    network = row_tiles_test.published("can", "L0_smoothing")
    photo = images.read(assets.path("photos", "000001.png")).pixels
    expected = images.read(assets.path("can24", "l0_outputs", "000001.png")).pixels
    out = np.clip(np.asarray(network(images.to_float(photo))), 0, 1)
    # The published images were truncated to integers, ours are rounded.
    cut, rounded = (out * 255).astype(np.uint8), images.to_integer(out, 8)
    difference = np.abs(cut.astype(int) - expected)
    assert difference.max() <= 1 and np.mean(difference == 0) > 0.9999
    assert np.mean(np.abs(rounded.astype(int) - expected) <= 1) > 0.9999


@pytest.mark.parametrize(
    "fields, count",
    [
        ({}, 37_219),
        (DEEP, 74_997),
        ({**DEEP, "conditions": 1}, 75_285),  # one operator with a strength
        ({**DEEP, "conditions": 10}, 77_877),  # ten operators in one network
    ],
)
def test_parameters_of_every_published_form(fields, count):
    network = row_tiles_test.with_random_weights(models.create("CAN", fields))
    assert model.parameter_count(network.params) == count


def test_imported_weights_enhance_on_the_command_line(tmp_path, capsys):
    fields = {"width": 5, "dilations": [1, 2, 1], "conditions": 1, "channel_order": "bgr"}
    network = row_tiles_test.with_random_weights(models.create("CAN", fields))
    np.savez(tmp_path / "weights.npz", **can_importer.to_variables(network))
    photo = np.random.default_rng(0).integers(0, 256, (33, 21, 3), np.uint8)
    images.write(tmp_path / "in.png", photo)

    def run(*arguments):
        return command_line.main([str(argument) for argument in arguments])

    assert run("import", "can", tmp_path / "weights.npz", tmp_path / "model") == 0
    options = ["--checkpoint", tmp_path / "model", "--condition", 0.5]
    assert run("enhance", tmp_path / "in.png", tmp_path / "whole.png", *options) == 0
    expected = inference.enhance(network, photo, conditions=(0.5,))
    np.testing.assert_array_equal(images.read(tmp_path / "whole.png").pixels, expected)
    tiled = [*options, "--tile-rows", 8]
    assert run("enhance", tmp_path / "in.png", tmp_path / "tiles.png", *tiled) == 0
    actual = images.read(tmp_path / "tiles.png").pixels
    assert np.abs(actual.astype(int) - expected).max() <= 1
    capsys.readouterr()
    assert run("enhance", tmp_path / "in.png", tmp_path / "no.png", *options[:2]) == 1
    assert "CAN takes 1 conditions, got 0" in capsys.readouterr().err
