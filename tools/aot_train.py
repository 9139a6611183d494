"""Compiles a whole training step for absent machines, and prints its resources.

    python -m tools.aot_train tpu     # eight chips of TPU v5e
    python -m tools.aot_train cuda    # eight H100 of one machine

The step is that of `configs/hdrnet.py` as `experiments/train.py` runs it: pmapped over the devices,
guarded, with donated state. Each platform needs an environment of its own, with what
`tools/aot_tpu.py` and `tools/aot_cuda.py` name, and flax, optax and ml_collections. Printed are the
rows of the tables in docs/scaling.md: memory of one device, operations, and the data that devices
exchange. Each program is compiled in a process of its own; the exit status is 1 if one was not.
"""

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import time
import warnings

DEVICES = 8
TARGETS = {"tpu": "v5e:2x4", "cuda": "sm_90"}
# What is compiled: (crop, examples per device, implementation of slice_apply, dtype).
CASES = {
    "tpu": (
        (512, 1, "xla", "float32"),
        (512, 8, "xla", "float32"),
        (512, 8, "xla", "bfloat16"),
        (512, 8, "tpu", "float32"),
    ),
    "cuda": (
        (512, 1, "xla", "float32"),
        (512, 8, "xla", "float32"),
        (512, 8, "xla", "bfloat16"),
        (512, 8, "gpu", "float32"),
    ),
}
COLUMNS = ("arguments", "outputs", "aliased", "temporaries", "code")
_BYTES = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "s32": 4, "u32": 4, "f32": 4, "s64": 8}
_COLLECTIVE = re.compile(
    r"= (?P<result>\(.*?\)|\S+) "
    r"(?P<kind>all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute)(?P<start>-start)?\("
)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("platform", choices=TARGETS)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        print(json.dumps(measure(options.platform, *CASES[options.platform][options.one])))
        return
    head = (f"{TARGETS[options.platform]}, {DEVICES} devices", "compiled in", *COLUMNS)
    print("| " + " | ".join([*head, "Gflop", "GB accessed", "kernels", "collectives"]) + " |")
    print("|---" * (len(head) + 4) + "|")
    failed = False
    for number, case in enumerate(CASES[options.platform]):
        row, passed = in_own_process(options.platform, number)
        failed |= not passed
        print(f"| {label(*case)} | {row} |", flush=True)
    sys.exit(failed)


def label(crop, per_device, implementation, dtype):
    return f"crops of {crop}, {per_device} a device, `{implementation}`, {dtype}"


def in_own_process(platform, number):
    """The cells of one row, and whether the program was compiled."""
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "TPU_SKIP_MDS_QUERY": "1"}
    command = [sys.executable, "-m", "tools.aot_train", platform, "--one", str(number)]
    child = subprocess.run(command, env=environment, capture_output=True, text=True)
    if child.returncode:
        print(child.stderr[-3000:], file=sys.stderr)
        reason = (child.stderr.strip().splitlines() or ["no message"])[-1]
        return f"no: {reason[:200]}", False
    return cells(json.loads(child.stdout.splitlines()[-1])), True


def cells(found):
    """One row: memory in MB, operations in billions, collectives."""
    sent = ", ".join(
        f"{one['kind']} of {one['arrays']} arrays, {one['bytes'] / 1e6:.3g} MB"
        for one in found["collectives"]
    )
    memory = " | ".join(f"{found[name] / 1e6:.1f}" for name in COLUMNS)
    counts = (found["flops"], found["bytes_accessed"])
    counts = " | ".join("unknown" if n is None else f"{n / 1e9:.3g}" for n in counts)
    return f"{found['seconds']:.0f} s | {memory} | {counts} | {found['kernels']} | {sent}"


