"""Readers of foreign weight files: TensorFlow bundles, PyTorch files, Keras files."""
