"""Foreign weights to our pytrees: one module per source, each with its table of names and shapes."""
