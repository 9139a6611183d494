"""Every question runs from command line to README table, on pictures of a few pixels."""

import sys

import jax.numpy as jnp
import pytest

from benchmarks import enhance, memory, records, report, shapes, slice_apply, splat


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A folder for results; sizes, cases and peaks of a toy."""
    monkeypatch.setattr(records, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(memory, "of_fresh_process", lambda *_: 123.0)
    monkeypatch.setattr(slice_apply, "SIZES", {"12mp": (16, 24, 2)})
    for question in (slice_apply, splat):
        monkeypatch.setattr(question, "DEFAULT", ("12mp",))
        monkeypatch.setattr(question, "QUICK", ("12mp",))
    monkeypatch.setattr(enhance, "SIZES", {"12mp": (20, 30, 2)})
    cases = {"batch 1": {}, "bfloat16": {"dtype": jnp.bfloat16}}
    monkeypatch.setattr(shapes, "CASES", {name: (8, 16, more) for name, more in cases.items()})
    monkeypatch.setattr(shapes, "QUICK", ("batch 1",))
    return tmp_path / "results"


EXPECTED = {
    slice_apply: "| 24 x 16, forward + gradients |",
    splat: "| 24 x 16 |",
    shapes: "over 4 cases `reference` takes",
    enhance: "| 123 MB |",
}


@pytest.mark.parametrize("question", EXPECTED, ids=lambda module: module.__name__)
def test_a_run_is_written_and_reported(question, results, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["question"])
    question.main()
    assert "written to" in capsys.readouterr().out
    assert EXPECTED[question] in report.markdown(results)


@pytest.mark.parametrize("question", [splat, enhance], ids=lambda module: module.__name__)
def test_a_quick_run_writes_nothing(question, results, monkeypatch, capsys):
    monkeypatch.setattr(enhance, "QUICK", ("12mp",))
    monkeypatch.setattr(sys, "argv", ["question", "--quick", "--rounds", "1"])
    question.main()
    assert "ms" in capsys.readouterr().out and not results.exists()
