"""The GPU benchmark without a GPU: its programs lower for one, and its table adds up."""

import jax
import jax.numpy as jnp
import pytest

from benchmarks import gpu
from bilateral_jax.kernels.gpu import tuning
from tests import lowering

pytestmark = pytest.mark.filterwarnings("ignore:The Pallas Triton backend:DeprecationWarning")


@pytest.fixture(scope="module")
def candidates():
    return list(gpu.ours(16, 40, jnp.dtype("bfloat16")))


def test_every_task_has_the_kernel_and_xla(candidates):
    by_task = {}
    for candidate in candidates:
        by_task.setdefault(candidate.task, []).append(candidate.name)
    assert by_task.pop("copy") == ["jax"]
    assert set(by_task) == set(gpu.NUMBERS) - {"copy"}
    assert all(sorted(names) == ["gpu", "xla"] for names in by_task.values())


def test_every_program_lowers_for_cuda_and_is_what_its_name_says(candidates):
    for candidate in candidates:
        call = candidate.call  # a compiled function and its arrays
        program = lowering.for_cuda(call.func, *call.args)
        assert ("triton" in program) == (candidate.name == "gpu"), candidate
        fused = candidate.name == "gpu" and candidate.task.endswith("guide and forward")
        assert ("bilateral_guided_slice_apply_gpu_" in program) == fused, candidate


def test_the_table_counts_bytes_against_the_copy(monkeypatch, capsys):
    names = [("copy", "jax"), ("forward", "gpu"), ("forward", "xla")]
    candidates = [gpu.Candidate(task, name, None) for task, name in names]
    monkeypatch.setattr(gpu, "timed", lambda candidates, rounds: [1e-3, 2e-3, 5e-3])
    copy, kernel, xla = gpu.table("bfloat16", (1000, 500), candidates, 1)
    assert copy["bytes_per_second"] == 6 * 2 * 500_000 / 1e-3 and copy["share_of_copy"] == 1
    assert kernel["share_of_copy"] == pytest.approx(7 / 6 / 2)
    assert (kernel["times_the_kernel"], xla["times_the_kernel"]) == (1, 2.5)
    assert "| bfloat16 | forward | xla | 5000.0 | 1 | 23% | 2.50 |" in capsys.readouterr().out


def test_times_are_those_of_a_call(monkeypatch):
    ticks = iter(range(0, 1000, 60))
    monkeypatch.setattr(gpu.time, "perf_counter", lambda: next(ticks))
    calls, waits = [], []
    candidate = gpu.Candidate("copy", "jax", lambda: calls.append(1), waits.append)
    assert gpu.timed([candidate], rounds=2) == [60 / gpu.QUEUE]
    assert len(calls) == 1 + 2 * (1 + gpu.QUEUE) and len(waits) == 5


def test_tuning_tries_each_tile_size_and_restores_the_table(monkeypatch, capsys):
    tried = []

    def timed(candidates, rounds):
        (candidate,) = candidates
        shapes = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in candidate.call.args]
        jax.eval_shape(candidate.call.func, *shapes)
        tried.append((candidate.task, tuning.TABLE[0]))
        return [1e-3]

    monkeypatch.setattr(gpu, "timed", timed)
    before = tuning.TABLE
    gpu.tune(16, 40, 1)
    assert tuning.TABLE is before and len(tried) == len(set(tried)) == 30
    assert "| splat_apply | 128 columns, 192 rows, 192 sums | 1000.0 |" in capsys.readouterr().out


def test_without_a_gpu_it_says_so(monkeypatch):
    monkeypatch.setattr("sys.argv", ["gpu"])
    with pytest.raises(SystemExit, match="this measures a GPU; the default device is a cpu"):
        gpu.main()
