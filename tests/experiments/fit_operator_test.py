"""The options that produced the targets are recovered, on all photos and leave-one-out."""

import json

import numpy as np
import pytest

from bilateral_jax import images
from bilateral_jax.filters import operators
from experiments import fit_operator

OPTIONS = {"gains": [1.6], "radii": [2], "lift": 0.5}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    root = tmp_path_factory.mktemp("pairs")
    made = operators.make("multilayer", **OPTIONS)
    for name in ("input", "target"):
        (root / name).mkdir()
    for number in range(3):
        photo = np.random.default_rng(number).integers(20, 200, (12, 10, 3), np.uint8)
        images.write(root / "input" / f"{number}.png", photo)
        target = images.to_integer(np.asarray(made(images.to_float(photo))), 8)
        images.write(root / "target" / f"{number}.png", target)
    return root


def run(pairs, *arguments):
    source = ["--source", "folder", f"root={pairs}"]
    return fit_operator.main(["multilayer", *source, *arguments])


def test_known_options_are_found(pairs, capsys):
    tried = ["--try", "lift", "0.0", "0.5", "--try", "gains", "[1.0]", "[1.6]"]
    assert run(pairs, "--set", "radii=[2]", *tried) == 0
    found = json.loads(capsys.readouterr().out)
    # The preset's compression is fixed: it was used to make the targets.
    assert found["options"] == OPTIONS
    assert min(found["psnr"].values()) > 60 and len(found["psnr"]) == 3
    assert all(one["options"] == OPTIONS for one in found["left_out"].values())
    assert found["left_out_mean"] == pytest.approx(found["mean"])


def test_errors_take_one_line(pairs, capsys):
    for arguments, message in (
        ([], "there must be options with values to try, got {}"),
        (["--try", "sigma", "1"], "'multilayer' has no option 'sigma'"),
        (["--set", "lift", "--try", "lift", "1.0"], "expected NAME=VALUE, got 'lift'"),
    ):
        assert run(pairs, *arguments) == 1
        assert message in capsys.readouterr().err
