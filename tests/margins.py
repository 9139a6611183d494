"""Margins of numeric comparisons: how many times its error could grow before a test fails.

    python -m pytest -p tests.margins tests/models/hdrnet_golden_test.py --junitxml=margins.xml

Every `np.testing.assert_allclose` and `pytest.approx` that passes, and every `below`, is measured.
The smallest margin of a test is its property `margin`; those under `LEAST` are listed at the end. A
tolerance of float32 rounding should leave that much on every processor: measure with one thread
(`taskset -c 0`), both ends of the supported versions, and
`XLA_FLAGS=--xla_cpu_experimental_ynn_fusion_type=`, which leaves out the linked library that
chooses its kernels by processor; `--xla_cpu_max_isa` changes no bit.

Where one side holds integers, the half level of their rounding is subtracted from error and limit;
two arrays of integers are not measured: a level is not float32 rounding.
"""

import numpy as np
import pytest

LEAST = 3.0
_measured = pytest.StashKey()
_current: list[float] = []
_assert_allclose = np.testing.assert_allclose
_Approx = type(pytest.approx(0.0))
_approx_equal = _Approx.__eq__


def below(error, limit):
    """Asserts that an error is below its limit, and measures the margin."""
    assert error < limit, f"{error:.3g} is not below {limit:.3g}"
    if error > 0:
        _current.append(float(limit / error))


def _measuring(actual, desired, rtol=1e-7, atol=0, *rest, **options):
    _assert_allclose(actual, desired, rtol, atol, *rest, **options)
    integers = [np.issubdtype(np.asarray(values).dtype, np.integer) for values in (actual, desired)]
    if all(integers):
        return
    half = 0.5 if any(integers) else 0.0
    one, two = (np.asarray(values, np.float64) for values in (actual, desired))
    _record(np.abs(one - two) - half, atol + rtol * np.abs(two) - half)


def _measuring_approx(expected, actual):
    equal = _approx_equal(expected, actual)
    numbers = [isinstance(value, (float, np.floating)) for value in (expected.expected, actual)]
    if equal and any(numbers):
        _record(np.abs(np.float64(actual) - expected.expected), expected.tolerance)
    return equal


def _record(error, limit):
    """Keeps the smallest ratio of limit to error."""
    error, limit = np.broadcast_arrays(error, limit)
    counted = np.isfinite(error) & (error > 0) & (limit > 0)
    if counted.any():
        _current.append(float((limit[counted] / error[counted]).min()))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Measures the comparisons of one test."""
    _current.clear()
    np.testing.assert_allclose, _Approx.__eq__ = _measuring, _measuring_approx
    try:
        return (yield)
    finally:
        np.testing.assert_allclose, _Approx.__eq__ = _assert_allclose, _approx_equal
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
