"""Configs: one complete experiment per file; `experiments/train.py` runs them."""
