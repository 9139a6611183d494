"""The leaves of pytrees by name: a path is a tuple of names, outermost first."""

import jax
import jax.numpy as jnp
import numpy as np


def flatten(tree):
    """Flattens a pytree into `{path: leaf}`, in flattening order."""
    return {
        tuple(jax.tree_util.keystr((entry,), simple=True) for entry in path): leaf
        for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]
    }


def nest(leaves):
    """Builds nested dicts from `{path: leaf}`."""
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
      ValueError: the path is empty, as that of a tree that is a single array.
    """
    if not path:
        raise ValueError("a checkpoint holds a tree of named leaves, not a single array")
    for name in path[:-1]:
        tree = tree.setdefault(name, {})
    tree[path[-1]] = leaf


def fill(target, leaves, *, misfit: str, check_dtypes: bool = True):
    """Builds a pytree like `target` from `{path: leaf}`.

    Args:
      target: pytree of arrays or `jax.ShapeDtypeStruct`.
      leaves: `{path: array}`.
      misfit: how the error begins, such as "the weights do not fit DPED".
      check_dtypes: whether dtypes must be equal, too.

    Returns:
      The pytree.

    Raises:
      ValueError: leaves are missing, unexpected, or of another shape or dtype; each is named.
    """
    expected = flatten(target)
    faults = [f"missing: {_shown(p, leaf)}" for p, leaf in expected.items() if p not in leaves]
    faults += [f"unexpected: {_shown(p, leaf)}" for p, leaf in leaves.items() if p not in expected]
    for path, leaf in expected.items():
        if path not in leaves:
            continue
        name, found = "/".join(path), leaves[path]
        if np.shape(found) != np.shape(leaf):
            faults.append(f"wrong shape: {name} is {np.shape(found)}, expected {np.shape(leaf)}")
        elif check_dtypes and found.dtype != jnp.result_type(leaf):
            faults.append(f"wrong dtype: {name} is {found.dtype}, expected {jnp.result_type(leaf)}")
    if faults:
        raise ValueError(f"{misfit}: " + "; ".join(faults))
    return jax.tree.unflatten(jax.tree.structure(target), [leaves[path] for path in expected])


def key_implementation(leaf):
    """Names the implementation of a typed random key; None for any other leaf."""
    is_key = hasattr(leaf, "dtype") and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return str(jax.random.key_impl(leaf)) if is_key else None


def _shown(path, leaf):
    return f"{'/'.join(path)} {np.shape(leaf)}"
