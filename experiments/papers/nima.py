"""NIMA as an experiment: a network learns how people would score a photo.

In the first phase the head alone is trained, on a backbone whose norms keep their moving
statistics; then everything, by an optimiser that starts anew. The paper has one phase, in which the
head learns ten times as fast. With few photos and a backbone that has seen many, the first phase
can be all there is.

Reference: Talebi and Milanfar 2018, "NIMA: Neural image assessment"; the two phases are those of
idealo's image-quality-assessment.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from bilateral_jax import metrics, models, tree_paths
from bilateral_jax.data.pipeline import rating_batches, rating_distributions
from bilateral_jax.losses import emd
from bilateral_jax.models import model as model_lib
from bilateral_jax.models import nima, nima_networks
from bilateral_jax.models.model import Model
from bilateral_jax.training import parallel, schedules, state, step
from experiments import experiment
from experiments.runs import feature_network

_CONSTANT = {"name": "constant"}
# result -> how a table shows it
_TITLES = {
    "srcc": "SRCC of the mean scores",
    "lcc": "LCC of the mean scores",
    "srcc_within": "SRCC among photos of one reference, mean",
    "srcc_deviation": "SRCC of the deviations",
    "lcc_deviation": "LCC of the deviations",
    "emd": "EMD (r = 1), mean",
    "emd_2": "EMD (r = 2, the loss), mean",
    "accuracy": "accuracy (good: above 5)",
}


def build(
    *, steps, model, loss, head, optimizer, schedule, average_decay, accumulate=1, spread=False,
    backbone=None,
):  # fmt: skip
    """Builds the experiment from the sections of a config.

    Args:
      steps: length of the training, both phases.
      model: `name` and fields of a network of `models/nima_networks.py`.
      loss: `exponent` of `emd.emd`.
      head: of the first phase: `steps` (0: there is none; `steps`: there is no other), `schedule`
        (a constant learning rate if it is left out) and options of `_optimizer`.
      optimizer: options of `_optimizer` for the second phase.
      schedule: options of `schedules.learning_rate` in the second phase.
      average_decay: of the moving average of the weights, see `step.gradient_step`.
      accumulate: micro-batches per step, see there.
      spread: see `rating_distributions.distribution`; for training and evaluation.
      backbone: a network that the weights in front of the head are taken from at the start, see
        `feature_network.read`: an EfficientNet-Lite0 or a VGG-16. None draws them at random.

    Returns:
      An `Experiment`.

    Raises:
      FileNotFoundError: there is no such backbone.
      ImportError: the package with the backbone's weights is not installed.
      TypeError: a section holds a key that nothing takes; the message names it.
      ValueError: the first phase is longer than the training, or a backbone of another network.
    """
    module = _module(**model)
    in_training = model_lib.synchronised(module, parallel.AXIS)
    distance = _distance(**loss)
    head = dict(head)
    head_steps = head.pop("steps")
    if not 0 <= head_steps <= steps:
        raise ValueError(f"head.steps must lie in [0, steps], got {head_steps} of {steps}")
    rules = {}
    if head_steps < steps:
        rules["all"] = _optimizer(steps=steps - head_steps, schedule=schedule, **optimizer)
    if head_steps:
        rules["head"] = _optimizer(**{"steps": head_steps, "schedule": _CONSTANT, **head})
    if backbone is not None:
        backbone = feature_network.read(backbone, option="backbone")
        shapes = jax.eval_shape(functools.partial(Model.init, module), jax.random.key(0))
        _put_backbone(shapes, backbone)  # a misfit is found at once

    def init(key):
        init_key, train_key = jax.random.split(key)
        initial = Model.init(module, init_key)
        if backbone is not None:
            initial = _put_backbone(initial, backbone)
        optimizers = optax.GradientTransformation(functools.partial(_init_rules, rules), None)
        return state.create_single(train_key, initial.params, initial.batch_stats, optimizers)

    def take(phase, current, batch):
        return step.gradient_step(
            functools.partial(_loss, phase, distance), current, "main", batch,
            optax.GradientTransformation(None, functools.partial(_apply_rule, rules[phase], phase)),
            build={"network": functools.partial(_build, in_training, phase)},
            average_decay=average_decay, accumulate=accumulate,
        )  # fmt: skip

    def update(current, batch):
        experiment.check_images(batch)
        train_all = functools.partial(take, "all")
        train_head = functools.partial(take, "head")
        if len(rules) == 2:
            current, metrics = jax.lax.cond(
                current.step < head_steps, train_head, train_all, current, batch
            )
        else:
            current, metrics = (train_head if head_steps else train_all)(current, batch)
        return step.finish_step(current), metrics

    options = {"size": module.input_size, "resize": module.resize, "spread": spread}
    return experiment.Experiment(
        init=init,
        update=update,
        evaluate=functools.partial(_evaluate, module, spread),
        networks={"network": module},
        batches=functools.partial(rating_batches.train_batches, **options),
        members=("image",),
        table=table,
        use=("score photos with", "score PHOTO ..."),
        shown=("loss", "mean_score_error"),
    )


def _module(*, name, **fields):
    module = models.create(name, fields)
    if not isinstance(module, nima_networks.NETWORKS):
        kinds = ", ".join(kind.__name__ for kind in nima_networks.NETWORKS)
        raise ValueError(f"model.name must be one of {kinds}, got {name!r}")
    return module


def _put_backbone(initial, backbone):
    """Replaces all weights but those of the head by the backbone's of the same names."""
    filled = {}
    for part in ("params", "batch_stats"):
        target = {name: x for name, x in getattr(initial, part).items() if name != "head"}
        leaves = tree_paths.flatten(getattr(backbone, part))
        wanted = tree_paths.flatten(target)
        kind = type(backbone.module).__name__
        filled[part] = getattr(initial, part) | tree_paths.fill(
            target,
            {path: leaf for path, leaf in leaves.items() if path in wanted},
            misfit=f"backbone: the weights of its {kind} do not fit",
        )
    return initial.replace(**filled)


