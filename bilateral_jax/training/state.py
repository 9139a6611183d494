"""The training state: any number of networks, in groups that are optimised together, as one pytree.

A leaf has one name everywhere, its path in the state: in checkpoints, in `config.start` and where a
network is shipped, as in `groups/generators/networks/G/average`.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Network:
    """The variables of one network.

    Attributes:
      params: pytree of weights.
      batch_stats: pytree of running statistics, empty for a network without any.
      average: exponential moving average of `params`, for evaluation and shipping; None for a
        network that has none.
    """

    params: Any
    batch_stats: Any
    average: Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Group:
    """Networks that one optimiser updates together.

    Attributes:
      networks: `{name: Network}`.
      opt_state: the optimiser's state for `{name: params}`.
      updates: int32 scalar, number of updates done. A skipped step is not counted.
    """

    networks: dict[str, Network]
    opt_state: Any
    updates: jax.Array

    @property
    def params(self):
        """The weights of all networks, `{name: params}`."""
        return {name: network.params for name, network in self.networks.items()}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """Everything that training carries from step to step.

    Attributes:
      step: int32 scalar, number of steps done, skipped ones included.
      key: typed random key; every step derives its keys by `fold_in`, it never changes.
      groups: `{name: Group}`.
      extra: dict of the experiment's own arrays: penalty weights, running averages, an image pool.
    """

    step: jax.Array
    key: jax.Array
    groups: dict[str, Group]
    extra: dict[str, Any]

    @property
    def networks(self):
        """All networks of all groups, `{name: Network}`."""
        return {
            name: network
            for group in self.groups.values()
            for name, network in group.networks.items()
        }

    def replace(self, **fields):
        """Returns the state with other values for some of its attributes."""
        return dataclasses.replace(self, **fields)

    def replace_group(self, name, group):
        """Returns the state with another group under that name."""
        return self.replace(groups=self.groups | {name: group})


def create_network(params, *, batch_stats=None, averaged=True):
    """Makes a `Network` whose average starts at its weights.

    Args:
      params: pytree of float weights.
      batch_stats: pytree of running statistics; None for a network without any.
      averaged: keep a moving average of the weights.
    """
    # A copy: buffers of the state are donated to the update, so no two leaves may share one.
    average = jax.tree.map(jnp.array, params) if averaged else None
    return Network(params, {} if batch_stats is None else batch_stats, average)


def create_group(networks, optimizer):
    """Makes a `Group` before its first update.

    Args:
      networks: `{name: Network}`.
      optimizer: an `optax.GradientTransformation` of `{name: params}`.
    """
    group = Group(dict(networks), None, jnp.int32(0))
    return dataclasses.replace(group, opt_state=optimizer.init(group.params))


def create(key, groups, *, extra=None):
    """Makes a `TrainState` at step 0.

    Args:
      key: typed random key for everything random that happens during training.
      groups: `{name: Group}`.
      extra: dict of arrays, see `TrainState`; None for none.

    Raises:
      ValueError: a network's name appears in two groups.
    """
    names = [name for group in groups.values() for name in group.networks]
    if len(set(names)) < len(names):
        raise ValueError(f"the networks of all groups need different names, got {sorted(names)}")
    return TrainState(jnp.int32(0), key, dict(groups), {} if extra is None else dict(extra))


def create_single(key, params, batch_stats, optimizer):
    """Makes the state of an experiment that trains one network.

    Its group is called "main", its network "network".

    Args:
      key: as for `create`.
      params: as for `create_network`.
      batch_stats: as for `create_network`.
      optimizer: as for `create_group`.
    """
    network = create_network(params, batch_stats=batch_stats)
    return create(key, {"main": create_group({"network": network}, optimizer)})


def from_earlier_layout(leaves):
    """Renames the leaves of a state that was saved before there were groups.

    A state then was one network (`params`, `batch_stats`, `average`, `opt_state`, `key`, `step`),
    or a `generator` and a `critic` of that form.

    Args:
      leaves: `{path: array}` of a checkpoint, paths being tuples of names.

    Returns:
      The same arrays by their present paths; `leaves` itself if it has the present layout.
    """
    if not leaves or any(path[0] == "groups" for path in leaves):
        return leaves
    pair = any(path[0] == "generator" for path in leaves)
    holders = {("generator",): "generator", ("critic",): "critic"} if pair else {(): "network"}
    renamed = {("step",): leaves[("step",)]}
    for holder, name in holders.items():
        own = {
            path[len(holder) :]: leaf
            for path, leaf in leaves.items()
            if path[: len(holder)] == holder
        }
        weights = {path[1:] for path in own if path[0] == "params"}
        group = ("groups", name if pair else "main")
        for path, leaf in own.items():
            if path[0] in ("params", "batch_stats", "average"):
                renamed[(*group, "networks", name, *path)] = leaf
            elif path[0] == "opt_state":
                # The optimiser's state has the name of the network where its copy of the weights
                # begins.
                start = next((i for i in range(1, len(path)) if path[i:] in weights), None)
                inner = path if start is None else (*path[:start], name, *path[start:])
                renamed[(*group, *inner)] = leaf
            elif path == ("step",):
                renamed[(*group, "updates")] = leaf
            elif path == ("key",):
                renamed[("key",)] = leaf  # of two, the critic's: it was the one that drew
    return renamed
