"""The benchmark of adversarial steps: the peers take the same steps."""

import numpy as np
import pytest

from benchmarks import adversarial_step, timing

pytestmark = pytest.mark.usefixtures("compiled_quickly")
pytest.importorskip("torch", reason="PyTorch is optional: a peer of the benchmark alone")


def test_the_steps_of_wespe_in_pytorch_are_the_same():
    subject = adversarial_step.WESPE.small()
    peer = subject.torch()
    for _ in range(3):
        np.testing.assert_allclose(peer(), subject.step(), rtol=3e-4)
    with pytest.raises(SystemExit, match="losses of the generators differ: 1.0 here, 1.1"):
        adversarial_step.compare((1.0, 1.0), (1.0, 1.1))
    summary = timing.Measurement("ours", lambda: 0.0)
    summary.sample()
    row = {"subject": "wespe", "size": 64, "batch": 2} | summary.summary(summary)
    assert adversarial_step.describe(row).startswith("wespe 2 x 64 ours")
