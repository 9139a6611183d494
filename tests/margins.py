"""Margins of numeric comparisons: how many times its error could grow before a test fails.

    python -m pytest -p tests.margins tests/models/hdrnet_golden_test.py --junitxml=margins.xml

Every `np.testing.assert_allclose` that passes, and every `below`, is measured. The smallest margin
of a test is its property `margin`; those under `LEAST` are listed at the end. A tolerance of
float32 rounding should leave that much on every processor: measure with
`XLA_FLAGS=--xla_cpu_max_isa=AVX2` and with one thread (`taskset -c 0`), too.
"""

import numpy as np
import pytest

LEAST = 3.0
_measured = pytest.StashKey()
_current: list[float] = []
_assert_allclose = np.testing.assert_allclose


def below(error, limit):
    """Asserts that an error is below its limit, and measures the margin."""
    assert error < limit, f"{error:.3g} is not below {limit:.3g}"
    if error > 0:
        _current.append(float(limit / error))


def _measuring(actual, desired, rtol=1e-7, atol=0, *rest, **options):
    _assert_allclose(actual, desired, rtol, atol, *rest, **options)
    one, two = (np.asarray(values, np.float64) for values in (actual, desired))
    limit, error = atol + rtol * np.abs(two), np.abs(one - two)
    counted = np.isfinite(error) & (error > 0) & (np.broadcast_to(limit, error.shape) > 0)
    if counted.any():
        _current.append(
            float((np.broadcast_to(limit, error.shape)[counted] / error[counted]).min())
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Measures the comparisons of one test."""
    _current.clear()
    np.testing.assert_allclose = _measuring
    try:
        return (yield)
    finally:
        np.testing.assert_allclose = _assert_allclose
        if _current:
            item.user_properties.append(("margin", round(min(_current), 2)))
            item.config.stash.setdefault(_measured, {})[item.nodeid] = min(_current)


def pytest_terminal_summary(terminalreporter, config):
    """Lists the tests with a small margin."""
    measured = config.stash.get(_measured, {})
    small = sorted((margin, name) for name, margin in measured.items() if margin < LEAST)
    terminalreporter.write_line(
        f"{len(small)} of {len(measured)} tests have a margin under {LEAST:g}"
    )
    for margin, name in small:
        terminalreporter.write_line(f"  {margin:.2f}  {name}")
