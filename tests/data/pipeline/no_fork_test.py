"""Nothing in the package forks: a forked child of a process that has started JAX hangs."""

import ast

from tests import assets

_FORKING = {"os.fork", "os.forkpty", "multiprocessing.Process", "multiprocessing.Pool"}


def _attributes(text):
    """`module.name` of every attribute that is read."""
    return {
        ast.unparse(node) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Attribute)
    }


def test_processes_are_spawned():
    for folder in ("bilateral_jax", "experiments"):
        for path in sorted((assets.ROOT / folder).rglob("*.py")):
            text = path.read_text()
            used = _attributes(text)
            assert not used & _FORKING, path
            if any(name.endswith("ProcessPoolExecutor") for name in used):
                assert 'get_context("spawn")' in text, path