def _distance(*, exponent):
    return functools.partial(emd.emd, exponent=exponent)


def _optimizer(*, steps, schedule, name, learning_rate, head_factor=1.0, **options):
    """An optimiser whose steps for the head are `head_factor` times as long."""
    rate = schedules.learning_rate(steps=steps, peak=learning_rate, **schedule)
    rule = schedules.optimizer(name, rate, **options)
    if head_factor == 1.0:
        return rule
    in_head = functools.partial(jax.tree_util.tree_map_with_path, _in_head)
    return optax.chain(rule, optax.masked(optax.scale(head_factor), in_head))


def _in_head(path, leaf):
    return path[1].key == "head"  # the first name is the network's


def _init_rules(rules, params):
    """Each phase has its own optimiser state, so that of the second phase starts fresh."""
    return {phase: rule.init(_trained(params, phase)) for phase, rule in rules.items()}


def _apply_rule(rule, phase, gradient, opt_state, params):
    change, own = rule.update(_trained(gradient, phase), opt_state[phase], _trained(params, phase))
    zeros = jax.tree.map(jnp.zeros_like, gradient["network"])
    return {"network": zeros | change["network"]}, opt_state | {phase: own}


def _trained(tree, phase):
    """The weights that a phase trains."""
    return tree if phase == "all" else {"network": {"head": tree["network"]["head"]}}


def _build(module, phase, params, batch_stats):
    if phase == "head":  # no gradient is computed for the rest
        params = jax.lax.stop_gradient(params) | {"head": params["head"]}
    return Model(params, batch_stats, module)