def measure(platform, crop, per_device, implementation, dtype):
    """Compiles one program; returns its memory, costs and collectives."""
    import jax
    from jax.experimental import topologies

    warnings.simplefilter("ignore", DeprecationWarning)
    context = contextlib.nullcontext()
    if platform == "tpu":
        topology = topologies.get_topology_desc(platform="tpu", topology_name=TARGETS["tpu"])
    else:
        from tests import lowering
        from tools import aot_cuda

        topology = topologies.get_topology_desc(
            platform="cuda",
            target_config=aot_cuda.target_config(TARGETS["cuda"]),
            topology=f"1x1x{DEVICES}",
        )
        context = lowering.abstract_device(aot_cuda.TARGETS[TARGETS["cuda"]][0], "cuda")
    if len(topology.devices) != DEVICES:
        raise RuntimeError(f"the topology has {len(topology.devices)} devices")
    step, state, batch = program(crop, per_device, implementation, dtype, topology.devices)
    start = time.perf_counter()
    with context if implementation == "gpu" else contextlib.nullcontext():
        lowered = step.lower(state, batch)
    compiled = lowered.compile()
    seconds = time.perf_counter() - start
    memory, costs = compiled.memory_analysis(), compiled.cost_analysis() or {}  # not on CUDA
    text = compiled.as_text()
    return {
        "jax": jax.__version__,
        "seconds": seconds,
        "arguments": memory.argument_size_in_bytes,
        "outputs": memory.output_size_in_bytes,
        "aliased": memory.alias_size_in_bytes,
        "temporaries": memory.temp_size_in_bytes,
        "code": memory.generated_code_size_in_bytes,
        "flops": costs.get("flops"),
        "bytes_accessed": costs.get("bytes accessed"),
        "kernels": len(re.findall(r"custom_call_target=\"(?:tpu_custom_call|__gpu\$xla)", text)),
        "collectives": collectives(text),
    }


def program(crop, per_device, implementation, dtype, devices):
    """The pmapped step, and the shapes of its state and of a batch."""
    import functools
    from unittest import mock

    import jax
    import jax.numpy as jnp

    from bilateral_jax.models import hdrnet as networks
    from bilateral_jax.ops import guided
    from bilateral_jax.training import nonfinite_guard, parallel
    from configs import hdrnet as config_lib
    from experiments import experiment

    config = config_lib.get_config()
    config.model.dtype = dtype
    paper = experiment.build(config.to_dict())
    named = functools.partial(guided.guided_slice_apply, implementation=implementation)

    def update(state, batch):
        # A config does not name an implementation; this compiles a given one.
        with mock.patch.object(networks.guided, "guided_slice_apply", named):
            return nonfinite_guard.update(paper.update)(state, batch)

    def start(key):
        return nonfinite_guard.start(paper.init(key), allowed=0)

    def shape(*sizes, dtype=jnp.float32):
        return jax.ShapeDtypeStruct((len(devices), per_device, *sizes), dtype)

    side = config.model.net_input_size
    batch = {"input": shape(crop, crop, 3), "target": shape(crop, crop, 3)}
    batch |= {"lowres": shape(side, side, 3), "weight": shape()}
    batch |= {"window": shape(4, dtype=jnp.int32), "record": shape(dtype=jnp.int32)}
    key = jax.eval_shape(lambda: jax.random.key(0))
    step = parallel.mapped(update, devices=devices)
    return step, jax.eval_shape(start, key), batch


def collectives(text):
    """Every collective of a compiled program: its kind, arrays and bytes per device."""
    found = []
    for line in text.splitlines():
        match = _COLLECTIVE.search(line)
        if match:
            arrays = re.findall(r"\b([a-z]+\d*)\[([\d,]*)\]", match["result"])
            sizes = [_bytes(*array) for array in arrays]
            # CUDA's start of one has operands beside results.
            if match["start"] and sizes[: len(sizes) // 2] == sizes[len(sizes) // 2 :]:
                sizes = sizes[: len(sizes) // 2]
            found.append({"kind": match["kind"], "arrays": len(sizes), "bytes": sum(sizes)})
    return found


def _bytes(dtype, dimensions):
    count = _BYTES[dtype]
    for dimension in filter(None, dimensions.split(",")):
        count *= int(dimension)
    return count


if __name__ == "__main__":
    main()
