"""Entries in which two configs differ."""

import pytest

from experiments.runs import config_differences


def test_differences_name_what_is_there_and_what_is_now():
    there = {"model": {"name": "A", "gd": 8, "more": {}}, "seed": 0}
    now = {"model": {"name": "A", "gd": 4, "more": {}}, "steps": 2}
    assert config_differences.flat(there) == {
        "model.name": "A",
        "model.gd": 8,
        "model.more": {},
        "seed": 0,
    }
    assert config_differences.differences(there, now) == (
        "model.gd: 8 there, 4 now; seed: 0 there, 'absent' now; steps: 'absent' there, 2 now"
    )
    assert config_differences.differences(there, there) == ""


@pytest.mark.parametrize("name, depends", [("constant", False), ("cosine", True), (None, True)])
def test_another_length_is_described_with_the_schedules_that_depend_on_it(name, depends):
    there = {"steps": 6} | ({"schedule": {"name": name}} if name else {})
    said = config_differences.length_change(there, there | {"steps": 8}, 6)
    assert said.startswith("the run goes on to step 8 (it was to end at 6)")
    schedule = f"the {name or 'new'} schedule of 8 steps, while steps 1 to 6 followed that of 6"
    assert (schedule in said) == depends
    assert config_differences.length_change(there, there, 6) == ""