def _loss(phase, distance, networks, batch, key):
    logits, network = networks["network"].apply(
        batch["input"],
        train=True,
        moving_statistics=phase == "head",
        rngs={"dropout": key},
    )
    shares = jax.nn.softmax(logits)
    mean = functools.partial(step.weighted_mean, weights=batch["weight"])
    score_error = jnp.abs(nima.mean(shares) - nima.mean(batch["target"]))
    value = distance(shares, batch["target"])
    return mean(value), (
        {"network": network.batch_stats},
        {"mean_score_error": mean(score_error)},
    )


def _evaluate(module, spread, current, source, *, keep, shard, gather, check):
    """Scores every photo of a source; returns no photos for a contact sheet."""
    del keep
    network = current.networks["network"]
    network = Model(network.average, network.batch_stats, module)
    (index, count), rows = shard, []
    for position in range(index, len(source), count):
        check()
        element = source[position]
        if np.ndim(element.get("image")) != 3:
            raise ValueError(
                "NIMA is evaluated on a source of rated images, with an image [h, w, 3] and its "
                f"ratings; got {sorted(element)}"
            )
        square = rating_batches.square(
            element["image"], size=module.input_size, method=module.resize
        )
        shares = nima.of_squares(network, square[None])[0]
        reference = int(element.get("reference", -1))
        true = rating_distributions.distribution(element, spread=spread)
        rows.append([position, reference, shares.tolist(), true.tolist()])
    parts = [rows] if gather is None else gather(rows)
    rows = sorted((row for part in parts for row in part), key=lambda row: row[0])
    _, references, predicted, true = zip(*rows) if rows else ((),) * 4
    return agreement(np.array(predicted), np.array(true), references=np.array(references)), []


def agreement(predicted, true, *, references=None):
    """Compares distributions for a whole set of photos.

    Args:
      predicted: `[n, 10]`, in one order whoever made them.
      true: `[n, 10]`.
      references: int `[n]`, which photos are versions of one; None or negative: none are.

    Returns:
      `{name: float}`: "srcc" and "lcc" of the means, the same of the deviations, "emd" (r = 1),
      "emd_2", "accuracy", and, where references are given, "srcc_within": the mean of the SRCC
      among the versions of each.

    Raises:
      ValueError: fewer than two photos.
    """
    if len(predicted) < 2:
        raise ValueError(f"agreement needs at least two photos, got {len(predicted)}")
    scores = np.arange(1.0, predicted.shape[-1] + 1)
    means = [np.asarray(shares, np.float64) @ scores for shares in (predicted, true)]
    deviations = [
        np.sqrt(np.sum((scores - mean[:, None]) ** 2 * shares, axis=-1))
        for mean, shares in zip(means, (predicted, true))
    ]
    away = np.cumsum(np.asarray(predicted, np.float64) - true, axis=-1)
    results = {
        "srcc": metrics.rank_correlation(*means),
        "lcc": metrics.linear_correlation(*means),
        "srcc_deviation": metrics.rank_correlation(*deviations),
        "lcc_deviation": metrics.linear_correlation(*deviations),
        "emd": float(np.mean(np.abs(away))),
        "emd_2": float(np.mean(np.sqrt(np.mean(away**2, axis=-1)))),
        "accuracy": metrics.binary_accuracy(*means),
    }
    groups = [] if references is None else np.unique(references[references >= 0])
    within = [[side[references == group] for side in means] for group in groups]
    within = [metrics.rank_correlation(*sides) for sides in within if len(sides[0]) > 1]
    return results | ({"srcc_within": float(np.mean(within))} if within else {})


def table(results, *, title="held-out photos"):
    """Writes results for a terminal.

    Args:
      results: what `agreement` gives; None stands for a number that is not defined.
      title: what the first line says.

    Returns:
      Lines of text.
    """
    rows = [(text, results[name]) for name, text in _TITLES.items() if name in results]
    written = (("-" if value is None else f"{value:.4f}", text) for text, value in rows)
    return "\n".join([title, *(f"  {text:44s}{value:>8s}" for value, text in written)])
