"""Timing and memory of benchmarks: ratios, rows of the tables, reasons for missing numbers."""

import json
import mmap
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import memory, records, shapes, slice_apply, splat, table, timing


def test_a_measurement_becomes_a_row_of_the_table():
    arguments = slice_apply.operands(16, 24)
    candidates = slice_apply.candidates("forward")
    del candidates["torch"]
    measured = timing.measure(candidates, arguments, rounds=2)
    rows = [m.summary(measured["xla"]) for m in measured.values()]
    assert [row["implementation"] for row in rows] == ["xla", "reference", "google", "scipy"]
    assert rows[0]["wall_ratio"] == [1, 1, 1]
    assert all(len(m.wall) == 2 and min(m.wall) > 0 for m in measured.values())
    assert "temporary_megabytes" in rows[0] and "temporary_megabytes" not in rows[3]
    json.dumps(rows)
    for row in rows:
        line = table.line("tiny", row | {"task": "forward", "pixels": 16 * 24})
        assert row["implementation"] in line


def test_ratios_are_taken_round_by_round():
    slow = timing.Measurement("slow", wall=[2.0, 8.0, 6.0], cpu=[1.0, 1.0, 1.0])
    fast = timing.Measurement("fast", wall=[1.0, 2.0, 1.0], cpu=[1.0, 0.5, 1.0])
    row = slow.summary(fast)
    assert row["wall_ratio"] == [3, 4, 5] and row["cpu_ratio"] == [1, 1, 1.5]
    assert row["wall_seconds"] == [4, 6, 7]


def test_rounds_are_interleaved_after_an_untimed_call(monkeypatch):
    calls = []
    monkeypatch.setattr(timing, "_SAMPLE_SECONDS", 0)
    candidates = {
        name: timing.Eager(lambda _, name=name: lambda: calls.append(name)) for name in "ab"
    }
    timing.measure(candidates, (0,), rounds=2)
    assert calls == list("aabb" * 2)


def test_a_sample_of_short_calls_is_many_of_them(monkeypatch):
    now, calls = 0.0, 0

    def call():
        nonlocal now, calls
        now, calls = now + 0.008, calls + 1

    monkeypatch.setattr(timing.time, "perf_counter", lambda: now)
    measured = timing.measure({"short": timing.Eager(lambda: call)}, (), rounds=3)
    assert calls == 3 * (1 + 6)
    np.testing.assert_allclose(measured["short"].wall, 0.008)


def test_fresh_pages_are_counted():
    def call():
        block = mmap.mmap(-1, 64 << 20)
        block[:: mmap.PAGESIZE] = bytes(len(block) // mmap.PAGESIZE)
        return block

    measured = timing.measure({"64 MiB": timing.Eager(lambda: call)}, (), rounds=3)
    assert 60 < measured["64 MiB"].summary()["fresh_megabytes"] < 80


def test_the_result_is_freed_after_the_clock_is_read(monkeypatch):
    now = 0.0

    class Result:
        def __del__(self):
            nonlocal now
            now += 50.0

    monkeypatch.setattr(timing.time, "perf_counter", lambda: now)
    measured = timing.measure({"slow to free": timing.Eager(lambda: Result)}, (), rounds=2)
    assert measured["slow to free"].wall == [0.0, 0.0] and now >= 200


def test_what_cannot_run_says_why(monkeypatch):
    monkeypatch.setattr(timing, "_memory_limit", lambda: -1)
    candidates = {"sort": jnp.sort, "absent": timing.Unavailable("not installed")}
    measured = timing.measure(candidates, (jnp.arange(1000.0)[::-1],), rounds=1)
    assert "memory" in measured["sort"].summary()["skipped"]
    row = measured["absent"].summary(measured["sort"]) | {"task": "forward", "pixels": 1}
    assert row["skipped"] == "not installed" and "not installed" in table.line("tiny", row)


def test_torch_is_optional(monkeypatch):
    monkeypatch.setattr(slice_apply.importlib.util, "find_spec", lambda name: None)
    assert "not installed" in slice_apply.candidates("forward")["torch"].reason


def test_results_are_written_with_metadata_and_read_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "RESULTS", tmp_path / "results")
    for version in ("0.12.0", "0.10.2"):
        monkeypatch.setattr(jax, "__version__", version)
        path = records.write("question", [{"seconds": 1}])
    assert path == tmp_path / "results" / records.device() / "question-0.10.2.json"
    metadata = json.loads(path.read_text())["metadata"]
    assert {"date", "commit", "numpy", "scipy", "torch", "cpu", "cores"} <= set(metadata)
    assert len(records.read("question", path.parent)) == 2
    assert records.version("0.12.0.1") > records.version("0.12.0") > records.version("0.9.9")


