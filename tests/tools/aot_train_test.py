"""What the ahead-of-time tool reads out of a compiled program, and the program itself, lowered."""

import jax
import numpy as np

from tools import aot_train

TPU = """
%psum.227 = f32[]{:T(128)} all-reduce(%bitcast.25), channel_id=1, to_apply=%region_3.4
%all-reduce.123 = (f32[64]{0:T(128)S(1)}, f32[3,3,64,64]{3,2,1,0:T(8,128)}, /*index=5*/bf16[2]{0})
"""
CUDA = "%a = (f32[100]{0}, f32[100]{0}) all-reduce-start(%b), channel_id=1"


def test_collectives_are_read_from_the_text():
    text = TPU.strip() + " all-reduce(%x, %y, %z), channel_id=2\n  %q = f32[2] add(%all-reduce.123)"
    one, other = aot_train.collectives(text)
    assert one == {"kind": "all-reduce", "arrays": 1, "bytes": 4}
    assert other == {"kind": "all-reduce", "arrays": 3, "bytes": 4 * (64 + 9 * 64 * 64) + 4}
    assert aot_train.collectives(CUDA) == [{"kind": "all-reduce", "arrays": 1, "bytes": 400}]


def test_the_step_of_the_config_is_mapped_over_all_devices():
    """Lowered for the simulated devices; the state is as large as four copies of the weights."""
    devices = jax.devices()
    step, state, batch = aot_train.program(64, 1, "xla", "float32", devices)
    leaves = jax.tree.leaves(state.state.networks["network"].params)
    assert sum(int(np.prod(leaf.shape)) for leaf in leaves) == 482_080
    assert batch["input"].shape == (len(devices), 1, 64, 64, 3)
    text = step.lower(state, batch).as_text()
    assert f"num_partitions = {len(devices)}" in text and "all_reduce" in text
    assert text.count("jax.buffer_donor") + text.count("tf.aliasing_output") >= 4 * len(leaves)
