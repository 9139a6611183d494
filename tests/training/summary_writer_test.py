"""A metrics file that something else wrote is refused by line, and never waited for."""

import os

import pytest

from bilateral_jax.training import summary_writer

_LINE = '{"kind": "eval", "step": 1, "psnr": 20.0}\n'


@pytest.mark.parametrize(
    "line, expected",
    [
        ("[1]", "is no record"),
        ("null", "is no record"),
        ("\0\0\0", "is no record"),
        ('{"step": 1}', "is no record"),
        ('{"kind": "eval"}', "has no step"),
        ('{"kind": "eval", "step": 1, "psnr": "high"}', "has psnr 'high', expected a number"),
        ('{"kind": "eval", "step": "six"}', "has step 'six', expected a number"),
    ],
)
def test_a_line_that_is_no_record(line, expected, tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text(_LINE + line + "\n" + _LINE)
    with pytest.raises(ValueError, match=f"line 2 of {path} {expected}.*; remove that line"):
        summary_writer.read(tmp_path)
    with pytest.raises(ValueError, match=f"line 2 of {path}"):
        summary_writer.SummaryWriter(tmp_path, step=3)
    path.write_text(_LINE + _LINE + line)  # incomplete: a process died while it wrote
    assert len(summary_writer.read(tmp_path, "eval")) == 2


def test_a_fifo_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "metrics.jsonl")
    with pytest.raises(ValueError, match="is a FIFO"):
        summary_writer.read(tmp_path)
    with pytest.raises(ValueError, match="is a FIFO"):
        summary_writer.SummaryWriter(tmp_path, step=3)
