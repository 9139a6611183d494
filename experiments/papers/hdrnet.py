"""HDRNet as an experiment: a config becomes `init`, `update` and `enhance`.

Reference: Gharbi et al. 2017, "Deep bilateral learning for real-time image enhancement".
"""

import functools

import jax

import bilateral_jax as bj
from bilateral_jax import inference, models, resize
from bilateral_jax import metrics as metrics_lib
from bilateral_jax.data.pipeline import batches
from bilateral_jax.losses import reconstruction, regularizers
from bilateral_jax.models import model as model_lib
from bilateral_jax.models.model import Model
from bilateral_jax.training import parallel, schedules, state, step
from experiments import experiment


def build(*, model, loss, **training):
    """Builds the experiment from the sections of a config.

    Args:
      model: options of `create`.
      loss: weights of the terms, keywords of `_losses`.
      **training: the steps and the other sections, see `assemble`.

    Returns:
      An `Experiment`.

    Raises:
      TypeError: a section holds a key that nothing takes; the message names it.
    """
    module = create(**model)
    paper = assemble(module, functools.partial(_terms, **loss), **training)
    return paper._replace(batches=crops_for(module))


def crops_for(module):
    """The `batches` of a network with a bilateral grid: crops, with the low-res input it takes.

    Args:
      module: the network.
    """
    lowres = {"lowres_size": module.net_input_size, "lowres_method": module.lowres_method}
    return functools.partial(batches.train_batches, **lowres)


def assemble(
    module, terms, *, steps, optimizer, schedule, average_decay, accumulate=1, random=False
):
    """Builds an experiment around one network that enhances images.

    Args:
      module: the network.
      terms: `(network, batch, *frozen) -> (value [b], metrics of [b], network with new
        statistics)`, the per-example loss, for a `Model` in training mode.
      steps: length of the training, for the schedule.
      optimizer: options of `make_optimizer`.
      schedule: options of `schedules.learning_rate` but for the peak and the steps.
      average_decay: of the moving average of the weights, see `step.gradient_step`.
      accumulate: micro-batches per step, see there.
      random: whether `terms` takes `key` too, of random numbers for one step on one device.

    Returns:
      An `Experiment`.

    Raises:
      TypeError: a section holds a key that nothing takes; the message names it.
    """
    in_training = model_lib.synchronised(module, parallel.AXIS)
    rule = make_optimizer(steps=steps, schedule=schedule, **optimizer)

    def init(key):
        init_key, train_key = jax.random.split(key)
        initial = Model.init(module, init_key)
        return state.create_single(train_key, initial.params, initial.batch_stats, rule)

    def update(current, batch, *frozen):
        experiment.check_images(batch)

        def loss(networks, batch, key):
            drawn = {"key": key} if random else {}
            value, metrics, network = terms(networks["network"], batch, *frozen, **drawn)
            mean = functools.partial(step.weighted_mean, weights=batch["weight"])
            return mean(value), ({"network": network.batch_stats}, jax.tree.map(mean, metrics))

        current, metrics = step.gradient_step(
            loss, current, "main", batch, rule,
            build={"network": functools.partial(Model, module=in_training)},
            average_decay=average_decay, accumulate=accumulate,
        )  # fmt: skip
        return step.finish_step(current), metrics

    def enhance(current, image):
        network = current.networks["network"]
        return inference.enhance(Model(network.average, network.batch_stats, module), image)

    return experiment.Experiment(
        init=init,
        update=update,
        evaluate=experiment.image_evaluation(enhance),
        networks={"network": module},
        enhance=enhance,
    )


def _terms(network, batch, **weights):
    grid, output, network = forward(network, batch)
    return *_losses(grid, output, batch, **weights), network


def _losses(grid, output, batch, *, mse, grid_variation, identity):
    """Per-example loss and metrics; the keywords are the weights of the terms."""
    error = reconstruction.mse(output, batch["target"], valid=batch.get("valid"))
    value = (
        mse * error
        + grid_variation * bj.total_variation(grid, feature_axes=2)
        + identity * regularizers.identity_distance(grid)
    )
    return value, {"psnr": metrics_lib.psnr_from_mse(error)}


def predict_grid(network, batch):
    """Predicts the bilateral grids of a batch in training mode.

    The low-res input is the whole photo's where the batch has one, else the crop's; the batch's
    window says where the crop lies in the image that the low-res input shows.

    Args:
      network: a `Model`.
      batch: as `data/pipeline/batch.py` declares it.

    Returns:
      (grid, network with new statistics).
    """
    return network.apply(lowres_input(network.module, batch), method="coefficients", train=True)


def lowres_input(module, batch):
    """Returns the low-res inputs of a batch: those it has, or the crops resized.

    Args:
      module: a network with the fields `net_input_size` and `lowres_method`.
      batch: as `data/pipeline/batch.py` declares it.

    Returns:
      `[b, n, n, 3]`.
    """
    if "lowres" in batch:
        return batch["lowres"]
    return resize.resize(batch["input"], module.net_input_size, method=module.lowres_method)


def forward(network, batch):
    """Runs a network with a grid in training mode.

    Args:
      network: a `Model`.
      batch: as for `predict_grid`.

    Returns:
      (grid, output, network with new statistics).
    """
    grid, network = predict_grid(network, batch)
    output, network = network.apply(
        grid, batch["input"], method="render", window=batch["window"], train=True
    )
    return grid, output, network


def create(*, name, preset, **hyperparameters):
    """Builds the network of a config's section `model`."""
    return models.create(name, hyperparameters, preset=preset)


def make_optimizer(*, steps, schedule, name, learning_rate, **options):
    """Makes the optimiser of a config's sections `optimizer` and `schedule`.

    Args:
      steps: length of the training.
      schedule: options of `schedules.learning_rate` but for the peak and the steps.
      name: of the optimiser.
      learning_rate: the peak.
      **options: of `schedules.optimizer`.

    Returns:
      An `optax.GradientTransformation`; weight decay acts on the matrices outside of guides.
    """
    rate = schedules.learning_rate(steps=steps, peak=learning_rate, **schedule)
    return schedules.optimizer(name, rate, decay_mask=_decays, **options)


def _decays(params):
    """Marks the matrices of the coefficient network: biases and the tiny guide are left alone."""

    def marked(path, leaf):
        names = jax.tree_util.keystr(path, simple=True, separator="/")
        return "guide" not in names and leaf.ndim > 1

    return jax.tree_util.tree_map_with_path(marked, params)
