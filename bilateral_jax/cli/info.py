"""The command `info`: what a checkpoint holds."""

import json

from bilateral_jax import tree_paths
from bilateral_jax.checkpoints import networks
from bilateral_jax.cli import arguments, versions
from bilateral_jax.models import model as model_lib


def add_arguments(command):
    """Declares the arguments."""
    command.add_argument("checkpoint", help="work directory of a run, or an exported model")
    arguments.add_step(command)


def run(checkpoint, *, step, network) -> int:
    """Prints a network's name, hyper-parameters, arrays and metadata.

    Args:
      checkpoint: a run's work directory or an exported model.
      step: of the run; None for the newest.
      network: of a run with several; None for the one that is shipped.

    Returns:
      Exit code 0.
    """
    saved = networks.load(checkpoint, step, network=network)
    print(f"network           {saved.name}")
    for field, value in saved.hyperparameters.items():
        print(f"  {field:<20}{value}")
    _print_arrays("parameters        ", saved.params)
    _print_arrays("moving statistics ", saved.batch_stats)
    others = saved.metadata.get("networks", {})
    if len(others) > 1:
        print(f"networks          {', '.join(sorted(others))} (--network NAME)")
    for key, value in saved.metadata.items():
        if key not in ("model", "networks"):
            shown = json.dumps(value, indent=2) if isinstance(value, dict) else value
            print(f"{key:<18}{shown}")
    print(f"read with         {versions.text()}")
    return 0


def _print_arrays(title, tree):
    print(f"{title}{model_lib.parameter_count(tree):,}")
    for path, leaf in tree_paths.flatten(tree).items():
        print(f"  {'/'.join(path):<48}{' x '.join(map(str, leaf.shape)) or 'scalar'}")
