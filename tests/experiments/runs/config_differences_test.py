"""Entries in which two configs differ."""

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
