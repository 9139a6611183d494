"""Every benchmark runs from command line to README table, on images of a few pixels."""

import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import (
    batches,
    enhance,
    environments,
    memory,
    pages,
    records,
    report,
    shapes,
    slice_apply,
    splat,
    table_lookup,
)

pytestmark = pytest.mark.usefixtures("compiled_quickly")


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A folder for results; sizes, cases and peaks of a toy."""
    monkeypatch.setattr(records, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(memory, "of_fresh_process", lambda *_: 123.0)
    monkeypatch.setattr(slice_apply, "SIZES", {"12mp": (16, 24, 2)})
    for question in (slice_apply, splat, table_lookup):
        monkeypatch.setattr(question, "DEFAULT", ("12mp",))
        monkeypatch.setattr(question, "QUICK", ("12mp",))
    monkeypatch.setattr(enhance, "SIZES", {"12mp": (20, 30, 2)})
    cases = {"plain": {}, "bfloat16": {"dtype": jnp.bfloat16}}
    monkeypatch.setattr(shapes, "CASES", {name: (8, 16, more) for name, more in cases.items()})
    monkeypatch.setattr(shapes, "QUICK", ("plain",))
    monkeypatch.setattr(batches, "SIZES", {"tiny": (8, 16)})
    monkeypatch.setattr(pages, "SIZES", {"two": (8, 16, 2)})

    def in_this_process(module, environment, names, rounds):
        return sys.modules[module].measured_rows(names, rounds)

    monkeypatch.setattr(environments, "rows", in_this_process)
    return tmp_path / "results"


EXPECTED = {
    slice_apply: "| 24 x 16, forward + gradients |",
    splat: "| 24 x 16 |",
    table_lookup: "| 24 x 16, gradient of table |",
    shapes: "over 4 cases `reference` takes",
    batches: "| tiny, forward + gradients |",
    enhance: "| 123 MB |",
    pages: "| image | jax | new | overwritten | new, huge pages | overwritten, huge pages |",
}


@pytest.mark.parametrize("question", EXPECTED, ids=lambda module: module.__name__)
def test_a_run_is_written_and_reported(question, results, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["question"])
    question.main()
    assert "written to" in capsys.readouterr().out
    assert EXPECTED[question] in "".join(report.markdown(results, page) for page in report.PAGES)


@pytest.mark.parametrize("question", [splat, enhance], ids=lambda module: module.__name__)
def test_a_quick_run_writes_nothing(question, results, monkeypatch, capsys):
    monkeypatch.setattr(enhance, "QUICK", ("12mp",))
    monkeypatch.setattr(sys, "argv", ["question", "--quick", "--rounds", "1"])
    question.main()
    assert "ms" in capsys.readouterr().out and not results.exists()


def test_overwritten_results_are_the_same():
    arguments = slice_apply.operands(8, 16, batch=2)
    wanted = pages.candidates()["new"](*arguments)
    call = pages.overwriting(*arguments)
    for _ in range(3):
        np.testing.assert_allclose(call(), wanted, atol=1e-6)


def test_a_process_begins_with_the_variables_that_it_is_measured_in(monkeypatch):
    seen = {}

    def run(command, env, **_):
        seen.update(env)
        return subprocess.CompletedProcess(command, 0, stdout='warming up\n[{"size": "two"}]\n')

    monkeypatch.setattr(environments.subprocess, "run", run)
    rows = environments.rows("benchmarks.pages", ", huge pages", ["two"], 1)
    assert rows == [{"size": "two"}] and "PATH" in seen
    assert seen["GLIBC_TUNABLES"] == "glibc.malloc.hugetlb=1"
