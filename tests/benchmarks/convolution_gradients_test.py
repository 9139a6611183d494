"""`benchmarks.convolution_gradients` from layers to result file, on images of a few pixels."""

import json

from benchmarks import convolution_gradients, records


def test_every_layer_is_a_row(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "RESULTS", tmp_path)
    monkeypatch.setattr(convolution_gradients, "LAYERS", {(6, 3, 1, 2, 2): "small"})
    convolution_gradients.main(["--quick"])
    assert not list(tmp_path.rglob("*.json"))
    convolution_gradients.main([])
    (path,) = tmp_path.rglob("*.json")
    (row,) = json.loads(path.read_text())["rows"]
    assert row["layer"] == "small" and row["ratio"] > 0
    assert {"jax_ms", "jax_cond_ms", "own_ms", "own_cond_ms"} < set(row)
