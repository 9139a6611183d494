"""Counts the programs that JAX compiles."""

import contextlib

import jax.monitoring

_EVENT = "/jax/core/compile/backend_compile_duration"


@contextlib.contextmanager
def counted():
    """Yields a list that grows by one element with each compiled program."""
    programs = []

    def listen(event, seconds, **_):
        if event == _EVENT:
            programs.append(seconds)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield programs
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
