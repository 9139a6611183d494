"""Foreign weights to our pytrees: one module per source, with its table of names and shapes."""
