"""What `experiments/train.py` knows of a paper, whatever the paper.

Receives functions and networks from the papers' files (experiments/papers/hdrnet.py, ...).
Hands them, as one record, to experiments/train.py and experiments/replay.py.
"""

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

from bilateral_jax.checkpoints import networks
from bilateral_jax.data.pipeline import batches as batches_lib
from experiments.evaluation import protocol

# What of a config is for experiments/train.py itself; the rest is the paper's.
_OF_THE_RUN = ("experiment", "seed", "start", "data", "batches", "run")


class Experiment(NamedTuple):
    """A paper as functions of a state; each paper's file has a `build` that makes one.

    Attributes:
      init: `key -> state`, a registered dataclass with an int32 `step`: `training/state.py`'s
        `State`, or one that holds several of them.
      update: `(state, batch, *frozen) -> (state, metrics)`, one step on one device's share of a
        batch; what it returns is averaged over `parallel.AXIS`.
      evaluate: `(state, source, *, keep, shard, gather, check) -> (results, photos)`: means over
        the held-out examples, and photos for a sheet, as `scoring.evaluate` gives them; `check` is
        called between examples and may raise to be done again later. `enhancing` makes one.
      description: `(name, hyper-parameters)` of the network that is shipped, for the checkpoint.
      batches: `(source, *, seed, shard, **section) -> stream`, where the section is the config's
        `batches`.
      enhance: `(state, image [h, w, 3]) -> [h, w, 3]`, in inference mode, by the averaged weights;
        None for a network that gives no pictures.
      frozen: tuple of pytrees that every update gets after the batch and none changes, such as a
        critic that was trained before: on every device once, in no checkpoint.
      shipped: path of the weights to ship in the state; their batch statistics lie beside them.
      table: `(results, *, title) -> text`, shown after the training.
      use: `(what for, words of the command line)` of what was trained, shown after the training.
    """

    init: Callable
    update: Callable
    evaluate: Callable
    description: tuple[str, dict]
    batches: Callable = batches_lib.train_batches
    enhance: Callable | None = None
    frozen: tuple[Any, ...] = ()
    shipped: str = "average"
    table: Callable = protocol.table
    use: tuple[str, str] = ("enhance photos with", "enhance IN OUT")

    def model_entry(self):
        """Describes the shipped network for `saved_models.load`."""
        holder, _, _ = self.shipped.rpartition("/")
        batch_stats = f"{holder}/batch_stats" if holder else "batch_stats"
        return networks.entry(*self.description, params=self.shipped, batch_stats=batch_stats)


def build(config):
    """Builds the paper that a config names.

    Args:
      config: a whole config as plain dictionaries.

    Returns:
      An `Experiment`.
    """
    module = importlib.import_module(f"experiments.papers.{config['experiment']}")
    return module.build(**{k: v for k, v in config.items() if k not in _OF_THE_RUN})


def enhancing(enhance, **options):
    """Makes the `evaluate` of a paper whose network enhances photos.

    Args:
      enhance: `(state, image [h, w, 3]) -> [h, w, 3]`.
      **options: of `scoring.evaluate`, for example `metrics`.

    Returns:
      A function as `Experiment.evaluate` describes it: photos are enhanced whole, one by one.
    """

    def evaluate(state, source, *, check, **places):
        def checked(image):
            check()
            return enhance(state, image)

        return protocol.evaluate(checked, source, **options, **places)

    return evaluate
