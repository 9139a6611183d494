"""One script per question; each writes `results/<device>/<question>-<jax version>.json`."""
