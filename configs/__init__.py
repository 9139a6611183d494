"""Complete experiments as data; `experiments/train.py` runs them."""
