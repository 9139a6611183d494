"""Fits the options of a classical filter to pairs of photos by coordinate search over given values.

    python -m experiments.fit_operator local_contrast --source folder root=PAIRS
        --try sigma 0.05 0.1 0.2 --try gain 2 3 4 [--set noise=1e-6] [--rounds 3]

For one option after the other, the value with the highest mean PSNR (8 bit, whole photos) is taken,
until no option changes. Leave-one-out cross-validation repeats the search without each photo and
scores that photo with the options found on the others: a lower score there means overfitting. An
option's value is a Python literal.
"""

import json
import sys

import numpy as np

from bilateral_jax.cli import arguments as arguments_lib
from bilateral_jax.cli import compilation_cache, errors
from bilateral_jax.data import registry
from bilateral_jax.filters import operators
from experiments.evaluation import protocol
from experiments.operators import teachers


class Scores:
    """PSNR of every photo for each set of options, computed once per set."""

    def __init__(self, name, pairs):
        """Creates an empty table.

        Args:
          name: name of the filter.
          pairs: list of `{"input", "target"}`, uint8 or uint16 `[h, w, 3]`.
        """
        self._name, self._pairs, self._known = name, pairs, {}

    def psnr(self, options):
        """PSNR of every photo in dB, `[photos]`.

        Args:
          options: options of the filter.
        """
        key = json.dumps(options, sort_keys=True)
        if key not in self._known:
            function, _ = teachers.find(operator=self._name, options=options)
            metrics = ("psnr",)
            self._known[key] = np.array(
                [
                    protocol.score(function(pair["input"]), pair["target"], metrics=metrics)["psnr"]
                    for pair in self._pairs
                ]
            )
        return self._known[key]


def search(scores, values, fixed, *, photos, rounds=3):
    """Coordinate search: the best value of one option at a time until nothing changes.

    Args:
      scores: a `Scores`.
      values: `{option: values to try}`; the search starts from the first value of each.
      fixed: options that do not vary.
      photos: indices of the photos whose mean PSNR is maximised.
      rounds: largest number of passes over all options.

    Returns:
      The best options.
    """
    best = fixed | {name: tried[0] for name, tried in values.items()}
    for _ in range(rounds):
        before = dict(best)
        for name, tried in values.items():
            ranked = {i: scores.psnr(best | {name: v})[photos].mean() for i, v in enumerate(tried)}
            best[name] = tried[max(ranked, key=ranked.get)]
        if best == before:
            break
    return best


def fit(name, pairs, values, fixed, *, rounds=3):
    """Searches on all photos, and once without each of them (leave-one-out).

    Args:
      name: name of the filter.
      pairs: source of `{"input", "target", "name"}`.
      values: `{option: values to try}`.
      fixed: options that do not vary.
      rounds: as for `search`.

    Returns:
      `{"options", "psnr": {photo: dB}, "mean", "left_out": {photo: {"options", "psnr"}},
      "left_out_mean"}`.

    Raises:
      ValueError: unknown filter, or no values to try.
      TypeError: an option that the filter does not know.
    """
    if not values or not all(values.values()):
        raise ValueError(f"there must be options with values to try, got {values!r}")
    operators.make(name, **fixed, **{option: tried[0] for option, tried in values.items()})
    pairs = [pairs[index] for index in range(len(pairs))]
    scores, every = Scores(name, pairs), np.arange(len(pairs))
    best = search(scores, values, fixed, photos=every, rounds=rounds)
    names = [pair["name"] for pair in pairs]
    left_out = {}
    for index in every if len(pairs) > 1 else ():
        chosen = search(scores, values, fixed, photos=np.delete(every, index), rounds=rounds)
        left_out[names[index]] = {"options": chosen, "psnr": float(scores.psnr(chosen)[index])}
    found = {"options": best, "psnr": dict(zip(names, scores.psnr(best).tolist(), strict=True))}
    found["mean"] = float(scores.psnr(best).mean())
    if left_out:
        found["left_out"] = left_out
        found["left_out_mean"] = float(np.mean([one["psnr"] for one in left_out.values()]))
    return found


def main(arguments=None):
    """Runs the command; returns its exit code."""
    parser = arguments_lib.Parser(
        prog="python -m experiments.fit_operator", description=__doc__.splitlines()[0]
    )
    add = parser.add_argument
    add("operator", help=", ".join(sorted(operators.OPERATORS)))
    add("--source", nargs="+", required=True, metavar="KIND [NAME=VALUE]", help="pairs")
    add("--try", dest="tried", nargs="+", action="append", default=[], metavar="OPTION VALUE")
    add("--set", dest="fixed", nargs="+", default=[], metavar="NAME=VALUE", help="fixed options")
    add("--rounds", type=int, default=3, help="largest number of passes over all options (3)")
    compilation_cache.add_option(parser)
    options = parser.parse_args(arguments)
    compilation_cache.use(options.compilation_cache)
    return errors.exit_code(_run, options, caught=errors.SOURCE_ERRORS)


def _run(options):
    kind, *section = options.source
    source = registry.make(kind, **dict(map(arguments_lib.name_value, section)))
    values = {name: [arguments_lib.literal(v) for v in tried] for name, *tried in options.tried}
    fixed = dict(map(arguments_lib.name_value, options.fixed))
    found = fit(options.operator, source, values, fixed, rounds=options.rounds)
    print(json.dumps(found, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
