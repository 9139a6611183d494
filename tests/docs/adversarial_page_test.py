"""docs/adversarial.md: its example runs as printed, and its tables name what there is."""

import re

import jax
import numpy as np
import pytest

from bilateral_jax import models
from bilateral_jax.losses import adversarial, gradient_penalties
from bilateral_jax.training import parallel
from tests import assets

pytestmark = pytest.mark.usefixtures("compiled_quickly")
PAGE = (assets.ROOT / "docs" / "adversarial.md").read_text(encoding="utf-8")


def test_the_example_runs_as_printed(capsys):
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    names = {}
    exec(program, names)
    current, metrics = names["current"], names["metrics"]
    assert parallel.unsynchronised_leaves([current, metrics]) == []
    assert np.isfinite([float(leaf) for leaf in jax.tree.leaves(metrics)]).all()
    updates = {name: int(group.updates) for name, group in current.groups.items()}
    assert updates == {"generator": 2, "critic": 10}
    assert current.extra["penalty"].updates == 10 and current.extra["pool"].count == 50
    assert "loss of the generator: " in capsys.readouterr().out


def test_the_tables_name_every_form_and_networks_that_exist():
    rows = re.findall(r"^\| `(\w+)`", PAGE, re.M)
    forms = [*adversarial.FORMS, *gradient_penalties.FORMS]
    assert rows[: len(forms)] == forms
    assert set(rows[len(forms) :]) <= set(models.REGISTRY) and "PatchCritic" in rows
