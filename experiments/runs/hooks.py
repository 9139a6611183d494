"""The intervals of a run, in steps: when it saves, evaluates and logs."""

from bilateral_jax.training import loop


def make(
    save, evaluate, *, log_every, evaluate_every, sheet_photos, checkpoint_every, max_to_keep,
    max_skipped=0,
):  # fmt: skip
    """Makes the hooks of the loop and its options.

    Args:
      save: `(step, state, max_to_keep)`.
      evaluate: `(step, state, sheet_photos)`.
      log_every: steps between lines of metrics.
      evaluate_every: steps between evaluations.
      sheet_photos: photos of an evaluation that are drawn.
      checkpoint_every: steps between checkpoints.
      max_to_keep: checkpoints that are kept.
      max_skipped: non-finite steps that may be skipped.

    Returns:
      (hooks, the evaluation last; options of `loop.fit`).
    """
    hooks = [
        loop.Hook(checkpoint_every, lambda step, state: save(step, state, max_to_keep), True),
        loop.Hook(evaluate_every, lambda step, state: evaluate(step, state, sheet_photos)),
    ]
    return hooks, {"log_every": log_every, "max_skipped": max_skipped}
