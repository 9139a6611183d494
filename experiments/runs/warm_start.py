"""Warm starts: weights of another run, or imported ones, to start a training from."""

import dataclasses

from bilateral_jax.checkpoints import networks as networks_lib
from bilateral_jax.training import state as state_lib


def put(state, start, paper):
    """Puts saved weights into a new state; the optimisers start anew.

    Args:
      state: what `paper.init` returned.
      start: folder of a run, or of an exported or imported model, for the network that is shipped;
        or `{name: folder}` for any networks of the state, None for those that stay as they are. A
        run that trains a network of that name gives that one, any other folder the one that it
        ships.
      paper: the `Experiment`.

    Returns:
      The state, with the weights also as the start of their average.

    Raises:
      ValueError: there is no checkpoint in a folder, the state has no network of such a name, the
        experiment may draw new weights in their place, or as `checkpoints.networks.load_model`.
    """
    folders = start if isinstance(start, dict) else {paper.shipped_network: start}
    folders = {name: folder for name, folder in folders.items() if folder is not None}
    if folders and paper.draws_anew:
        raise ValueError(
            f"--config.start gives weights of {', '.join(sorted(folders))}, which a restart would "
            "replace by newly drawn ones; --config.watchdog.restarts=0 stops the training instead"
        )
    unknown = sorted(set(folders) - set(paper.networks))
    if unknown:
        known = ", ".join(sorted(paper.networks))
        raise ValueError(f"--config.start names {', '.join(unknown)}; the networks are {known}")
    for group_name, group in state.groups.items():
        networks = dict(group.networks)
        for name in networks.keys() & folders.keys():
            model = _load(folders[name], name, paper.networks[name])
            averaged = networks[name].average is not None
            networks[name] = state_lib.create_network(
                model.params, batch_stats=model.batch_stats, averaged=averaged
            )
        state = state.replace_group(group_name, dataclasses.replace(group, networks=networks))
    return state


def _load(folder, name, module):
    try:
        saved = networks_lib.load(folder)
        if name in saved.metadata.get("networks", {}):
            saved = networks_lib.load(folder, network=name)
        return saved.to_model(module=module)
    except (OSError, ValueError) as error:
        raise ValueError(f"--config.start: {error}") from error
