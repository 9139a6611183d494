"""Reports of runs and sweeps: self-contained HTML with the recorded content."""

import html.parser
import json
import re

import numpy as np
import pytest

from bilateral_jax import images
from experiments import report
from experiments.reports import contact_sheet, figures
from experiments.reports import page as page_lib
from experiments.reports import photos as photos_lib
from experiments.sweeps import plot, results

_VOID = {"meta", "img", "input", "br", "path", "use", "line", "rect"}


class _Reader(html.parser.HTMLParser):
    """Collects elements, ids and fetched addresses; fails on unbalanced tags."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.sources, self.texts, self._open = [], [], [], [], []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append((tag, attributes))
        if tag not in _VOID:
            self._open.append(tag)
        if "id" in attributes:
            self.ids.append(attributes["id"])
        for name in ("src", "href", "xlink:href"):
            if name in attributes:
                self.sources.append(attributes[name])

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in _VOID:
            self._open.pop()

    def handle_endtag(self, tag):
        if tag not in _VOID:
            assert self._open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


def _photo(seed, size=(40, 60)):
    smooth = np.linspace(0, 1, size[1])[None, :, None] * np.ones((*size, 3))
    return np.clip(smooth + np.random.default_rng(seed).normal(0, 0.1, smooth.shape), 0, 0.98)


def _run(folder, *, rich):
    """Writes the files of a run: all of them, or only those of the oldest runs."""
    folder.mkdir()
    config = {"experiment": "hdrnet", "seed": 7, "steps": 40, "model": {"luma_bins": 5}}
    (folder / "config.json").write_text(json.dumps(config))
    lines = []
    for step in range(10, 41, 10):
        line = {"kind": "train", "step": step, "loss": 1 / step, "psnr": 20.0 + step / 10}
        timed = {"seconds_input": 1.0, "seconds_step": 2.0, "seconds_hooks": 1.5}
        lines.append(line | (timed | {"skipped": 2.0 * (step == 20)} if rich else {}))
    photos = [
        {"name": f"a<{k}>", "input": _photo(k), "output": _photo(k + 5), "target": _photo(k + 9)}
        for k in range(3)
    ]
    for step, psnr in ((0, 18.0), (20, None), (40, 23.5)):
        line = {"kind": "eval", "step": step, "psnr": psnr, "input_psnr": 17.25}
        lines.append(line | ({"seconds": 0.5} if rich else {}))
        path = folder / "sheets" / f"step_{step:07d}"
        path.parent.mkdir(exist_ok=True)
        rows = [[photo[name] for name in contact_sheet.MEMBERS] for photo in photos]
        images.write(path.with_suffix(".png"), contact_sheet.sheet(rows))
        if rich:
            contact_sheet.write_photos(path, photos)
    if rich:
        starts = [{"step": 0, "time": "Monday"}, {"step": 20, "time": "Tuesday"}]
        environment = {"python": "3.11", "devices": {"kind": "toaster"}, "starts": starts}
        (folder / "environment.json").write_text(json.dumps(environment))
        failure = folder / "failure" / "step_0000033"
        failure.mkdir(parents=True)
        (failure / "failure.json").write_text(json.dumps({"message": "loss is nan at step 33"}))
    text = "".join(json.dumps(line) + "\n" for line in sorted(lines, key=lambda x: x["step"]))
    (folder / "metrics.jsonl").write_text(text + '{"kind": "tr')  # an incomplete line
    return folder


@pytest.fixture(scope="module")
def rich(tmp_path_factory):
    folder = _run(tmp_path_factory.mktemp("runs") / "rich", rich=True)
    path = report.write(folder)
    assert path == folder / "report.html"
    return path.read_text()


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    folder = _run(tmp_path_factory.mktemp("runs") / "plain", rich=False)
    return report.write(folder, photos=2).read_text()


@pytest.mark.parametrize("which", ["rich", "plain"])
def test_page_is_self_contained(which, request):
    text = request.getfixturevalue(which)
    page = _Reader(text)
    assert len(page.ids) == len(set(page.ids)) > 0
    for source in page.sources:
        if source.startswith("#"):
            assert source[1:] in page.ids
        else:
            assert source.startswith("data:image/jpeg;base64,")
    assert not re.search(r"https?://|@import", text)
    assert set(re.findall(r"url\(#([^)]*)\)", text)) <= set(page.ids)
    assert "default-src 'none'" in text and len(text) < 500_000


def test_page_shows_all_parts_of_a_run(rich):
    words = _Reader(rich).text
    assert "hdrnet, seed 7. Finished: 40 steps." in words
    assert "untouched input 17.25 first evaluation" in words
    assert "last evaluation 40 23.50" in words and "first evaluation 0 18.00" in words
    assert "waiting for input 4.0 s 22.2 % steps 8.0 s 44.4 % evaluation 1.5 s 8.3 %" in words
    assert "checkpoints and other 4.5 s 25.0 %" in words  # 6.0 s in hooks without the evaluation
    assert "1 restarts." in words and "20 Tuesday" in words
    assert "2 steps skipped because they were not finite." in words
    assert "step_0000033: loss is nan at step 33" in words
    assert "model.luma_bins 8 5" in words and "optimizer.name 'adam' -" in words
    assert "devices.kind toaster" in words
    for name in ("loss", "psnr"):
        assert f'aria-label="{name}"' in rich


def test_page_names_what_was_not_recorded(plain):
    words = _Reader(plain).text
    assert "This run did not record where its time went." in words
    assert "This run did not record its starts." in words
    assert "This run did not record its environment." in words


@pytest.mark.parametrize("which, count", [("rich", 3), ("plain", 2)])
def test_each_photo_has_a_slider(which, count, request):
    page = _Reader(request.getfixturevalue(which))
    ranges = [a for tag, a in page.tags if tag == "input" and a["type"] == "range"]
    radios = [a["value"] for tag, a in page.tags if tag == "input" and a["type"] == "radio"]
    assert [each["aria-label"] for each in ranges] == ["slider between input and output"] * count
    assert radios == ["input output", "output target", "input target"] * count
    shown = [a for tag, a in page.tags if tag == "img" and "data-is" in a]
    assert [a["data-is"] for a in shown] == list(contact_sheet.MEMBERS) * count
    assert all(("hidden" in a) == (a["data-is"] == "target") for a in shown)
    assert all(a["alt"] for tag, a in page.tags if tag == "img")
    assert f"{count} of 3 photos" in page.text


def test_contact_sheet_is_split_into_its_photos(tmp_path):
    members = [_photo(k, size) for k, size in enumerate([(40, 60)] * 3 + [(32, 30)] * 3)]
    images.write(tmp_path / "step_0000001.png", contact_sheet.sheet([members[:3], members[3:]]))
    found = photos_lib.read(tmp_path / "step_0000001.png")
    assert list(found) == ["photo 1", "photo 2"]
    parts = [part for each in found.values() for part in each.values()]
    for part, member in zip(parts, members):
        np.testing.assert_array_equal(part, images.to_integer(member, 8))


def test_large_photos_are_downscaled_to_the_budget():
    noise = np.random.default_rng(0).integers(0, 256, (900, 1200, 3), np.uint8)
    found = {str(k): {"input": noise, "output": noise} for k in range(4)}
    compressed, longest = photos_lib.compress(found)
    assert longest < 1024
    assert 1e6 < sum(len(b) for _, m in compressed.values() for b in m.values()) <= 3e6
    assert compressed["0"][0] == (900, 1200)


def test_long_curves_are_drawn_as_means_with_a_range():
    steps = np.arange(10_000.0)
    centre, mean, low, high = figures._downsample(steps, np.where(steps % 2, 1.0, np.nan))
    assert len(centre) == 300 and np.all(mean == 1) and np.all(low == high)
    centre, mean, low, high = figures._downsample(steps, steps)
    assert np.all(low < mean) and np.all(mean < high) and centre[0] == pytest.approx(mean[0])
    drawn = figures.panel("loss", {"training": (steps, 1 / (1 + steps))})
    assert len(drawn) < 60_000 and "var(--first)" in drawn and "#123" not in drawn


def test_text_is_escaped():
    page = page_lib.page("<script>", "", {"a & b": page_lib.table(["<i>"], [["<b>"]])})
    assert "<b>" not in page.split("<h2>")[1] and "&lt;b&gt;" in page and "a &amp; b" in page
    assert _Reader(page).text.startswith("<script>")


def _rows(**changes):
    rows = []
    for bins in (4, 8):
        for seed in (0, 1):
            name = f"model.bins={bins},seed={seed}"
            row = {"trial": name, "overrides": {"model.bins": bins, "seed": seed}}
            row |= {"status": "done", "tries": 1, "seconds": 3.0, "step": 2, "steps": 2}
            rows.append(row | {"reason": "", "metrics": {"psnr": 20.0 + bins + seed}} | changes)
    return rows


def test_page_of_a_sweep(tmp_path):
    rows = results.ranked(_rows(), metric="psnr", best="max")
    rows[3] |= {"status": "diverged", "metrics": {}, "reason": "loss is nan"}
    results.write(tmp_path, rows, {"metric": "psnr", "best": "max"})
    _run(tmp_path / "trials_", rich=False)
    (tmp_path / "trials").mkdir()
    trial = (tmp_path / "trials_").rename(tmp_path / "trials" / rows[0]["trial"])
    report.write(trial)
    text = report.write(tmp_path, tmp_path / "overview.html").read_text()
    page = _Reader(text)
    assert "4 trials: 3 done, 1 diverged. Sorted by psnr, largest first." in page.text
    assert "model.bins=8 2 28.50 0.71" in page.text and "loss is nan" in page.text
    assert f"trials/{rows[0]['trial']}/report.html" in page.sources
    assert 'aria-label="all trials"' in text and 'aria-label="psnr, held out"' in text


def test_axes_of_the_plot():
    assert plot.parameters(_rows()) == {"model.bins": [4, 8]}
    one = [row | {"overrides": {"seed": row["overrides"]["seed"]}} for row in _rows()[:2]]
    assert plot.parameters(one) == {"seed": [0, 1]}
    assert list(plot.parameters(_rows()[:1])) == ["trial"]
    position, ticks = plot._axis([10.0**-k for k in range(9, -1, -1)])
    assert (
        position(1e-9) == 0 and position(1.0) == 1 and abs(position(1e-3) - 6 / 9) < 1e-9
    )  # logarithmic


@pytest.mark.parametrize("bins", [(4, 8), (4, 4)])
@pytest.mark.parametrize("status", ["done", "failed"])
def test_plots_are_drawn_for_any_result(bins, status, tmp_path):
    rows = [
        row | {"status": status, "overrides": {"bins": b, "name": n}}
        for row, b, n in zip(_rows(), bins * 2, "aabb")
    ]
    plot.draw(tmp_path, rows, metric="psnr", best="min")
    for name in ("results.svg", "results.png"):
        assert (tmp_path / name).stat().st_size > 5_000


def test_the_command(tmp_path, capsys):
    assert report.main([str(tmp_path)]) == 1
    assert "neither config.json" in capsys.readouterr().err
    folder = _run(tmp_path / "run", rich=True)
    for out, message in ((tmp_path, "is a folder"), (tmp_path / "no" / "x.html", "no folder")):
        assert report.main([str(folder), "--out", str(out)]) == 1
        assert message in capsys.readouterr().err
    assert report.main([str(folder), "--out", str(tmp_path / "page.html"), "--photos", "1"]) == 0
    assert "page.html (0." in capsys.readouterr().out
    assert (tmp_path / "page.html").read_text().count("data-compare>") == 1


@pytest.mark.parametrize(
    "name, text, expected",
    [
        ("config.json", "[1]", "config.json cannot be read as JSON"),
        ("environment.json", "3", "environment.json cannot be read as JSON"),
        ("environment.json", '{"starts": 3}', None),
        ("metrics.jsonl", "null\n", "line 1 of .*metrics.jsonl is no record"),
    ],
)
def test_forged_files_of_a_run(name, text, expected, tmp_path, capsys):
    folder = _run(tmp_path / "run", rich=False)
    (folder / name).write_text(text)
    assert report.main([str(folder)]) == (0 if expected is None else 1)
    if expected is not None:
        assert re.search(expected, capsys.readouterr().err)
