"""The training benchmark: the peer is the same network, the parts run, the table says it all."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from benchmarks import feeding, records, report, timing, train_step

pytestmark = pytest.mark.usefixtures("compiled_quickly")

SMALL = {"net_input_size": 64, "spatial_bin": 16}
pytest.importorskip("grain", reason="Grain is not installed")


@pytest.fixture(scope="module")
def trainer():
    """A small network whose weights are not the initial ones."""
    trainer = train_step.Trainer(**SMALL)
    state, rng = trainer.paper.init(jax.random.key(0)), np.random.default_rng(0)
    group = state.groups["main"]
    network = dataclasses.replace(
        group.networks["network"],
        params=jax.tree.map(
            lambda x: x + 0.05 * rng.standard_normal(x.shape, np.float32),
            group.networks["network"].params,
        ),
    )
    group = dataclasses.replace(group, networks={"network": network})
    trainer.start = state.replace_group("main", group)
    trainer.reset(trainer.start)
    return trainer


def small_batch():
    return train_step.batch_of_noise(40, lowres_size=64)


def test_the_network_in_pytorch_is_the_same(trainer):
    pytest.importorskip("torch", reason="PyTorch is optional: a peer of the benchmark alone")
    import torch

    from benchmarks.peers import hdrnet_torch

    peer, batch = trainer.torch(), small_batch()
    count = sum(leaf.size for leaf in jax.tree.leaves(trainer.params))
    assert sum(p.numel() for p in peer.network.parameters()) == count
    name, options = trainer.paper.description
    from bilateral_jax import models

    variables = {"params": trainer.params}
    module = models.create(name, options)
    ours = module.apply(variables, batch["lowres"], batch["input"], window=batch["window"])
    with torch.no_grad():
        theirs = hdrnet_torch.batch_of(batch)
        _, theirs = peer.network(theirs["lowres"], theirs["input"], theirs["window"])
    np.testing.assert_allclose(ours, theirs.permute(0, 2, 3, 1), atol=1e-4)
    assert np.std(np.asarray(ours)) > 0.1
    step = train_step.torch_step(trainer, batch)
    for _ in range(3):  # losses and gradients, and what they do to the weights
        np.testing.assert_allclose(trainer.numbers(batch), step(), rtol=1e-3)


def test_another_network_is_not_timed():
    train_step.compare((0.5, 2.0), (0.50001, 2.0001))
    for theirs in ((0.51, 2.0), (0.5, 2.1), (float("nan"), 2.0)):
        with pytest.raises(SystemExit, match="differ"):
            train_step.compare((0.5, 2.0), theirs)


def test_idle_time_is_the_time_without_a_batch(trainer, tmp_path, monkeypatch):
    """Photos run through the pipeline; a slow one is seen waiting, a batch in memory is not."""
    trainer.reset(trainer.start)
    feeds = (feeding.Feed("memory", steps=2), feeding.Feed("files", (60, 80), keep=True, steps=2))
    monkeypatch.setattr(feeding, "QUICK", feeds)
    for name, value in {"CROP": 40, "BATCH": 8, "PHOTOS": 2, "PREFETCH": 1}.items():
        monkeypatch.setattr(feeding, name, value)
    monkeypatch.setattr(feeding.batches, "train_batches", small_copies(feeding.batches))
    rows = list(feeding.rows(trainer, small_batch(), quick=True))
    assert [row["feed"] for row in rows] == ["memory", "files"]
    assert all(0 <= row["idle_share"] < 1 and row["images_per_second"] > 0 for row in rows)

    seconds, idle = feeding.stretch(trainer, feeds[0], slow(small_batch()))
    assert len(seconds) == len(idle) == 2 and min(idle) >= 0.05
    assert all(whole >= part for whole, part in zip(seconds, idle))


def small_copies(module):
    def made(source, **options):
        return original(source, lowres_size=64, **options)

    original = module.train_batches
    return made


def slow(batch):
    import time

    while True:
        time.sleep(0.05)
        yield batch


def test_children_answer_in_turn(monkeypatch):
    """Each number of devices is a process of its own that takes a step on request."""
    program = "import json, sys\nprint(0)\nfor _ in sys.stdin: print(json.dumps(0.5), flush=True)"
    started = train_step.subprocess.Popen
    flags = []

    def popen(command, env, **options):
        flags.append(env["XLA_FLAGS"])
        return started([command[0], "-u", "-c", program], env=env, **options)

    monkeypatch.setattr(train_step.subprocess, "Popen", popen)
    rows = list(train_step.device_rows((1, 2), 3, 256))
    assert [row["devices"] for row in rows] == [1, 2]
    assert [flag[-1] for flag in flags] == ["1", "2"]
    assert rows[1]["wall_seconds"] == [0.5] * 3 and rows[1]["wall_ratio"] == [1.0] * 3


def test_a_part_alone_keeps_what_the_same_commit_has_measured(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(records, "RESULTS", tmp_path / "results")
    commit = ["abc"]
    monkeypatch.setattr(records, "_commit", lambda: commit[0])
    row = {"crop": 256, "batch": 8, "wall_seconds": [0.1] * 3}

    def run(part, value):
        rows = [row | {"part": part, "wall_ratio": [value] * 3}]
        monkeypatch.setattr(train_step, "all_rows", lambda *_: rows)
        monkeypatch.setattr("sys.argv", ["train_step", "--part", part])
        train_step.main()
        (record,) = records.read("train_step", records.RESULTS / records.device())
        return [(row["part"], row["wall_ratio"][0]) for row in record["rows"]]

    assert run("devices", 1.0) == [("devices", 1.0)]
    assert run("step", 2.0) == [("step", 2.0), ("devices", 1.0)]
    assert run("step", 3.0) == [("step", 3.0), ("devices", 1.0)]
    commit[0] = "def"
    assert run("devices", 4.0) == [("devices", 4.0)]
    assert "3 [3, 3] times" in capsys.readouterr().out


def test_the_table_holds_every_part(tmp_path):
    quartiles = [0.1, 0.2, 0.4]
    step = {"part": "step", "crop": 256, "batch": 8}
    rows = [
        step | {"implementation": "ours", "wall_seconds": quartiles},
        step | {"implementation": "torch", "wall_seconds": quartiles, "wall_ratio": [5, 6.1, 7]},
        {
            "part": "input",
            "crop": 256,
            "feed": "PNG",
            "images_per_second": 12.3456,
            "idle_share": 0.25,
        },
        {"part": "devices", "crop": 256, "devices": 1, "wall_ratio": [1, 1, 1]},
        {"part": "devices", "crop": 256, "devices": 8, "wall_ratio": [1, 1.31, 2]},
    ]
    metadata = {"jax": "0.12.0.1", "device": "cpu-8core", "commit": "abc", "date": "2026-01-01"}
    folder = tmp_path / "cpu-8core"
    folder.mkdir()
    path = folder / "train_step-0.12.0.1.json"
    path.write_text(json.dumps({"metadata": metadata, "rows": rows}))
    text, other = (report.markdown(tmp_path, page) for page in report.PAGES)
    assert "| crops of 256 | 0.12.0.1 | 200 ms, 40 images/s | 6.1 [5, 7] |" in text
    assert "| PNG | 0.12.0.1 | 12.3 | 25.0% |" in other
    assert "against one (jax 0.12.0.1): 8: 1.31." in other
    rows[1] = step | timing.Measurement("torch", skipped="torch is not installed").summary()
    path.write_text(json.dumps({"metadata": metadata, "rows": rows}))
    assert "| 200 ms, 40 images/s | (torch is not installed) |" in report.markdown(
        tmp_path, "README.md"
    )
