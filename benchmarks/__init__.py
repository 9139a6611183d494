"""Benchmarks; each writes `results/<device>/<question>-<jax version>.json`."""
