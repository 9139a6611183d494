"""Photo pairs for training: sources, augmentation, and batches made in the background."""
