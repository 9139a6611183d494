"""The batch dictionary: rows stacked, filled up and padded."""

import numpy as np
import pytest

from bilateral_jax.data.pipeline import batch


def row(record, size=(4, 6)):
    image = np.full((*size, 3), record, np.float32)
    window = batch.full_window(image)
    return batch.example(input=image, target=image, record=np.int32(record), window=window)


def test_rows_are_stacked():
    stacked = batch.stack([row(3), row(1)])
    assert set(stacked) <= set(batch.Batch.__annotations__)
    assert stacked["record"].tolist() == [3, 1] and stacked["weight"].tolist() == [1, 1]
    np.testing.assert_array_equal(stacked["window"], [[0, 0, 4, 6]] * 2)
    with pytest.raises(ValueError, match=r"the input of .* one size, got \[\(4, 6, 3\), \(5, 6, 3"):
        batch.stack([row(0), row(1, size=(5, 6))])


@pytest.mark.parametrize("frames", [(), (2,)])
def test_padding_repeats_the_border_and_is_masked(frames):
    image = np.random.default_rng(0).uniform(size=(*frames, 4, 6, 3)).astype(np.float32)
    padded, valid = batch.pad(image, (5, 8))
    assert padded.shape == (*frames, 5, 8, 3) and valid.shape == (5, 8)
    np.testing.assert_array_equal(padded[..., :4, :6, :], image)
    np.testing.assert_array_equal(padded[..., 4, :6, :], image[..., 3, :, :])
    np.testing.assert_array_equal(padded[..., :4, 7, :], image[..., :, 5, :])
    assert valid.sum() == 24 and valid[:4, :6].all()
