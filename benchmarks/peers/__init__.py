"""What others compute for the same question, rewritten from the maths: one peer per file."""
