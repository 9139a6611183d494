"""From sources to batches: augmentation, sampling, loading in the background, caches."""
