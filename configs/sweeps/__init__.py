"""Configs of sweeps: many trials of one experiment; `experiments/sweep.py` runs them."""
