"""Writes the network of a run as one small file, such as `bilateral_jax/weights/default.npz`.

    python -m tools.pack_network RUN OUT.npz

The weights are those that would be shipped, the moving average, rounded to float16.
"""

import argparse
import pathlib
import sys

from bilateral_jax.checkpoints import networks, packed
from bilateral_jax.cli import errors


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", metavar="RUN", help="work directory of a run, or a model")
    parser.add_argument("out", metavar="OUT.npz", type=pathlib.Path)
    options = parser.parse_args(arguments)
    return errors.exit_code(_pack, **vars(options))


def _pack(*, run, out):
    if out.suffix != ".npz":
        raise ValueError(f"OUT must end in .npz, got {out}")
    saved = networks.load(run)
    packed.save(out, saved, metadata={"step": saved.metadata["step"]})
    print(
        f"{saved.name} of {run}, step {saved.metadata['step']}: {out}, {out.stat().st_size:,} bytes"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
