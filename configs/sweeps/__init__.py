"""Sweeps as data: many trials of one experiment; `experiments/sweep.py` runs them."""
