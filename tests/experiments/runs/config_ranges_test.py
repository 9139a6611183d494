"""Numbers of a config that no run can use are refused by name. Cost: no compilation."""

import math

import pytest

from configs import dped, hdrnet
from experiments.runs import config_ranges


@pytest.mark.parametrize("module", [hdrnet, dped])
def test_the_numbers_of_a_config_pass(module):
    config_ranges.check(module.get_config().to_dict())


@pytest.mark.parametrize(
    "name, value, expected",
    [
        ("steps", 0, "--config.steps must be an int of at least 1, got 0"),
        ("steps", 2.0, "--config.steps must be an int"),
        ("steps", True, "--config.steps must be an int"),
        ("seed", -1, "--config.seed must be an int of at least 0, got -1"),
        ("seed", 10**20, "--config.seed must be at most"),
        ("accumulate", 0, "--config.accumulate must be an int of at least 1"),
        ("average_decay", 1.5, r"--config.average_decay must lie in \[0, 1\), got 1.5"),
        ("average_decay", 1.0, r"must lie in \[0, 1\)"),
        ("average_decay", -0.1, r"must lie in \[0, 1\)"),
        ("run.log_every", 0, "--config.run.log_every must be an int of at least 1"),
        ("run.max_to_keep", 0, "--config.run.max_to_keep must be an int of at least 1"),
        ("run.sheet_photos", -1, "--config.run.sheet_photos must be an int of at least 0"),
        ("run.max_skipped", -1, "--config.run.max_skipped must be an int of at least 0"),
        ("loss.mse", math.nan, "--config.loss.mse must be a finite number, got nan"),
        ("loss.mse", -1.0, "--config.loss.mse must be at least 0, got -1.0"),
        ("loss.mse", -1, "--config.loss.mse must be at least 0, got -1"),
        ("optimizer.learning_rate", math.inf, "--config.optimizer.learning_rate must be a finite"),
    ],
)
def test_a_number_out_of_its_range(name, value, expected):
    config = hdrnet.get_config().to_dict()
    *sections, last = name.split(".")
    holder = config[sections[0]] if sections else config
    holder[last] = value
    with pytest.raises(ValueError, match=expected):
        config_ranges.check(config)