def test_a_run_of_one_size_keeps_the_others_of_the_same_code(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "RESULTS", tmp_path / "results")

    def written(size, ms, commit):
        monkeypatch.setattr(records, "_commit", lambda: commit)
        rows = [{"size": size, "ms": ms}]
        path = records.write("question", rows, "size", ("256", "1080p", "12mp"))
        return {row["size"]: row["ms"] for row in json.loads(path.read_text())["rows"]}

    written("12mp", 1, "a")
    written("256", 2, "a")
    both = written("12mp", 3, "a")
    assert both == {"256": 2, "12mp": 3} and list(both) == ["256", "12mp"]
    assert written("1080p", 4, "b") == {"1080p": 4}
    assert written("256", 5, "b-dirty") == {"256": 5}


def test_growth_sees_a_temporary_array(tmp_path):
    # In a process of its own: here pages that earlier tests freed would be taken up again.
    script = tmp_path / "growth.py"
    script.write_text(
        "import numpy as np\n"
        "from benchmarks import memory\n"
        "print(memory.growth(lambda: np.ones(64 << 20, np.uint8)[:1].copy()), memory.peak())\n"
    )
    environment = os.environ | {"PYTHONPATH": "."}
    run = subprocess.run(
        [sys.executable, script], check=True, env=environment, stdout=subprocess.PIPE
    )
    growth, peak = map(float, run.stdout.split())
    assert 60 < growth < 100 and peak > 64


def test_peak_memory_comes_from_another_process():
    number = memory.of_fresh_process("benchmarks.splat", "256", "xla")
    assert 0 < number < 500


@pytest.mark.parametrize("case", ["7 wide (7 < 16 cells)", "36 features", "bfloat16", "batch 4"])
def test_shapes_are_what_they_say(case):
    height, width, settings = shapes.CASES[case]
    grid, guide, image, cotangent = slice_apply.operands(
        min(height, 16), min(width, 16), **settings
    )
    assert grid.shape[1:3] == (16, 16) and image.shape[:3] == guide.shape == cotangent.shape[:3]
    assert guide.shape[0] == settings.get("batch", 1)
    assert grid.shape[4:] == settings.get("features", (3, 4))
    assert grid.dtype == settings.get("dtype", jnp.float32)


def test_a_default_that_is_reference_itself_is_known():
    features = slice_apply.operands(8, 16, features=(12,))
    alone = [
        slice_apply.forward(slice_apply.ours_without_image(name)) for name in (None, "reference")
    ]
    assert shapes.programs_are_equal(*alone, features)
    applied = [slice_apply.forward(slice_apply.ours(name)) for name in (None, "reference")]
    assert not shapes.programs_are_equal(*applied, slice_apply.operands(8, 16))


def test_splat_candidates_agree():
    arguments = splat.operands(12, 20)
    candidates = splat.candidates()
    del candidates["torch"]
    wanted = candidates.pop("reference")(*arguments)
    for name, candidate in candidates.items():
        np.testing.assert_allclose(candidate(*arguments), wanted, atol=2e-3, err_msg=name)
