"""Other libraries' ways to compute the same operation, rewritten from the maths."""
