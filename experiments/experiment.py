"""The interface between `experiments/train.py` and the papers: one record of pure functions."""

import functools
import importlib
import pkgutil
from collections.abc import Callable
from typing import Any, NamedTuple

from bilateral_jax import models
from bilateral_jax.checkpoints import networks as networks_lib
from bilateral_jax.data.pipeline import batches as batches_lib
from bilateral_jax.models.layers import reverse_mode_convolution
from experiments import papers
from experiments.evaluation import protocol

# Sections of a config that `experiments/train.py` uses itself; the others are the paper's.
_RUN_SECTIONS = ("experiment", "seed", "start", "data", "batches", "run")
# Where an experiment with one network has its weights, see `training.state.create_single`.
SINGLE = "groups/main/networks/network/average"


class Experiment(NamedTuple):
    """A paper as functions of a training state; each paper's file has a `build` that makes one.

    Attributes:
      init: `key -> state`, a `training.state.TrainState`.
      update: `(state, batch, *frozen) -> (state, metrics)`, one step on one device's shard of a
        batch; what it returns is averaged over `parallel.AXIS`. Metrics are scalars or
        `step.Counted`.
      evaluate: `(state, source, *, keep, shard, gather, check) -> (results, photos)`: means over
        the held-out examples, and photos for a contact sheet, as `protocol.evaluate` returns them;
        `check` is called between examples and may raise to be run again later. `image_evaluation`
        makes one.
      networks: `{name: module}`, every network of the state.
      batches: `(source, *, seed, shard, **section) -> loader`, where the section is the config's
        `batches`.
      enhance: `(state, image [h, w, 3]) -> [h, w, 3]`, in inference mode, by the shipped weights;
        None for a network that gives no images.
      frozen: tuple of pytrees that every update gets after the batch and none changes, such as a
        critic that was trained before: on every device once, in no checkpoint.
      shipped: path of the shipped network's weights in the state, ending in `average` or `params`.
      table: `(results, *, title) -> text`, shown after the training.
      use: `(what for, words of the command line)` of what was trained, shown after the training.
      shown: names of the metrics in the progress bar.
      check: of every step's metrics on the host, see `loop.fit`; may raise to end the run.
      draws_anew: whether an update may replace the weights by newly drawn ones, so that weights to
        start from would be lost.
      members: what every element of the sources must hold.
    """

    init: Callable
    update: Callable
    evaluate: Callable
    networks: dict[str, Any]
    batches: Callable = batches_lib.train_batches
    enhance: Callable | None = None
    frozen: tuple[Any, ...] = ()
    shipped: str = SINGLE
    table: Callable = protocol.table
    use: tuple[str, str] = ("enhance photos with", "enhance IN OUT")
    shown: tuple[str, ...] = ("loss", "psnr")
    members: tuple[str, ...] = ("input", "target")
    check: Callable = lambda step, metrics: None
    draws_anew: bool = False

    @property
    def shipped_network(self):
        """The name of the network that is shipped."""
        return self.shipped.split("/")[-2]

    @property
    def description(self):
        """`(name, hyper-parameters)` of the network that is shipped."""
        return models.describe(self.networks[self.shipped_network])

    def model_entry(self):
        """Describes the shipped network for `checkpoints.networks.load`."""
        holder, _, _ = self.shipped.rpartition("/")
        return networks_lib.entry(
            *self.description, params=self.shipped, batch_stats=f"{holder}/batch_stats"
        )

    def network_entries(self, state):
        """Describes every network of a state for `checkpoints.networks.load`, `{name: entry}`."""
        entries = {}
        for group_name, group in state.groups.items():
            for name, network in group.networks.items():
                holder = f"groups/{group_name}/networks/{name}"
                weights = "params" if network.average is None else "average"
                entries[name] = networks_lib.entry(
                    *models.describe(self.networks[name]),
                    params=f"{holder}/{weights}",
                    batch_stats=f"{holder}/batch_stats",
                )
        return entries


def build(config):
    """Builds the experiment that a config names.

    Args:
      config: a whole config as plain dictionaries.

    Returns:
      An `Experiment`.

    Raises:
      ValueError: there is no such experiment; the message lists them.
      TypeError: a section holds a key that nothing takes; the message names it.
    """
    name = config["experiment"]
    try:
        module = importlib.import_module(f"experiments.papers.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"experiments.papers.{name}":
            raise
        known = ", ".join(sorted(each.name for each in pkgutil.iter_modules(papers.__path__)))
        raise ValueError(f"experiment must be one of {known}, got {name!r}") from None
    paper = module.build(**{k: v for k, v in config.items() if k not in _RUN_SECTIONS})
    return paper._replace(update=_in_reverse_mode(paper.update))


def _in_reverse_mode(update):
    """The update with convolutions whose gradients are fast within `n_critic` and `accumulate`."""

    @functools.wraps(update)
    def reverse(*args):
        with reverse_mode_convolution.reverse_mode():
            return update(*args)

    return reverse


def image_evaluation(enhance, **options):
    """Makes the `evaluate` of an experiment whose network enhances photos.

    Args:
      enhance: `(state, image [h, w, 3]) -> [h, w, 3]`.
      **options: of `protocol.evaluate`, for example `metrics`.

    Returns:
      A function as `Experiment.evaluate` describes it: photos are enhanced whole, one by one.
    """

    def evaluate(state, source, *, check, **distribution):
        def checked(image):
            check()
            return enhance(state, image)

        return protocol.evaluate(checked, source, **options, **distribution)

    return evaluate


def check_images(batch):
    """Refuses a batch of clips where a loss or a network takes single images.

    Args:
      batch: dict of arrays, as `data/pipeline/batch.py` declares it.

    Raises:
      ValueError: the images have a frame axis.
    """
    if batch["input"].ndim != 4:
        raise ValueError(
            "this experiment takes images [b, h, w, c] and no frame axis t: got input "
            f"{list(batch['input'].shape)}; use a source of single images"
        )
