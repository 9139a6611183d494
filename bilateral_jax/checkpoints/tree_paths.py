"""Pytrees to `{path of names: leaf}` and back."""

import jax
import jax.numpy as jnp
import numpy as np


def flatten(tree):
    """Flattens a pytree into `{path of names: leaf}`, in flattening order."""
    return {
        tuple(jax.tree_util.keystr((entry,), simple=True) for entry in path): leaf
        for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]
    }


def nest(leaves):
    """Builds nested dicts from `{path of names: leaf}`."""
    tree = {}
    for path, leaf in leaves.items():
        insert(tree, path, leaf)
    return tree


def insert(tree, path, leaf):
    """Inserts a leaf into nested dicts, creating those on its path.

    Args:
      tree: the outermost dict.
      path: names, outermost first.
      leaf: the leaf.

    Raises:
      ValueError: the path is empty, as that of a single array.
    """
    if not path:
        raise ValueError("a checkpoint holds a tree of named leaves, not a single array")
    for name in path[:-1]:
        tree = tree.setdefault(name, {})
    tree[path[-1]] = leaf


def fill(target, leaves):
    """Builds a pytree like `target` from `{path of names: leaf}`.

    Args:
      target: pytree of arrays or `jax.ShapeDtypeStruct`.
      leaves: `{path of names: array}`.

    Raises:
      ValueError: names, shapes or dtypes differ; the message lists them.
    """
    expected = flatten(target)
    faults = [f"{'/'.join(p)} is missing from the checkpoint" for p in expected if p not in leaves]
    faults += [f"{'/'.join(p)} is not part of the target" for p in leaves if p not in expected]
    for path in expected.keys() & leaves.keys():
        found = leaves[path]
        shape, dtype = np.shape(expected[path]), jnp.result_type(expected[path])
        if (found.shape, found.dtype) != (shape, dtype):
            name = "/".join(path)
            faults.append(
                f"{name} is {found.dtype}{list(found.shape)}, expected {dtype}{list(shape)}"
            )
    if faults:
        more = f" and {len(faults) - 5} more" if len(faults) > 5 else ""
        listed = "; ".join(sorted(faults)[:5])
        raise ValueError(f"the checkpoint does not fit the target: {listed}{more}")
    return jax.tree.unflatten(jax.tree.structure(target), [leaves[path] for path in expected])


def key_implementation(leaf):
    """Names the implementation of a typed random key; None for any other leaf."""
    is_key = hasattr(leaf, "dtype") and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return str(jax.random.key_impl(leaf)) if is_key else None
