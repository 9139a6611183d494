"""The README's code runs as it stands, and its links lead somewhere."""

import re

import jax
import jax.numpy as jnp
import numpy as np

from tests import assets

README = (assets.ROOT / "README.md").read_text(encoding="utf-8")


def test_the_six_lines_and_the_three_lines_run():
    blocks = re.findall(r"```python\n(.*?)```", README, re.S)
    assert len(blocks) == 2
    rng = np.random.default_rng(0)
    names = {"jax": jax, "jnp": jnp, "n": 1, "gd": 8, "gh": 16, "gw": 16}
    names["image"] = names["rgb"] = jnp.asarray(rng.uniform(size=(1, 24, 32, 3)), jnp.float32)
    names["target"] = names["image"] ** 2
    names["stored"] = jnp.asarray(rng.normal(size=(1, 12, 8, 16, 16)), jnp.float32)
    exec(blocks[0], names)
    np.testing.assert_allclose(names["out"], names["image"], atol=1e-6)
    assert names["gradient"].shape == (16, 16, 8, 3, 4) and np.any(names["gradient"] != 0)
    exec(blocks[1], names)
    assert names["out"].shape == (1, 24, 32, 3) and np.all(np.isfinite(names["out"]))


def test_links_and_folders_exist():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    folders = re.findall(
        r"`((?:bilateral_jax|experiments|configs|tests|benchmarks|docs|notebooks)/[^`]*)`", README
    )
    assert len(links) >= 4 and len(folders) >= 8
    for path in links + folders:
        assert (assets.ROOT / path).exists(), path
