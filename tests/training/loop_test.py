"""training/loop.py and training/summary_writer.py with an update made of plain numbers."""

import json
import os
import signal

import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax.training import loop, metric_averages, stop_requests, summary_writer


def _update(state, batch):
    return state + 1, {"loss": jnp.float32(batch), "psnr": jnp.float32(20.0)}


def _fit(batches, last, **options):
    lines = []
    outcome = loop.fit(
        _update,
        0,
        iter(batches),
        first=0,
        last=last,
        log=lambda step, values: lines.append((step, values)),
        progress=False,
        **options,
    )
    return outcome, lines


def test_metrics_are_averaged_between_the_lines():
    outcome, lines = _fit(range(7), 7, log_every=3)
    assert (outcome.state, outcome.step, outcome.signal) == (7, 7, None)
    assert [(step, values["loss"]) for step, values in lines] == [(3, 1.0), (6, 4.0), (7, 6.0)]
    assert lines[0][1]["images_per_second"] > 0


def test_hooks_run_at_their_interval_and_at_the_end():
    seen = {"often": [], "rare": []}
    hooks = [
        loop.Hook(2, lambda step, state: seen["often"].append((step, state))),
        loop.Hook(100, lambda step, state: seen["rare"].append((step, state))),
    ]
    _fit(range(5), 5, hooks=hooks)
    assert seen == {"often": [(2, 2), (4, 4), (5, 5)], "rare": [(5, 5)]}


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_nonfinite_loss_stops_before_the_hooks(bad):
    seen = []
    with pytest.raises(
        loop.NonFiniteError, match=r"loss is (nan|inf) at step 4: .*smaller learning rate"
    ):
        _fit([1, 1, 1, bad, 1, 1], 6, hooks=[loop.Hook(2, lambda step, state: seen.append(step))])
    assert seen == [2]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_the_step_and_saves(number):
    def batches():
        for k in range(100):
            if k == 4:
                os.kill(os.getpid(), number)
            yield k

    saved, evaluated = [], []
    hooks = [
        loop.Hook(50, lambda step, state: saved.append(step), when_stopped=True),
        loop.Hook(50, lambda step, state: evaluated.append(step)),
    ]
    before = signal.getsignal(number)
    with stop_requests.listen() as request:
        outcome, _ = _fit(batches(), 100, hooks=hooks, stop=lambda step: request.number)
    assert (outcome.step, outcome.signal, saved, evaluated) == (5, number, [5], [])
    assert signal.getsignal(number) is before


def test_the_bar_shows_step_loss_psnr_speed_and_time_left(capsys):
    loop.fit(
        _update,
        0,
        iter(range(30)),
        first=10,
        last=40,
        log=lambda *_: None,
        averages=metric_averages.MetricAverages(4),
    )
    text = capsys.readouterr().err.replace("\r", "\n").splitlines()[-1]
    assert (
        "step 40/40" in text
        and "loss " in text
        and "PSNR 20.00 dB" in text
        and "images/s" in text
        and "<" in text
    )


def test_lines_are_cut_back_when_a_run_goes_on(tmp_path):
    first = summary_writer.SummaryWriter(tmp_path)
    for step in (1, 2, 3):
        first.scalars("train", step, {"loss": 1.0 / step, "psnr": np.inf})
    first.image("sheet", 3, np.zeros((4, 6, 3), np.uint8))
    first.close()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "train", "st')
    second = summary_writer.SummaryWriter(tmp_path, step=2)
    second.scalars("eval", 3, {"loss": 9})
    second.close()
    assert [(line["kind"], line["step"]) for line in summary_writer.read(tmp_path)] == [
        ("train", 1),
        ("train", 2),
        ("eval", 3),
    ]
    assert summary_writer.read(tmp_path, "eval") == [{"kind": "eval", "step": 3, "loss": 9.0}]
    raw = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert json.loads(raw[0])["psnr"] is None
    assert len(list((tmp_path / "tensorboard").iterdir())) == 2
