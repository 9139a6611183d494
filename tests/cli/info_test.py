"""The command `info`: what it prints of a run, on one screen or in full."""

import pytest

from bilateral_jax import __main__ as command_line
from bilateral_jax import models, tree_paths
from bilateral_jax.checkpoints import networks, trees


@pytest.fixture(scope="module")
def long_run(model, tmp_path_factory):
    """A run with two networks, a long config and metrics of half a log line."""
    folder = tmp_path_factory.mktemp("run")
    name, hyperparameters = models.describe(model.module)
    state = {"params": model.params, "average": model.params, "batch_stats": {}}
    entry = networks.entry(name, hyperparameters, params="average")
    many = {f"option_{index}": 0.5 for index in range(60)}
    metadata = {
        "model": entry,
        "networks": {"G": entry, "critic": entry},
        "config": {
            "experiment": "hdrnet",
            "seed": 0,
            "steps": 400,
            "optimizer": {"name": "adam", "learning_rate": 0.25},
            "data": {"train": {"kind": "folder", "root": "pairs"}, "heldout": many},
            "batches": many,
        },
        "data": {"examples": 2400},
        "averages": {"sums": {"loss": 6.0}, "counts": {"loss": 4}, "skips": 0, "skipped": 3},
    }
    trees.save(trees.run_folder(folder), 300, state, metadata=metadata)
    return folder


def test_info_fits_a_screen(long_run, capsys):
    assert command_line.main(["info", str(long_run)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 100
    text = " ".join(" ".join(lines).split())
    for expected in (
        "network HDRNetCurves: ",
        "networks G, critic (--network NAME)",
        "step 300 of 400",
        "experiment hdrnet, seed 0",
        "data train kind folder, root pairs",
        "learning_rate 0.25",
        "data read examples 2400",
        "skipped steps 3, not finite",
        "metrics loss 1.5 (means since the last log line)",
        "--all",
    ):
        assert expected in text, expected
    assert "sums" not in text and "coefficient_network/" not in text


def test_info_shows_everything_if_asked(long_run, model, capsys):
    assert command_line.main(["info", str(long_run), "--all"]) == 0
    text = capsys.readouterr().out
    assert '"learning_rate": 0.25' in text and '"option_59": 0.5' in text
    for path in tree_paths.flatten(model.params):
        assert f"  {'/'.join(path)} " in text
