"""One training run: its work directory, resuming, warm starts, failed steps."""
