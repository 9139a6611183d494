"""experiments/demo.py and evaluation/baselines.py: the affine fit and the table."""

import jax.numpy as jnp
import numpy as np
import pytest

import bilateral_jax as bj
from experiments import demo
from experiments.evaluation import baselines
from experiments.reports import contact_sheet


def test_affine_fit_recovers_the_matrix_and_weighs_photos_equally():
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(3, 4)).astype(np.float32)
    photos = [rng.random((9, 7, 3), np.float32), rng.random((30, 20, 3), np.float32)]
    pairs = [
        (photo, np.asarray(bj.apply(np.broadcast_to(matrix, (*photo.shape[:2], 3, 4)), photo)))
        for photo in photos
    ]
    found = baselines.fit_affine(pairs)
    np.testing.assert_allclose(found, matrix, atol=1e-4)
    np.testing.assert_allclose(baselines.apply_affine(found, photos[0]), pairs[0][1], atol=1e-4)
    ones = [(np.ones((4, 4, 3)), np.zeros((4, 4, 3))), (np.ones((40, 4, 3)), np.ones((40, 4, 3)))]
    fitted = baselines.apply_affine(baselines.fit_affine(ones), np.ones((1, 1, 3)))
    np.testing.assert_allclose(fitted, 0.5, atol=1e-4)


def test_affine_fit_rejects_invalid_pairs():
    with pytest.raises(ValueError, match="no pairs"):
        baselines.fit_affine([])
    with pytest.raises(ValueError, match=r"\(2, 2, 3\) and \(2, 3, 3\)"):
        baselines.fit_affine([(np.zeros((2, 2, 3)), np.zeros((2, 3, 3)))])


def test_table_has_means_and_required_gains():
    rows = {
        "a": {"input": 10.0, "learned_global": 15.0, "oracle_global": 20.0, "hdrnet": 17.0},
        "b": {"input": 14.0, "learned_global": 17.0, "oracle_global": 20.0, "hdrnet": 17.8},
    }
    table = demo.summarize(rows)
    assert table["mean"]["input"] == 12.0
    np.testing.assert_allclose(table["gains"]["learned_global"], 1.4)
    assert table["bars"]["input"] == {"needed": 5.0, "holds": True}
    assert table["bars"]["learned_global"] == {"needed": 1.5, "holds": False}
    written = demo.text(table)
    assert "+5.40 dB (bar +5.0 dB: holds)" in written
    assert "+1.40 dB (bar +1.5 dB: does NOT hold)" in written
    assert "global fit, oracle: -2.60 dB\n" in written + "\n"


def test_contact_sheet_has_rows_of_one_height():
    photos = [[jnp.zeros((40, 20, 3)), jnp.full((40, 20, 3), 0.5)], [jnp.ones((10, 60, 3)) * 2]]
    sheet = contact_sheet.sheet(photos, height=20)
    assert sheet.dtype == np.uint8 and sheet.shape == (20 + 8 + 10, 60, 3)
    assert (sheet[:20, :10] == 0).all() and (sheet[:20, 18:28] == 128).all()
    assert (sheet[:20, 10:18] == 255).all() and (sheet[28:, :] == 255).all()
