"""README and docs/benchmarks.md say what was measured, all of it, and nothing else."""

import json

import pytest

from benchmarks import enhance, figure, records, report, sections, shapes

QUARTILES = [1.0, 2.0, 3.0]


def row(implementation, ratio=None, **others):
    ratios = {"wall_ratio": [ratio - 0.1, ratio, ratio + 0.1]} if ratio else {}
    return {"implementation": implementation, "wall_seconds": QUARTILES} | ratios | others


def record(rows, jax):
    metadata = {"jax": jax, "device": "cpu-8core", "commit": "abc", "date": "2026-01-01"}
    return {"metadata": metadata, "rows": rows}


def slice_apply_rows():
    for size in ("256", "12mp"):
        for task in ("forward", "forward+gradients"):
            case = {"size": size, "task": task}
            skipped = {"implementation": "scipy", "skipped": "SciPy has no derivatives"}
            large = {"temporary_megabytes": 15e3, "skipped": "15 GB exceed half"}
            yield case | row("xla", 1.0, temporary_megabytes=2.5, peak_megabytes=146.4)
            yield case | row("google", 16.04, temporary_megabytes=5300)
            yield case | row("torch", 0.51)
            yield case | (row("scipy", 90.0) if task == "forward" else skipped)
            yield case | {"implementation": "reference"} | large


def shapes_rows():
    itself = {"implementation": "reference", "skipped": shapes.DEFAULT_ITSELF}
    for case, ratio in (("depth 4", 9.0), ("7 wide", 0.7), ("odd", None)):
        fields = {"case": case, "pixels": 10_000_000, "task": "forward"}
        yield fields | row("default", 1.0, temporary_megabytes=2.5)
        yield fields | (row("reference", ratio) if ratio else itself)


def batches_rows():
    fields = {"size": "512 x 384", "pixels": 100_000_000, "task": "forward+gradients"}
    for name, ratio, fresh in (("one", 1.0, 0), ("four", 1.25, 37.7), ("as large", 0.9, 0.4)):
        ratios = {"pixel_ratio": [ratio - 0.1, ratio, ratio + 0.1], "fresh_megabytes": fresh}
        yield fields | row(name, 1.0) | ratios
    yield fields | {"implementation": "torch, one", "skipped": "torch is not installed"}


def enhance_rows():
    parts = ("wall_seconds", *enhance.PARTS.values(), sections.FULL)
    yield {"size": "12mp"} | dict.fromkeys(parts, [0.1] * 3) | {"peak_process_megabytes": 700.0}


@pytest.fixture
def results(tmp_path):
    """A folder of results of two versions of one device."""
    folder = tmp_path / "results" / "cpu-8core"
    folder.mkdir(parents=True)
    rows = {"slice_apply": slice_apply_rows, "shapes": shapes_rows, "enhance": enhance_rows}
    rows["batches"] = batches_rows
    rows["splat"] = lambda: [
        {"size": "12mp", "task": "splat"} | row("xla", 1.0),
        {"size": "12mp", "task": "splat"} | row("autodiff", 11.0),
    ]
    for question, make in rows.items():
        for jax in ("0.10.2", "0.12.0.1"):
            path = folder / f"{question}-{jax}.json"
            path.write_text(json.dumps(record(list(make()), jax)))
    return folder.parent


def test_every_measured_number_is_in_the_tables(results):
    text = report.markdown(results, "README.md")
    head = "| | jax | ours (`xla`) | google/hdrnet's JAX maths | torch `grid_sample` | SciPy |"
    assert head + " `reference` |" in text
    cells = "2.00 s, 146 MB | 16 [15.9, 16.1], 5.3 GB | **0.51 [0.41, 0.61]** | 90 [89.9, 90.1]"
    assert f"| 4000 x 3000, forward | 0.12.0.1 | {cells} | not run: needs 15 GB |" in text
    assert text.count("(SciPy has no derivatives)") == 4
    assert text.index("forward | 0.12.0.1") < text.index("forward | 0.10.2")
    assert "| 4000 x 3000 | 0.10.2 | 2.00 s | 11 [10.9, 11.1] |" in text
    assert "8 CPU cores" in text and "commit abc" in text


def test_losses_of_shapes_are_named(results):
    text = report.markdown(results, "README.md")
    assert "takes 0.7 (7 wide, forward) to 9 (depth 4, forward) times as long" in text
    assert "over 2 cases" in text and "**slower than it: 7 wide, forward (0.7)**" in text
    assert "(odd, forward: the default is `reference` itself)" in text


def test_every_shape_has_a_line(results):
    text = report.markdown(results, "docs/benchmarks.md")
    assert "| depth 4, forward | 0.12.0.1 | 200.0 ns, 2.5 MB | 9 [8.9, 9.1] |" in text
    assert "| 7 wide, forward | 0.10.2 | 200.0 ns, 2.5 MB | **0.7 [0.6, 0.8]** |" in text
    assert (
        "| odd, forward | 0.10.2 | 200.0 ns, 2.5 MB | (the default is `reference` itself) |" in text
    )


def test_pixels_of_a_batch_are_compared_with_those_of_one_image(results):
    cells = "1.25 [1.15, 1.35], 38 MB fresh | 0.9 [0.8, 1] | (torch is not installed)"
    line = f"| 512 x 384, forward + gradients | 0.12.0.1 | 20.0 ns | {cells} |"
    assert line in report.markdown(results, "docs/benchmarks.md")


def test_parts_of_an_enhanced_photo(results):
    line = "| 4000 x 3000 | 0.12.0.1 | 100 ms | 100 ms | 100 ms | 100 ms | 700 MB |"
    assert line in report.markdown(results, "README.md")


def test_only_the_block_between_the_markers_changes():
    document = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"
    new = report.between_markers(document, "new\n")
    assert new == f"before\n{report.BEGIN}\nnew\n{report.END}\nafter\n"
    assert report.between_markers(new, "new\n") == new


@pytest.mark.parametrize("page", report.PAGES)
def test_pages_hold_the_committed_results(page):
    document = (report.ROOT / page).read_text(encoding="utf-8")
    assert report.between_markers(document, report.markdown(records.RESULTS, page)) == document, (
        f"the tables of {page} are not those of benchmarks/results: run python -m benchmarks.report"
    )


def test_the_figure_shows_every_implementation(results, tmp_path):
    (path,) = figure.draw(results, tmp_path)
    text = path.read_text()
    for name in ("ours (xla), jax 0.12.0.1", "ours (xla), jax 0.10.2", "torch", "SciPy", "google"):
        assert name in text, name
