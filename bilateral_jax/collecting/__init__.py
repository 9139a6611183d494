"""Two folders of photos to pairs of patches on disk: what `python -m bilateral_jax align` does."""
