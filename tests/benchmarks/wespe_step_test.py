"""The benchmark of WESPE's step: the peer takes the same steps."""

import numpy as np
import pytest

from benchmarks import timing, wespe_step

pytestmark = pytest.mark.usefixtures("compiled_quickly")
pytest.importorskip("torch", reason="PyTorch is optional: a peer of the benchmark alone")


def test_the_steps_in_pytorch_are_the_same():
    subject = wespe_step.WESPE(2, 64)
    peer = subject.torch()
    for _ in range(3):
        np.testing.assert_allclose(peer(), subject.step(), rtol=3e-4)
    with pytest.raises(SystemExit, match="losses of the generators differ: 1.0 here, 1.1"):
        wespe_step.compare((1.0, 1.0), (1.0, 1.1))
    summary = timing.Measurement("ours", lambda: 0.0)
    summary.sample()
    row = {"size": 64, "batch": 2} | summary.summary(summary)
    assert wespe_step.describe(row).startswith("2 x 64 ours")
