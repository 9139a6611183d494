"""The sources of a run, made from its config and checked against what its experiment needs."""

import contextlib
import re

from bilateral_jax.cli import errors
from bilateral_jax.data import registry
from bilateral_jax.data.sources import views
from experiments.runs import config_differences


def make(*, train, heldout, cached, members, waiting=contextlib.nullcontext):
    """Makes the sources for training and for evaluation.

    Args:
      train: section of the config, the keywords of `registry.make`.
      heldout: the same for the evaluation; its photos stay in memory.
      cached: keep the training photos in memory, too.
      members: what every element must hold.
      waiting: `() -> context manager` inside which held-out photos are read.

    Returns:
      `(train, heldout)`.

    Raises:
      ValueError: a source cannot be made, or its elements lack a member; the message names the
        section of the config.
      TypeError: the same for an option that a source does not know or that is missing.
    """
    source = _source("train", train, members)
    heldout = views.Waiting(_source("heldout", heldout, members), waiting)
    heldout = views.Cached(heldout, exact=True)
    return views.Cached(source) if cached else source, heldout


def _source(name, section, members):
    try:
        source = registry.make(**section)
        held = source[0] if len(source) else members
    except (OSError, ValueError, TypeError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(_located(error, name, section)) from error
    if missing := [member for member in members if member not in held]:
        raise ValueError(
            f"--config.data.{name}: this experiment needs elements with {', '.join(members)}; "
            f"source {section['kind']!r} has {', '.join(held)} and no {', '.join(missing)}"
        )
    return source


def _located(error, name, section):
    """The message of an error after the section that it speaks of, with options as typed.

    A source may be made of another one, whose options are then in a section within the section.
    """
    message, known = errors.sentence(error), {}
    for path in config_differences.flat(section):
        known.setdefault(path.split(".")[-1], f"data.{name}.{path}")

    def typed(found):
        return f"--config.{known.get(found[1], f'data.{name}.{found[1]}')}={found[2]}"

    first = known.get(message.split(" ")[0], f"data.{name}.")
    advised = re.sub(r'(?<![\w-])(\w+)="?(True|skip)\b"?', typed, message)
    return f"--config.{first.rpartition('.')[0]}: {advised}"
