"""One training on 1 device, on 8, and on 2 processes of 4: real processes, real runs."""

import json
import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from bilateral_jax.checkpoints import networks
from bilateral_jax.training import distributed, summary_writer
from configs import smoke
from experiments import train
from tests import assets, ports, worker_processes

_ROOT = assets.ROOT
_RUN = {
    "steps": 8,
    "model.name": "HDRNetPointwiseNNGuide",
    "model.batch_norm": True,
    "model.net_input_size": 16,
    "model.spatial_bin": 4,
    "model.luma_bins": 2,
    "optimizer.clip_norm": 0.03,  # acts in every step
    "batches.crop": 24,
    "data.train.size": 32,
    "data.heldout.size": 32,
    "run.log_every": 1,
    "run.evaluate_every": 1000,
    "run.checkpoint_every": 8,
}


def _together(commands, folder, *, devices=None, timeout=600, extra=({}, {})):
    """Runs commands side by side: their exit codes and outputs; leaves none of them behind."""
    environment = {**os.environ, "JAX_DISABLE_MOST_OPTIMIZATIONS": "1", "PYTHONPATH": str(_ROOT)}
    environment["XLA_FLAGS"] = "--xla_cpu_collective_call_terminate_timeout_seconds=600"
    if devices:
        environment["JAX_NUM_CPU_DEVICES"] = str(devices)
    processes = []
    try:
        for number, command in enumerate(commands):
            with (
                (folder / f"out{number}").open("w") as out,
                (folder / f"err{number}").open("w") as err,
            ):
                processes.append(
                    subprocess.Popen(
                        [sys.executable, *command],
                        cwd=_ROOT,
                        stdout=out,
                        stderr=err,
                        env=environment | extra[number],
                    )
                )
        codes = [process.wait(timeout) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    outputs = [(folder / f"out{number}").read_text() for number in range(len(commands))]
    errors = [(folder / f"err{number}").read_text()[-2000:] for number in range(len(commands))]
    return codes, outputs, errors


@pytest.fixture(scope="module")
def worker_reports(tmp_path_factory):
    """What each of two processes printed."""
    port = ports.reserve()
    commands = [[f"{_ROOT}/tests/worker_processes.py", str(port), "2", str(k)] for k in range(2)]
    codes, outputs, errors = _together(commands, tmp_path_factory.mktemp("workers"), devices=4)
    assert codes == [0, 0], errors
    return [json.loads(output.splitlines()[-1]) for output in outputs]


def test_two_processes_of_four_devices_follow_the_curve_of_one_device(worker_reports):
    everything = slice(None)
    alone = worker_processes.curve(everything, devices=jax.local_devices()[:1])
    eight = worker_processes.curve(everything)
    assert eight["differing"] == []
    for other in (eight, *(seen["curve"] for seen in worker_reports)):
        for name in ("loss", "gradient_norm"):
            values = [[line[name] for line in run["metrics"]] for run in (alone, other)]
            np.testing.assert_allclose(*values, rtol=2e-5, err_msg=name)
        np.testing.assert_allclose(alone["leaves"], other["leaves"], rtol=2e-5)
    assert alone["metrics"][0]["gradient_norm"] > 0.5  # so it was clipped: after the mean


def test_both_processes_and_all_their_devices_hold_the_same_bits(worker_reports):
    first, second = (seen["curve"] for seen in worker_reports)
    assert first == second and first["differing"] == []


def test_one_process_stops_all_at_the_same_call(worker_reports):
    for seen in worker_reports:
        assert seen["stop_requests"] == [None, None, None, 15, None, None]


def test_values_are_gathered_from_all_processes(worker_reports):
    for seen in worker_reports:
        assert seen["values"] == [{"names": []}, {"names": ["photo"] * 3}]
    assert [seen["first"] for seen in worker_reports] == [True, False]


def test_a_single_process_needs_no_coordinator():
    distributed.initialize(None)
    assert (distributed.index(), distributed.count(), distributed.is_first()) == (0, 1, True)
    assert distributed.gather_values([1, None]) == [[1, None]]
    agreement = distributed.StopAgreement()
    assert [agreement(None), agreement(15)] == [None, 15]
    tree = {"a": np.float64(1 / 3), "b": np.arange(3, dtype=np.int16)}
    (gathered,) = distributed.gather(tree)
    assert gathered["b"].dtype == np.int16 and gathered["b"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "coordinator, options, message",
    [
        (None, {"processes": 2, "process": 0}, "all three or none"),
        ("auto", {"processes": 2}, "all three or none"),
        ("localhost:1", {"processes": 2}, "all three or none"),
        ("localhost", {"processes": 2, "process": 0}, "must be 'HOST:PORT'"),
        ("localhost:1", {"processes": 2, "process": 2}, "process 2 of 2"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(coordinator, options, message):
    with pytest.raises(ValueError, match=message):
        distributed.initialize(coordinator, **options)


def test_a_process_without_its_peer_times_out(tmp_path):
    code = "from bilateral_jax.training import distributed as d; d.initialize("
    code += f"'localhost:{ports.reserve()}', processes=2, process=0, start_seconds=3)"
    codes, _, errors = _together([["-c", code]], tmp_path, timeout=120)
    assert codes[0] not in (0, None) and "DEADLINE_EXCEEDED" in errors[0], errors


def test_auto_reads_the_addresses_from_the_cluster(tmp_path):
    job = {"SLURM_JOB_ID": str(os.getpid()), "SLURM_STEP_NODELIST": "localhost"}
    job |= {"SLURM_NTASKS": "2", "SLURM_STEP_NUM_TASKS": "2"}
    tasks = [job | {"SLURM_PROCID": str(k), "SLURM_LOCALID": str(k)} for k in range(2)]
    commands = [[f"{_ROOT}/tests/worker_processes.py", "auto"]] * 2
    codes, outputs, errors = _together(commands, tmp_path, devices=1, extra=tasks)
    assert codes == [0, 0], errors
    assert [output.splitlines()[-1] for output in outputs] == ["[0, 1]"] * 2


def test_without_a_cluster_auto_says_what_to_give_instead(tmp_path):
    codes, _, errors = _together([[f"{_ROOT}/tests/worker_processes.py", "auto"]], tmp_path)
    assert codes == [1]
    assert "found none; give 'HOST:PORT', processes, process instead" in errors[0]


def _command(workdir, *options):
    command = ["-m", "experiments.train", f"--config={_ROOT}/configs/smoke.py"]
    command += [f"--workdir={workdir}", *options]
    return command + [f"--config.{name}={value}" for name, value in _RUN.items()]


def _recorded(workdir):
    lines = summary_writer.read(workdir, "train")
    assert [line["step"] for line in lines] == list(range(1, 9))
    return {name: [line[name] for line in lines] for name in ("loss", "psnr", "gradient_norm")}


def test_a_run_is_the_same_on_one_device_on_eight_and_on_two_processes_of_four(tmp_path):
    options = [f"--coordinator=localhost:{ports.reserve()}", "--processes=2"]
    pair = [_command(tmp_path / "pair", *options, f"--process={k}") for k in range(2)]
    codes, _, errors = _together(pair, tmp_path, devices=4)
    assert codes == [0, 0], errors
    codes, _, errors = _together([_command(tmp_path / "alone")], tmp_path, devices=1)
    assert codes == [0], errors
    config = smoke.get_config()
    config.update_from_flattened_dict(_RUN)
    jax.config.update("jax_disable_most_optimizations", True)
    try:
        train.train(config, tmp_path / "eight", progress=False)
    finally:
        jax.config.update("jax_disable_most_optimizations", False)

    alone = _recorded(tmp_path / "alone")
    assert alone["loss"][-1] < alone["loss"][0] and min(alone["gradient_norm"]) > 0.03
    (*_, expected) = summary_writer.read(tmp_path / "alone", "eval")
    network = networks.load(tmp_path / "alone")
    for name in ("eight", "pair"):
        other = _recorded(tmp_path / name)
        for metric, values in alone.items():
            np.testing.assert_allclose(values[:2], other[metric][:2], rtol=1e-4, err_msg=metric)
            np.testing.assert_allclose(values, other[metric], rtol=5e-3, err_msg=metric)
        (*_, results) = summary_writer.read(tmp_path / name, "eval")
        assert abs(results["psnr"] - expected["psnr"]) < 0.02
        saved = networks.load(tmp_path / name)
        for one, two in zip(
            jax.tree.leaves(network.batch_stats), jax.tree.leaves(saved.batch_stats), strict=True
        ):
            np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-5)
